//! Forms, read as they arrive: their content goes straight into a blob.

use bytes::Bytes;
use http::{header, request::Parts};
use partwise_protocol::{
    error::DecodeError,
    multipart::{FieldHead, FormDecoder, FormFields, FormPoll},
};

use super::body::RequestBody;
use crate::{blob::BlobWriter, refusal::Refusal};

/// The most bytes that a form may have beside its content: its text fields, their headers, and what stands around them.
const OVERHEAD: u64 = 1024 * 1024;

/// The content of a form: the field that it is in, how large it may be, and what its header has to be.
pub(super) struct ContentField<'a> {
    pub(super) field: &'static str,
    pub(super) limit: u64,
    pub(super) check: &'a (dyn Fn(&FieldHead) -> Result<(), Refusal> + Sync),
}

/// Reads a form to its end and writes its content into `blob`, which is not finished here.
pub(super) async fn receive<N>(
    parts: &Parts,
    body: &mut RequestBody,
    content: ContentField<'_>,
    blob: &mut BlobWriter<N>,
) -> Result<FormFields, Refusal> {
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.ok_or(DecodeError::Missing { field: "Content-Type" })?;
    let mut decoder = FormDecoder::new(content_type, content.field)?;
    let too_large = || Refusal::TooLarge { what: content.field, limit: content.limit };
    let limit = content.limit.saturating_add(OVERHEAD);
    body.check_announced(limit).map_err(|_| too_large())?;
    loop {
        match decoder.poll()? {
            FormPoll::NeedInput => match next(body, blob.revoked()).await? {
                Some(_) if body.received() > limit => return Err(too_large()),
                Some(bytes) => decoder.push(bytes),
                None => decoder.finish_input(),
            },
            FormPoll::Content(bytes) => {
                if blob.total() == 0 {
                    decoder.content_head().map_or(Ok(()), content.check)?;
                }
                if blob.total() + bytes.len() as u64 > content.limit {
                    return Err(too_large());
                }
                blob.write(bytes).await?;
            }
            FormPoll::Done(_) if blob.total() == 0 => return Err(Refusal::Empty { field: content.field }),
            FormPoll::Done(fields) => {
                skip_rest(body, limit, blob).await?;
                return Ok(fields);
            }
        }
    }
}

/// The next bytes of the body, unless what came of it is held for too long.
async fn next(body: &mut RequestBody, revoked: impl Future<Output = ()>) -> Result<Option<Bytes>, Refusal> {
    tokio::select! {
        bytes = body.next() => bytes,
        () = revoked => Err(Refusal::Busy),
    }
}

/// Reads what stands behind the form, so that the connection can go on.
async fn skip_rest<N>(body: &mut RequestBody, limit: u64, blob: &mut BlobWriter<N>) -> Result<(), Refusal> {
    while next(body, blob.revoked()).await?.is_some() {
        if body.received() > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
    }
    Ok(())
}
