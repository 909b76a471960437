//! One request and its answer: sent again when it never left, watched while it is under way.

use std::{pin::pin, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{
    answer::AnswerBody,
    connect::{Forwarded, host_and_port},
    connection::{Lease, Slots},
    error::StackError,
    options::Timeouts,
    wire::Gauge,
};
use crate::{RequestBody, body::Handoff};

/// A TLS record of the kind "alert": what a TLS server says to plain HTTP.
const TLS_ALERT: u8 = 0x15;

/// Sends the request on a free connection and hands out the answer as soon as its head is there.
pub(super) async fn exchange(
    slots: &Arc<Slots>,
    timeouts: &Timeouts,
    mut request: Request<RequestBody>,
) -> Result<Response<AnswerBody>, StackError> {
    let uri = request.uri().clone();
    let handoff = request.body().handoff();
    let answer_within = timeouts.answer_to(request.method());
    loop {
        let mut lease = slots.lease(&uri).await?;
        let reused = lease.reused;
        let response = match send(&mut lease, &uri, &handoff, timeouts.stall, answer_within, request).await? {
            Sent::Answered(response) => response,
            // A connection that was closed while it lay idle: the next one, and in the end a new one, takes it.
            Sent::Never(unsent) if reused => {
                request = *unsent;
                continue;
            }
            Sent::Never(_) => return Err(StackError::Closed),
        };
        if !handoff.is_finished() {
            // The service has made up its mind, so the rest would be sent for nothing. The answer is still read.
            handoff.stop();
        }
        return Ok(response.map(|incoming| AnswerBody::new(incoming, lease, handoff, timeouts.stall, uri)));
    }
}

enum Sent {
    Answered(Response<Incoming>),
    /// No byte of it has left.
    Never(Box<Request<RequestBody>>),
}

async fn send(
    lease: &mut Lease,
    uri: &Uri,
    handoff: &Handoff,
    stall: Duration,
    answer_within: Duration,
    mut request: Request<RequestBody>,
) -> Result<Sent, StackError> {
    let Some(connection) = lease.connection() else { return Ok(Sent::Never(Box::new(request))) };
    prepare(&mut request, uri, connection.forwarded.as_ref());
    let sending = connection.sender.try_send_request(request);
    let gauge = connection.gauge.clone();
    match watch(sending, &gauge, handoff, stall, answer_within).await? {
        Ok(response) => Ok(Sent::Answered(response)),
        Err(mut error) => match error.take_message() {
            Some(request) => Ok(Sent::Never(Box::new(request))),
            None => Err(explain(error.into_error(), &gauge, uri)),
        },
    }
}

/// Gives the request the form that it has on the wire.
fn prepare(request: &mut Request<RequestBody>, uri: &Uri, forwarded: Option<&Forwarded>) {
    if let Some(host) = host_header(uri) {
        request.headers_mut().entry(header::HOST).or_insert(host);
    }
    match forwarded {
        Some(Forwarded { authorization: Some(authorization) }) => {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization.clone());
        }
        Some(Forwarded { authorization: None }) => {}
        None => {
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            if let Ok(origin_form) = Uri::try_from(path) {
                *request.uri_mut() = origin_form;
            }
        }
    }
}

/// The scheme's own port is left out, as everyone does.
fn host_header(uri: &Uri) -> Option<HeaderValue> {
    let host = uri.host()?;
    let default = if uri.scheme() == Some(&http::uri::Scheme::HTTPS) { 443 } else { 80 };
    match uri.port_u16() {
        Some(port) if port != default => HeaderValue::try_from(format!("{host}:{port}")).ok(),
        _ => HeaderValue::from_str(host).ok(),
    }
}

/// Waits for the answer's head while bytes move, and no longer.
async fn watch<F: Future>(
    sending: F,
    gauge: &Gauge,
    handoff: &Handoff,
    stall: Duration,
    answer_within: Duration,
) -> Result<F::Output, StackError> {
    let mut sending = pin!(sending);
    let interval = (stall.min(answer_within) / 4).max(Duration::from_millis(10));
    gauge.note_movement();
    loop {
        if let Ok(output) = tokio::time::timeout_at(Instant::now() + interval, &mut sending).await {
            return Ok(output);
        }
        let silent = gauge.moved().elapsed();
        if gauge.is_blocked() {
            if silent >= stall {
                return Err(StackError::Stalled { after: stall });
            }
        } else if handoff.is_finished() && silent >= answer_within {
            return Err(StackError::NoAnswer { after: answer_within });
        }
        // Else the body's source is being waited for, and how long that may take is for the source to say.
    }
}

/// What HTTP's error means to somebody who gave a URL.
pub(super) fn explain(error: hyper::Error, gauge: &Gauge, uri: &Uri) -> StackError {
    let at = host_and_port(uri).unwrap_or_default();
    if error.is_user() {
        return StackError::Body(error);
    }
    let plain = uri.scheme() == Some(&http::uri::Scheme::HTTP);
    if plain && gauge.first_byte() == Some(TLS_ALERT) {
        return StackError::SpeaksTls { at };
    }
    if error.is_parse() {
        return StackError::NotHttp { at, source: error };
    }
    StackError::Interrupted { at, source: error }
}
