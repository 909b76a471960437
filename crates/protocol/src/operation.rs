//! What all ten operations have in common: four functions, two for each side of the wire.

use std::fmt;

use bytes::Bytes;
use http::{Request, Response};

use crate::{
    Api,
    api::escape,
    error::{DecodeError, EncodeError, ResponseError},
    operations::{OperationId, PathPart, Route},
    transport::Body,
};

/// What sending a request twice can do.
///
/// ```
/// use partwise_protocol::{operations::OperationId, transport::Repeat};
///
/// assert_eq!(OperationId::RetrieveFile.repeat(), Repeat::Harmless);
/// assert_eq!(OperationId::AddUploadPart.repeat(), Repeat::Orphans);
/// assert_eq!(OperationId::CreateFile.repeat(), Repeat::Ambiguous);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a driver that ignores one is wrong")]
pub enum Repeat {
    /// Nothing: the second one finds the first one's result, or reads only.
    Harmless,
    /// Something is left over that nobody names and that goes away by itself: an upload or a part.
    Orphans,
    /// A second file can come into being, or the second one is refused because the first one succeeded: a request whose
    /// fate is unknown must not be repeated blindly.
    Ambiguous,
}

/// One operation of the API, in both directions.
///
/// Bodies are whole bytes here. Where content streams, these functions handle what stands around it:
/// [`CreateFile`](crate::operations::CreateFile) and [`AddUploadPart`](crate::operations::AddUploadPart) name their content as a
/// [`Segment`](crate::transport::Segment), and the answer of [`DownloadFile`](crate::operations::DownloadFile) is a head alone.
///
/// Round trip: `decode_request(encode_request(x))` gives `x` again when the body is resolved to bytes.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use partwise_protocol::{Api, Operation, operations::DeleteFile, transport::Body};
///
/// /// Executes any operation by a function that sends requests.
/// fn call<O: Operation>(
///     api: &Api,
///     operation: &O,
///     send: impl FnOnce(Request<Body>) -> Response<Bytes>,
/// ) -> Result<O::Response, Box<dyn std::error::Error>> {
///     let answer = O::decode_response(send(operation.encode_request(api)?))?;
///     match operation.contradiction(&answer) {
///         Some(contradiction) => Err(contradiction.into()),
///         None => Ok(answer),
///     }
/// }
///
/// let gone = call(&Api::openai(), &DeleteFile::new("file-1"), |request| {
///     assert_eq!((request.method().as_str(), request.uri().path()), ("DELETE", "/v1/files/file-1"));
///     Response::new(Bytes::from_static(br#"{"id": "file-1", "object": "file", "deleted": true}"#))
/// })?;
/// assert_eq!(gone.and_then(|gone| gone.deleted), Some(true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Operation: Sized {
    /// Which operation this is: its method, path, success status and repeat class stand in the contract's table.
    const ID: OperationId;

    /// What a success answers.
    type Response;

    /// The request as a client sends it, without a credential: that is
    /// [applied](crate::Credential::apply) on every attempt.
    ///
    /// # Errors
    /// [`EncodeError`] when the input cannot go on the wire or the dialect does not have it.
    fn encode_request(&self, api: &Api) -> Result<Request<Body>, EncodeError>;

    /// Reads an answer, as a client does.
    ///
    /// # Errors
    /// [`ResponseError::Rejected`] for any status but a success, [`ResponseError::Garbled`] when a success cannot be read.
    fn decode_response(response: Response<Bytes>) -> Result<Self::Response, ResponseError>;

    /// Says why a success that was read cannot be the answer to this request, if it cannot: a file of another size than was
    /// sent, for instance. Whoever decodes an answer should ask, as a client does before it reports a success.
    fn contradiction(&self, response: &Self::Response) -> Option<String> {
        let _ = response;
        None
    }

    /// Reads a request that [`Api::route`] found to be this operation, as a service does.
    ///
    /// # Errors
    /// [`DecodeError`], which says what is wrong for the caller to read.
    fn decode_request(route: &Route, request: Request<Bytes>) -> Result<Self, DecodeError>;

    /// The answer of a success in the dialect's shape, as a service sends it.
    ///
    /// # Errors
    /// [`EncodeError`] when a value cannot go on the wire.
    fn encode_response(response: &Self::Response, api: &Api) -> Result<Response<Body>, EncodeError>;
}

impl OperationId {
    /// The absolute URI of this operation, with `id` in its path.
    ///
    /// Refuses an operation that the dialect does not have, and an identifier that would change the path.
    pub(crate) fn uri(
        self,
        api: &Api,
        id: Option<&str>,
        query: &[(&str, &str)],
    ) -> Result<http::Uri, EncodeError> {
        if !self.available_in(api.dialect()) {
            return Err(EncodeError::Unavailable { operation: self, dialect: api.dialect().clone() });
        }
        let Some(id) = id else { return api.uri(self.path(), query) };
        if matches!(id, "" | "." | "..") {
            return Err(EncodeError::Id { id: id.to_owned() });
        }
        let mut path = String::new();
        for part in self.path_parts() {
            path.push('/');
            match part {
                PathPart::Literal(literal) => path.push_str(literal),
                PathPart::Id => path.extend(escape(id)),
            }
        }
        api.uri(&path, query)
    }
}

/// Speaks to people: method and path template, such as `POST /uploads/{upload_id}/parts`.
impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.path())
    }
}

/// The identifier that [`Api::route`] found in the path.
pub(crate) fn id_of(route: &Route, field: &'static str) -> Result<String, DecodeError> {
    route.id.clone().ok_or(DecodeError::Missing { field })
}
