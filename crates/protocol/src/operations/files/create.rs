//! `POST /files`: a whole file in one multipart request.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use partwise_models::{ExpiresAfter, ExpiryAnchor, File, Purpose};

use crate::{
    Api, Dialect, Operation,
    checks::filled,
    error::{DecodeError, EncodeError, ResponseError, excerpt},
    json::{json_response, problem as json_problem, read_response},
    multipart::{Boundary, FormFields, FormWriter, StreamedForm, content_type, decode_whole, form_request},
    operations::{OperationId, Route},
    transport::{Body, Segment},
};

/// Creates a file from its content.
///
/// The content goes last, so that a service knows everything about it before it comes; services must take any order.
/// Azure refuses a content without a media type, so none is sent without.
///
/// ```
/// use partwise_models::Purpose;
/// use partwise_protocol::{Api, Operation, multipart::Boundary, operations::CreateFile, transport::{Segment, SourceRange}};
///
/// // The content is a range of a file that others read.
/// let content = Segment::Source(SourceRange::new(0, 1_000_000));
/// let boundary = Boundary::from_entropy([7; 16]);
/// let create = CreateFile::new(Purpose::Batch, "a.jsonl", "application/jsonl", content, boundary);
/// let request = create.encode_request(&Api::openai())?;
/// assert_eq!(request.uri().path(), "/v1/files");
/// assert_eq!(request.body().segments().len(), 3);
/// assert!(request.body().content_length() > 1_000_000);
/// # Ok::<(), partwise_protocol::error::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateFile {
    /// The purpose of the file.
    pub purpose: Purpose,
    /// The file's name; of a path, only the last component is sent.
    pub filename: String,
    /// The content's media type. Of a request that came in without one it is empty: OpenAI takes that, Azure does not.
    pub mime_type: String,
    /// When the file goes away by itself, if the dialect has that.
    pub expires_after: Option<ExpiresAfter>,
    /// The content: bytes, or a range of the caller's source that is read while it is sent.
    pub content: Segment,
    /// The separator of the fields; must be random, and new for every attempt. Of a request that came in it is the caller's, with
    /// which nothing may be sent.
    pub boundary: Boundary,
}

impl CreateFile {
    /// The form field that holds the content.
    pub const CONTENT_FIELD: &'static str = "file";

    /// A file with this content that never goes away by itself.
    #[must_use]
    pub fn new(
        purpose: Purpose,
        filename: impl Into<String>,
        mime_type: impl Into<String>,
        content: impl Into<Segment>,
        boundary: Boundary,
    ) -> Self {
        Self {
            purpose,
            filename: filename.into(),
            mime_type: mime_type.into(),
            expires_after: None,
            content: content.into(),
            boundary,
        }
    }

    /// Returns `true` if a file that is created in this dialect can expire. A service that has no such field ignores it.
    #[must_use]
    pub fn takes_expiry(dialect: &Dialect) -> bool {
        expiry_fields(dialect).is_ok()
    }

    /// The request around content that streams through, whatever its length; the operation's own [`content`](Self::content) is left
    /// out.
    ///
    /// # Errors
    /// [`EncodeError`] when the input cannot go on the wire or the dialect does not have it.
    pub fn encode_streamed(&self, api: &Api) -> Result<StreamedForm, EncodeError> {
        StreamedForm::around(|content| self.encode_around(api, content))
    }

    /// Reads the request from its form, wherever the content went: a streaming service hands in what it has of it, a
    /// test the bytes. Where the dialect has no `expires_after`, it is ignored like any other unknown field.
    ///
    /// # Errors
    /// [`DecodeError`] when a field is missing or wrong.
    pub fn from_form(fields: &FormFields, content: Segment, dialect: &Dialect) -> Result<Self, DecodeError> {
        let expires_after = if Self::takes_expiry(dialect) { read_expiry(fields)? } else { None };
        Self::read(fields, content, expires_after)
    }

    /// The text fields of the form, as this dialect has them.
    pub(crate) fn texts(&self, dialect: &Dialect) -> Result<Vec<(&'static str, String)>, EncodeError> {
        let purpose = self.purpose.as_str();
        filled(&[("purpose", purpose)])?;
        let mut texts = vec![("purpose", purpose.to_owned())];
        if let Some(expiry) = &self.expires_after {
            let [anchor, seconds] = expiry_fields(dialect)?;
            // An empty field would count as absent.
            filled(&[("expires_after", expiry.anchor.as_str())])?;
            texts.push((anchor, expiry.anchor.as_str().to_owned()));
            texts.push((seconds, expiry.seconds.to_string()));
        }
        Ok(texts)
    }

    fn encode_around(&self, api: &Api, content: Segment) -> Result<Request<Body>, EncodeError> {
        let file = (self.filename.as_str(), self.mime_type.as_str(), content);
        Self::request_around(api, &self.texts(api.dialect())?, &[], file, &self.boundary)
    }

    /// The request with these text fields before and behind the content, which has a name and a media type.
    pub(crate) fn request_around(
        api: &Api,
        before: &[(&'static str, String)],
        behind: &[(&'static str, String)],
        (filename, mime_type, content): (&str, &str, Segment),
        boundary: &Boundary,
    ) -> Result<Request<Body>, EncodeError> {
        let add = |form: FormWriter, (name, value): &(&'static str, String)| form.text(name, value);
        let form = before.iter().try_fold(FormWriter::new(boundary.clone()), add)?;
        let form = form.file(Self::CONTENT_FIELD, filename, mime_type, content)?;
        let form = behind.iter().try_fold(form, add)?;
        form_request(Self::ID, Self::ID.uri(api, None, &[])?, form)
    }

    fn read(
        fields: &FormFields,
        content: Segment,
        expires_after: Option<ExpiresAfter>,
    ) -> Result<Self, DecodeError> {
        let head = fields.content();
        let purpose = fields.text("purpose").ok_or(DecodeError::Missing { field: "purpose" })?;
        let filename = head.filename.as_deref().ok_or(DecodeError::Missing { field: "filename" })?;
        filled(&[("purpose", purpose), ("filename", filename)])?;
        Ok(Self {
            purpose: purpose.into(),
            filename: filename.to_owned(),
            mime_type: head.content_type.clone().unwrap_or_default(),
            expires_after,
            content,
            boundary: fields.boundary().clone(),
        })
    }

    /// Sets [`expires_after`](#structfield.expires_after).
    #[must_use]
    pub fn expires_after(mut self, expires_after: ExpiresAfter) -> Self {
        self.expires_after = Some(expires_after);
        self
    }
}

impl Operation for CreateFile {
    const ID: OperationId = OperationId::CreateFile;
    type Response = File;

    fn encode_request(&self, api: &Api) -> Result<Request<Body>, EncodeError> {
        self.encode_around(api, self.content.clone())
    }

    fn decode_response(response: Response<Bytes>) -> Result<File, ResponseError> {
        read_response(&response)
    }

    fn contradiction(&self, file: &File) -> Option<String> {
        let (made, sent) = (file.bytes?, self.content.len());
        (made != sent)
            .then(|| format!("the service made {} with {made} bytes, and {sent} were sent", file.id))
    }

    fn decode_request(_: &Route, request: Request<Bytes>) -> Result<Self, DecodeError> {
        let (parts, body) = request.into_parts();
        let (fields, content) = decode_whole(content_type(&parts)?, body, Self::CONTENT_FIELD)?;
        // The dialect is not known here: every spelling of a field that one of them has is read.
        Self::read(&fields, Segment::Bytes(content), read_expiry(&fields)?)
    }

    /// The status follows the dialect and, on Azure's dated versions, the file's purpose: what assistants read is stored by
    /// a backend that answers as OpenAI does.
    fn encode_response(file: &File, api: &Api) -> Result<Response<Body>, EncodeError> {
        match file.purpose {
            Some(Purpose::Assistants | Purpose::AssistantsOutput) => json_response(StatusCode::OK, file),
            _ => super::created_response(Self::ID, file, api),
        }
    }
}

const BRACKETED: [&str; 2] = ["expires_after[anchor]", "expires_after[seconds]"];
/// The whole as JSON in one field, as clients send it that write every object so.
const JSON: &str = "expires_after";
const DOTTED: [&str; 2] = ["expires_after.anchor", "expires_after.seconds"];

/// OpenAI spells the two fields with brackets, Azure with dots, if it has them; where both are taken, Azure's own goes.
fn expiry_fields(dialect: &Dialect) -> Result<[&'static str; 2], EncodeError> {
    let taken = |spelling: &[&str; 2]| {
        spelling.iter().all(|field| OperationId::CreateFile.takes_field(field, dialect))
    };
    [DOTTED, BRACKETED]
        .into_iter()
        .find(taken)
        .ok_or_else(|| EncodeError::UnavailableField { field: "expires_after", dialect: dialect.clone() })
}

/// Any spelling; both members or none. Empty fields count as absent.
fn read_expiry(fields: &FormFields) -> Result<Option<ExpiresAfter>, DecodeError> {
    let text = |name| fields.text(name).filter(|text| !text.is_empty());
    let field = |index: usize| text(BRACKETED[index]).or_else(|| text(DOTTED[index]));
    let invalid = |problem| Err(DecodeError::Invalid { field: "expires_after", problem });
    match (field(0), field(1)) {
        (None, None) => text(JSON).map_or(Ok(None), read_json_expiry),
        (Some(anchor), Some(seconds)) => match seconds.parse() {
            Ok(seconds) => Ok(Some(ExpiresAfter::new(ExpiryAnchor::from(anchor), seconds))),
            Err(_) => invalid(format!("must have a whole number of seconds, and has `{}`", excerpt(seconds))),
        },
        _ => invalid("must have both an anchor and seconds".to_owned()),
    }
}

fn read_json_expiry(text: &str) -> Result<Option<ExpiresAfter>, DecodeError> {
    serde_json::from_str(text).map_err(|error| DecodeError::Invalid {
        field: JSON,
        problem: format!("must be an object with an anchor and seconds: {}", json_problem(&error)),
    })
}
