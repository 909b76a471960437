//! A form whose content has no length that is known beforehand.

use bytes::{Bytes, BytesMut};
use http::{Request, header};

use crate::transport::{Body, Segment, SourceRange};

/// A request with a form whose content streams through, of whatever length: for gateways, which do not know how long the content
/// is that they pass on. The service has to take a body without a `Content-Length`.
///
/// [`CreateFile::encode_streamed`](crate::operations::CreateFile::encode_streamed) and
/// [`AddUploadPart::encode_streamed`](crate::operations::AddUploadPart::encode_streamed) make it.
///
/// ```
/// use bytes::Bytes;
/// use partwise_protocol::{
///     Api,
///     multipart::Boundary,
///     operations::AddUploadPart,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The content is not in memory.
/// let part = AddUploadPart::new("upload_1", Bytes::new(), Boundary::from_entropy([7; 16]));
/// let form = part.encode_streamed(&Api::openai())?;
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
    /// Makes the request of a form around this content, and takes it apart there.
    pub(crate) fn around<E>(encode: impl FnOnce(Segment) -> Result<Request<Body>, E>) -> Result<Self, E> {
        // A range that is not empty, since empty ones are left out of a body.
        let (mut head, body) = encode(SourceRange::new(0, 1).into())?.into_parts();
        let (mut before, mut after) = (BytesMut::new(), BytesMut::new());
        let mut is_behind = false;
        for segment in body.into_segments() {
            match segment {
                Segment::Bytes(bytes) if is_behind => after.extend_from_slice(&bytes),
                Segment::Bytes(bytes) => before.extend_from_slice(&bytes),
                Segment::Source(_) => is_behind = true,
            }
        }
        head.headers.remove(header::CONTENT_LENGTH);
        Ok(Self { request: Request::from_parts(head, ()), before: before.freeze(), after: after.freeze() })
    }
}
