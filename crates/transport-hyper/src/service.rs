//! Any tower service, behind one type.

use std::{error::Error, future::poll_fn, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tower_service::Service;

use crate::RequestBody;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of an answer, whatever service it came from.
pub(crate) type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

/// A service whose type is forgotten. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AnyService(Arc<Call>);

type Call =
    dyn Fn(Request<RequestBody>) -> BoxFuture<'static, Result<Response<AnyBody>, BoxError>> + Send + Sync;

impl AnyService {
    pub(crate) fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Arc::new(move |request| {
            // One clone a request: readiness belongs to the clone that was asked for it.
            let mut service = service.clone();
            Box::pin(async move {
                poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
                let response = service.call(request).await.map_err(Into::into)?;
                Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
            })
        }))
    }

    pub(crate) async fn call(&self, request: Request<RequestBody>) -> Result<Response<AnyBody>, BoxError> {
        (self.0)(request).await
    }
}
