//! A redirect: an answer that names another place for the same request.

use std::fmt;

use http::{HeaderMap, StatusCode, Uri, header};

use super::excerpt::one_line;
use crate::operations::{OperationId, match_path};

/// The place where a redirect that was not followed leads. `Display` shows it without its query, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// The `Location`, as it stood in the header.
    pub location: String,
}

impl Redirect {
    /// Reads the redirect from an answer's head; `None` when the status is none or no place is named.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        let location = headers.get(header::LOCATION).filter(|_| status.is_redirection())?;
        let location = String::from_utf8_lossy(location.as_bytes()).trim().to_owned();
        (!location.is_empty()).then_some(Self { location })
    }

    /// The base URL of this API at that place: what is left of the location before the path of an operation. `None` when
    /// the location is relative or does not end with such a path.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use partwise_protocol::error::ApiError;
    ///
    /// let answer = http::Response::builder().status(301).header("location", "https://gateway.example/v1/files");
    /// let error = ApiError::decode_response(&answer.body(Bytes::new())?);
    /// assert_eq!(error.redirect.unwrap().base().as_deref(), Some("https://gateway.example/v1"));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn base(&self) -> Option<String> {
        let uri: Uri = self.location.parse().ok()?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let path = uri.path();
        let is_operation = |relative| OperationId::ALL.iter().any(|id| match_path(*id, relative).is_some());
        let (base, _) = path.match_indices('/').find(|(slash, _)| is_operation(&path[*slash..]))?;
        Some(format!("{scheme}://{authority}{}", &path[..base]))
    }
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.location.find(['?', '#']).unwrap_or(self.location.len());
        f.write_str(&one_line(&self.location[..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(location: &str) -> Redirect {
        Redirect { location: location.to_owned() }
    }

    #[test]
    fn the_base_is_what_stands_before_the_path_of_an_operation() {
        for (location, base) in [
            ("https://g.example/v1/files", "https://g.example/v1"),
            ("https://g.example:8443/a/b/files/file-1/content?sig=x", "https://g.example:8443/a/b"),
            ("http://g.example/openai/uploads/upload_1/parts", "http://g.example/openai"),
            ("https://g.example/uploads?api-version=2024-10-21", "https://g.example"),
        ] {
            assert_eq!(redirect(location).base().as_deref(), Some(base), "{location}");
        }
        for location in [
            "/v1/files",
            "https://g.example/",
            "https://g.example/v1/files/",
            "https://u@g.example/files",
            "x y",
        ] {
            assert_eq!(redirect(location).base(), None, "{location}");
        }
    }

    #[test]
    fn what_is_shown_is_one_line_without_a_query() {
        assert_eq!(redirect("https://b.example/1?sig=secret").to_string(), "https://b.example/1");
        assert_eq!(redirect("/a#b").to_string(), "/a");
        assert_eq!(redirect("/a\u{1b}[2Jb").to_string(), "/a [2Jb");
    }
}
