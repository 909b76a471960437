//! A client as the environment describes it, under the names that the official SDKs use.

use std::ffi::OsString;

use partwise_protocol::{Api, Credential, Dialect, error::EncodeError};

use crate::{Client, builder::ClientBuilder};

/// The api-version of dated Azure when nothing says another: the first generally available one that has Uploads.
pub const DEFAULT_AZURE_API_VERSION: &str = "2024-10-21";

const PROVIDER: &str = "PARTWISE_PROVIDER";
const PLAIN_HTTP: &str = "PARTWISE_ALLOW_PLAIN_HTTP";
const OPENAI_KEY: &str = "OPENAI_API_KEY";
const OPENAI_BASE: &str = "OPENAI_BASE_URL";
const AZURE_KEY: &str = "AZURE_OPENAI_API_KEY";
const AZURE_TOKEN: &str = "AZURE_OPENAI_AD_TOKEN";
const AZURE_ENDPOINT: &str = "AZURE_OPENAI_ENDPOINT";
const AZURE_VERSION: &str = "OPENAI_API_VERSION";
/// Headers that say on whose behalf an OpenAI key is used, and where they stand.
const ACCOUNT: [(&str, &str); 2] =
    [("openai-organization", "OPENAI_ORG_ID"), ("openai-project", "OPENAI_PROJECT_ID")];

/// The environment does not describe a client.
///
/// ```no_run
/// use partwise::{Client, EnvironmentError};
///
/// let client = match Client::from_env() {
///     Ok(client) => Some(client),
///     Err(EnvironmentError::NoKey) => None,
///     Err(error) => panic!("{error}"),
/// };
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// There is no key of either provider.
    #[error("no key: set {OPENAI_KEY}, or {AZURE_KEY} or {AZURE_TOKEN} for Azure")]
    NoKey,
    /// There are keys of both providers.
    #[error(
        "{OPENAI_KEY} and a key for Azure are both set: set {PROVIDER} to openai, azure or azure-v1, or use `from_env_azure`"
    )]
    BothProviders,
    /// A variable that this provider needs is not set.
    #[error("{variable} is not set")]
    Missing {
        /// Its name.
        variable: &'static str,
    },
    /// A variable is not valid UTF-8.
    #[error("the value of {variable} is not valid UTF-8")]
    NotUnicode {
        /// Its name.
        variable: &'static str,
    },
    /// A variable has a value that it cannot have.
    #[error("{variable}: '{value}' is not {expected}")]
    Value {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it can have.
        expected: &'static str,
    },
    /// The value of a variable cannot be used.
    #[error("{variable}")]
    Unusable {
        /// Its name.
        variable: &'static str,
        /// Why.
        source: EncodeError,
    },
    /// The value of a variable cannot stand in a header.
    #[error("the value of {variable} cannot stand in a header")]
    Header {
        /// Its name.
        variable: &'static str,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    OpenAi,
    Azure,
    AzureV1,
}

#[cfg(feature = "hyper")]
impl Client {
    /// A client as the environment describes it, over the default transport.
    ///
    /// With `OPENAI_API_KEY` it is OpenAI's, at `OPENAI_BASE_URL` if that is set, with `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID`.
    /// With `AZURE_OPENAI_AD_TOKEN` or `AZURE_OPENAI_API_KEY` it is Azure's, at `AZURE_OPENAI_ENDPOINT`, with the version in
    /// `OPENAI_API_VERSION`. `PARTWISE_PROVIDER` (`openai`, `azure` or `azure-v1`) chooses where both are set, and Azure's v1
    /// surface. A variable that is empty counts as not set. `PARTWISE_ALLOW_PLAIN_HTTP=1` sends the key over plain http to other
    /// machines too.
    ///
    /// For another transport or other settings: [`ClientBuilder::from_env`].
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = partwise::Client::from_env()?;
    /// println!("{:?}", client.file("file-abc123").await?.status);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`EnvironmentError`], which names the variable.
    pub fn from_env() -> Result<Self, EnvironmentError> {
        Ok(ClientBuilder::from_env()?.build())
    }

    /// A client of Azure OpenAI as the environment describes it, whatever it says of OpenAI: see [`from_env`](Self::from_env).
    ///
    /// # Errors
    /// [`EnvironmentError`], which names the variable.
    pub fn from_env_azure() -> Result<Self, EnvironmentError> {
        Ok(ClientBuilder::from_env_azure()?.build())
    }
}

impl ClientBuilder {
    /// A builder as the environment describes it: see [`Client::from_env`].
    ///
    /// # Errors
    /// [`EnvironmentError`], which names the variable.
    pub fn from_env() -> Result<Self, EnvironmentError> {
        let variables = Variables(|name: &str| std::env::var_os(name));
        let provider = variables.provider()?;
        variables.builder(provider)
    }

    /// A builder for Azure OpenAI as the environment describes it: see [`Client::from_env_azure`].
    ///
    /// # Errors
    /// [`EnvironmentError`], which names the variable.
    pub fn from_env_azure() -> Result<Self, EnvironmentError> {
        let variables = Variables(|name: &str| std::env::var_os(name));
        let is_v1 = variables.named_provider()? == Some(Provider::AzureV1);
        variables.builder(if is_v1 { Provider::AzureV1 } else { Provider::Azure })
    }
}

/// The environment, or what a test puts in its place.
struct Variables<F>(F);

impl<F: Fn(&str) -> Option<OsString>> Variables<F> {
    fn get(&self, variable: &'static str) -> Result<Option<String>, EnvironmentError> {
        let Some(value) = (self.0)(variable) else { return Ok(None) };
        let value = value.into_string().map_err(|_| EnvironmentError::NotUnicode { variable })?;
        Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
    }

    fn named_provider(&self) -> Result<Option<Provider>, EnvironmentError> {
        Ok(Some(match self.get(PROVIDER)?.as_deref() {
            None => return Ok(None),
            Some("openai") => Provider::OpenAi,
            Some("azure") => Provider::Azure,
            Some("azure-v1") => Provider::AzureV1,
            Some(other) => {
                return Err(EnvironmentError::Value {
                    variable: PROVIDER,
                    value: other.to_owned(),
                    expected: "openai, azure or azure-v1",
                });
            }
        }))
    }

    fn provider(&self) -> Result<Provider, EnvironmentError> {
        if let Some(provider) = self.named_provider()? {
            return Ok(provider);
        }
        let has_azure = self.get(AZURE_KEY)?.is_some() || self.get(AZURE_TOKEN)?.is_some();
        match (self.get(OPENAI_KEY)?.is_some(), has_azure) {
            (true, false) => Ok(Provider::OpenAi),
            (false, true) => Ok(Provider::Azure),
            (true, true) => Err(EnvironmentError::BothProviders),
            (false, false) => Err(EnvironmentError::NoKey),
        }
    }

    fn builder(&self, provider: Provider) -> Result<ClientBuilder, EnvironmentError> {
        let mut builder = Client::builder(self.api(provider)?, self.credential(provider)?);
        if provider == Provider::OpenAi {
            for (header, variable) in ACCOUNT {
                if let Some(value) = self.get(variable)? {
                    builder =
                        builder.header(header, value).map_err(|_| EnvironmentError::Header { variable })?;
                }
            }
        }
        Ok(if self.flag(PLAIN_HTTP)? { builder.allow_plain_http() } else { builder })
    }

    fn api(&self, provider: Provider) -> Result<Api, EnvironmentError> {
        let (variable, dialect) = match provider {
            Provider::OpenAi => (OPENAI_BASE, Dialect::OpenAi),
            Provider::Azure => {
                let version = self.get(AZURE_VERSION)?;
                let api_version = version.unwrap_or_else(|| DEFAULT_AZURE_API_VERSION.to_owned());
                if !Dialect::is_dated_version(&api_version) {
                    return Err(EnvironmentError::Value {
                        variable: AZURE_VERSION,
                        value: api_version,
                        expected: "a dated version, such as 2024-10-21",
                    });
                }
                (AZURE_ENDPOINT, Dialect::AzureDated { api_version })
            }
            // OPENAI_API_VERSION is a dated version wherever it is set, and v1 has none of those.
            Provider::AzureV1 => (AZURE_ENDPOINT, Dialect::AzureV1 { api_version: None }),
        };
        match self.get(variable)? {
            Some(endpoint) => {
                Api::at(&endpoint, dialect).map_err(|source| EnvironmentError::Unusable { variable, source })
            }
            None if provider == Provider::OpenAi => Ok(Api::openai()),
            None => Err(EnvironmentError::Missing { variable }),
        }
    }

    fn credential(&self, provider: Provider) -> Result<Credential, EnvironmentError> {
        let usable = |variable, credential: Result<Credential, EncodeError>| {
            credential.map_err(|source| EnvironmentError::Unusable { variable, source })
        };
        let variable = match provider {
            Provider::OpenAi => OPENAI_KEY,
            Provider::Azure | Provider::AzureV1 => {
                // As in the official SDKs a token goes before a key.
                if let Some(token) = self.get(AZURE_TOKEN)? {
                    return usable(AZURE_TOKEN, Credential::token(&token));
                }
                AZURE_KEY
            }
        };
        let key = self.get(variable)?.ok_or(EnvironmentError::Missing { variable })?;
        usable(variable, Credential::key(&key))
    }

    fn flag(&self, variable: &'static str) -> Result<bool, EnvironmentError> {
        match self.get(variable)?.as_deref() {
            Some("1") => Ok(true),
            None | Some("0") => Ok(false),
            Some(other) => {
                Err(EnvironmentError::Value { variable, value: other.to_owned(), expected: "1 or 0" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<String, String> {
        let variables = Variables(|name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        });
        let described = || {
            let provider = variables.provider()?;
            let (api, credential) = (variables.api(provider)?, variables.credential(provider)?);
            drop(variables.builder(provider)?);
            Ok(format!("{api} with {}", credential.secret()))
        };
        described().map_err(|error: EnvironmentError| error.to_string())
    }

    #[test]
    fn the_keys_that_are_set_choose_the_provider() {
        let (openai, azure) = (("OPENAI_API_KEY", "o"), ("AZURE_OPENAI_API_KEY", "a"));
        let token = ("AZURE_OPENAI_AD_TOKEN", "t");
        let endpoint = ("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com");
        let chosen = |provider| ("PARTWISE_PROVIDER", provider);
        let dated = "https://r.openai.azure.com/openai (Azure OpenAI 2024-10-21)";
        for (variables, expected) in [
            (vec![openai], "https://api.openai.com/v1 (OpenAI) with o".to_owned()),
            (
                vec![openai, ("OPENAI_BASE_URL", "https://g.example")],
                "https://g.example/v1 (OpenAI) with o".into(),
            ),
            (vec![azure, endpoint], format!("{dated} with a")),
            (vec![azure, token, endpoint, ("OPENAI_API_KEY", " ")], format!("{dated} with t")),
            (vec![openai, azure, endpoint, chosen("azure")], format!("{dated} with a")),
            (
                vec![openai, azure, endpoint, chosen("azure-v1")],
                "https://r.openai.azure.com/openai/v1 (Azure OpenAI v1) with a".into(),
            ),
            (vec![openai, azure, chosen("openai")], "https://api.openai.com/v1 (OpenAI) with o".into()),
        ] {
            assert_eq!(found(&variables), Ok(expected));
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_variable() {
        let (openai, azure) = (("OPENAI_API_KEY", "o"), ("AZURE_OPENAI_API_KEY", "a"));
        for (variables, expected) in [
            (
                vec![],
                "no key: set OPENAI_API_KEY, or AZURE_OPENAI_API_KEY or AZURE_OPENAI_AD_TOKEN for Azure",
            ),
            (
                vec![openai, azure],
                "OPENAI_API_KEY and a key for Azure are both set: set PARTWISE_PROVIDER to openai, azure or azure-v1, or use `from_env_azure`",
            ),
            (vec![azure], "AZURE_OPENAI_ENDPOINT is not set"),
            (vec![openai, ("OPENAI_BASE_URL", "g.example")], "OPENAI_BASE_URL"),
            (
                vec![azure, ("OPENAI_API_VERSION", "v1")],
                "OPENAI_API_VERSION: 'v1' is not a dated version, such as 2024-10-21",
            ),
            (vec![("PARTWISE_PROVIDER", "aws")], "PARTWISE_PROVIDER: 'aws' is not openai, azure or azure-v1"),
            (vec![openai, ("OPENAI_ORG_ID", "a\nb")], "the value of OPENAI_ORG_ID cannot stand in a header"),
            (
                vec![openai, ("PARTWISE_ALLOW_PLAIN_HTTP", "yes")],
                "PARTWISE_ALLOW_PLAIN_HTTP: 'yes' is not 1 or 0",
            ),
        ] {
            assert_eq!(found(&variables), Err(expected.to_owned()));
        }
    }
}
