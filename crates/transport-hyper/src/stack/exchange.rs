//! One request and its answer: sent again when it never left, watched while it is under way.

use std::{error::Error, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use partwise_net::answer::ReadsDirectly;
use partwise_protocol::transport::Repeat;
use tokio::time::sleep_until;

use super::{
    answer::AnswerBody,
    body::{Sending, StackBody},
    connect::host_and_port,
    connection::{Lease, Slots},
    error::StackError,
    options::Timeouts,
    proxy::Server,
    silence::Silence,
    tunnel::rejection,
    wire::Gauge,
};

/// A shorter body is none of a part: its answer comes as that to a lookup does.
const PARTS_HAVE: u64 = 32 * 1024;
/// A TLS record of the kind "alert": what a TLS server says to plain HTTP.
const TLS_ALERT: u8 = 0x15;
/// Every answer begins with the protocol's name.
const HTTP: u8 = b'H';

/// Sends the request on a free connection and hands out the answer as soon as its head is there.
pub(super) async fn exchange(
    slots: &Arc<Slots>,
    timeouts: &Timeouts,
    mut request: Request<StackBody>,
) -> Result<Response<AnswerBody>, StackError> {
    let uri = request.uri().clone();
    let state = request.body().sending().clone();
    if state.is_stopped() {
        return Err(StackError::Stopped);
    }
    let closes_after_request = closes(request.headers());
    loop {
        let mut lease = slots.lease(&uri).await?;
        let reused = lease.reused;
        let limits = Limits::of(timeouts, &request);
        let sent = send(&mut lease, &uri, &state, limits, request).await;
        if sent.is_err() {
            // Only then is it certain how much has left.
            lease.connection.close().await;
            state.note_closed();
        }
        if let Err(StackError::Stalled { after } | StackError::NoAnswer { after }) = &sent {
            slots.distrust(*after);
        }
        let response = match sent? {
            Sent::Answered(response) => response,
            // A connection that was closed while it lay idle: the next one, and in the end a new one, takes it.
            Sent::Never { request: unsent, .. } if reused => {
                request = *unsent;
                continue;
            }
            Sent::Never { canceled, .. } => return Err(never_sent(lease, Some(canceled), &uri).await),
            Sent::Stranded => return Err(never_sent(lease, None, &uri).await),
        };
        lease.note_http();
        if matches!(limits.answer, Answer::Part { .. }) && state.is_taken() && response.status().is_success()
        {
            let gauge = &lease.connection.gauge;
            gauge.traffic().answers.answered(gauge.since_written());
        }
        if let Some(proxy) = &lease.connection.forwarded {
            // The service has not seen the request: this status is a proxy's own.
            if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                let to = host_and_port(&uri).unwrap_or_default();
                return Err(rejection(proxy, &to, response).await.into());
            }
        }
        if !state.is_taken() {
            // The service has made up its mind, so the rest would be sent for nothing. The answer is still read.
            state.stop();
        }
        let stays_open = !closes_after_request
            && !closes(response.headers())
            && response.version() == http::Version::HTTP_11;
        let body = |incoming| AnswerBody::new(incoming, lease, state, timeouts.stall, uri, stays_open);
        let mut answer = response.map(body);
        answer.extensions_mut().insert(ReadsDirectly::<AnswerBody>::new());
        return Ok(answer);
    }
}

/// Whether the connection is to be closed after this message, as far as its headers say.
fn closes(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONNECTION).iter();
    let mut options = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

enum Sent {
    Answered(Response<Incoming>),
    /// No byte of it has left: the connection takes no requests any more.
    Never {
        request: Box<Request<StackBody>>,
        canceled: hyper::Error,
    },
    /// The same, and it cannot be had back: it was queued at the very moment at which the connection ended, and nobody
    /// will ever look for it.
    Stranded,
}

async fn send(
    lease: &mut Lease,
    uri: &Uri,
    state: &Sending,
    limits: Limits,
    mut request: Request<StackBody>,
) -> Result<Sent, StackError> {
    let connection = &mut lease.connection;
    prepare(&mut request, uri, connection.forwarded.as_ref());
    request.body_mut().begin(connection.files.clone());
    connection.gauge.expect(state.length().unwrap_or(u64::MAX));
    let sending = connection.sender.try_send_request(request);
    let gauge = connection.gauge.clone();
    let mut watched = pin!(watch(sending, &gauge, state, limits));
    let outcome = tokio::select! {
        biased;
        outcome = &mut watched => Some(outcome),
        () = connection.ended() => watched.now_or_never(),
    };
    let Some(outcome) = outcome else { return Ok(Sent::Stranded) };
    match outcome? {
        Ok(response) => Ok(Sent::Answered(response)),
        Err(mut error) => match error.take_message() {
            Some(request) => Ok(Sent::Never { request: Box::new(request), canceled: error.into_error() }),
            None => Err(explain(error.into_error(), lease, uri)),
        },
    }
}

/// Gives the request the form that it has on the wire.
fn prepare(request: &mut Request<StackBody>, uri: &Uri, forwarded: Option<&Server>) {
    if let Some(host) = host_header(uri) {
        request.headers_mut().entry(header::HOST).or_insert(host);
    }
    match forwarded {
        Some(proxy) => {
            if let Some(authorization) = proxy.authorization() {
                request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization);
            }
        }
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

/// How long nothing may happen to one request.
#[derive(Clone, Copy, Debug)]
struct Limits {
    stall: Duration,
    /// The same where nobody sees what the peer acknowledges.
    stall_unseen: Duration,
    /// From the last byte of the request to the first of its answer.
    answer: Answer,
}

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// To a request that only looks something up.
    Lookup(Duration),
    /// To a part, or what else is large and can be sent again without harm: as long as others took to be answered, from `least`
    /// to `most`.
    Part { least: Duration, most: Duration },
    /// To one that may have made or deleted something.
    Once(Duration),
}

/// Waits for the answer's head while bytes move, and no longer.
async fn watch<F: Future>(
    sending: F,
    gauge: &Gauge,
    state: &Sending,
    limits: Limits,
) -> Result<F::Output, StackError> {
    let mut sending = pin!(sending);
    let mut silence = limits.silence(gauge);
    let mut held = None;
    loop {
        let look = async {
            sleep_until(silence.next_look()).await;
            silence.look(gauge.moved());
            match silence.is_suspicious() {
                true => gauge.unacknowledged().await,
                false => None,
            }
        };
        let unacknowledged = tokio::select! {
            biased;
            output = &mut sending => return Ok(output),
            unacknowledged = look => unacknowledged,
        };
        if let (Some(before), Some(now)) = (held, unacknowledged) {
            if now != before && silence.is_suspicious() {
                gauge.note_movement(u64::abs_diff(now, before));
                state.note_movement();
            }
        }
        // Something may have moved while the system was asked.
        silence.look(gauge.moved());
        held = unacknowledged;
        limits.check(&silence, gauge, state, unacknowledged)?;
    }
}

impl Answer {
    /// No limit is shorter.
    fn least(self) -> Duration {
        match self {
            Self::Lookup(limit) | Self::Once(limit) | Self::Part { least: limit, .. } => limit,
        }
    }
}

impl Limits {
    fn of(timeouts: &Timeouts, request: &Request<StackBody>) -> Self {
        let Timeouts { stall, answer, lookup, .. } = *timeouts;
        let is_ambiguous = !matches!(request.extensions().get(), Some(Repeat::Harmless | Repeat::Orphans));
        let answer = match *request.method() {
            Method::POST if is_ambiguous => Answer::Once(answer),
            Method::POST if request.body().sending().length().is_none_or(|length| length >= PARTS_HAVE) => {
                Answer::Part { least: lookup.min(answer), most: answer }
            }
            Method::DELETE => Answer::Once(answer.min(lookup)),
            _ => Answer::Lookup(answer.min(lookup)),
        };
        Self { stall, stall_unseen: timeouts.stall_unseen(), answer }
    }

    fn silence(&self, gauge: &Gauge) -> Silence {
        let silence = Silence::new(self.stall.min(self.answer.least()), gauge.traffic());
        if matches!(self.answer, Answer::Once(_)) { silence.patient() } else { silence }
    }

    /// Ends a request to which no answer comes.
    fn check_answer(&self, silence: &Silence, gauge: &Gauge) -> Result<(), StackError> {
        let answers = &gauge.traffic().answers;
        let (after, is_over) = match self.answer {
            Answer::Lookup(limit) => (silence.patience(limit), silence.is_over(limit)),
            // Whatever the others do, there is an end to it.
            Answer::Part { most, .. } if silence.lasted() >= most => (most, true),
            Answer::Part { least, most } => {
                let due = answers.due().map_or(most, |due| due.max(least).min(most));
                (silence.patience(due), silence.is_over_for_all(due))
            }
            // What may have been done is worth more than a connection that may be gone: the kernel asks for the peer.
            Answer::Once(limit) => (limit, silence.lasted() >= limit),
        };
        if !is_over {
            return Ok(());
        }
        if matches!(self.answer, Answer::Part { .. }) && !silence.has_slept() {
            answers.not_answered(after);
        }
        Err(StackError::NoAnswer { after })
    }

    /// Ends a request of which nothing has moved for too long.
    fn check(
        &self,
        silence: &Silence,
        gauge: &Gauge,
        state: &Sending,
        unacknowledged: Option<u64>,
    ) -> Result<(), StackError> {
        // Some systems have the table and nothing in it: bytes that wait and are all acknowledged cannot be.
        let is_seen = unacknowledged.is_some_and(|bytes| bytes > 0 || !gauge.is_blocked());
        let stall = if is_seen { self.stall } else { self.stall_unseen };
        if gauge.is_blocked() || (state.is_taken() && unacknowledged.is_some_and(|bytes| bytes > 0)) {
            if silence.is_over(stall) {
                return Err(StackError::Stalled { after: silence.patience(stall) });
            }
        } else if state.is_taken() {
            return self.check_answer(silence, gauge);
        }
        // Else the body's source is being waited for, and how long that may take is for the source to say.
        Ok(())
    }
}

/// What HTTP's error means to somebody who gave a URL.
pub(super) fn explain(error: hyper::Error, lease: &Lease, uri: &Uri) -> StackError {
    let at = host_and_port(uri).unwrap_or_default();
    if error.is_user() {
        return StackError::Body(error);
    }
    if speaks_tls(lease, uri) {
        return StackError::SpeaksTls { at };
    }
    if error.is_parse() {
        // Who has a certificate for the host may be whom the request was for, and may have acted on it.
        return match is_secure(uri) || speaks_http(lease) {
            true => StackError::Garbled { at, source: error },
            false => StackError::NotHttp { at, source: Some(error) },
        };
    }
    StackError::Interrupted { at, source: error.into() }
}

fn is_secure(uri: &Uri) -> bool {
    uri.scheme() == Some(&http::uri::Scheme::HTTPS)
}

fn speaks_tls(lease: &Lease, uri: &Uri) -> bool {
    !is_secure(uri) && !lease.speaks_http() && lease.connection.gauge.first_byte() == Some(TLS_ALERT)
}

/// Whether what is there has ever said anything that looks like HTTP.
fn speaks_http(lease: &Lease) -> bool {
    lease.speaks_http() || lease.connection.gauge.first_byte() == Some(HTTP)
}

/// Why a new connection took no request.
async fn never_sent(lease: Lease, canceled: Option<hyper::Error>, uri: &Uri) -> StackError {
    let (speaks_tls, speaks_http) = (speaks_tls(&lease, uri), speaks_http(&lease));
    // A request that was waiting when the connection ended is told why. Who comes later has to ask the connection.
    let ended = match canceled.filter(|canceled| reason(canceled).is_some()) {
        Some(canceled) => Some(canceled),
        None => match lease.end().await {
            Ok(ended) => ended,
            Err(closed) => return closed,
        },
    };
    let at = host_and_port(uri).unwrap_or_default();
    if speaks_tls {
        return StackError::SpeaksTls { at };
    }
    match ended {
        Some(ended) if !speaks_http && spoke_first(reason(&ended).unwrap_or(&ended)) => {
            StackError::NotHttp { at, source: None }
        }
        ended => {
            let source = ended.filter(|ended| !reason(ended).unwrap_or(ended).is_incomplete_message());
            StackError::ClosedBeforeSending { at, source }
        }
    }
}

/// What a request was canceled for, if that is known.
fn reason(canceled: &hyper::Error) -> Option<&hyper::Error> {
    canceled.source()?.downcast_ref()
}

/// Whether bytes came that nobody had asked for. hyper has no question for that; but a connection without a request
/// ends in no other way than this one, the peer's closing, and an error of the socket, which is then the source.
fn spoke_first(ended: &hyper::Error) -> bool {
    ended.is_parse() || (ended.source().is_none() && !ended.is_incomplete_message())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use http_body_util::Empty;
    use partwise_protocol::transport::FailureKind;
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;
    use crate::{
        failure_kind,
        stack::{Proxy, StackOptions},
    };

    /// A request for a new connection whose peer has said `first` and closed before.
    async fn too_late(first: &[u8]) -> (StackError, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let uri = Uri::try_from(format!("http://{at}/v1/files")).unwrap();
        let connector = StackOptions::new().proxy(Proxy::none()).connector();
        let mut lease = Arc::new(Slots::new(connector, 1)).lease(&uri).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(first).await.unwrap();
        drop(peer);
        while !lease.connection.sender.is_closed() {
            tokio::task::yield_now().await;
        }
        let request = StackBody::of(Request::new(Empty::new()));
        let state = request.body().sending().clone();
        let long = Duration::from_secs(60);
        let limits = Limits { stall: long, stall_unseen: long, answer: Answer::Lookup(long) };
        match send(&mut lease, &uri, &state, limits, request).await.unwrap() {
            Sent::Never { canceled, .. } => (never_sent(lease, Some(canceled), &uri).await, at),
            Sent::Stranded => (never_sent(lease, None, &uri).await, at),
            Sent::Answered(_) => panic!("nobody answers"),
        }
    }

    #[tokio::test]
    async fn a_new_connection_that_was_closed_is_told_so_and_may_be_tried_again() {
        let (error, at) = too_late(b"").await;
        assert_eq!(
            error.to_string(),
            format!("the connection to {at} was closed before the request was sent")
        );
        assert_eq!(failure_kind(&error), Some(FailureKind::Connect));
    }

    #[tokio::test]
    async fn a_service_that_sends_us_away_before_it_was_asked_may_be_tried_again() {
        let (error, at) = too_late(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(
            error.to_string(),
            format!("the connection to {at} was closed before the request was sent")
        );
        assert_eq!(failure_kind(&error), Some(FailureKind::Connect));
    }

    #[tokio::test]
    async fn a_peer_that_speaks_first_does_not_speak_http() {
        let (error, at) = too_late(b"SSH-2.0-OpenSSH_9.6\r\n").await;
        assert_eq!(error.to_string(), format!("what listens at {at} does not speak HTTP"));
        assert_eq!(failure_kind(&error), Some(FailureKind::Unsent));
    }
}
