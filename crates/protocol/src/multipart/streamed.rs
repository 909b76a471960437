//! A form whose content has no length that is known beforehand.

use bytes::Bytes;
use http::{Request, header};

use crate::transport::{Body, Segment};

/// A request with a form whose content streams through, of whatever length: for gateways, which do not know how long the content
/// is that they pass on. The service has to take a body without a `Content-Length`.
///
/// ```
/// use partwise_protocol::{
///     Api, Operation,
///     multipart::{Boundary, StreamedForm},
///     operations::AddUploadPart,
///     transport::SourceRange,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The range stands for the content, whatever its length.
/// let part = AddUploadPart::new("upload_1", SourceRange::new(0, 1), Boundary::from_entropy([7; 16]));
/// let form = StreamedForm::of(part.encode_request(&Api::openai())?).expect("it has content");
/// assert!(!form.request.headers().contains_key("content-length"));
/// // The body: form.before, then the content as it comes, then form.after.
/// assert!(form.before.starts_with(b"--"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamedForm {
    /// The request without its body, and without a length.
    pub request: Request<()>,
    /// The bytes before the content.
    pub before: Bytes,
    /// The bytes behind the content.
    pub after: Bytes,
}

impl StreamedForm {
    /// Takes a request apart around the one range of a source in its body, which stands for the content; `None` when there is not
    /// exactly one.
    #[must_use]
    pub fn of(request: Request<Body>) -> Option<Self> {
        let (mut head, body) = request.into_parts();
        let segments = body.into_segments();
        let content = segments.iter().position(|segment| matches!(segment, Segment::Source(_)))?;
        let (before, after) = (joined(&segments[..content])?, joined(&segments[content + 1..])?);
        head.headers.remove(header::CONTENT_LENGTH);
        Some(Self { request: Request::from_parts(head, ()), before, after })
    }
}

/// The bytes of these segments; `None` when one of them is no bytes.
fn joined(segments: &[Segment]) -> Option<Bytes> {
    let bytes = segments.iter().map(|segment| match segment {
        Segment::Bytes(bytes) => Some(bytes.as_ref()),
        Segment::Source(_) => None,
    });
    Some(bytes.collect::<Option<Vec<_>>>()?.concat().into())
}
