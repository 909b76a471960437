//! `POST /uploads/{upload_id}/complete`: makes a file of the parts.

use bytes::Bytes;
use http::{Request, Response};
use memchr::memmem;
use partwise_models::{CompleteUploadRequest, Upload};
use serde::ser::Error as _;

use crate::{
    Api, Operation,
    error::{DecodeError, EncodeError, ResponseError},
    json::{json_request, json_response, json_text_request, read_response},
    operation::id_of,
    operations::{OperationId, Route},
    transport::Body,
};

/// Completes an upload: the parts named, in the order named, become a file, which the answer holds.
///
/// ```
/// use partwise_models::CompleteUploadRequest;
/// use partwise_protocol::{Api, Operation, operations::CompleteUpload};
///
/// let parts = vec!["part_1".to_owned(), "part_2".to_owned()];
/// let request = CompleteUpload::new("upload_1", CompleteUploadRequest::new(parts)).encode_request(&Api::openai())?;
/// assert_eq!(request.uri().path(), "/v1/uploads/upload_1/complete");
/// assert_eq!(request.into_body().into_bytes().unwrap(), r#"{"part_ids":["part_1","part_2"]}"#);
/// # Ok::<(), partwise_protocol::error::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompleteUpload {
    /// The upload's identifier.
    pub upload_id: String,
    /// The body. Azure's own sample names parts by `azure_block_id`; working clients send their `id`.
    pub request: CompleteUploadRequest,
}

impl CompleteUpload {
    /// Completes the upload as the request says.
    #[must_use]
    pub fn new(upload_id: impl Into<String>, request: CompleteUploadRequest) -> Self {
        Self { upload_id: upload_id.into(), request }
    }

    /// The same request, whose body shares the bytes of the parts' identifiers: `part_ids` is what stands between the
    /// brackets of their JSON list, in pieces to be joined by commas.
    pub(crate) fn encode_from_json<'a>(
        api: &Api,
        upload_id: &str,
        part_ids: impl Iterator<Item = &'a Bytes>,
        md5: Option<String>,
    ) -> Result<Request<Body>, EncodeError> {
        let mut around = CompleteUploadRequest::new(Vec::new());
        around.md5 = md5;
        let around = Bytes::from(serde_json::to_vec(&around).map_err(EncodeError::Json)?);
        // They come before anything that could have brackets of its own.
        let Some(brackets) = memmem::find(&around, b"[]") else {
            return Err(EncodeError::Json(serde_json::Error::custom("an empty list is not written as `[]`")));
        };
        let mut pieces = vec![around.slice(..=brackets)];
        for (number, ids) in part_ids.enumerate() {
            if number > 0 {
                pieces.push(Bytes::from_static(b","));
            }
            pieces.push(ids.clone());
        }
        pieces.push(around.slice(brackets + 1..));
        let uri = Self::ID.uri(api, Some(upload_id), &[])?;
        Ok(json_text_request(Self::ID.method(), uri, Body::of_bytes(pieces)))
    }
}

impl Operation for CompleteUpload {
    const ID: OperationId = OperationId::CompleteUpload;
    type Response = Upload;

    fn encode_request(&self, api: &Api) -> Result<Request<Body>, EncodeError> {
        json_request(Self::ID.method(), Self::ID.uri(api, Some(&self.upload_id), &[])?, &self.request)
    }

    fn decode_response(response: Response<Bytes>) -> Result<Upload, ResponseError> {
        read_response(&response)
    }

    /// Within the limits of [`read_parts`](Self::read_parts), which a service should call instead when it need not keep
    /// the names.
    fn decode_request(route: &Route, request: Request<Bytes>) -> Result<Self, DecodeError> {
        let upload_id = id_of(route, "upload_id")?;
        let mut part_ids = Vec::new();
        let md5 = Self::read_parts(request.body(), |id| {
            part_ids.push(id.to_owned());
            Ok::<_, DecodeError>(())
        })?;
        let mut request = CompleteUploadRequest::new(part_ids);
        request.md5 = md5;
        Ok(Self { upload_id, request })
    }

    fn encode_response(upload: &Upload, api: &Api) -> Result<Response<Body>, EncodeError> {
        json_response(Self::ID.success(api.dialect()), upload)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transport::Segment;

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter),
            Just("[]".to_owned())
        ]
    }

    #[test]
    fn the_body_shares_the_bytes_of_the_identifiers() {
        let ids = [Bytes::from(r#""a","b""#.to_owned()), Bytes::from(r#""c""#.to_owned())];
        let request = CompleteUpload::encode_from_json(&Api::openai(), "upload_1", ids.iter(), None).unwrap();
        let shared = request.body().segments().iter().filter(|segment| match segment {
            Segment::Bytes(bytes) => ids.iter().any(|ids| ids.as_ptr() == bytes.as_ptr()),
            Segment::Source(_) => false,
        });
        assert_eq!(shared.count(), ids.len());
    }

    proptest! {
        #[test]
        fn identifiers_that_are_json_already_make_the_same_request(
            blocks in prop::collection::vec(prop::collection::vec(text(), 1..5), 0..5),
            md5 in prop::option::of(text()),
        ) {
            let api = Api::openai();
            let mut request = CompleteUploadRequest::new(blocks.concat());
            request.md5.clone_from(&md5);
            let whole = CompleteUpload::new("upload_1", request).encode_request(&api).unwrap();
            let lists = blocks.iter().map(|ids| Bytes::from(serde_json::to_vec(ids).unwrap()));
            let pieces: Vec<_> = lists.map(|list| list.slice(1..list.len() - 1)).collect();
            let made = CompleteUpload::encode_from_json(&api, "upload_1", pieces.iter(), md5).unwrap();
            prop_assert_eq!((made.method(), made.uri()), (whole.method(), whole.uri()));
            prop_assert_eq!(made.headers(), whole.headers());
            prop_assert_eq!(made.body().resolve(&[]).unwrap(), whole.body().resolve(&[]).unwrap());
        }
    }
}
