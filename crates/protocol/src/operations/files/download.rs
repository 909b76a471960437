//! `GET /files/{file_id}/content`: a file's bytes, or a range of them.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use super::DownloadHead;
use crate::{
    Api, Operation,
    error::{DecodeError, EncodeError, Garbled, ResponseError},
    json::{bare_request, insert, refuse_unless_readable},
    operation::id_of,
    operations::{OperationId, Route},
    transport::Body,
};

/// Any sequence of bytes.
const OCTET_STREAM: &str = "application/octet-stream";

/// Downloads one file's content.
///
/// Its answer is a head; the bytes stream beside it. [`decode_response`](Operation::decode_response) therefore takes
/// a success with an empty body, and a refusal with its body. A 206 that does not say which part of the content it has
/// is garbled, and so is a coded content: its bytes have other places.
///
/// ```
/// use partwise_protocol::{Api, Operation, operations::{ByteRange, DownloadFile}};
///
/// let mut download = DownloadFile::new("file-1");
/// download.range = Some(ByteRange::From { first: 0, last: Some(1023) });
/// let request = download.encode_request(&Api::openai())?;
/// assert_eq!(request.uri().path(), "/v1/files/file-1/content");
/// assert_eq!(request.headers()["range"], "bytes=0-1023");
/// # Ok::<(), partwise_protocol::error::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadFile {
    /// The file's identifier.
    pub file_id: String,
    /// Only these bytes. A service may ignore it: look at [`DownloadHead::range`].
    pub range: Option<ByteRange>,
    /// Keep to the range only while the content still has this `ETag`; else the whole content comes.
    pub if_range: Option<String>,
}

/// The bytes asked for: one range of a `Range` header.
///
/// ```
/// use partwise_protocol::operations::ByteRange;
///
/// let range = ByteRange::Suffix(10).within(100).unwrap();
/// assert_eq!((range.first, range.last, range.len()), (90, 99, 10));
/// assert_eq!(ByteRange::From { first: 100, last: None }.within(100), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "HTTP has these two forms")]
pub enum ByteRange {
    /// From a first byte on: `bytes=3-`, `bytes=3-9`.
    From {
        /// The first byte.
        first: u64,
        /// The last byte, included; `None` means the end of the content.
        last: Option<u64>,
    },
    /// So many bytes at the end of the content, or all of one that has fewer: `bytes=-5`.
    Suffix(u64),
}

/// The bytes that come: the `Content-Range` of an answer.
///
/// ```
/// use partwise_protocol::operations::ContentRange;
///
/// let came = ContentRange { first: 200, last: 299, total: Some(1000) };
/// assert_eq!((came.len(), came.is_everything()), (100, false));
/// assert_eq!(came.to_string(), "bytes 200-299/1000");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "HTTP's own form")]
pub struct ContentRange {
    /// The first byte.
    pub first: u64,
    /// The last byte, included.
    pub last: u64,
    /// The length of the whole content, when the service knows it.
    pub total: Option<u64>,
}

impl From<&str> for DownloadFile {
    fn from(file_id: &str) -> Self {
        Self::new(file_id)
    }
}

impl From<&String> for DownloadFile {
    fn from(file_id: &String) -> Self {
        Self::new(file_id)
    }
}

impl From<String> for DownloadFile {
    fn from(file_id: String) -> Self {
        Self::new(file_id)
    }
}

impl From<&Self> for DownloadFile {
    fn from(operation: &Self) -> Self {
        operation.clone()
    }
}

impl DownloadFile {
    /// Downloads the whole content of the file with this identifier.
    #[must_use]
    pub fn new(file_id: impl Into<String>) -> Self {
        Self { file_id: file_id.into(), range: None, if_range: None }
    }

    /// Checks that the bytes that follow this head are what was asked for: everything; or, of a range, the part that
    /// begins with its first byte and may end before its last. A service may also answer with everything to a request for
    /// a range. Where the bytes at the end of the content begin is known only when the answer says how long all of it is.
    ///
    /// # Errors
    /// [`ResponseError::Garbled`] when they are another part, which must not be taken for what was asked for.
    pub fn check(&self, head: &DownloadHead) -> Result<(), ResponseError> {
        let Some(came) = head.range else { return Ok(()) };
        let (is_asked_for, problem) = match self.range {
            None => (came.is_everything(), "a part of the content came, although all of it was asked for"),
            Some(asked) => {
                (asked.is_answered_by(came), "another part of the content came than was asked for")
            }
        };
        if is_asked_for { Ok(()) } else { Err(unusable_part(&came.to_string(), problem)) }
    }

    /// Sets [`range`](#structfield.range).
    #[must_use]
    pub fn range(mut self, range: ByteRange) -> Self {
        self.range = Some(range);
        self
    }

    /// Sets [`if_range`](#structfield.if_range).
    #[must_use]
    pub fn if_range(mut self, if_range: impl Into<String>) -> Self {
        self.if_range = Some(if_range.into());
        self
    }
}

impl Operation for DownloadFile {
    const ID: OperationId = OperationId::DownloadFile;
    type Response = DownloadHead;

    fn encode_request(&self, api: &Api) -> Result<Request<Body>, EncodeError> {
        let mut request = bare_request(Self::ID.method(), Self::ID.uri(api, Some(&self.file_id), &[])?);
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(range) = self.range {
            insert(headers, header::RANGE, &range.to_string())?;
            if let Some(etag) = &self.if_range {
                insert(headers, header::IF_RANGE, etag)?;
            }
        }
        Ok(request)
    }

    fn decode_response(response: Response<Bytes>) -> Result<DownloadHead, ResponseError> {
        refuse_unless_readable(&response)?;
        let text = |name| {
            let value: Option<&HeaderValue> = response.headers().get(name);
            value.map(|value| String::from_utf8_lossy(value.as_bytes()))
        };
        let range = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let value = text(header::CONTENT_RANGE).unwrap_or_default();
                let problem = "a part of the content came, and its Content-Range does not say which";
                Some(ContentRange::parse(&value).ok_or_else(|| unusable_part(&value, problem))?)
            }
            _ => None,
        };
        Ok(DownloadHead {
            length: text(header::CONTENT_LENGTH).and_then(|length| number(&length)),
            range,
            filename: text(header::CONTENT_DISPOSITION)
                .and_then(|value| crate::multipart::disposition_filename(&value)),
            etag: text(header::ETAG).map(Cow::into_owned),
            last_modified: text(header::LAST_MODIFIED).map(Cow::into_owned),
            content_type: text(header::CONTENT_TYPE)
                .filter(|value| !value.eq_ignore_ascii_case(OCTET_STREAM))
                .map(Cow::into_owned),
        })
    }

    fn decode_request(route: &Route, request: Request<Bytes>) -> Result<Self, DecodeError> {
        let text = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        // Ranges are defined for GET alone (RFC 9110 §14.2), and one that we do not understand is ignored.
        let range = text(header::RANGE).filter(|_| request.method() == Method::GET);
        let range = range.and_then(ByteRange::parse);
        let if_range = range.and_then(|_| text(header::IF_RANGE)).map(str::to_owned);
        Ok(Self { file_id: id_of(route, "file_id")?, range, if_range })
    }

    fn encode_response(head: &DownloadHead, _: &Api) -> Result<Response<Body>, EncodeError> {
        let mut response = Response::new(Body::empty());
        if head.range.is_some() {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        let headers = response.headers_mut();
        insert(headers, header::CONTENT_TYPE, head.content_type.as_deref().unwrap_or(OCTET_STREAM))?;
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(length) = head.length {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        if let Some(range) = head.range {
            insert(headers, header::CONTENT_RANGE, &range.to_string())?;
        }
        if let Some(filename) = &head.filename {
            let disposition = crate::multipart::attachment(filename);
            insert(headers, header::CONTENT_DISPOSITION, &disposition)?;
        }
        if let Some(etag) = &head.etag {
            insert(headers, header::ETAG, etag)?;
        }
        if let Some(last_modified) = &head.last_modified {
            insert(headers, header::LAST_MODIFIED, last_modified)?;
        }
        Ok(response)
    }
}

/// Taking it for the whole, or for the part that was asked for, could make a file of wrong bytes.
fn unusable_part(content_range: &str, problem: &'static str) -> ResponseError {
    let line = format!("Content-Range: {content_range}");
    ResponseError::Garbled(Box::new(Garbled::new(StatusCode::PARTIAL_CONTENT, line.as_bytes(), problem)))
}

/// The text behind the unit of a range, if that is bytes. HTTP's units ignore case.
fn behind_unit(value: &str) -> Option<&str> {
    let (unit, rest) = value.trim().split_at_checked("bytes".len())?;
    unit.eq_ignore_ascii_case("bytes").then(|| rest.trim_start())
}

/// Digits alone, which `parse` would let a sign precede.
fn number(text: &str) -> Option<u64> {
    let digits = text.trim();
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The same, of a request: one that does not fit lies behind the end of any content.
fn position(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

impl ByteRange {
    /// The bytes that this is of a content of `length` bytes; `None` when it lies behind the end, or has no bytes.
    #[must_use]
    pub fn within(self, length: u64) -> Option<ContentRange> {
        let end = length.checked_sub(1)?;
        let (first, last) = match self {
            Self::From { first, last } => (first, last.map_or(end, |last| last.min(end))),
            Self::Suffix(0) => return None,
            Self::Suffix(bytes) => (length.saturating_sub(bytes), end),
        };
        (first <= last).then_some(ContentRange { first, last, total: Some(length) })
    }

    fn is_answered_by(self, came: ContentRange) -> bool {
        match self {
            Self::From { first, last } => came.first == first && last.is_none_or(|last| came.last <= last),
            Self::Suffix(bytes) => came.total.is_some_and(|total| came.first == total.saturating_sub(bytes)),
        }
    }

    /// A number that is larger than any content counts as the largest.
    fn parse(value: &str) -> Option<Self> {
        let (first, last) = behind_unit(value)?.strip_prefix('=')?.split_once('-')?;
        match (first.trim(), last.trim()) {
            ("", bytes) => position(bytes).map(Self::Suffix),
            (first, "") => Some(Self::From { first: position(first)?, last: None }),
            (first, last) => {
                let (first, last) = (position(first)?, position(last)?);
                (first <= last).then_some(Self::From { first, last: Some(last) })
            }
        }
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From { first, last: Some(last) } => write!(f, "bytes={first}-{last}"),
            Self::From { first, last: None } => write!(f, "bytes={first}-"),
            Self::Suffix(bytes) => write!(f, "bytes=-{bytes}"),
        }
    }
}

impl ContentRange {
    /// The number of these bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a range with both ends included is never empty")]
    pub fn len(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    /// Returns `true` if these are all the bytes of the content.
    #[must_use]
    pub fn is_everything(self) -> bool {
        self.first == 0 && self.total == Some(self.len())
    }

    fn parse(value: &str) -> Option<Self> {
        let range = behind_unit(value)?;
        // Some write it as a request's range is written.
        let (bytes, total) = range.strip_prefix('=').unwrap_or(range).split_once('/')?;
        let (first, last) = bytes.split_once('-')?;
        let (first, last, total) = (number(first)?, number(last)?, number(total));
        (first <= last && total.is_none_or(|total| last < total)).then_some(Self { first, last, total })
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {}-{}/", self.first, self.last)?;
        match self.total {
            Some(total) => write!(f, "{total}"),
            None => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_content() {
        let range = |text| ByteRange::parse(text).unwrap();
        assert_eq!(range("bytes=0-").within(10).unwrap().to_string(), "bytes 0-9/10");
        assert_eq!(range("bytes=3-99").within(10).unwrap().to_string(), "bytes 3-9/10");
        assert_eq!(range("bytes=9-9").within(10).unwrap().len(), 1);
        assert_eq!(range("bytes=10-").within(10), None);
        assert_eq!(range("bytes=0-").within(0), None);
        assert_eq!(range("bytes=-3").within(10).unwrap().to_string(), "bytes 7-9/10");
        assert_eq!(range("bytes=-10").within(10).unwrap().to_string(), "bytes 0-9/10");
        assert_eq!(range("Bytes= -99999999999999999999 ").within(10).unwrap().to_string(), "bytes 0-9/10");
        assert_eq!(range("bytes=9-99999999999999999999").within(10).unwrap().to_string(), "bytes 9-9/10");
        assert_eq!(range("bytes=99999999999999999999-").within(10), None);
        assert_eq!(range("bytes=-0").within(10), None);
        assert_eq!(range("bytes=-1").within(0), None);
        assert_eq!(ContentRange { first: 0, last: u64::MAX, total: None }.len(), u64::MAX);
    }

    #[test]
    fn a_range_that_is_not_understood_is_ignored() {
        for text in [
            "",
            "bytes=",
            "bytes=-",
            "bytes=5-3",
            "bytes=--5",
            "bytes=+1-",
            "bytes=1-2,4-5",
            "bytes=-1,-2",
            "items=1-2",
            "bytes=a-b",
        ] {
            assert_eq!(ByteRange::parse(text), None, "{text}");
        }
    }

    fn part(content_range: &str) -> Result<DownloadHead, ResponseError> {
        let response = Response::builder().status(206).header("content-range", content_range);
        DownloadFile::decode_response(response.body(Bytes::new()).unwrap())
    }

    #[test]
    fn the_part_that_came_is_read_leniently() {
        for (text, shown) in [
            ("bytes 0-9/10", "bytes 0-9/10"),
            ("Bytes  0 - 9 / 10 ", "bytes 0-9/10"),
            ("bytes=3-9/*", "bytes 3-9/*"),
            ("bytes 3-9/many", "bytes 3-9/*"),
        ] {
            assert_eq!(part(text).unwrap().range.unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn another_part_than_was_asked_for_is_never_taken_for_it() {
        let came = |content_range: &str| part(content_range).unwrap();
        let asked = |range: &str| {
            let mut operation = DownloadFile::new("file-1");
            operation.range = ByteRange::parse(range);
            operation
        };
        for (range, content_range, is_right) in [
            ("", "bytes 0-9/10", true),
            ("", "bytes 0-9/11", false),
            ("", "bytes 0-9/*", false),
            ("", "bytes 1-9/10", false),
            ("bytes=3-", "bytes 3-9/10", true),
            ("bytes=3-5", "bytes 3-4/10", true),
            ("bytes=3-5", "bytes 3-6/10", false),
            ("bytes=3-5", "bytes 0-9/10", false),
            ("bytes=3-", "bytes 4-9/10", false),
            ("bytes=-4", "bytes 6-9/10", true),
            ("bytes=-4", "bytes 6-8/10", true),
            ("bytes=-4", "bytes 5-8/10", false),
            ("bytes=-4", "bytes 7-9/10", false),
            ("bytes=-4", "bytes 6-9/*", false),
            ("bytes=-11", "bytes 0-9/10", true),
        ] {
            assert_eq!(
                asked(range).check(&came(content_range)).is_ok(),
                is_right,
                "{range}: {content_range}"
            );
        }
        asked("bytes=3-5").check(&DownloadHead::default()).unwrap();
    }

    #[test]
    fn a_content_type_that_says_something_is_kept() {
        let typed = |content_type: &str| {
            let response = Response::builder().header("content-type", content_type);
            DownloadFile::decode_response(response.body(Bytes::new()).unwrap()).unwrap().content_type
        };
        assert_eq!(typed("text/html; charset=utf-8").as_deref(), Some("text/html; charset=utf-8"));
        assert_eq!(typed("Application/Octet-Stream"), None);
    }

    fn coded_as(status: u16, coding: &str) -> Result<DownloadHead, ResponseError> {
        let response = Response::builder().status(status).header("content-encoding", coding);
        let response = response.header("content-range", "bytes 0-9/10");
        DownloadFile::decode_response(response.body(Bytes::new()).unwrap())
    }

    #[test]
    fn a_content_that_came_coded_is_refused() {
        for coding in ["", "identity", "Identity"] {
            coded_as(200, coding).unwrap();
        }
        for (status, coding) in [(200, "gzip"), (206, "br"), (200, "identity, gzip")] {
            assert!(matches!(coded_as(status, coding), Err(ResponseError::Garbled(_))), "{coding}");
        }
        let error = coded_as(200, "gzip").unwrap_err();
        insta::assert_snapshot!(error, @r#"the answer with status 200 is not what this API answers: "Content-Encoding: gzip""#);
        insta::assert_snapshot!(std::error::Error::source(&error).unwrap(), @"the answer came coded, although it was asked for as it is (Accept-Encoding: identity)");
    }

    #[test]
    fn a_part_that_does_not_say_which_it_is_is_never_taken_for_anything() {
        for text in
            ["", "bytes */10", "bytes 9-3/10", "bytes 0-10/10", "items 0-9/10", "bytes 0-9", "bytes -9/10"]
        {
            assert!(matches!(part(text), Err(ResponseError::Garbled(_))), "{text}");
        }
        let error = part("pages 1-2/3").unwrap_err();
        insta::assert_snapshot!(error, @r#"the answer with status 206 is not what this API answers: "Content-Range: pages 1-2/3""#);
        insta::assert_snapshot!(std::error::Error::source(&error).unwrap(), @"a part of the content came, and its Content-Range does not say which");
    }
}
