//! The two sides of the wire: every dialect for a client, and a service that knows a request by its URI alone.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use partwise_protocol::{
    Api, Operation,
    error::{DecodeError, ResponseError},
    operations::{OperationId, Route},
    transport::Body,
};

/// Azure's versions at which something changes, by the documents.
const AZURE: [&str; 5] =
    ["2024-06-01", "2024-08-01-preview", "2024-10-21", "2025-03-01-preview", "2025-04-01-preview"];

/// The API in every dialect.
pub(crate) fn apis() -> Vec<Api> {
    let endpoint = "https://example.openai.azure.com";
    let dated = AZURE.map(|version| Api::azure(endpoint, version).unwrap());
    [vec![Api::openai()], dated.to_vec(), vec![Api::azure_v1(endpoint).unwrap()]].concat()
}

/// The API in every dialect that has an operation.
pub(crate) fn apis_with(operation: OperationId) -> impl Iterator<Item = Api> {
    apis().into_iter().filter(move |api| operation.available_in(api.dialect()))
}

/// A request as it reaches a service: with its bytes, and without the part of the URI that no HTTP/1.1 request has.
pub(crate) fn arrived(request: Request<Body>, source: &[u8]) -> Request<Bytes> {
    let mut request = request.map(|body| body.resolve(source).unwrap());
    *request.uri_mut() = Uri::from(request.uri().path_and_query().unwrap().clone());
    request
}

/// Where a service finds a request to lead.
pub(crate) fn route(request: &Request<Bytes>) -> Result<(Api, Route), DecodeError> {
    let api = Api::of_request("https://example.openai.azure.com", request.uri())?;
    let route = api.route(request.method(), request.uri())?;
    Ok((api, route))
}

/// What a service reads.
pub(crate) fn received<O: Operation>(request: Request<Bytes>) -> Result<O, DecodeError> {
    let (_, route) = route(&request)?;
    assert_eq!(route.operation, O::ID);
    O::decode_request(&route, request)
}

/// What a client reads.
pub(crate) fn answered<O: Operation>(response: Response<Body>) -> Result<O::Response, ResponseError> {
    O::decode_response(response.map(|body| body.into_bytes().unwrap()))
}

/// The length that a head states, if it does.
pub(crate) fn stated_length(headers: &HeaderMap) -> Option<u64> {
    Some(headers.get("content-length")?.to_str().unwrap().parse().unwrap())
}
