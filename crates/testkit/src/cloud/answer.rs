//! Answers, and the bodies that bring them.

use std::{io, time::SystemTime};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::body::Frame;
use tokio::task::yield_now;

use super::{bucket::Object, problem::Problem, request::Request};

/// The bytes of a body that come at once.
const FRAME: usize = 64 * 1024;

/// An answer, and how much of it arrives.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Bytes>,
    /// The bytes of its body after which the connection ends.
    pub(super) cut: Option<usize>,
}

impl Answer {
    pub(super) fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        let answer = Self { response, cut: None };
        let length = answer.response.body().len();
        answer.with(header::CONTENT_LENGTH, length.to_string())
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self::new(status, Bytes::new())
    }

    pub(super) fn xml(status: StatusCode, document: String) -> Self {
        Self::new(status, document).with(header::CONTENT_TYPE, "application/xml".to_owned())
    }

    /// Answers a request that has written an object.
    pub(super) fn written(status: StatusCode, object: &Object) -> Self {
        Self::empty(status).about(object)
    }

    /// Answers a request for an object, or for its head.
    pub(super) fn object(request: &Request, object: &Object) -> Result<Self, Problem> {
        let length = object.content.len() as u64;
        let Some(range) = request.range(length)? else {
            return Ok(Self::new(StatusCode::OK, object.content.clone()).about(object));
        };
        let part = object.content.slice(range.start as usize..range.end as usize);
        let answer = Self::new(StatusCode::PARTIAL_CONTENT, part).about(object);
        Ok(answer.with(header::CONTENT_RANGE, format!("bytes {}-{}/{length}", range.start, range.end - 1)))
    }

    pub(super) fn with(mut self, name: HeaderName, value: String) -> Self {
        self.response.headers_mut().insert(name, HeaderValue::try_from(value).unwrap());
        self
    }

    /// Leaves out the body, as for a request that asks for the head alone.
    pub(super) fn without_body(mut self) -> Self {
        *self.response.body_mut() = Bytes::new();
        self
    }

    fn about(self, object: &Object) -> Self {
        let answer = self.with(header::ETAG, object.etag());
        let answer = answer.with(header::LAST_MODIFIED, httpdate::fmt_http_date(object.written));
        answer.with(HeaderName::from_static("x-goog-generation"), object.generation.to_string())
    }

    /// Takes the answer apart into its head and the frames of its body; the last one is an error when the connection ends early.
    pub(super) fn into_frames(
        self,
    ) -> (Response<()>, impl Stream<Item = io::Result<Frame<Bytes>>> + Send + Sync) {
        let (head, body) = self.response.into_parts();
        let comes = self.cut.map_or(body.len(), |cut| cut.min(body.len()));
        let whole = body.slice(..comes);
        let frames =
            (0..comes).step_by(FRAME).map(move |at| Ok(Frame::data(whole.slice(at..comes.min(at + FRAME)))));
        let end = stream::iter(self.cut).then(|_| async {
            // Gives a connection the time to send what came before.
            yield_now().await;
            Err(io::ErrorKind::UnexpectedEof.into())
        });
        (Response::from_parts(head, ()), stream::iter(frames).chain(end))
    }
}

/// Returns a time as lists of S3 have it.
pub(super) fn iso_date(time: SystemTime) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // `Sun, 06 Nov 1994 08:49:37 GMT`
    let date = httpdate::fmt_http_date(time);
    let month = MONTHS.iter().position(|month| *month == &date[8..11]).unwrap() + 1;
    format!("{}-{month:02}-{}T{}.000Z", &date[12..16], &date[5..7], &date[17..25])
}
