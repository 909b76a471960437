//! Which requests go through a proxy.

mod no_proxy;
mod server;

use std::{env, ffi::OsString};

use http::{Uri, uri::Scheme};

pub(super) use self::server::Server;
use self::{no_proxy::NoProxy, server::Problem};

/// Where requests go first. Requests to this very machine (`localhost`, `127.0.0.0/8`, `::1`) never use a proxy.
///
/// ```
/// use partwise_transport_hyper::stack::{Proxy, StackOptions};
///
/// let options = StackOptions::new().proxy(Proxy::at("http://user:password@proxy.example:3128")?);
/// # drop(options);
/// assert!(Proxy::at("socks5://proxy.example").is_err());
/// # Ok::<(), partwise_transport_hyper::stack::InvalidProxy>(())
/// ```
#[derive(Debug)]
pub struct Proxy(Rules);

#[derive(Debug)]
enum Rules {
    Direct,
    Always(Server),
    Environment(Environment),
}

/// What the variables say. One that cannot be read is told when it would be used, and not before.
#[derive(Debug, Default)]
struct Environment {
    http: Option<Result<Server, InvalidProxy>>,
    https: Option<Result<Server, InvalidProxy>>,
    direct: NoProxy,
}

impl Proxy {
    /// As the environment says: `https_proxy`, `http_proxy` by the URL's scheme, else `all_proxy`; none for what `no_proxy`
    /// names. It is read now and not again.
    ///
    /// As in curl each is also read in upper case, the lower case goes first, and an empty one counts as not set. Unlike
    /// there this includes `HTTP_PROXY`, except in a CGI program (`REQUEST_METHOD` is set), where it is a header of the
    /// request that came in.
    ///
    /// A proxy is `[http[s]://][name[:password]@]host[:port]`; without a port it is the scheme's. The name and the password
    /// end at the last `@`, and may be percent-encoded. A value that cannot be read is an error of the requests that would
    /// use it ([`check`](Self::check) tells it before); they never go directly instead.
    ///
    /// `no_proxy` lists hosts, separated by commas and blanks: names, which stand for all names below them too (`name`,
    /// `.name` and `*.name` mean the same), addresses, networks such as `10.0.0.0/8` or `fe80::/10`, and `*` for all. A port
    /// behind a host narrows it to that port.
    #[must_use]
    pub fn from_env() -> Self {
        Self(Rules::Environment(Environment::read(|name| env::var_os(name))))
    }

    /// Always directly.
    #[must_use]
    pub fn none() -> Self {
        Self(Rules::Direct)
    }

    /// Everything through the proxy at `url`: `http://[user:password@]host:port`, or `https://…` for a proxy that is
    /// itself reached over TLS.
    ///
    /// # Errors
    /// [`InvalidProxy`] when the URL is not of this form.
    pub fn at(url: &str) -> Result<Self, InvalidProxy> {
        let server = Server::parse(url).map_err(|problem| InvalidProxy { variable: None, problem })?;
        Ok(Self(Rules::Always(server)))
    }

    /// Checks that the proxy for requests to `uri`, if they go through one, can be read.
    ///
    /// # Errors
    /// [`InvalidProxy`], which names the variable.
    pub fn check(&self, uri: &Uri) -> Result<(), InvalidProxy> {
        self.for_uri(uri).map(drop)
    }

    /// The proxy for this request, if it is not to go directly.
    pub(super) fn for_uri(&self, uri: &Uri) -> Result<Option<&Server>, InvalidProxy> {
        let host = uri.host().unwrap_or_default();
        if partwise_net::loopback::is_loopback(host) {
            return Ok(None);
        }
        match &self.0 {
            Rules::Direct => Ok(None),
            Rules::Always(server) => Ok(Some(server)),
            Rules::Environment(environment) => environment.for_uri(uri, host),
        }
    }
}

impl Environment {
    fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &'static str| Some((name, variable(name).filter(|value| !value.is_empty())?));
        let server = |names: &[&'static str]| {
            let (name, value) = names.iter().find_map(|name| set(name))?;
            let server = value.to_str().ok_or(Problem::Characters).and_then(Server::parse);
            let named = server.map(|server| server.named_by(name));
            Some(named.map_err(|problem| InvalidProxy { variable: Some(name), problem }))
        };
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let direct = ["no_proxy", "NO_PROXY"].iter().find_map(|name| set(name));
        Self {
            http: match is_cgi {
                false => server(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
                true => server(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            },
            https: server(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            direct: direct.map(|(_, list)| NoProxy::parse(&list.to_string_lossy())).unwrap_or_default(),
        }
    }

    fn for_uri(&self, uri: &Uri, host: &str) -> Result<Option<&Server>, InvalidProxy> {
        let (server, default) = match uri.scheme() == Some(&Scheme::HTTPS) {
            true => (&self.https, 443),
            false => (&self.http, 80),
        };
        match server {
            Some(server) if !self.direct.matches(host, uri.port_u16().unwrap_or(default)) => {
                server.as_ref().map(Some).map_err(|invalid| *invalid)
            }
            _ => Ok(None),
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self::from_env()
    }
}

/// A text that names no proxy that can be used. It is not shown, since it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", variable.unwrap_or("the proxy's URL"))]
#[non_exhaustive]
pub struct InvalidProxy {
    /// The variable that holds it; `None` for [`Proxy::at`].
    pub variable: Option<&'static str>,
    problem: Problem,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Proxy {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        Proxy(Rules::Environment(Environment::read(variable)))
    }

    /// Where requests to this URL go first.
    fn way(proxy: &Proxy, uri: &'static str) -> String {
        match proxy.for_uri(&Uri::from_static(uri)) {
            Ok(None) => "direct".to_owned(),
            Ok(Some(server)) => server.to_string(),
            Err(invalid) => invalid.to_string(),
        }
    }

    #[test]
    fn this_machine_is_never_reached_through_a_proxy() {
        let proxy = Proxy::at("http://proxy.example:3128").unwrap();
        let goes_through = |uri: &'static str| way(&proxy, uri) != "direct";
        assert!(goes_through("https://api.openai.com/v1") && goes_through("http://gateway.example/v1"));
        assert!(!goes_through("http://localhost:8080/v1") && !goes_through("https://127.0.0.1/v1"));
        assert!(!goes_through("http://[::1]:8080/v1"));
    }

    #[test]
    fn a_proxy_we_cannot_speak_to_is_refused() {
        for url in ["", "socks5://proxy.example:1080", "ftp://proxy.example", "not a url"] {
            assert!(Proxy::at(url).is_err(), "{url}");
        }
        assert!(Proxy::at("proxy.example:3128").is_ok());
        assert_eq!(Proxy::at("").unwrap_err().to_string(), "the proxy's URL: it names no host");
    }

    #[test]
    fn each_scheme_has_its_variable_and_lower_case_goes_first() {
        let (https, http) = ("https://a.example/", "http://a.example/");
        let all = environment(&[
            ("https_proxy", "1"),
            ("HTTPS_PROXY", "2"),
            ("http_proxy", "3"),
            ("HTTP_PROXY", "4"),
            ("all_proxy", "5"),
        ]);
        assert_eq!((way(&all, https), way(&all, http)), ("1:80".into(), "3:80".into()));
        let upper = environment(&[("https_proxy", ""), ("HTTPS_PROXY", "2"), ("HTTP_PROXY", "4")]);
        assert_eq!((way(&upper, https), way(&upper, http)), ("2:80".into(), "4:80".into()));
        let rest = environment(&[("HTTPS_PROXY", "2"), ("ALL_PROXY", "6")]);
        assert_eq!((way(&rest, https), way(&rest, http)), ("2:80".into(), "6:80".into()));
        assert_eq!(way(&environment(&[]), https), "direct");
    }

    #[test]
    fn a_header_of_a_cgi_request_is_no_variable() {
        let cgi = environment(&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "evil"), ("HTTPS_PROXY", "2")]);
        assert_eq!(way(&cgi, "http://a.example/"), "direct");
        assert_eq!(way(&cgi, "https://a.example/"), "2:80");
    }

    #[test]
    fn a_value_that_cannot_be_read_is_told_where_it_would_be_used_and_never_shown() {
        let bad = environment(&[("HTTPS_PROXY", "http://user:p#ss@proxy"), ("NO_PROXY", "b.example")]);
        assert_eq!(
            way(&bad, "https://a.example/"),
            "HTTPS_PROXY: what follows the first colon is not a port: in a name or password, # is written %23 \
             and @ %40"
        );
        assert_eq!(way(&bad, "http://a.example/"), "direct");
        assert_eq!(way(&bad, "https://b.example/"), "direct");
        assert_eq!(way(&bad, "https://localhost/"), "direct");
        let shown = format!("{bad:?}");
        assert!(!shown.contains("user") && !shown.contains("ss@"), "{shown}");
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_told_too() {
        use std::os::unix::ffi::OsStringExt as _;
        let value = |name: &str| (name == "all_proxy").then(|| OsString::from_vec(b"http://\xff".to_vec()));
        let bad = Proxy(Rules::Environment(Environment::read(value)));
        assert!(way(&bad, "https://a.example/").starts_with("all_proxy: it has characters"));
    }

    #[test]
    fn what_no_proxy_names_is_reached_directly_at_its_port() {
        let proxy =
            environment(&[("ALL_PROXY", "proxy"), ("NO_PROXY", ".a.example, 10.0.0.0/8 b.example:8443")]);
        for (uri, expected) in [
            ("https://a.example/", "direct"),
            ("http://x.a.example:8080/", "direct"),
            ("http://10.1.2.3/", "direct"),
            ("https://b.example:8443/", "direct"),
            ("https://b.example/", "proxy:80"),
            ("https://c.example/", "proxy:80"),
        ] {
            assert_eq!(way(&proxy, uri), expected, "{uri}");
        }
        let lower = environment(&[("ALL_PROXY", "proxy"), ("no_proxy", "a"), ("NO_PROXY", "*")]);
        assert_eq!(way(&lower, "https://b.example/"), "proxy:80");
    }
}
