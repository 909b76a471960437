//! The address of a proxy, as a variable or a caller gives it.

use std::{fmt, net::Ipv6Addr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

/// A proxy, and who we are there. Neither `Debug` nor `Display` shows a name or a password.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::stack) struct Server {
    /// It is itself reached over TLS.
    is_secure: bool,
    /// A name, or an address: that of IPv6 stands in brackets.
    host: String,
    port: u16,
    login: Option<Login>,
    /// The variable that names it.
    pub(in crate::stack) variable: Option<&'static str>,
}

#[derive(Clone, PartialEq, Eq)]
struct Login {
    name: Vec<u8>,
    password: Vec<u8>,
}

/// Why a text is not the address of a proxy. No part of the text is in it, since any part may be the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("it has quotation marks, which are part of its value: leave them out")]
    Quotes,
    #[error("it has characters that must be percent-encoded: blanks, or such as are not ASCII")]
    Characters,
    #[error("only proxies with http:// and https:// can be used")]
    Scheme,
    #[error("it names no host")]
    NoHost,
    #[error("its host is neither a name nor an address")]
    Host,
    #[error("what follows the first colon is not a port: in a name or password, # is written %23 and @ %40")]
    NotAPort,
    #[error("its port is not a number from 1 to 65535")]
    Port,
    #[error("it ends before its @: in a name or password, / is written %2F, ? %3F and # %23")]
    Reserved,
}

impl Server {
    /// Reads `[http[s]://][name[:password]@]host[:port]`. As in the URL standard the name and password end at the last `@`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let text = text.trim_ascii();
        if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) {
            return Err(Problem::Quotes);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Problem::Characters);
        }
        let (is_secure, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some(_) => return Err(Problem::Scheme),
            None => (false, text),
        };
        let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Login::parse(login), place),
            None => (None, authority),
        };
        let default = if is_secure { 443 } else { 80 };
        let (host, port) = host_and_port(place, default, authority.len() == place.len())?;
        // What stands there means nothing to a proxy, unless the address was cut in two by it.
        if behind.contains('@') {
            return Err(Problem::Reserved);
        }
        Ok(Self { is_secure, host, port, login, variable: None })
    }

    /// The same proxy, which this variable names.
    pub(super) fn named_by(self, variable: &'static str) -> Self {
        Self { variable: Some(variable), ..self }
    }

    /// Where it is.
    pub(in crate::stack) fn uri(&self) -> Uri {
        let scheme = if self.is_secure { "https" } else { "http" };
        // `parse` let nothing through that could not stand in a URL.
        format!("{scheme}://{self}").parse().unwrap_or_default()
    }

    /// Whether it is told who we are.
    pub(in crate::stack) fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// The header that says who we are.
    pub(in crate::stack) fn authorization(&self) -> Option<HeaderValue> {
        let Login { name, password } = self.login.as_ref()?;
        let login = STANDARD.encode([name, &b":"[..], password].concat());
        let mut value = HeaderValue::try_from(format!("Basic {login}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Login {
    fn parse(text: &str) -> Option<Self> {
        let (name, password) = text.split_once(':').unwrap_or((text, ""));
        let decoded = |text| percent_decode_str(text).collect();
        (!text.is_empty()).then(|| Self { name: decoded(name), password: decoded(password) })
    }
}

/// A host, and its port or else the `default`. Where no login was seen, what looks like a port may be one that was cut off.
fn host_and_port(place: &str, default: u16, may_be_login: bool) -> Result<(String, u16), Problem> {
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (address, behind) = bracketed.split_once(']').ok_or(Problem::Host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| Problem::Host)?;
            if !behind.is_empty() && !behind.starts_with(':') {
                return Err(Problem::Host);
            }
            (format!("[{address}]"), behind.strip_prefix(':').unwrap_or_default())
        }
        None => {
            let (name, port) = place.split_once(':').unwrap_or((place, ""));
            (name.to_ascii_lowercase(), port)
        }
    };
    if host.is_empty() {
        return Err(Problem::NoHost);
    }
    let port = match port {
        "" => default,
        port => match (port.bytes().all(|byte| byte.is_ascii_digit()), port.parse()) {
            (true, Ok(port @ 1..)) => port,
            (false, _) if may_be_login => return Err(Problem::NotAPort),
            _ => return Err(Problem::Port),
        },
    };
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match host.starts_with('[') || host.bytes().all(is_known) {
        true => Ok((host, port)),
        false => Err(Problem::Host),
    }
}

/// Host and port.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = self.login.as_ref().map(|_| "…");
        f.debug_struct("Server").field("at", &self.to_string()).field("login", &login).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    /// The address as it is shown, and name and password.
    fn read(text: &str) -> Result<(String, Option<String>), Problem> {
        let server = Server::parse(text)?;
        let login = server.login.as_ref().map(|Login { name, password }| {
            format!("{} {}", String::from_utf8_lossy(name), String::from_utf8_lossy(password))
        });
        Ok((server.uri().to_string(), login))
    }

    #[test]
    fn an_address_is_read() {
        for (text, uri, login) in [
            ("http://proxy.example:3128", "http://proxy.example:3128/", None),
            ("proxy.example", "http://proxy.example:80/", None),
            (" HTTPS://Proxy_1.example/ ", "https://proxy_1.example:443/", None),
            ("http://proxy.example:/path?x#y", "http://proxy.example:80/", None),
            ("[::1]:3128", "http://[::1]:3128/", None),
            ("http://[fe80::1]", "http://[fe80::1]:80/", None),
            ("http://user:pass@10.0.0.1:3128", "http://10.0.0.1:3128/", Some("user pass")),
            ("http://user:p@ss@proxy:3128", "http://proxy:3128/", Some("user p@ss")),
            ("user@proxy", "http://proxy:80/", Some("user ")),
            ("http://:@proxy", "http://proxy:80/", Some(" ")),
            ("http://@proxy", "http://proxy:80/", None),
            ("http://a%3Ab:p%40s%23s%@proxy", "http://proxy:80/", Some("a:b p@s#s%")),
            ("http://user:a:b\"@proxy", "http://proxy:80/", Some("user a:b\"")),
        ] {
            assert_eq!(read(text), Ok((uri.to_owned(), login.map(str::to_owned))), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (text, problem) in [
            ("", Problem::NoHost),
            ("http://", Problem::NoHost),
            ("::::", Problem::NoHost),
            ("http://user:pass@", Problem::NoHost),
            ("http://user:pass@:3128", Problem::NoHost),
            ("\"http://proxy:3128\"", Problem::Quotes),
            ("'proxy", Problem::Quotes),
            ("http://user:pässword@proxy", Problem::Characters),
            ("http://prö.xy", Problem::Characters),
            ("http://user:pass word@proxy", Problem::Characters),
            ("a\nb", Problem::Characters),
            ("socks5://proxy:1080", Problem::Scheme),
            ("://proxy", Problem::Scheme),
            ("http://user:p#ss@proxy:3128", Problem::NotAPort),
            ("http://user:p/ss@proxy:3128", Problem::NotAPort),
            ("user:p?ss@proxy:3128", Problem::NotAPort),
            ("http:proxy:3128", Problem::NotAPort),
            ("http://user#x@proxy", Problem::Reserved),
            ("http://user:80#x@proxy", Problem::Reserved),
            ("http://proxy:0", Problem::Port),
            ("http://proxy:65536", Problem::Port),
            ("http://user:pass@proxy:http", Problem::Port),
            ("http://pro%78y", Problem::Host),
            ("http://[::1", Problem::Host),
            ("http://[proxy]:80", Problem::Host),
            ("http://[::1]80", Problem::Host),
            ("not,a,host", Problem::Host),
        ] {
            assert_eq!(read(text), Err(problem), "{text}");
        }
    }

    #[test]
    fn name_and_password_are_shown_nowhere() {
        let server = Server::parse("http://name:password@proxy").unwrap();
        let shown = format!("{server} {server:?} {:?} {}", server.authorization(), server.uri());
        assert!(!shown.contains("name") && !shown.contains("password"), "{shown}");
    }

    #[test]
    fn the_header_has_both_as_they_were_meant() {
        let authorization = Server::parse("http://user:p@ss@proxy").unwrap().authorization().unwrap();
        assert_eq!(authorization, "Basic dXNlcjpwQHNz");
    }

    fn written(server: &Server) -> String {
        let encoded = |bytes: &[u8]| percent_encode(bytes, NON_ALPHANUMERIC).to_string();
        let login = server.login.as_ref();
        let login = login.map(|Login { name, password }| format!("{}:{}@", encoded(name), encoded(password)));
        let scheme = if server.is_secure { "https" } else { "http" };
        format!("{scheme}://{}{server}", login.unwrap_or_default())
    }

    proptest! {
        #[test]
        fn every_login_comes_back(
            is_secure: bool,
            host in "[a-z0-9._-]{1,20}",
            port in 1..=u16::MAX,
            login in option::of((vec(any::<u8>(), 0..12), vec(any::<u8>(), 0..12))),
        ) {
            let login = login.map(|(name, password)| Login { name, password });
            let server = Server { is_secure, host, port, login, variable: None };
            prop_assert_eq!(Server::parse(&written(&server)), Ok(server));
        }

        #[test]
        fn whatever_is_taken_is_written_and_read_again(text in "(https?://)?[ -~]{0,10}[:@/#]?[a-z0-9:@.\\[\\]%]{0,20}") {
            if let Ok(server) = Server::parse(&text) {
                prop_assert!(server.uri().host().is_some_and(|host| !host.is_empty()));
                prop_assert_eq!(Server::parse(&written(&server)), Ok(server));
            }
        }

        #[test]
        fn nothing_makes_it_panic(text: String) {
            let _ = Server::parse(&text);
        }
    }
}
