//! Redirects: where they lead, and who may follow with what.

use http::{HeaderValue, Request, Response, StatusCode, Uri, header, request::Parts, uri::Scheme};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use partwise_protocol::{error::ApiError, transport::Failure};

use crate::{RequestBody, body::Spare, service::AnyBody};

/// The limit of redirects that are followed for one request.
const LIMIT: u32 = 5;

/// A page beside a redirect that is no longer than this is read, so that its connection can be used again.
const SHORT: u64 = 16 * 1024;

/// What of a request goes to a host that is not the service: what says which bytes are wanted, and nothing of an account.
const FOR_STRANGERS: [header::HeaderName; 5] =
    [header::ACCEPT, header::ACCEPT_ENCODING, header::RANGE, header::IF_RANGE, header::USER_AGENT];

/// Which redirects of a request are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// 307 and 308 to the service itself: they say that the request was not executed and is to be sent again as it is.
    WithinService,
    /// All, since only content is asked for: to another host without the key, and never from https to http.
    OfContent,
}

/// The way of one request, from redirect to redirect.
pub(crate) struct Trail {
    redirects: Redirects,
    service: Uri,
    here: Uri,
    followed: u32,
    has_key: bool,
}

/// What it takes to send a request again, elsewhere.
pub(crate) struct Original {
    head: Parts,
    body: Spare,
}

/// The host that answered, when it is not the service: an extension of the answer.
#[derive(Clone)]
struct AnsweredBy(String);

impl Trail {
    pub(crate) fn new(redirects: Redirects, service: Uri) -> Self {
        Self { redirects, here: service.clone(), service, followed: 0, has_key: true }
    }

    /// Whether the key goes to the place that was reached.
    pub(crate) fn has_key(&self) -> bool {
        self.has_key
    }

    /// Whether the place that was reached is the service itself.
    pub(crate) fn is_at_service(&self) -> bool {
        same_origin(&self.service, &self.here)
    }

    /// The failure of a request to the place that was reached.
    pub(crate) fn failed(&self, failure: Failure) -> Failure {
        match self.host_elsewhere() {
            Some(host) => failure.behind_redirect(host),
            None => failure,
        }
    }

    fn host_elsewhere(&self) -> Option<String> {
        let host = || self.here.authority().map(ToString::to_string).unwrap_or_default();
        (!self.is_at_service()).then(host)
    }

    /// The next place, when the answer is a redirect that is followed. In one that is not, the location becomes a whole URL.
    /// An answer of another host than the service's is marked.
    pub(crate) fn follow<B>(&mut self, answer: &mut Response<B>) -> Option<Uri> {
        if let Some(host) = self.host_elsewhere() {
            answer.extensions_mut().insert(AnsweredBy(host));
        }
        let status = answer.status();
        let location = answer.headers().get(header::LOCATION).filter(|_| status.is_redirection())?;
        let next = resolve(&self.here, location.to_str().ok()?)?;
        if self.followed == LIMIT || !self.may_follow(status, &next) {
            if let Ok(location) = HeaderValue::try_from(next.to_string()) {
                answer.headers_mut().insert(header::LOCATION, location);
            }
            return None;
        }
        self.followed += 1;
        // Who was asked to send the request back does not get the key with it.
        self.has_key &= same_origin(&self.service, &next);
        tracing::debug!(status = status.as_u16(), host = next.host(), "redirected");
        self.here = next.clone();
        Some(next)
    }

    fn may_follow(&self, status: StatusCode, next: &Uri) -> bool {
        match self.redirects {
            Redirects::WithinService => {
                matches!(status.as_u16(), 307 | 308) && same_origin(&self.service, next)
            }
            Redirects::OfContent => {
                matches!(status.as_u16(), 301..=303 | 307 | 308) && (is_https(next) || !is_https(&self.here))
            }
        }
    }
}

impl Original {
    pub(crate) fn of(request: Request<RequestBody>) -> (Self, Request<RequestBody>) {
        let (head, body) = request.into_parts();
        (Self { head: head.clone(), body: body.spare() }, Request::from_parts(head, body))
    }

    /// The same request once more.
    pub(crate) fn again(self) -> Request<RequestBody> {
        Request::from_parts(self.head, self.body.into_body())
    }

    /// The same request to `next`. Without the key it says only which content is wanted.
    pub(crate) fn to(self, next: Uri, with_key: bool) -> Request<RequestBody> {
        let Self { mut head, body } = self;
        head.uri = next;
        if !with_key {
            let known = std::mem::take(&mut head.headers);
            let kept =
                FOR_STRANGERS.into_iter().filter_map(|name| Some((name.clone(), known.get(name)?.clone())));
            head.headers = kept.collect();
        }
        Request::from_parts(head, body.into_body())
    }
}

/// Reads what stands beside a redirect, when it is short, so that the connection can be used again.
pub(crate) async fn drain(answer: Response<AnyBody>) {
    let mut body = answer.into_body();
    if body.size_hint().upper().is_some_and(|length| length <= SHORT) {
        while let Some(Ok(_)) = body.frame().await {}
    }
}

/// The host that gave this answer, when that was not the service.
pub(crate) fn host_of(extensions: &http::Extensions) -> Option<String> {
    extensions.get::<AnsweredBy>().map(|by| by.0.clone())
}

/// Says in the error of an answer which host rejected the request, when that was not the service.
pub(crate) fn name_host(error: &mut ApiError, extensions: &http::Extensions) {
    error.answered_by = host_of(extensions);
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}

/// Whether two URLs are of the same scheme, host and port.
fn same_origin(one: &Uri, other: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if is_https(uri) { 443 } else { 80 });
    let host = |uri: &Uri| uri.host().unwrap_or_default().to_ascii_lowercase();
    one.scheme() == other.scheme() && host(one) == host(other) && port(one) == port(other)
}

/// The URL that `location` means where `here` answered (RFC 3986, 5.2), without its fragment; `None` when that is no URL
/// with http or https, a host, and no user.
fn resolve(here: &Uri, location: &str) -> Option<Uri> {
    let location = location.trim();
    let location = location.split_once('#').map_or(location, |(before, _)| before);
    let (scheme, authority) = (here.scheme_str()?, here.authority()?);
    let whole = match location {
        "" => return None,
        _ if has_scheme(location) => location.to_owned(),
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
        _ if location.starts_with('?') => format!("{scheme}://{authority}{}{location}", here.path()),
        _ => {
            let folder = here.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{authority}{folder}/{location}")
        }
    };
    let uri: Uri = whole.parse().ok()?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let port = &authority.as_str()[authority.host().len()..];
    let is_port = port.is_empty() || authority.port_u16().is_some();
    if !matches!(uri.scheme_str(), Some("http" | "https")) || authority.host().is_empty() || !is_port {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = without_dots(uri.path());
    Uri::builder()
        .scheme(uri.scheme()?.clone())
        .authority(authority.clone())
        .path_and_query(path + &query)
        .build()
        .ok()
}

/// Whether a reference begins with a scheme: a letter, and more of what may stand in one, up to a colon.
fn has_scheme(location: &str) -> bool {
    let Some((scheme, _)) = location.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// The path without `.` and `..`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use super::*;

    #[test]
    fn a_location_is_resolved_against_the_place_that_answered() {
        let here = Uri::from_static("https://service.example:8443/v1/files?limit=1");
        for (location, expected) in [
            ("https://other.example/x?y#z", Some("https://other.example/x?y")),
            ("HTTPS://other.example", Some("https://other.example/")),
            ("//other.example/x", Some("https://other.example/x")),
            ("/v2/files", Some("https://service.example:8443/v2/files")),
            ("files/", Some("https://service.example:8443/v1/files/")),
            ("./a:b", Some("https://service.example:8443/v1/a:b")),
            ("../x", Some("https://service.example:8443/x")),
            ("/a/./b/../c/..", Some("https://service.example:8443/a/")),
            ("/../..", Some("https://service.example:8443/")),
            ("?limit=2", Some("https://service.example:8443/v1/files?limit=2")),
            (" /x ", Some("https://service.example:8443/x")),
            ("", None),
            ("#top", None),
            ("mailto:a@b.example", None),
            ("ftp://other.example/", None),
            ("https://user:password@other.example/", None),
            ("https://", None),
            ("https://other.example:port/", None),
            ("/a b", None),
        ] {
            let resolved = resolve(&here, location).map(|uri| uri.to_string());
            assert_eq!(resolved.as_deref(), expected, "{location:?}");
        }
    }

    #[test]
    fn scheme_host_and_port_make_an_origin() {
        let same = |one: &'static str, other: &'static str| {
            same_origin(&Uri::from_static(one), &Uri::from_static(other))
        };
        assert!(same("https://a.example/v1", "https://A.example:443/other?x"));
        assert!(same("http://[::1]:80/", "http://[::1]/"));
        assert!(!same("https://a.example/", "http://a.example/"));
        assert!(!same("https://a.example/", "https://a.example:8443/"));
        assert!(!same("https://a.example/", "https://b.a.example/"));
        assert!(!same("http://a.example:443/", "https://a.example/"));
    }
}
