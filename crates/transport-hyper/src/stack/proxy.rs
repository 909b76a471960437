//! Which requests go through a proxy.

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// Where requests go first. Requests to this very machine (`localhost`, `127.0.0.0/8`, `::1`) never use a proxy.
#[derive(Debug)]
pub struct Proxy(Option<Matcher>);

impl Proxy {
    /// As the environment says: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, each also in lower case, with
    /// the meaning that curl gives them. It is read now and not again.
    #[must_use]
    pub fn from_env() -> Self {
        Self(Some(Matcher::from_env()))
    }

    /// Always directly.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Everything through the proxy at `url`: `http://[user:password@]host:port`, or `https://…` for a proxy that is
    /// itself reached over TLS.
    ///
    /// # Errors
    /// [`InvalidProxy`] when the URL is not of this form.
    pub fn at(url: &str) -> Result<Self, InvalidProxy> {
        let matcher = Matcher::builder().all(url).build();
        // The matcher drops what it cannot read, and then nothing would go through any proxy.
        let probe = Uri::from_static("https://host.invalid");
        match matcher.intercept(&probe) {
            Some(proxy) if scheme_is_known(&proxy) => Ok(Self(Some(matcher))),
            _ => Err(InvalidProxy),
        }
    }

    /// The proxy for this request, if it is not to go directly.
    pub(super) fn for_uri(&self, uri: &Uri) -> Option<Intercept> {
        if uri.host().is_some_and(crate::loopback::is_loopback) {
            return None;
        }
        self.0.as_ref()?.intercept(uri)
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self::from_env()
    }
}

/// The text names no proxy that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a proxy must be given as http://host:port or https://host:port")]
#[non_exhaustive]
pub struct InvalidProxy;

/// Whether we speak the proxy's protocol.
pub(super) fn scheme_is_known(proxy: &Intercept) -> bool {
    matches!(proxy.uri().scheme_str(), Some("http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_never_reached_through_a_proxy() {
        let proxy = Proxy::at("http://proxy.example:3128").unwrap();
        let goes_through = |uri: &'static str| proxy.for_uri(&Uri::from_static(uri)).is_some();
        assert!(goes_through("https://api.openai.com/v1") && goes_through("http://gateway.example/v1"));
        assert!(!goes_through("http://localhost:8080/v1") && !goes_through("https://127.0.0.1/v1"));
        assert!(!goes_through("http://[::1]:8080/v1"));
    }

    #[test]
    fn a_proxy_we_cannot_speak_to_is_refused() {
        for url in ["", "socks5://proxy.example:1080", "ftp://proxy.example", "not a url"] {
            assert_eq!(Proxy::at(url).unwrap_err(), InvalidProxy, "{url}");
        }
        assert!(Proxy::at("proxy.example:3128").is_ok());
    }
}
