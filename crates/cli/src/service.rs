//! Which service the arguments and the environment name, and with what key.

use std::path::PathBuf;

use partwise_protocol::{Api, Credential, Dialect, error::EncodeError};

use partwise::DEFAULT_AZURE_API_VERSION;

use crate::{
    account::Sent,
    args::{Provider, ServiceArguments},
    environment::Environment,
    report::Report,
    store,
};

/// Has the meaning of `--allow-plain-http` when it is 1.
const PLAIN_HTTP: &str = "PARTWISE_ALLOW_PLAIN_HTTP";
/// Where an Entra ID token is.
const TOKEN_VARIABLE: &str = "AZURE_OPENAI_AD_TOKEN";

/// Where the embedded server is said to be; no request to it ever leaves the process.
const EMBEDDED_ORIGIN: &str = "http://localhost";

/// A service, as far as the arguments say; its key is looked up later, so that wrong arguments are told
/// first.
#[derive(Debug)]
pub(crate) struct Service {
    /// Its URLs and dialect.
    pub(crate) api: Api,
    /// How it is reached.
    pub(crate) reach: Reach,
    /// What says where it is, or would.
    pub(crate) endpoint_from: &'static str,
    /// Whether the environment has a say in the api-version: then what the version lacks does not make the
    /// arguments wrong.
    pub(crate) version_is_open: bool,
    provider: Provider,
}

/// Where the key or token came from, and how it looks; never the secret itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// The variable that holds it.
    pub(crate) variable: &'static str,
    /// Whether quotes stand around it, as `docker --env-file` leaves them.
    pub(crate) is_quoted: bool,
}

impl Key {
    /// Whether it is an Entra ID token, which expires.
    pub(crate) fn is_token(self) -> bool {
        self.variable == TOKEN_VARIABLE
    }

    /// What people call it.
    pub(crate) fn kind(self) -> &'static str {
        kind_of(self.variable)
    }
}

fn kind_of(variable: &str) -> &'static str {
    if variable == TOKEN_VARIABLE { "token" } else { "key" }
}

fn is_quoted(secret: &str) -> bool {
    ['"', '\''].iter().any(|quote| secret.len() > 1 && secret.starts_with(*quote) && secret.ends_with(*quote))
}

/// How a service is reached.
#[derive(Debug)]
pub(crate) enum Reach {
    /// It runs inside this process, over this store.
    Embedded { store: store::Settings },
    /// Over the network, trusting these certificates too.
    Network { ca_cert: Option<PathBuf>, plain_http: bool },
}

impl ServiceArguments {
    /// Refuses what `serve` would silently ignore.
    pub(crate) fn refuse_for_serve(&self) -> Result<(), Report> {
        self.refuse_for(
            "serve",
            &[],
            "it says which service to use; serve is one and speaks to every kind of client",
        )
    }

    /// Refuses what a command that uses no service would silently ignore.
    pub(crate) fn refuse_without_service(&self, command: &str) -> Result<(), Report> {
        let of_stores = [
            ("--store", self.store.is_some()),
            ("--no-store-probe", self.no_store_probe),
            ("--ca-cert", self.ca_cert.is_some()),
        ];
        self.refuse_for(command, &of_stores, &format!("{command} looks at this machine alone"))
    }

    /// Refuses these flags that are given, and those that name another service.
    fn refuse_for(&self, command: &str, more: &[(&str, bool)], hint: &str) -> Result<(), Report> {
        let given = [
            ("--provider", self.provider.is_some()),
            ("--endpoint", self.endpoint.is_some()),
            ("--api-version", self.api_version.is_some()),
            ("--local", self.local),
            ("--allow-plain-http", self.allow_plain_http),
        ];
        match given.iter().chain(more).find(|(_, given)| *given) {
            Some((flag, _)) => Err(Report::usage(format!("{flag} has no meaning for {command}")).hint(hint)),
            None => Ok(()),
        }
    }

    /// Finds the service.
    pub(crate) fn resolve(&self, environment: &impl Environment) -> Result<Service, Report> {
        self.refuse_contradictions()?;
        let provider = self.provider.unwrap_or(Provider::Openai);
        let dialect = self.dialect(provider, environment)?;
        let (api, reach) = if self.local {
            let reach = Reach::Embedded { store: self.store_settings() };
            (Api::at(EMBEDDED_ORIGIN, dialect).map_err(|cause| Report::of(&cause))?, reach)
        } else {
            let plain_http = self.allow_plain_http || environment.flag(PLAIN_HTTP)?;
            let reach = Reach::Network { ca_cert: self.ca_cert.clone(), plain_http };
            (self.api_at_endpoint(provider, dialect, environment)?, reach)
        };
        let version_is_open = provider == Provider::Azure && self.api_version.is_none();
        let endpoint_from = if self.endpoint.is_some() { "--endpoint" } else { endpoint_variable(provider) };
        Ok(Service { api, reach, endpoint_from, version_is_open, provider })
    }

    /// The store of the embedded server, or of `serve`.
    pub(crate) fn store_settings(&self) -> store::Settings {
        store::Settings {
            named: self.store.clone(),
            ca_cert: self.ca_cert.clone(),
            is_probed: !self.no_store_probe,
        }
    }

    fn refuse_contradictions(&self) -> Result<(), Report> {
        if self.local && self.endpoint.is_some() {
            return Err(Report::usage("--local and --endpoint name two services").hint("give one of them"));
        }
        if self.local && self.allow_plain_http {
            return Err(Report::usage(
                "--allow-plain-http has no meaning with --local: no key goes over the network",
            ));
        }
        let of_the_embedded = [
            ("--store says where the embedded server keeps its files", self.store.is_some()),
            ("--no-store-probe is about the store of the embedded server", self.no_store_probe),
        ];
        if let Some((message, _)) = of_the_embedded.into_iter().find(|(_, given)| !self.local && *given) {
            return Err(Report::usage(message).hint("add --local to use the embedded server"));
        }
        if self.api_version.is_some() && self.provider.unwrap_or(Provider::Openai) == Provider::Openai {
            return Err(Report::usage("--api-version is Azure's: OpenAI has none")
                .hint("add --provider azure or --provider azure-v1"));
        }
        Ok(())
    }

    fn dialect(&self, provider: Provider, environment: &impl Environment) -> Result<Dialect, Report> {
        Ok(match provider {
            Provider::Openai => Dialect::OpenAi,
            Provider::Azure => Dialect::AzureDated { api_version: self.dated_version(environment)? },
            // OPENAI_API_VERSION is a dated version wherever it is set, and v1 has none of those.
            Provider::AzureV1 => Dialect::AzureV1 { api_version: self.api_version.clone() },
        })
    }

    fn dated_version(&self, environment: &impl Environment) -> Result<String, Report> {
        let is_dated = |version: &String| Dialect::is_dated_version(version);
        let refused = match &self.api_version {
            Some(version) if is_dated(version) => return Ok(version.clone()),
            Some(version) => Report::usage(format!("--api-version: '{version}' is not a dated version")),
            None => match environment.get("OPENAI_API_VERSION")? {
                None => return Ok(DEFAULT_AZURE_API_VERSION.into()),
                Some(version) if is_dated(&version) => return Ok(version),
                Some(version) => {
                    Report::failed(format!("OPENAI_API_VERSION: '{version}' is not a dated version"))
                }
            },
        };
        Err(refused.hint("it looks like 2024-10-21; for Azure's v1 API use --provider azure-v1"))
    }

    fn api_at_endpoint(
        &self,
        provider: Provider,
        dialect: Dialect,
        environment: &impl Environment,
    ) -> Result<Api, Report> {
        if let Some(endpoint) = &self.endpoint {
            return Api::at(endpoint, dialect).map_err(|cause| {
                Report::usage(cause.to_string()).hint(endpoint_hint("--endpoint ", endpoint))
            });
        }
        let variable = endpoint_variable(provider);
        match environment.get(variable)? {
            Some(endpoint) => Api::at(&endpoint, dialect).map_err(|cause| {
                Report::because(variable, &cause).hint(endpoint_hint(&format!("{variable}="), &endpoint))
            }),
            None if provider == Provider::Openai => Ok(Api::openai()),
            None => Err(Report::failed("Azure needs an endpoint")
                .hint("give --endpoint https://NAME.openai.azure.com or set AZURE_OPENAI_ENDPOINT")),
        }
    }
}

fn endpoint_variable(provider: Provider) -> &'static str {
    match provider {
        Provider::Openai => "OPENAI_BASE_URL",
        Provider::Azure | Provider::AzureV1 => "AZURE_OPENAI_ENDPOINT",
    }
}

impl Service {
    /// Looks the key up in the environment, and says in which variable it was; the embedded server takes any.
    pub(crate) fn credential(&self, environment: &impl Environment) -> Result<(Credential, Key), Report> {
        let usable = |variable: &'static str, credential: Result<Credential, EncodeError>| match credential {
            Ok(credential) => {
                let key = Key { variable, is_quoted: is_quoted(credential.secret()) };
                Ok((credential, key))
            }
            Err(cause) => Err(Report::because(variable, &cause)
                .hint(format!("set {variable} to the {} alone", kind_of(variable)))),
        };
        if let Reach::Embedded { .. } = self.reach {
            return usable("the embedded server's key", Credential::key("embedded"));
        }
        let variable = match self.provider {
            Provider::Openai => "OPENAI_API_KEY",
            Provider::Azure | Provider::AzureV1 => {
                // As in the official SDKs a token goes before a key.
                if let Some(token) = environment.get(TOKEN_VARIABLE)? {
                    return usable(TOKEN_VARIABLE, Credential::token(&token));
                }
                "AZURE_OPENAI_API_KEY"
            }
        };
        match environment.get(variable)? {
            Some(key) => usable(variable, Credential::key(&key)),
            None => Err(self.no_key(variable, environment)?),
        }
    }

    /// The headers that say on whose behalf an OpenAI key is used.
    ///
    /// Each as header, variable, value.
    pub(crate) fn account_headers(&self, environment: &impl Environment) -> Result<Sent, Report> {
        if self.provider != Provider::Openai {
            return Ok(Vec::new());
        }
        let mut headers = Vec::new();
        for (header, variable) in
            [("openai-organization", "OPENAI_ORG_ID"), ("openai-project", "OPENAI_PROJECT_ID")]
        {
            headers.extend(environment.get(variable)?.map(|value| (header, variable, value)));
        }
        Ok(headers)
    }

    fn no_key(&self, variable: &str, environment: &impl Environment) -> Result<Report, Report> {
        let hint = match self.provider {
            Provider::Openai if environment.get("AZURE_OPENAI_API_KEY")?.is_some() => {
                "AZURE_OPENAI_API_KEY is set: --provider azure or azure-v1 uses it"
            }
            Provider::Openai => "set OPENAI_API_KEY, or use --local, which needs no key",
            Provider::Azure | Provider::AzureV1 => {
                "set AZURE_OPENAI_API_KEY, or AZURE_OPENAI_AD_TOKEN for Entra ID"
            }
        };
        Ok(Report::failed(format!("no key: the environment variable {variable} is not set")).hint(hint))
    }
}

/// What to write in place of `endpoint`, behind this flag or variable.
fn endpoint_hint(place: &str, endpoint: &str) -> String {
    // A password is not repeated.
    let has_no_scheme =
        !endpoint.contains("://") && !endpoint.contains(['@', ' ']) && endpoint.contains(['.', ':']);
    if has_no_scheme {
        let host = endpoint.split(['/', ':']).next().unwrap_or_default();
        let scheme = if matches!(host, "localhost" | "127.0.0.1") { "http" } else { "https" };
        return format!("write {place}{scheme}://{endpoint}");
    }
    if endpoint.contains(".azure.com/") {
        return "the resource's page `Keys and Endpoint` has it: https://NAME.openai.azure.com".into();
    }
    "an endpoint looks like https://NAME.openai.azure.com or http://127.0.0.1:8080/v1".into()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Arguments;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn resolved(arguments: &[&str], environment: Variables<'_>) -> Result<Service, Report> {
        let arguments = [&["partwise", "files", "list"], arguments].concat();
        Arguments::try_parse_from(arguments).expect("arguments").service.resolve(&environment)
    }

    fn api(arguments: &[&str], environment: Variables<'_>) -> String {
        resolved(arguments, environment).expect("a service").api.to_string()
    }

    #[test]
    fn without_a_word_it_is_openai() {
        assert_eq!(api(&[], &[]), "https://api.openai.com/v1 (OpenAI)");
    }

    #[test]
    fn arguments_go_before_the_environment() {
        let environment: Variables<'_> = &[
            ("OPENAI_BASE_URL", "https://gateway.example/openai/v1/"),
            ("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/"),
            ("OPENAI_API_VERSION", "2025-04-01-preview"),
        ];
        let [endpoint, azure] = [["--endpoint", "https://other.example"], ["--provider", "azure"]];
        let cases: [(&[&str], &str); 5] = [
            (&[], "https://gateway.example/openai/v1 (OpenAI)"),
            (&endpoint, "https://other.example/v1 (OpenAI)"),
            (&azure, "https://r.openai.azure.com/openai (Azure OpenAI 2025-04-01-preview)"),
            (
                &[&azure[..], &endpoint, &["--api-version", "2024-06-01"]].concat(),
                "https://other.example/openai (Azure OpenAI 2024-06-01)",
            ),
            (&["--provider", "azure-v1"], "https://r.openai.azure.com/openai/v1 (Azure OpenAI v1)"),
        ];
        for (arguments, expected) in cases {
            assert_eq!(api(arguments, environment), expected);
        }
    }

    #[test]
    fn azure_without_a_version_is_the_first_that_has_uploads() {
        let arguments = ["--provider", "azure", "--endpoint", "https://r.openai.azure.com"];
        assert_eq!(api(&arguments, &[]), "https://r.openai.azure.com/openai (Azure OpenAI 2024-10-21)");
    }

    #[test]
    fn an_endpoint_is_taken_from_a_url_below_it() {
        let dated = "https://r.openai.azure.com/openai (Azure OpenAI 2024-10-21)";
        let v1 = "https://r.openai.azure.com/openai/v1 (Azure OpenAI v1)";
        for behind in
            ["", "/", "/openai/v1/", "/openai/deployments/g/chat/completions?api-version=2024-06-01"]
        {
            let endpoint = format!("https://r.openai.azure.com{behind}");
            assert_eq!(api(&["--provider", "azure", "--endpoint", &endpoint], &[]), dated);
            assert_eq!(api(&["--provider", "azure-v1", "--endpoint", &endpoint], &[]), v1);
            assert_eq!(api(&["--provider", "azure-v1"], &[("AZURE_OPENAI_ENDPOINT", &endpoint)]), v1);
        }
        for behind in ["", "/openai/v1/", "/api/projects/P"] {
            let endpoint = format!("https://r.services.ai.azure.com{behind}");
            let v1 = "https://r.services.ai.azure.com/openai/v1 (Azure OpenAI v1)";
            assert_eq!(api(&["--provider", "azure-v1", "--endpoint", &endpoint], &[]), v1);
        }
        for (endpoint, base) in [
            ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
            ("https://g.example/v1/files/", "https://g.example/v1"),
            ("https://g.example/files", "https://g.example/files"),
        ] {
            assert_eq!(api(&["--endpoint", endpoint], &[]), format!("{base} (OpenAI)"));
        }
    }

    #[test]
    fn an_endpoint_that_is_none_is_quoted_as_it_was_typed() {
        let said = |arguments: &[&str], environment: Variables<'_>| {
            resolved(arguments, environment).expect_err("no endpoint").lines()
        };
        let azure = ["--provider", "azure"];
        let at = |endpoint| [&azure[..], &["--endpoint", endpoint]].concat();
        insta::assert_snapshot!(said(&azure, &[("AZURE_OPENAI_ENDPOINT", "r.openai.azure.com")]), @"
        error: AZURE_OPENAI_ENDPOINT: the endpoint `r.openai.azure.com` must start with https:// or http://
        hint: write AZURE_OPENAI_ENDPOINT=https://r.openai.azure.com
        ");
        insta::assert_snapshot!(said(&at("https://portal.azure.com/#@contoso.com/resource/subscriptions/1"), &[]), @"
        error: the endpoint `https://portal.azure.com/#@contoso.com/resource/subscriptions/1` is a page of the Azure portal, and no endpoint
        hint: the resource's page `Keys and Endpoint` has it: https://NAME.openai.azure.com
        ");
        insta::assert_snapshot!(said(&at("https://r.openai.azure.com/?deployment=g"), &[]), @"
        error: the endpoint `https://r.openai.azure.com/?deployment=g` must not have a query or a fragment
        hint: the resource's page `Keys and Endpoint` has it: https://NAME.openai.azure.com
        ");
        insta::assert_snapshot!(said(&at("https://me:secret@r.openai.azure.com"), &[]), @"
        error: the endpoint `https://…@r.openai.azure.com` must not carry a user name or password
        hint: an endpoint looks like https://NAME.openai.azure.com or http://127.0.0.1:8080/v1
        ");
        insta::assert_snapshot!(said(&["--endpoint", "localhost:8080"], &[]), @"
        error: the endpoint `localhost:8080` must start with https:// or http://
        hint: write --endpoint http://localhost:8080
        ");
        insta::assert_snapshot!(said(&[], &[("OPENAI_BASE_URL", "https://g.example/?x=1")]), @"
        error: OPENAI_BASE_URL: the endpoint `https://g.example/?x=1` must not have a query or a fragment
        hint: an endpoint looks like https://NAME.openai.azure.com or http://127.0.0.1:8080/v1
        ");
    }

    #[test]
    fn each_provider_has_its_own_key_and_a_token_goes_before_it() {
        let azure = ["--provider", "azure", "--endpoint", "https://r.openai.azure.com"];
        let secret = |arguments: &[&str], environment: Variables<'_>| {
            resolved(arguments, environment)?
                .credential(&environment)
                .map(|(found, _)| found.secret().to_owned())
        };
        let (openai_key, azure_key) = (("OPENAI_API_KEY", "o"), ("AZURE_OPENAI_API_KEY", "a"));
        let token = ("AZURE_OPENAI_AD_TOKEN", "t");
        assert_eq!(secret(&[], &[openai_key, azure_key, token]).expect("a key"), "o");
        assert_eq!(secret(&azure, &[openai_key, azure_key]).expect("a key"), "a");
        assert_eq!(secret(&azure, &[openai_key, azure_key, token]).expect("a token"), "t");
        secret(&azure, &[openai_key]).expect_err("the other provider's key is not sent");
        secret(&["--local"], &[]).expect("the embedded server needs none");
    }
}
