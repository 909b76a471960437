//! Requests, whatever dialect they come in.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use super::problem::Problem;

/// The protocol of a cloud's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Amazon S3.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage, as its XML API has it.
    Gcs,
}

/// The purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Writes an object, over what stands there.
    Put,
    /// Writes an object if there is none.
    Create,
    /// Reads an object, or a range of it.
    Get,
    /// Asks for the head of an object.
    Head,
    /// Lists a page of objects.
    List,
    /// Removes an object.
    Delete,
    /// Removes several objects.
    DeleteMany,
    /// Begins an upload of parts; Azure has no such request.
    Begin,
    /// Writes a part; Azure calls it a block.
    Part,
    /// Makes an object of parts.
    Complete,
    /// Gives up an upload of parts.
    Abort,
}

/// The condition of a request that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    None,
    /// There must be no such object.
    Absent,
    /// The object must have this generation.
    Is(u64),
}

/// A request that is understood.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) dialect: Dialect,
    pub(super) kind: Kind,
    pub(super) bucket: String,
    /// The key of the object; empty for those of the bucket.
    pub(super) key: String,
    pub(super) condition: Condition,
    pub(super) body: Bytes,
    query: Vec<(String, String)>,
    headers: HeaderMap,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::S3, Self::Azure, Self::Gcs];

    /// Tells the dialect of a request by its headers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let authorization = headers.get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        if headers.contains_key("x-ms-version") {
            Self::Azure
        } else if authorization.starts_with(b"Bearer ") {
            Self::Gcs
        } else {
            Self::S3
        }
    }
}

impl Request {
    /// Reads a request; `None` for one that none of the dialects has here.
    pub(super) fn read(request: http::Request<Bytes>) -> Option<Self> {
        let (head, body) = request.into_parts();
        let dialect = Dialect::of(&head.headers);
        let path = head.uri.path().strip_prefix('/')?;
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let decode = |text| percent_decode_str(text).decode_utf8().ok().map(String::from);
        let (bucket, key) = (decode(bucket)?, decode(key)?);
        let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        let query: Vec<_> = query.into_owned().collect();
        let condition = condition(dialect, &head.headers)?;
        let kind = Kind::of(dialect, &head.method, &key, &query, condition)?;
        Some(Self { dialect, kind, bucket, key, condition, body, query, headers: head.headers })
    }

    /// The value of a parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        parameter(&self.query, name)
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, as text.
    pub(super) fn text(&self) -> Result<&str, Problem> {
        std::str::from_utf8(&self.body).map_err(|_| Problem::Malformed)
    }

    /// The public part of the caller's credentials.
    pub(super) fn access_key(&self) -> Option<&str> {
        let value = self.header(header::AUTHORIZATION.as_str())?;
        match self.dialect {
            Dialect::S3 => value.split_once("Credential=")?.1.split('/').next(),
            Dialect::Azure => value.strip_prefix("SharedKey ")?.split(':').next(),
            Dialect::Gcs => value.strip_prefix("Bearer "),
        }
    }

    /// The bytes that are asked for of an object of this length; `None` for all.
    pub(super) fn range(&self, length: u64) -> Result<Option<Range<u64>>, Problem> {
        let Some(asked) = self.header(header::RANGE.as_str()) else { return Ok(None) };
        let number = |digits: &str| digits.parse::<u64>().map_err(|_| Problem::Malformed);
        let (first, last) =
            asked.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or(Problem::Malformed)?;
        let range = match (first, last) {
            ("", suffix) => length.saturating_sub(number(suffix)?)..length,
            (first, "") => number(first)?..length,
            (first, last) => number(first)?..length.min(number(last)? + 1),
        };
        if range.is_empty() { Err(Problem::OutOfRange { length }) } else { Ok(Some(range)) }
    }
}

impl Kind {
    fn of(
        dialect: Dialect,
        method: &Method,
        key: &str,
        query: &[(String, String)],
        condition: Condition,
    ) -> Option<Self> {
        let has = |name| parameter(query, name).is_some();
        let component = parameter(query, "comp");
        Some(match (method, dialect) {
            (&Method::GET, _) if key.is_empty() => Self::List,
            (&Method::GET, _) => Self::Get,
            (&Method::HEAD, _) => Self::Head,
            (&Method::DELETE, _) if has("uploadId") => Self::Abort,
            (&Method::DELETE, _) => Self::Delete,
            (&Method::POST, Dialect::Azure) if component == Some("batch") => Self::DeleteMany,
            (&Method::POST, Dialect::S3) if has("delete") => Self::DeleteMany,
            (&Method::POST, Dialect::S3 | Dialect::Gcs) if has("uploads") => Self::Begin,
            (&Method::POST, Dialect::S3 | Dialect::Gcs) if has("uploadId") => Self::Complete,
            (&Method::PUT, Dialect::Azure) if component == Some("block") => Self::Part,
            (&Method::PUT, Dialect::Azure) if component == Some("blocklist") => Self::Complete,
            (&Method::PUT, _) if has("uploadId") => Self::Part,
            (&Method::PUT, _) if condition == Condition::Absent => Self::Create,
            (&Method::PUT, _) if component.is_none() => Self::Put,
            _ => return None,
        })
    }
}

fn parameter<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Reads a condition; `None` for one that no store here knows.
fn condition(dialect: Dialect, headers: &HeaderMap) -> Option<Condition> {
    let value = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let generation = |text: &str| text.trim_matches('"').parse().ok();
    if dialect == Dialect::Gcs {
        return Some(match value("x-goog-if-generation-match").map(generation) {
            None => Condition::None,
            Some(Some(0)) => Condition::Absent,
            Some(generation) => Condition::Is(generation?),
        });
    }
    match (value("if-none-match"), value("if-match")) {
        (None, None) => Some(Condition::None),
        (Some("*"), None) => Some(Condition::Absent),
        (None, Some(tag)) => generation(tag).map(Condition::Is),
        _ => None,
    }
}
