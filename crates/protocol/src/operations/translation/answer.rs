//! The way back: answers of the service as the caller's dialect has them.

use bytes::Bytes;
use http::{Response, StatusCode};
use partwise_models::{DeletedFile, TypeDiscriminator};

use super::Translation;
use crate::{
    Api, Operation,
    error::{ApiError, EncodeError, ResponseError, request_id, request_id_header},
    json::insert,
    operations::{
        AddUploadPart, CancelUpload, CompleteUpload, CreateFile, CreateUpload, DeleteFile, DownloadFile,
        ImportFile, ListFiles, OperationId, RetrieveFile,
    },
    transport::Body,
};

impl Translation {
    /// The service's answer as the caller's dialect has it, whatever it was; an answer that none of this API is becomes a 502. Of one
    /// with [content](Self::is_content) the head is translated, and its body is left empty. No more of a body needs to be read than
    /// [`OperationId::answer_limit`].
    #[must_use]
    pub fn answer(&self, response: Response<Bytes>) -> Response<Body> {
        let id = request_id(response.headers());
        let translated = match self.route.operation {
            OperationId::ListFiles => self.listed(response),
            OperationId::CreateFile => again::<CreateFile>(response, &self.from),
            OperationId::ImportFile => again::<ImportFile>(response, &self.from),
            OperationId::RetrieveFile => again::<RetrieveFile>(response, &self.from),
            OperationId::DeleteFile => self.deleted(response),
            OperationId::DownloadFile => again::<DownloadFile>(response, &self.from),
            OperationId::CreateUpload => again::<CreateUpload>(response, &self.from),
            OperationId::AddUploadPart => again::<AddUploadPart>(response, &self.from),
            OperationId::CompleteUpload => again::<CompleteUpload>(response, &self.from),
            OperationId::CancelUpload => again::<CancelUpload>(response, &self.from),
        };
        match translated {
            Ok(mut response) => {
                if let Some(id) = id {
                    // One that came in a header can stand in one.
                    let _ = insert(response.headers_mut(), request_id_header(self.from.dialect()), &id);
                }
                response
            }
            Err(error) => self.rejection(*error),
        }
    }

    /// The answer to a request that does not pass, or that the service rejects: for a [`TranslateError`](super::TranslateError), and
    /// for failures of the gateway's own.
    #[must_use]
    pub fn rejection(&self, error: impl Into<ApiError>) -> Response<Body> {
        let mut error = error.into();
        if !(error.status.is_client_error() || error.status.is_server_error()) {
            // A redirect of the service is for the gateway and not for its caller.
            error = bad_gateway(format!("the service answered with status {}", error.status.as_u16()));
        }
        error.error.param = error.error.param.take().or_else(|| error.error.target.take());
        error.encode_response(&self.from).unwrap_or_else(|_| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = error.status;
            response
        })
    }

    /// The page that was asked for, of a service that has only whole lists.
    fn listed(&self, response: Response<Bytes>) -> Result<Response<Body>, Box<ApiError>> {
        let mut list = ListFiles::decode_response(response).map_err(rejected)?;
        if let Some(page) = &self.page {
            list = page.page_of(list).map_err(ApiError::from)?;
        }
        ListFiles::encode_response(&list, &self.from).map_err(not_encoded)
    }

    /// A success that came without a body has one where the caller's dialect always does.
    fn deleted(&self, response: Response<Bytes>) -> Result<Response<Body>, Box<ApiError>> {
        let deleted = DeleteFile::decode_response(response).map_err(rejected)?;
        let deleted = deleted.or_else(|| {
            let mut deleted = DeletedFile::new(self.route.id.clone()?);
            deleted.object = Some(TypeDiscriminator::File);
            deleted.deleted = Some(true);
            Some(deleted)
        });
        DeleteFile::encode_response(&deleted, &self.from).map_err(not_encoded)
    }
}

fn again<O: Operation>(response: Response<Bytes>, from: &Api) -> Result<Response<Body>, Box<ApiError>> {
    let answer = O::decode_response(response).map_err(rejected)?;
    O::encode_response(&answer, from).map_err(not_encoded)
}

fn rejected(error: ResponseError) -> Box<ApiError> {
    match error {
        ResponseError::Rejected(error) => error,
        ResponseError::Garbled(garbled) => Box::new(bad_gateway(garbled.to_string())),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
fn not_encoded(error: EncodeError) -> Box<ApiError> {
    Box::new(bad_gateway(error.to_string()))
}

fn bad_gateway(text: String) -> ApiError {
    ApiError::new(StatusCode::BAD_GATEWAY, text)
}
