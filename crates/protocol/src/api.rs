//! Where requests go: the base URL and the dialect of one service.

use std::fmt;

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{Dialect, Limits, azure_endpoint::resource_of, error::EncodeError, openai_endpoint::openai_base};

/// What may stand unescaped in a path segment or a query value: RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One service to talk to: base URL, dialect and limits. Plain, comparable data; it never holds a secret.
///
/// ```
/// use partwise_protocol::Api;
///
/// let api = Api::azure("https://example.openai.azure.com", "2024-10-21")?;
/// assert_eq!(api.base(), "https://example.openai.azure.com/openai");
/// # Ok::<(), partwise_protocol::error::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    base: String,
    identity: Option<String>,
    dialect: Dialect,
    limits: Limits,
}

impl Api {
    /// OpenAI itself, at `https://api.openai.com/v1`.
    #[must_use]
    pub fn openai() -> Self {
        let dialect = Dialect::OpenAi;
        Self {
            base: "https://api.openai.com/v1".into(),
            identity: None,
            limits: Limits::for_client(&dialect),
            dialect,
        }
    }

    /// Azure OpenAI with a dated version. `endpoint` is the resource's URL, or any URL below its `/openai`, as the portal
    /// shows it for a deployment; an `api-version` in it is left out.
    ///
    /// # Errors
    /// [`EncodeError::Endpoint`] when the endpoint is no plain `http(s)://host…` URL, and
    /// [`EncodeError::ApiVersion`] when the version is not a date, perhaps with `-preview` behind it.
    pub fn azure(endpoint: &str, api_version: &str) -> Result<Self, EncodeError> {
        if !Dialect::is_dated_version(api_version) {
            return Err(EncodeError::ApiVersion { version: api_version.into() });
        }
        Self::below_resource(endpoint, "/openai", Dialect::AzureDated { api_version: api_version.into() })
    }

    /// Azure OpenAI's v1 surface. `endpoint` is the resource's URL, or any URL below its `/openai`, as for
    /// [`azure`](Self::azure).
    ///
    /// # Errors
    /// [`EncodeError::Endpoint`] when the endpoint is no plain `http(s)://host…` URL.
    pub fn azure_v1(endpoint: &str) -> Result<Self, EncodeError> {
        Self::below_resource(endpoint, "/openai/v1", Dialect::AzureV1 { api_version: None })
    }

    /// The service at `endpoint`, as people copy it: a resource of Azure or any URL below its `/openai`, as for
    /// [`azure`](Self::azure); for OpenAI's dialect the base of all paths, an origin, which gets `/v1`, or the URL of an operation.
    ///
    /// ```
    /// use partwise_protocol::{Api, Dialect};
    ///
    /// for endpoint in ["https://gateway.example", "https://gateway.example/v1/", "https://gateway.example/v1/chat/completions"] {
    ///     assert_eq!(Api::at(endpoint, Dialect::OpenAi)?.base(), "https://gateway.example/v1");
    /// }
    /// # Ok::<(), partwise_protocol::error::EncodeError>(())
    /// ```
    ///
    /// # Errors
    /// [`EncodeError::Endpoint`] and [`EncodeError::ApiVersion`], as for the functions of each dialect.
    pub fn at(endpoint: &str, dialect: Dialect) -> Result<Self, EncodeError> {
        match dialect {
            Dialect::AzureDated { api_version } => Self::azure(endpoint, &api_version),
            Dialect::AzureV1 { .. } => {
                Self::azure_v1(endpoint).and_then(|api| Self::with_base(api.base(), dialect))
            }
            dialect => {
                // First as it was typed, so that an error quotes that.
                Self::with_base(endpoint, dialect.clone())?;
                Self::with_base(&openai_base(endpoint), dialect)
            }
        }
    }

    fn below_resource(endpoint: &str, prefix: &str, dialect: Dialect) -> Result<Self, EncodeError> {
        let resource = resource_of(endpoint)?;
        // Before anything is put behind it, so that an error quotes what was typed.
        Self::with_base(&resource, dialect.clone()).map_err(|error| match error {
            EncodeError::Endpoint { problem, .. } => {
                EncodeError::Endpoint { endpoint: without_user(endpoint), problem }
            }
            error => error,
        })?;
        Self::with_base(&format!("{}{prefix}", resource.trim_end_matches('/')), dialect)
    }

    /// Any base URL, for gateways, compatible services and tests: operation paths are put directly behind it.
    ///
    /// # Errors
    /// [`EncodeError::Endpoint`] when the base has no `http` or `https` scheme, no host, or a port that cannot be, or
    /// carries a user name, a query or a fragment.
    pub fn with_base(base: &str, dialect: Dialect) -> Result<Self, EncodeError> {
        let wrong = |problem| EncodeError::Endpoint { endpoint: without_user(base), problem };
        let Some(behind_scheme) = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"))
        else {
            return Err(wrong("must start with https:// or http://"));
        };
        if behind_scheme.trim_end_matches('/').is_empty() {
            return Err(wrong("names no host"));
        }
        let base = base.trim_end_matches('/');
        if base.contains(['?', '#']) {
            return Err(wrong("must not have a query or a fragment"));
        }
        let uri: Uri = base.parse().map_err(|_| wrong("is not a valid URL"))?;
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("must not carry a user name or password"));
        }
        if authority.host().is_empty() {
            return Err(wrong("names no host"));
        }
        let port = authority.as_str()[authority.host().len()..].trim_start_matches(':');
        if !port.is_empty() && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(wrong("must have a port from 1 to 65535 behind its colon"));
        }
        Ok(Self { base: base.to_owned(), identity: None, limits: Limits::for_client(&dialect), dialect })
    }

    /// The same service with other limits, for a compatible service that allows more or less.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same service under a name of its own in checkpoints, for one whose base URL changes from run to run: an
    /// embedded server is known by the path of its store, never by its port.
    #[must_use]
    pub fn with_identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// What checkpoints know this service by: the base URL, unless it was given a name of its own.
    #[must_use]
    pub fn identity(&self) -> &str {
        self.identity.as_deref().unwrap_or(&self.base)
    }

    /// The base URL, without a slash at its end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The dialect that this service speaks.
    #[must_use]
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// The sizes that this service allows.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether the service is one of the two whose documents say that `complete` compares an MD5; any other may ignore it.
    pub(crate) fn is_known_to_compare_md5(&self) -> bool {
        let host = Uri::try_from(&self.base).ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase));
        host.is_some_and(|host| host.ends_with(".openai.com") || host.ends_with(".azure.com"))
    }

    /// The absolute URI of `path` (already escaped, starting with a slash) with these query parameters, and the
    /// dialect's `api-version` before them.
    pub(crate) fn uri(&self, path: &str, query: &[(&str, &str)]) -> Result<Uri, EncodeError> {
        let version = self.dialect.api_version().map(|version| ("api-version", version));
        let mut text = format!("{}{path}", self.base);
        for (index, (name, value)) in version.iter().chain(query).enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(name);
            text.push('=');
            text.extend(escape(value));
        }
        text.parse().map_err(|source| EncodeError::Uri { uri: text, source })
    }
}

/// Speaks to people: the base URL and the dialect.
impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.base, self.dialect)
    }
}

/// `value` escaped for one path segment or one query value.
pub(crate) fn escape(value: &str) -> percent_encoding::PercentEncode<'_> {
    utf8_percent_encode(value, ESCAPED)
}

/// The text for an error message: a password in a URL must not end up in a log.
fn without_user(base: &str) -> String {
    let Some((before, host)) = base.rsplit_once('@') else { return base.to_owned() };
    let scheme = before.find("://").map_or("", |at| &before[..at + "://".len()]);
    format!("{scheme}…@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base_of(api: Result<Api, EncodeError>) -> String {
        api.unwrap().base().to_owned()
    }

    #[test]
    fn azure_endpoints_are_taken_with_or_without_their_prefix() {
        for endpoint in
            ["https://r.openai.azure.com", "https://r.openai.azure.com/", "https://r.openai.azure.com/openai"]
        {
            assert_eq!(base_of(Api::azure(endpoint, "2024-10-21")), "https://r.openai.azure.com/openai");
            assert_eq!(base_of(Api::azure_v1(endpoint)), "https://r.openai.azure.com/openai/v1");
        }
        assert_eq!(base_of(Api::azure_v1("https://g.example/x/openai/v1/")), "https://g.example/x/openai/v1");
    }

    #[test]
    fn an_endpoint_that_is_no_plain_url_is_refused_with_the_reason() {
        let refusal = |base| Api::with_base(base, Dialect::OpenAi).unwrap_err().to_string();
        insta::assert_snapshot!(refusal("api.openai.com/v1"), @"the endpoint `api.openai.com/v1` must start with https:// or http://");
        insta::assert_snapshot!(refusal("https://"), @"the endpoint `https://` names no host");
        insta::assert_snapshot!(refusal("https://h?x=1"), @"the endpoint `https://h?x=1` must not have a query or a fragment");
        insta::assert_snapshot!(refusal("https://me:pw@h/v1"), @"the endpoint `https://…@h/v1` must not carry a user name or password");
        insta::assert_snapshot!(refusal("me:pw@h/v1"), @"the endpoint `…@h/v1` must start with https:// or http://");
        insta::assert_snapshot!(refusal("https://:80/v1"), @"the endpoint `https://:80/v1` names no host");
        insta::assert_snapshot!(refusal("https://h:99999"), @"the endpoint `https://h:99999` must have a port from 1 to 65535 behind its colon");
        insta::assert_snapshot!(refusal("http://[::1]:0/v1"), @"the endpoint `http://[::1]:0/v1` must have a port from 1 to 65535 behind its colon");
        insta::assert_snapshot!(refusal("https://a b/v1"), @"the endpoint `https://a b/v1` is not a valid URL");
    }

    #[test]
    fn any_plain_url_is_a_base() {
        for base in ["http://localhost", "http://127.0.0.1:8080/v1", "http://[::1]", "http://[::1]:65535/v1"]
        {
            assert_eq!(base_of(Api::with_base(base, Dialect::OpenAi)), base);
        }
    }

    #[test]
    fn query_values_are_escaped_behind_the_api_version() {
        let api = Api::azure("https://r.example", "2024-10-21").unwrap();
        let uri = api.uri("/files", &[("purpose", "a&b=c ü")]).unwrap();
        assert_eq!(uri, "https://r.example/openai/files?api-version=2024-10-21&purpose=a%26b%3Dc%20%C3%BC");
    }
}
