//! The server as a service: from an HTTP request to its answer.

mod body;
mod codings;
mod drain;
mod form;
mod head;
mod host;
mod list;
mod log_lines;
mod operations;

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use http_body::Body;
use partwise_protocol::Api;
use tower_service::Service;
use tracing::Instrument as _;

pub(crate) use self::body::Portion;
pub use self::body::{BrokenContent, ResponseBody};
use self::{
    body::{BoxError, RequestBody},
    head::Head,
    log_lines::Failed,
};
pub(crate) use self::{head::REQUEST_ID, host::Arrival, log_lines::LogLines};
use crate::{Server, local::NotThere, refusal::Refusal, store::StoreError};

impl<B> Service<Request<B>> for Server
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = self.clone();
        let (parts, body) = request.into_parts();
        // A request is served even without a number.
        let head = Head::new(parts, server.backend().random().unwrap_or_default());
        let span = tracing::info_span!("request", id = %head.id(), method = %head.parts.method, path = head.parts.uri.path());
        Box::pin(
            async move { Ok(server.answer(&head, RequestBody::new(body, server.limits())).await) }
                .instrument(span),
        )
    }
}

impl Server {
    async fn answer(&self, head: &Head, mut body: RequestBody) -> Response<ResponseBody> {
        let (api, answer) = match Api::of_request(&head.origin(), &head.parts.uri) {
            Ok(api) => {
                let answer = match self.check_host(&head.parts) {
                    Ok(()) => self.operate(&api, &head.parts, &mut body).await,
                    Err(refusal) => Err(refusal),
                };
                (api, answer)
            }
            Err(error) => {
                let refusal = self.check_host(&head.parts).err().unwrap_or_else(|| error.into());
                (head.api_of_unknown_path(), Err(refusal))
            }
        };
        if matches!(answer, Err(Refusal::WrongKey)) {
            self.rejections().note(head.parts.extensions.get().copied()).await;
        }
        let mut response = match answer {
            Ok(response) => response,
            Err(refusal) => {
                self.log(&refusal, head, &api);
                refuse(refusal, &api)
            }
        };
        head.finish(&api, &mut response);
        let (status, received) = (response.status().as_u16(), body.received());
        tracing::info!(status, received, "answered");
        drain::drain(body, head, &mut response);
        response
    }
}

impl Server {
    fn check_host(&self, parts: &Parts) -> Result<(), Refusal> {
        let arrival = parts.extensions.get::<Arrival>();
        if arrival.is_some() {
            host::check_count(parts)?;
        }
        let is_on_loopback = arrival.is_some_and(|arrival| arrival.is_on_loopback);
        let refusal = if self.takes_loopback_hosts_only() {
            Refusal::HostOfNoLoopback
        } else if is_on_loopback && self.keys().is_any() {
            Refusal::ForeignHost
        } else {
            return Ok(());
        };
        if host::is_for_loopback(parts) { Ok(()) } else { Err(refusal) }
    }

    /// Logs why a request is refused. All of it stands in the line itself: the span is not there where only errors are
    /// logged.
    fn log(&self, refusal: &Refusal, head: &Head, api: &Api) {
        let failed = || Failed::new(head.id_in(api), head.operation(api), refusal);
        let error: &dyn std::error::Error = refusal;
        match refusal {
            Refusal::Store(cause) if cause.is_full() => {
                self.log_lines().full_disk.add(|lines| lines.add(failed()));
            }
            Refusal::Store(StoreError::NotThere(NotThere::Folder { .. })) => {
                self.log_lines().missing_folder.add(|lines| lines.add(failed()));
            }
            _ if refusal.status() == StatusCode::INTERNAL_SERVER_ERROR => {
                let (id, operation) = (head.id_in(api), head.operation(api));
                tracing::error!(id, method = %head.parts.method, operation, error, "a request failed");
            }
            _ if refusal.status().is_server_error() => tracing::warn!(error, "a request was put off"),
            _ => tracing::debug!(error, "a request was refused"),
        }
    }
}

fn refuse(refusal: Refusal, api: &Api) -> Response<ResponseBody> {
    let header = refusal.header();
    let answer = refusal.into_api_error(api.dialect()).encode_response(api);
    let mut response = match answer {
        Ok(answer) => answer.map(ResponseBody::of),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a refusal cannot be written");
            let mut bare = Response::new(ResponseBody::bytes(Bytes::new()));
            *bare.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            bare
        }
    };
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, value);
    }
    response
}
