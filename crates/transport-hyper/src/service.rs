//! Any tower service, behind one type.

use std::{
    any::Any,
    error::Error,
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
use tower_service::Service;

use crate::{
    RequestBody,
    coding::DecodedBody,
    stack::{AnswerBody, DirectBody},
};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of an answer, whatever service it came from.
pub(crate) enum AnyBody {
    /// Of our own service.
    Own(Box<AnswerBody>),
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
        // An option, so that it can be taken out where it is of the one type; else it is still there.
        let mut body = Some(body);
        match (&mut body as &mut dyn Any).downcast_mut().and_then(Option::take) {
            Some(own) => Self::Own(Box::new(own)),
            None => {
                let boxed = body.map(|body| body.map_err(Into::into).boxed_unsync());
                Self::Other(boxed.unwrap_or_default())
            }
        }
    }

    /// The rest of the answer, to be read without HTTP in between; the same body where that cannot be.
    pub(crate) async fn direct(self) -> Result<DirectBody, Self> {
        match self {
            Self::Own(own) => own.direct().await.map_err(|own| Self::Own(Box::new(own))),
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
            Self::Own(own) => Pin::new(own).poll_frame(cx).map_err(Into::into),
            Self::Other(other) => Pin::new(other).poll_frame(cx),
            Self::Decoded(decoded) => Pin::new(decoded).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(own) => own.is_end_stream(),
            Self::Other(other) => other.is_end_stream(),
            Self::Decoded(decoded) => decoded.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(own) => own.size_hint(),
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
                Ok(response.map(AnyBody::new))
            })
        }))
    }

    pub(crate) async fn call(&self, request: Request<RequestBody>) -> Result<Response<AnyBody>, BoxError> {
        (self.0)(request).await
    }
}
