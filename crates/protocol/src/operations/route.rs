//! A service's way in: from method and URI to the operation that is meant.

use std::collections::HashSet;

use http::{Method, Uri};
use percent_encoding::percent_decode_str;

use crate::{
    Api, Dialect, Limits,
    error::excerpt,
    operations::{OperationId, PathPart},
};

/// The operation that a request asks for, and the identifier in its path.
///
/// ```
/// use http::Method;
/// use partwise_protocol::{Api, operations::OperationId};
///
/// let uri = "/v1/uploads/upload_1/parts".parse()?;
/// let route = Api::of_request("https://gateway.example", &uri)?.route(&Method::POST, &uri)?;
/// assert_eq!((route.operation, route.id.as_deref()), (OperationId::AddUploadPart, Some("upload_1")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The operation.
    pub operation: OperationId,
    /// The file's or upload's identifier, unescaped; `None` for operations on a collection.
    pub id: Option<String>,
}

/// A request that belongs to no operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Nothing is served at this path.
    #[error("there is nothing at `{}`", excerpt(path))]
    UnknownPath {
        /// The path as it came.
        path: String,
    },
    /// The path exists, but not with this method.
    #[error("`{}` does not take {}", excerpt(path), excerpt(method.as_str()))]
    MethodNotAllowed {
        /// The path as it came.
        path: String,
        /// The method as it came.
        method: Method,
        /// The methods that the path takes: the answer's `Allow` header.
        allowed: Vec<Method>,
    },
    /// A dated Azure path without its `api-version`.
    #[error("the query parameter `api-version` is missing")]
    MissingApiVersion,
    /// The host that the request names makes no URL.
    #[error("`{}` is not where a service can be: check the request's Host", excerpt(origin))]
    InvalidOrigin {
        /// The origin as given.
        origin: String,
    },
    /// An `api-version` that is no date.
    #[error(
        "`{}` is not an api-version: it must be a date such as 2024-10-21, perhaps with -preview behind it",
        excerpt(version)
    )]
    InvalidApiVersion {
        /// The version as it came.
        version: String,
    },
}

impl Api {
    /// The service side of an incoming request: which of the three URL families its path belongs to.
    ///
    /// `/v1/…` is OpenAI, `/openai/v1/…` is Azure v1, any other `/openai/…` is Azure with a dated version; an empty
    /// `api-version` counts as absent. `origin`
    /// is the scheme and authority under which the service is known, such as `http://127.0.0.1:8080`; it ends up in
    /// `Location` headers. The limits are [`Limits::for_service`].
    ///
    /// # Errors
    /// [`RouteError`] when the path belongs to no family, a dated path has no usable `api-version`, or `origin` is no
    /// plain `http(s)://host…`.
    pub fn of_request(origin: &str, uri: &Uri) -> Result<Self, RouteError> {
        let path = uri.path();
        let version = query_pairs(uri).find(|(name, _)| name == "api-version").map(|(_, value)| value);
        let version = version.filter(|version| !version.is_empty());
        let (prefix, dialect) = if is_below(path, "/v1") {
            ("/v1", Dialect::OpenAi)
        } else if is_below(path, "/openai/v1") {
            ("/openai/v1", Dialect::AzureV1 { api_version: version })
        } else if is_below(path, "/openai") {
            let api_version = version.ok_or(RouteError::MissingApiVersion)?;
            if !Dialect::is_dated_version(&api_version) {
                return Err(RouteError::InvalidApiVersion { version: api_version });
            }
            ("/openai", Dialect::AzureDated { api_version })
        } else {
            return Err(RouteError::UnknownPath { path: path.to_owned() });
        };
        let limits = Limits::for_service(&dialect);
        let api = Self::with_base(&format!("{origin}{prefix}"), dialect).ok();
        let api = api.filter(|api| api.base_path() == prefix);
        let api = api.ok_or_else(|| RouteError::InvalidOrigin { origin: origin.to_owned() })?;
        Ok(api.with_limits(limits))
    }

    /// The operation that a request of this service asks for. Only the path of `uri` is looked at.
    ///
    /// `HEAD` asks for the same as `GET`; leaving the body out of the answer is up to the service.
    ///
    /// # Errors
    /// [`RouteError::UnknownPath`] when the path is not below this service's base or names no operation that the
    /// dialect has; [`RouteError::MethodNotAllowed`] when it names one, but with another method.
    pub fn route(&self, method: &Method, uri: &Uri) -> Result<Route, RouteError> {
        let path = uri.path();
        let unknown = || RouteError::UnknownPath { path: path.to_owned() };
        let relative = path.strip_prefix(self.base_path()).ok_or_else(unknown)?;
        let candidates: Vec<Route> = OperationId::ALL
            .iter()
            .filter(|operation| operation.available_in(self.dialect()))
            .filter_map(|operation| match_path(*operation, relative))
            .collect();
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let mut allowed = Vec::new();
        for route in candidates {
            if route.operation.method() == wanted {
                return Ok(route);
            }
            allowed.push(route.operation.method());
            if route.operation.method() == Method::GET {
                allowed.push(Method::HEAD);
            }
        }
        if allowed.is_empty() {
            return Err(unknown());
        }
        Err(RouteError::MethodNotAllowed { path: path.to_owned(), method: method.clone(), allowed })
    }

    fn base_path(&self) -> &str {
        let behind_scheme = self.base().split_once("://").map_or(self.base(), |(_, rest)| rest);
        behind_scheme.find('/').map_or("", |slash| &behind_scheme[slash..])
    }
}

/// The decoded name and value of each query parameter, in order. Of one that is repeated, the first counts.
pub(crate) fn query_pairs(uri: &Uri) -> impl Iterator<Item = (String, String)> + '_ {
    let mut names = HashSet::new();
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_query(name), decode_query(value))
    });
    pairs.filter(move |(name, _)| names.insert(name.clone()))
}

fn decode_query(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The route, when `relative` has the form of this operation's path.
pub(crate) fn match_path(operation: OperationId, relative: &str) -> Option<Route> {
    let mut id = None;
    let mut segments = relative.strip_prefix('/')?.split('/');
    for part in operation.path_parts() {
        let segment = segments.next()?;
        match part {
            PathPart::Literal(literal) if *literal == segment => {}
            PathPart::Literal(_) => return None,
            PathPart::Id if segment.is_empty() => return None,
            PathPart::Id => id = Some(percent_decode_str(segment).decode_utf8().ok()?.into_owned()),
        }
    }
    segments.next().is_none().then_some(Route { operation, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: &Method, uri: &str) -> Result<(OperationId, Option<String>), String> {
        let uri: Uri = uri.parse().unwrap();
        let found = Api::of_request("http://127.0.0.1:1", &uri).and_then(|api| api.route(method, &uri));
        found.map(|route| (route.operation, route.id)).map_err(|error| error.to_string())
    }

    #[test]
    fn every_operation_is_found_in_each_family_that_has_it() {
        for operation in OperationId::ALL {
            for (prefix, query) in [("/v1", ""), ("/openai", "?api-version=2024-10-21"), ("/openai/v1", "")] {
                let path = operation.path().replace("{file_id}", "a%2Fb").replace("{upload_id}", "a%2Fb");
                let uri: Uri = format!("{prefix}{path}{query}").parse().unwrap();
                let api = Api::of_request("http://h", &uri).unwrap();
                let id = operation.path().contains('{').then(|| "a/b".to_owned());
                let found = api.route(&operation.method(), &uri).map(|found| (found.operation, found.id));
                if operation.available_in(api.dialect()) {
                    assert_eq!(found, Ok((operation, id)));
                } else {
                    assert!(found.is_err(), "{operation:?} must not exist at {uri}");
                }
            }
        }
    }

    #[test]
    fn a_request_that_belongs_nowhere_is_told_why() {
        let refusal = |method, uri| route(method, uri).unwrap_err();
        insta::assert_snapshot!(refusal(&Method::GET, "/nothing"), @"there is nothing at `/nothing`");
        insta::assert_snapshot!(refusal(&Method::GET, "/v1/files/"), @"there is nothing at `/v1/files/`");
        insta::assert_snapshot!(refusal(&Method::GET, "/v11/files"), @"there is nothing at `/v11/files`");
        insta::assert_snapshot!(refusal(&Method::PUT, "/v1/files"), @"`/v1/files` does not take PUT");
        insta::assert_snapshot!(refusal(&Method::GET, "/openai/files"), @"the query parameter `api-version` is missing");
        insta::assert_snapshot!(refusal(&Method::GET, "/openai/files?api-version=new"), @"`new` is not an api-version: it must be a date such as 2024-10-21, perhaps with -preview behind it");
        insta::assert_snapshot!(refusal(&Method::GET, "/openai/files?api-version=%0A"), @r"`\n` is not an api-version: it must be a date such as 2024-10-21, perhaps with -preview behind it");
        insta::assert_snapshot!(refusal(&Method::POST, "/openai/deployments/d/files?api-version=2024-10-21"), @"there is nothing at `/openai/deployments/d/files`");
        insta::assert_snapshot!(refusal(&Method::POST, "/openai/uploads?api-version=2024-06-01"), @"there is nothing at `/openai/uploads`");
    }

    #[test]
    fn a_host_that_makes_no_url_is_not_taken_for_a_missing_path() {
        for origin in ["http://a b", "http://", "localhost", "http://me@h", "http://h/x", "http://h/"] {
            let found = Api::of_request(origin, &"/v1/files".parse().unwrap());
            assert_eq!(found, Err(RouteError::InvalidOrigin { origin: origin.into() }));
        }
    }

    #[test]
    fn a_refused_method_names_those_that_are_taken() {
        let uri: Uri = "/v1/files".parse().unwrap();
        let api = Api::of_request("http://h", &uri).unwrap();
        let Err(RouteError::MethodNotAllowed { mut allowed, .. }) = api.route(&Method::PATCH, &uri) else {
            panic!()
        };
        allowed.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        assert_eq!(allowed, [Method::GET, Method::HEAD, Method::POST]);
    }

    #[test]
    fn a_head_is_asked_for_wherever_a_get_is() {
        for (path, operation) in
            [("/v1/files", OperationId::ListFiles), ("/v1/files/f/content", OperationId::DownloadFile)]
        {
            assert_eq!(route(&Method::HEAD, path).unwrap().0, operation);
        }
        insta::assert_snapshot!(route(&Method::HEAD, "/v1/uploads").unwrap_err(), @"`/v1/uploads` does not take HEAD");
    }

    #[test]
    fn of_a_repeated_query_parameter_the_first_counts_and_an_empty_version_is_absent() {
        let version = |uri: &str| {
            let api =
                Api::of_request("http://h", &uri.parse().unwrap()).map_err(|error| error.to_string())?;
            Ok::<_, String>(api.dialect().api_version().map(str::to_owned))
        };
        assert_eq!(version("/openai/v1/files?api-version="), Ok(None));
        assert_eq!(version("/openai/v1/files?api%2Dversion=a&api-version=b"), Ok(Some("a".into())));
        assert_eq!(
            version("/openai/files?api-version=2024-10-21&api-version=x"),
            Ok(Some("2024-10-21".into()))
        );
        for uri in ["/openai/files?api-version=", "/openai/files?api-version=&api-version=2024-10-21"] {
            assert_eq!(version(uri), Err("the query parameter `api-version` is missing".into()));
        }
    }
}
