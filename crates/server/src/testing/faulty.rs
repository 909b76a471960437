use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use partwise_protocol::{Api, error::ApiError};
use tower_service::Service;

use super::{BoxError, Fault, Faults, FaultyBody, ended};

/// A service with [`Faults`].
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Empty;
/// use partwise_protocol::operations::OperationId;
/// use partwise_server::{
///     Keys, Server, Store,
///     testing::{Fault, Faults},
/// };
/// use tower_service::Service as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let faults = Faults::new();
/// faults.on(OperationId::ListFiles).nth(1, Fault::Drop);
/// let mut service = faults.around(Server::builder(Store::memory()).keys(Keys::any()).build().await?);
/// let list =
///     || http::Request::get("/v1/files").header("authorization", "Bearer key").body(Empty::<Bytes>::new());
/// assert!(service.call(list()?).await.is_err());
/// assert_eq!(service.call(list()?).await?.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    service: S,
    faults: Faults,
}

impl<S> Faulty<S> {
    pub(super) fn new(service: S, faults: Faults) -> Self {
        Self { service, faults }
    }
}

impl<S, B, R> Service<Request<B>> for Faulty<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<FaultyBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was asked whether it is ready is the one that is called.
        let next = self.service.clone();
        let mut service = std::mem::replace(&mut self.service, next);
        let faults = self.faults.clone();
        Box::pin(async move {
            let api = Api::of_request("http://localhost", request.uri()).unwrap_or_else(|_| Api::openai());
            let route = api.route(request.method(), request.uri());
            let (head, body) = request.into_parts();
            let fault = faults.of(route.ok().map(|route| route.operation), &head);
            match &fault {
                Some(Fault::Drop) => return Err(ended()),
                Some(Fault::Answer(rejection)) => return answer(&api, rejection, body).await,
                Some(Fault::Stall) => return std::future::pending().await,
                Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
                Some(Fault::LoseAnswer | Fault::Truncate(_) | Fault::StallAnswer) | None => {}
            }
            faults.lock().executed += 1;
            let response = service.call(Request::from_parts(head, body)).await.map_err(Into::into)?;
            match fault {
                Some(Fault::LoseAnswer) => Err(ended()),
                Some(Fault::StallAnswer) => std::future::pending().await,
                Some(Fault::Truncate(bytes)) => Ok(response.map(|body| FaultyBody::of(body, Some(bytes)))),
                _ => Ok(response.map(|body| FaultyBody::of(body, None))),
            }
        })
    }
}

/// The rejection, once the request was read to its end.
async fn answer<B>(api: &Api, rejection: &ApiError, body: B) -> Result<Response<FaultyBody>, BoxError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut body = Box::pin(body);
    while let Some(frame) = body.frame().await {
        frame.map_err(Into::into)?;
    }
    let response = rejection.encode_response(api)?;
    Ok(response.map(|body| FaultyBody::of(Full::new(body.into_bytes().unwrap_or_default()), None)))
}
