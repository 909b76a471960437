//! The secret that opens a service, kept out of everything that is stored or printed.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::{Api, Dialect, error::EncodeError};

const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// A key or a token. Applied to a request as the last step of every attempt, so that it can change between two
/// attempts and never ends up in a stored request or checkpoint.
///
/// `Debug` prints no secret, and the header values it makes are marked sensitive.
///
/// ```
/// use partwise_protocol::{Api, Credential};
///
/// let key = Credential::key("key-1")?;
/// let mut request = http::Request::get("https://example.openai.azure.com/openai/files").body(())?;
/// key.apply(&Api::azure("https://example.openai.azure.com", "2024-10-21")?, &mut request);
/// assert_eq!(request.headers()["api-key"], "key-1");
/// // A service reads it, wherever it stands.
/// let given = Credential::extract(&request);
/// assert_eq!(given.as_ref().map(Credential::secret), Some("key-1"));
/// assert!(!format!("{key:?}").contains("key-1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    kind: Kind,
    secret: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Key,
    Token,
}

impl Credential {
    /// An API key: goes as `api-key` to Azure and as `Authorization: Bearer` to OpenAI.
    ///
    /// # Errors
    /// [`EncodeError::Credential`] when the secret is empty or cannot stand in a header.
    pub fn key(secret: &str) -> Result<Self, EncodeError> {
        Self::new(Kind::Key, secret)
    }

    /// A token, such as one of Microsoft Entra: always goes as `Authorization: Bearer`.
    ///
    /// # Errors
    /// [`EncodeError::Credential`] when the secret is empty or cannot stand in a header.
    pub fn token(secret: &str) -> Result<Self, EncodeError> {
        Self::new(Kind::Token, secret)
    }

    fn new(kind: Kind, secret: &str) -> Result<Self, EncodeError> {
        let secret = secret.trim();
        if let Some(problem) = problem_of(secret) {
            let kind = if kind == Kind::Token { "token" } else { "key" };
            return Err(EncodeError::Credential { kind, problem });
        }
        Ok(Self { kind, secret: secret.to_owned() })
    }

    /// Puts the credential on a request, in the header that the service's dialect wants. One that is there, in either
    /// header, is replaced.
    pub fn apply<B>(&self, api: &Api, request: &mut http::Request<B>) {
        let headers = request.headers_mut();
        headers.remove(API_KEY);
        headers.remove(AUTHORIZATION);
        let bearer = self.kind == Kind::Token || matches!(api.dialect(), Dialect::OpenAi);
        let (name, text) = if bearer {
            (AUTHORIZATION, format!("Bearer {}", self.secret))
        } else {
            (API_KEY, self.secret.clone())
        };
        // `new` let only visible ASCII through, so this cannot fail.
        if let Ok(mut value) = HeaderValue::try_from(text) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }

    /// The credential of an incoming request: `api-key` if it is there, else a bearer value, which may be a key or
    /// a token. `None` when there is neither, or when it cannot be read.
    #[must_use]
    pub fn extract<B>(request: &http::Request<B>) -> Option<Self> {
        Self::try_extract(request).ok().flatten()
    }

    /// The credential of an incoming request, as [`extract`](Self::extract) finds it; `None` when none was sent. An empty header
    /// counts as absent.
    ///
    /// # Errors
    /// [`EncodeError::Credential`] when what was sent has characters that no key or token has.
    pub fn try_extract<B>(request: &http::Request<B>) -> Result<Option<Self>, EncodeError> {
        let header = |name: HeaderName| {
            let value = request.headers().get(name)?;
            // Characters that are not ASCII stay such.
            let text = String::from_utf8_lossy(value.as_bytes());
            (!text.trim().is_empty()).then_some(text)
        };
        if let Some(key) = header(API_KEY) {
            return Self::key(&key).map(Some);
        }
        let Some(value) = header(AUTHORIZATION) else { return Ok(None) };
        match value.trim_start().split_once(' ') {
            Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") && !secret.trim().is_empty() => {
                Self::token(secret).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The secret itself, for a service that compares it. Do not log it.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

/// The text inside the quotes that stand around a secret, if any do.
fn within_quotes(secret: &str) -> Option<&str> {
    let within = |quote: char| secret.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).map(str::trim)
}

/// Returns `true` if a secret is the value of a header with the scheme before it.
fn is_bearer(secret: &str) -> bool {
    let scheme = secret.split_whitespace().next().unwrap_or_default();
    scheme.len() < secret.len() && scheme.eq_ignore_ascii_case("bearer")
}

/// The reason why a secret cannot be sent, if there is one.
fn problem_of(secret: &str) -> Option<&'static str> {
    let bare = within_quotes(secret);
    let has_prefix = |secret: &str, prefix: &str| {
        secret.get(..prefix.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(prefix))
    };
    if secret.is_empty() {
        Some("is empty")
    } else if has_prefix(bare.unwrap_or(secret), "authorization:") {
        Some("begins with `Authorization: `, which is not part of it")
    } else if has_prefix(bare.unwrap_or(secret), "api-key:") {
        Some("begins with `api-key: `, which is not part of it")
    } else if bare.is_some_and(is_bearer) {
        Some("has quotes around it and begins with `Bearer `, which are not part of it")
    } else if is_bearer(secret) {
        Some("begins with `Bearer `, which is not part of it")
    } else if bare.is_some_and(|bare| bare.contains(' ')) {
        Some("has quotes around it, which are not part of it")
    } else if !secret.is_ascii() {
        Some("has a character in it that is not ASCII")
    } else if secret.contains(' ') {
        Some("has a space in it")
    } else if secret.bytes().any(|byte| byte.is_ascii_control()) {
        Some("has a line break or another control character in it")
    } else {
        None
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("kind", &self.kind).field("secret", &"…").finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(api: &Api, credential: &Credential) -> String {
        let mut request = http::Request::new(());
        credential.apply(api, &mut request);
        assert!(request.headers().values().all(HeaderValue::is_sensitive));
        request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn each_dialect_gets_its_own_header() {
        let dated = Api::azure("https://r.example", "2024-10-21").unwrap();
        let v1 = Api::azure_v1("https://r.example").unwrap();
        let (key, token) = (Credential::key("k").unwrap(), Credential::token("t").unwrap());
        assert_eq!(headers(&Api::openai(), &key), "authorization: Bearer k");
        assert_eq!(headers(&dated, &key), "api-key: k");
        assert_eq!(headers(&v1, &key), "api-key: k");
        for api in [&Api::openai(), &dated, &v1] {
            assert_eq!(headers(api, &token), "authorization: Bearer t");
        }
    }

    #[test]
    fn a_credential_replaces_another_of_either_kind() {
        let api = Api::azure_v1("https://r.example").unwrap();
        let (key, token) = (Credential::key("k").unwrap(), Credential::token("t").unwrap());
        for (first, second) in [(&key, &token), (&token, &key)] {
            let mut request = http::Request::new(());
            first.apply(&api, &mut request);
            second.apply(&api, &mut request);
            assert_eq!(request.headers().len(), 1);
            assert_eq!(Credential::extract(&request).as_ref(), Some(second));
        }
    }

    #[test]
    fn what_was_applied_is_extracted_again() {
        for api in [Api::openai(), Api::azure_v1("https://r.example").unwrap()] {
            let mut request = http::Request::new(());
            Credential::key("secret").unwrap().apply(&api, &mut request);
            assert_eq!(Credential::extract(&request).unwrap().secret(), "secret");
        }
        assert_eq!(Credential::extract(&http::Request::new(())), None);
    }

    #[test]
    fn what_cannot_be_read_is_told_from_what_was_not_sent() {
        let found = |headers: &[(HeaderName, &[u8])]| {
            let mut request = http::Request::new(());
            for (name, value) in headers {
                request.headers_mut().insert(name, HeaderValue::from_bytes(value).unwrap());
            }
            let found = Credential::try_extract(&request);
            assert_eq!(Credential::extract(&request), found.as_ref().ok().cloned().flatten());
            match found {
                Ok(None) => "none".to_owned(),
                Ok(Some(credential)) => credential.secret().to_owned(),
                Err(error) => error.to_string(),
            }
        };
        for (value, expected) in [
            (&b"Bearer sk"[..], "sk"),
            (b"bearer  sk ", "sk"),
            (b"Bearer s k", "the token has a space in it"),
            (b"Bearer s\xffk", "the token has a character in it that is not ASCII"),
            (b"Bearer ", "none"),
            (b"Bearer", "none"),
            (b"Basic s k", "none"),
            (b"", "none"),
        ] {
            assert_eq!(found(&[(AUTHORIZATION, value)]), expected, "{value:?}");
        }
        assert_eq!(found(&[(API_KEY, b"s k")]), "the key has a space in it");
        assert_eq!(found(&[(API_KEY, b"first"), (AUTHORIZATION, b"Bearer second")]), "first");
        assert_eq!(found(&[(API_KEY, b""), (AUTHORIZATION, b"Bearer second")]), "second");
        assert_eq!(found(&[]), "none");
    }

    #[test]
    fn the_secret_is_in_no_debug_output() {
        let credential = Credential::key("very-secret").unwrap();
        assert_eq!(format!("{credential:?}"), r#"Credential { kind: Key, secret: "…" }"#);
    }

    #[test]
    fn a_secret_that_cannot_stand_in_a_header_is_refused() {
        for (bad, problem) in [
            ("", "is empty"),
            ("  ", "is empty"),
            ("a\nb", "has a line break or another control character in it"),
            ("ü", "has a character in it that is not ASCII"),
            ("a b", "has a space in it"),
            ("Bearer sk-1", "begins with `Bearer `, which is not part of it"),
            ("bearer\tsk-1", "begins with `Bearer `, which is not part of it"),
            ("\"Bearer sk-1\"", "has quotes around it and begins with `Bearer `, which are not part of it"),
            ("'bearer sk-1'", "has quotes around it and begins with `Bearer `, which are not part of it"),
            ("Authorization: Bearer sk-1", "begins with `Authorization: `, which is not part of it"),
            ("authorization:Bearer sk-1", "begins with `Authorization: `, which is not part of it"),
            ("api-key: sk-1", "begins with `api-key: `, which is not part of it"),
            ("\"sk 1\"", "has quotes around it, which are not part of it"),
        ] {
            assert_eq!(
                Credential::key(bad).unwrap_err().to_string(),
                format!("the key {problem}"),
                "{bad:?}"
            );
            assert_eq!(Credential::token(bad).unwrap_err().to_string(), format!("the token {problem}"));
        }
        Credential::key("Bearer").unwrap();
        assert_eq!(Credential::key(" k\n").unwrap().secret(), "k");
    }
}
