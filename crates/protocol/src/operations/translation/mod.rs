//! A request's way through a gateway, from the dialect of its caller to that of the service and back.

mod answer;
mod error;
mod form;

use std::{collections::VecDeque, mem};

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode, request::Parts};

pub use self::error::TranslateError;
use self::form::FormTranslation;
use super::{AnyOperation, ListFiles, OperationId, Route};
use crate::{
    Api,
    error::DecodeError,
    transport::{Body, Segment},
};

/// One request's way through a gateway: it comes in as one dialect has it and goes out as another, and so does its answer on the way
/// back.
///
/// Content streams through as it comes: of a part or a file, no more is kept than the fields around it, 64 KiB at most. Other bodies
/// are kept as a whole: up to 32 MiB of a completion, 1 MiB where an upload is created or a file imported, and 64 KiB elsewhere. A
/// gateway pushes the body of the request that came in, and does what [`poll`](Self::poll) says; it hands the service's answer to
/// [`answer`](Self::answer).
///
/// Where the caller's dialect lists files in pages and the service's does not, the service is asked for its whole list, and the
/// answer is the page of it that was asked for: see [`ListFiles::page_of`].
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use partwise_protocol::{
///     Api, Dialect,
///     operations::{Translation, TranslationStep},
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let gateway = Api::with_base("https://gateway.example/v1", Dialect::OpenAi)?;
/// let azure = Api::azure("https://example.openai.azure.com", "2024-06-01")?;
/// let (head, ()) = Request::delete("/v1/files/file-1").body(())?.into_parts();
/// let entropy = [7; 16]; // of a secure random source, new for each request
/// let mut translation = Translation::new(gateway, azure, head, entropy)?;
/// translation.finish_input();
/// let TranslationStep::Request(request) = translation.poll()? else { unreachable!("it has no body") };
/// assert_eq!(request.uri(), "https://example.openai.azure.com/openai/files/file-1?api-version=2024-06-01");
/// assert!(matches!(translation.poll()?, TranslationStep::Done));
///
/// // This version of Azure answers without a body, which no client of OpenAI would understand.
/// let answer = translation.answer(Response::builder().status(204).body(Bytes::new())?);
/// assert_eq!(answer.status(), 200);
/// assert_eq!(answer.into_body().into_bytes().unwrap(), r#"{"id":"file-1","object":"file","deleted":true}"#);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Translation {
    from: Api,
    to: Api,
    route: Route,
    reading: Reading,
    entropy: [u8; 16],
    /// The list that the caller has asked for, of a service that has no pages.
    page: Option<ListFiles>,
    /// What is to be done before more is read.
    steps: VecDeque<TranslationStep>,
}

/// What to do next for a request that passes through.
///
/// ```
/// use bytes::Bytes;
/// use http::Request;
/// use partwise_protocol::operations::{TranslateError, Translation, TranslationStep};
///
/// /// Sends all that can be sent by now; returns `true` when the request is complete.
/// fn advance(
///     translation: &mut Translation,
///     mut send_head: impl FnMut(Request<()>),
///     mut send: impl FnMut(Bytes),
/// ) -> Result<bool, TranslateError> {
///     loop {
///         match translation.poll()? {
///             TranslationStep::NeedInput => return Ok(false),
///             TranslationStep::Request(head) => send_head(head),
///             TranslationStep::Body(bytes) => send(bytes),
///             TranslationStep::Done => return Ok(true),
///         }
///     }
/// }
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a gateway that ignores one sends something else")]
pub enum TranslationStep {
    /// Push more of the body that comes in, or say that it is complete.
    NeedInput,
    /// Send the head of this request, after the credential was applied. Where it states no length, its body has none that is known.
    Request(Request<()>),
    /// Send these bytes of its body, never empty.
    Body(Bytes),
    /// The body is complete.
    Done,
}

#[derive(Debug)]
enum Reading {
    /// The body is kept until it is complete.
    Whole {
        head: Box<Parts>,
        body: BytesMut,
    },
    /// It is; kept until it has become a request, which it never does when it cannot be read.
    Complete {
        head: Box<Parts>,
        body: Bytes,
    },
    Form(Box<FormTranslation>),
    /// A body that was kept has become a request.
    Done,
}

impl Translation {
    /// A request to a gateway that is known as `from`, for the service `to`. Only the path of the request's URI is looked at, and
    /// must be below that of `from`. The boundary of a form that goes out is made of `entropy`: it has to be unpredictable, and new for
    /// each request, or callers could write fields of their own into the form.
    ///
    /// # Errors
    /// [`DecodeError`] when the request belongs to no operation, or has no form where one is needed.
    pub fn new(from: Api, to: Api, head: Parts, entropy: [u8; 16]) -> Result<Self, DecodeError> {
        let route = from.route(&head.method, &head.uri)?;
        let reading = match FormTranslation::new(&route, &head, entropy)? {
            Some(form) => Reading::Form(Box::new(form)),
            None => Reading::Whole { head: Box::new(head), body: BytesMut::new() },
        };
        Ok(Self { from, to, route, reading, entropy, page: None, steps: VecDeque::new() })
    }

    /// The operation that is asked for.
    #[must_use]
    pub fn operation(&self) -> OperationId {
        self.route.operation
    }

    /// Takes the next bytes of the body that comes in.
    pub fn push(&mut self, bytes: Bytes) {
        match &mut self.reading {
            Reading::Form(form) => form.push(bytes),
            // What is too long is not kept; one byte more says so.
            Reading::Whole { body, .. } => {
                let room = (body_limit(self.route.operation) + 1).saturating_sub(body.len());
                body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Reading::Complete { .. } | Reading::Done => {}
        }
    }

    /// Says that the body that comes in is complete.
    pub fn finish_input(&mut self) {
        match &mut self.reading {
            Reading::Form(form) => form.finish_input(),
            Reading::Whole { head, body } => {
                let head = mem::replace(head, Box::new(Request::new(()).into_parts().0));
                self.reading = Reading::Complete { head, body: mem::take(body).freeze() };
            }
            Reading::Complete { .. } | Reading::Done => {}
        }
    }

    /// Says what to do next.
    ///
    /// # Errors
    /// [`TranslateError`] when the request cannot be read, or asks for what the service's dialect does not have. Each
    /// later call returns it again, so it is never [`Done`](TranslationStep::Done) then; a request that was begun must be broken off,
    /// so that the service does not take it for complete.
    pub fn poll(&mut self) -> Result<TranslationStep, TranslateError> {
        if let Some(step) = self.steps.pop_front() {
            return Ok(step);
        }
        match &mut self.reading {
            Reading::Done => return Ok(TranslationStep::Done),
            Reading::Form(form) => form.poll(&self.route, &self.from, &self.to, &mut self.steps)?,
            Reading::Whole { body, .. } => check_length(self.route.operation, body.len())?,
            Reading::Complete { head, body } => {
                let request = Request::from_parts((**head).clone(), body.clone());
                check_length(self.route.operation, request.body().len())?;
                self.pass_on(request)?;
                self.reading = Reading::Done;
            }
        }
        Ok(self.steps.pop_front().unwrap_or(TranslationStep::NeedInput))
    }

    /// Plans to send a request whose body is in memory.
    fn pass_on(&mut self, request: Request<Bytes>) -> Result<(), TranslateError> {
        let operation = AnyOperation::decode(&self.route, request)?;
        self.steps.extend(steps_of(operation.encode_request(&self.to, self.entropy)?));
        let is_paged = |api: &Api| ListFiles::has_pages(api.dialect());
        self.page = match operation {
            AnyOperation::ListFiles(list) if is_paged(&self.from) && !is_paged(&self.to) => Some(list),
            _ => None,
        };
        Ok(())
    }

    /// Returns `true` if an answer with this status has content as its body, which passes as it is: what
    /// [`answer`](Self::answer) makes of its head is the head of that.
    #[must_use]
    pub fn is_content(&self, status: StatusCode) -> bool {
        self.route.operation == OperationId::DownloadFile && status.is_success()
    }
}

/// The most bytes of a body that is kept. Nobody is authorized yet when it comes, so only a completion, which may name as many parts
/// as a service takes, gets much.
fn body_limit(operation: OperationId) -> usize {
    match operation {
        OperationId::CompleteUpload => 32 << 20,
        OperationId::CreateUpload | OperationId::ImportFile => 1 << 20,
        _ => 64 << 10,
    }
}

fn check_length(operation: OperationId, length: usize) -> Result<(), TranslateError> {
    let limit = body_limit(operation);
    if length > limit { Err(TranslateError::TooLong { limit }) } else { Ok(()) }
}

/// A request with a body in memory.
fn steps_of(request: Request<Body>) -> Vec<TranslationStep> {
    let (head, body) = request.into_parts();
    let pieces = body.into_segments().into_iter().filter_map(|segment| match segment {
        Segment::Bytes(bytes) => Some(TranslationStep::Body(bytes)),
        // Nothing that was read from bytes names a source.
        Segment::Source(_) => None,
    });
    let mut steps = vec![TranslationStep::Request(Request::from_parts(head, ()))];
    steps.extend(pieces);
    steps.push(TranslationStep::Done);
    steps
}
