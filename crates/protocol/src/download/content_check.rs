//! Whether what came as a file's content can be that file.

use std::{fmt, path::Path, time::Duration};

use http::{HeaderMap, HeaderValue, header};
use partwise_models::File;
use serde_json::Value;

use crate::{
    error::{html_title, one_line, read_error},
    operations::DownloadHead,
};

/// Finds out whether what came as a file's content can be that file.
///
/// The length of every content is compared with the one in the file's object. A captive portal answers with a page, a
/// gateway with an error object, and either may do so with status 200; an answer without a length may end anywhere. Such
/// answers [require](Self::requires_object) the object. Any other answer is accepted when the object cannot be had.
///
/// ```
/// use partwise_models::File;
/// use partwise_protocol::{download::ContentCheck, operations::DownloadHead};
///
/// let page = b"<html><title>Sign in</title>";
/// let mut check = ContentCheck::new(&DownloadHead::default());
/// check.read(page);
/// assert!(check.is_suspicious());
/// let wrong = check.judge(page.len() as u64, Some(&File::new("file-1").bytes(1000))).unwrap_err();
/// assert_eq!(
///     wrong.to_string(),
///     "the service answered with a page with the title “Sign in”: 28 bytes, and the file has 1000"
/// );
/// ```
#[derive(Clone, Debug, Default)]
pub struct ContentCheck {
    /// How many bytes the whole content has, when the answer says.
    length: Option<u64>,
    /// In lower case, without parameters.
    media_type: String,
    filename: Option<String>,
    /// The first bytes, at most [`BEGINNING`](Self::BEGINNING).
    beginning: Vec<u8>,
}

/// What came is not the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.line())]
#[non_exhaustive]
pub struct WrongContent {
    /// What came instead, when that shows.
    pub instead: Option<Instead>,
    /// How many bytes came, or were going to come.
    pub received: u64,
    /// How many bytes the file has, when the service says.
    pub expected: Option<u64>,
    /// Whether the answer told its length: then it did not end early.
    pub has_length: bool,
    /// Whether it came after bytes of the file, which are still good: the download can be resumed.
    pub is_after_content: bool,
}

/// What can come instead of a file.
///
/// ```
/// use partwise_protocol::download::Instead;
///
/// let portal = Instead::Page { title: Some("Sign in".to_owned()) };
/// assert_eq!(portal.to_string(), "a page with the title “Sign in”");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Instead {
    /// A page: of a captive portal, a proxy, a gateway.
    Page {
        /// Its title, when it has one.
        title: Option<String>,
    },
    /// An object that says what went wrong, with the status of a success.
    ErrorObject {
        /// What it says.
        message: Option<String>,
    },
}

/// What a person should know of a download.
///
/// ```
/// use partwise_protocol::{
///     download::{ContentCheck, DownloadWarning},
///     operations::DownloadHead,
/// };
///
/// let check = ContentCheck::new(&DownloadHead::default());
/// assert_eq!(check.judge(140, None), Ok(Some(DownloadWarning::LengthUnknown)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DownloadWarning {
    /// Neither the answer nor the file's object says how many bytes the file has, so what came could be compared with
    /// nothing.
    LengthUnknown,
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page { title: Some(title) } => write!(f, "a page with the title “{title}”"),
            Self::Page { title: None } => f.write_str("an HTML page"),
            Self::ErrorObject { message: Some(message) } => {
                write!(f, "an error object (“{}”)", one_line(message))
            }
            Self::ErrorObject { message: None } => f.write_str("an error object"),
        }
    }
}

impl WrongContent {
    fn line(&self) -> String {
        let bytes = if self.received == 1 { "byte" } else { "bytes" };
        let received = self.received;
        match (&self.instead, self.expected) {
            (Some(instead), _) if self.is_after_content => {
                format!("the service answered with {instead} instead of the rest of the file")
            }
            (Some(instead), Some(expected)) => {
                format!(
                    "the service answered with {instead}: {received} {bytes}, and the file has {expected}"
                )
            }
            (Some(instead), None) => {
                format!("the service answered with {instead}, and does not say how many bytes the file has")
            }
            (None, Some(expected)) => format!("{received} {bytes} came, and the file has {expected}"),
            (None, None) => format!("the {received} {bytes} that came are not the file"),
        }
    }
}

/// The keys of the objects that say what went wrong, at their top.
const ENVELOPE: [&str; 13] = [
    "error",
    "message",
    "code",
    "type",
    "param",
    "request_id",
    "requestId",
    "statusCode",
    "status",
    "object",
    "detail",
    "details",
    "success",
];

impl ContentCheck {
    /// The most bytes of a content that are looked at.
    pub const BEGINNING: usize = 4096;

    /// How long an object that is not [required](Self::requires_object) is waited for after the last byte of the content.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// Checks a content of which nothing but its length is known.
    pub(super) fn of_length(length: u64) -> Self {
        Self { length: Some(length), ..Self::default() }
    }

    /// Checks the content that follows this head.
    #[must_use]
    pub fn new(head: &DownloadHead) -> Self {
        let media_type = head.content_type.as_deref().unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Self {
            length: head.range.map_or(head.length, |range| range.total),
            media_type,
            filename: head.filename.clone(),
            beginning: Vec::new(),
        }
    }

    /// Takes the next bytes of the content, from its first byte on. Only the first few are kept.
    pub fn read(&mut self, bytes: &[u8]) {
        let room = Self::BEGINNING - self.beginning.len();
        self.beginning.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    /// Whether the content cannot be told to be the file without its object.
    #[must_use]
    pub fn requires_object(&self) -> bool {
        matches!(self.length, None | Some(0)) || self.is_suspicious()
    }

    /// Whether the content may be a page or an error object. Its first bytes should not be used before it was
    /// [judged](Self::judge).
    #[must_use]
    pub fn is_suspicious(&self) -> bool {
        self.is_page() || self.has_json_type() || self.begins_like_error()
    }

    /// Whether more bytes of the content may show that it is something else. Until then none should be used, unless the
    /// content ends. Of one that is suspicious and has no length, all the [first bytes](Self::BEGINNING) are wanted, since it
    /// may end with them.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        const TELLING: usize = 64;

        let is_open = self.length.is_none() && self.is_suspicious();
        let may_become_suspicious = matches!(self.text().first(), None | Some(b'<' | b'{'));
        let most = match (is_open, may_become_suspicious) {
            (true, _) => Self::BEGINNING,
            (false, true) => TELLING,
            (false, false) => 0,
        };
        self.beginning.len() < most
    }

    /// Judges the content, of which `received` bytes came or are going to come, by the file's object. `None` is an object
    /// that cannot be had.
    ///
    /// # Errors
    /// [`WrongContent`] when its length is another one; or when there is none to compare with, and what came is a page
    /// although the file is not named like one, or an error object and nothing else.
    pub fn judge(&self, received: u64, file: Option<&File>) -> Result<Option<DownloadWarning>, WrongContent> {
        let expected = file.and_then(|file| file.bytes);
        let wrong = |instead| {
            Err(WrongContent {
                instead,
                received,
                expected,
                has_length: self.length.is_some(),
                is_after_content: false,
            })
        };
        match expected {
            Some(expected) if expected == received => Ok(None),
            Some(_) => wrong(self.page().or_else(|| self.error_object(received, true))),
            None if self.is_page() && !self.is_named_like_page(file) => wrong(self.page()),
            None => match (self.error_object(received, false), self.length) {
                (Some(instead), _) => wrong(Some(instead)),
                (None, None) => Ok(Some(DownloadWarning::LengthUnknown)),
                (None, Some(_)) => Ok(None),
            },
        }
    }

    pub(super) fn is_page(&self) -> bool {
        const BEGINNINGS: [&[u8]; 2] = [b"<!doctype html", b"<html"];

        let text = self.text();
        let begins = |with: &[u8]| text.len() >= with.len() && text[..with.len()].eq_ignore_ascii_case(with);
        matches!(self.media_type.as_str(), "text/html" | "application/xhtml+xml")
            || BEGINNINGS.iter().any(|beginning| begins(beginning))
    }

    fn has_json_type(&self) -> bool {
        matches!(self.media_type.as_str(), "application/json" | "text/json")
            || self.media_type.ends_with("+json")
    }

    fn begins_like_error(&self) -> bool {
        let behind_brace = self.text().strip_prefix(b"{").unwrap_or_default();
        behind_brace.trim_ascii_start().starts_with(b"\"error\"")
    }

    /// The first bytes, behind a byte order mark and white space.
    fn text(&self) -> &[u8] {
        let bytes = &self.beginning[..];
        bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii_start()
    }

    pub(super) fn page(&self) -> Option<Instead> {
        self.is_page().then(|| Instead::Page { title: html_title(&self.beginning) })
    }

    /// What came, if all of it is one error object, with no key that others do not have: a line of a batch's errors has an `error`
    /// too. Without `error`, a `message`, `detail` or `statusCode` will do when `is_lenient`.
    fn error_object(&self, received: u64, is_lenient: bool) -> Option<Instead> {
        if received != self.beginning.len() as u64 {
            return None;
        }
        let Ok(Value::Object(object)) = serde_json::from_slice(&self.beginning) else { return None };
        let has_error = object.get("error").is_some_and(|error| error.is_object() || error.is_string());
        let has_text = ["message", "detail", "statusCode"].iter().any(|key| object.contains_key(*key));
        let is_envelope = object.keys().all(|key| ENVELOPE.contains(&&**key));
        let is_error = is_envelope && (has_error || is_lenient && has_text);
        if !is_error {
            return None;
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let detail = object.get("detail").and_then(Value::as_str).filter(|_| !has_error);
        let message = match detail {
            Some(detail) => Some(detail.to_owned()),
            None => read_error(&headers, &self.beginning).message,
        };
        Some(Instead::ErrorObject { message })
    }

    pub(super) fn is_named_like_page(&self, file: Option<&File>) -> bool {
        let name = file.and_then(|file| file.filename.as_deref()).or(self.filename.as_deref());
        let extension = Path::new(name.unwrap_or_default()).extension();
        let extension = extension.map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        matches!(extension.as_deref(), Some("htm" | "html" | "xhtml"))
    }
}
