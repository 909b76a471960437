//! Any tower service, behind one type.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use partwise_net::{
    BoxError,
    answer::{AnyDirectBody, DirectRead, ReadsDirectly},
};
use tower_service::Service;

use crate::{RequestBody, decoded::DecodedBody};

/// The body of an answer, whatever service it came from.
pub(crate) enum AnyBody {
    /// One that may be read without HTTP in between.
    Direct(Box<dyn AnyDirectBody>),
    Other(UnsyncBoxBody<Bytes, BoxError>),
    /// Decoded while it comes.
    Decoded(Box<DecodedBody>),
}

impl AnyBody {
    pub(crate) fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::Other(body.map_err(Into::into).boxed_unsync())
    }

    /// The answer with a body whose type is forgotten.
    fn of<B>(answer: Response<B>) -> Response<Self>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut head, body) = answer.into_parts();
        let body = match head.extensions.remove::<ReadsDirectly<B>>() {
            Some(direct) => Self::Direct(direct.erase(body)),
            None => Self::new(body),
        };
        Response::from_parts(head, body)
    }

    /// The rest of the answer, to be read without HTTP in between; the same body where that cannot be.
    pub(crate) async fn direct(self) -> Result<Box<dyn DirectRead>, Self> {
        match self {
            Self::Direct(body) => body.direct().await.map_err(Self::Direct),
            other => Err(other),
        }
    }
}

impl Body for AnyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Direct(body) => Pin::new(body).poll_frame(cx),
            Self::Other(other) => Pin::new(other).poll_frame(cx),
            Self::Decoded(decoded) => Pin::new(decoded).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Direct(body) => body.is_end_stream(),
            Self::Other(other) => other.is_end_stream(),
            Self::Decoded(decoded) => decoded.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Direct(body) => body.size_hint(),
            Self::Other(other) => other.size_hint(),
            Self::Decoded(decoded) => decoded.size_hint(),
        }
    }
}

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
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Arc::new(move |request| {
            // One clone a request: readiness belongs to the clone that was asked for it.
            let mut service = service.clone();
            Box::pin(async move {
                poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
                let response = service.call(request).await.map_err(Into::into)?;
                Ok(AnyBody::of(response))
            })
        }))
    }

    pub(crate) async fn call(&self, request: Request<RequestBody>) -> Result<Response<AnyBody>, BoxError> {
        (self.0)(request).await
    }
}
