//! One attempt of one request: credential, sending, and the whole answer.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, header, response};
use http_body::Body as _;
use http_body_util::BodyExt;
use partwise_net::{
    coding::{self, Coding},
    loopback::in_the_clear,
    request::SendsFiles,
};
use partwise_protocol::transport::{Failure, FailureKind};

use crate::{
    Client, RequestBody,
    error::Withheld,
    failure::classify,
    redirects::{self, Original, Redirects, Trail},
    service::AnyBody,
};

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("partwise/", env!("CARGO_PKG_VERSION")));

impl Client {
    /// Sends the request with a credential and hands out the answer once its head is there, from wherever redirects lead
    /// that are followed.
    pub(crate) async fn send(
        &self,
        mut request: Request<RequestBody>,
        redirects: Redirects,
    ) -> Result<Response<AnyBody>, Failure> {
        self.refuse_plain_http(&request)?;
        // A request that leaves after a sleep is none that left before it.
        self.clocks().now();
        request.headers_mut().entry(header::USER_AGENT).or_insert(USER_AGENT);
        let mut credential = self.credentials.ask().await.map_err(Withheld::NoCredential)?;
        let mut is_second_credential = false;
        let mut trail = Trail::new(redirects, request.uri().clone());
        loop {
            let (original, mut sent) = Original::of(request);
            if trail.has_key() {
                credential.apply(&self.api, &mut sent);
                sent.headers_mut().extend((*self.headers).clone());
            }
            let mut answer = self.send_once(sent).await.map_err(|failure| trail.failed(failure))?;
            let is_of_service = trail.is_at_service();
            let is_unauthorized = answer.status() == StatusCode::UNAUTHORIZED && trail.has_key();
            if is_unauthorized && !is_second_credential && self.credentials.hear_rejected(&credential) {
                is_second_credential = true;
                redirects::drain(answer).await;
                credential = self.credentials.ask().await.map_err(Withheld::NoCredential)?;
                request = original.again();
                continue;
            }
            let Some(next) = trail.follow(&mut answer) else { return Ok(answer) };
            // What comes of it elsewhere says nothing of the service, which is there.
            if is_of_service {
                self.state.answered(self.clocks().now().monotonic);
            }
            redirects::drain(answer).await;
            request = original.to(next, trail.has_key());
        }
    }

    async fn send_once(&self, mut request: Request<RequestBody>) -> Result<Response<AnyBody>, Failure> {
        tracing::debug!(path = request.uri().path(), "sending");
        let handoff = request.body().handoff();
        request.extensions_mut().insert(handoff.state().clone());
        request.extensions_mut().insert(SendsFiles::<RequestBody>::new());
        let answer = self.service.call(request).await;
        // A service may answer to a body that breaks off, as if that were its caller's doing: one that runs in this
        // process does.
        match handoff.broken() {
            Some(error) => Err(Failure::from(error.clone()).with_left(handoff.left())),
            None => answer.map_err(|error| classify(error).with_left(handoff.left())),
        }
    }

    fn refuse_plain_http(&self, request: &Request<RequestBody>) -> Result<(), Withheld> {
        match in_the_clear(request.uri()).filter(|_| !self.plain_http) {
            None => Ok(()),
            Some(host) => Err(Withheld::PlainHttp { host: host.to_owned() }),
        }
    }

    /// Sends the request and reads the whole answer, of which at most `limit` bytes are kept.
    pub(crate) async fn exchange(
        &self,
        request: Request<RequestBody>,
        limit: u64,
    ) -> Result<Response<Bytes>, Failure> {
        let handoff = request.body().handoff();
        // Boxed, so that the futures of those who call stay small.
        let response = Box::pin(self.send(request, Redirects::WithinService)).await?;
        let answer = read_whole(response, limit).await;
        let left = handoff.left();
        match answer {
            Ok(mut answer) => {
                answer.extensions_mut().insert(Left(left));
                Ok(answer)
            }
            Err(failure) => Err(failure.with_left(left)),
        }
    }
}

/// How many bytes of the request's body may have reached the service, in the extensions of its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left(pub(crate) u64);

/// Reads an answer of at most `limit` bytes, decoded ones too. Of a longer rejection the beginning is kept: its status
/// matters more.
pub(crate) async fn read_whole(response: Response<AnyBody>, limit: u64) -> Result<Response<Bytes>, Failure> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut head, body) = response.into_parts();
    let whole = read(&head, body, limit).await?;
    let Some(coding) = Coding::of(&head.headers) else { return Ok(Response::from_parts(head, whole)) };
    let plain = match coding.decode(&whole, limit) {
        Ok(plain) if plain.len() > limit && head.status.is_success() => {
            return Err(Failure::new(FailureKind::AnswerTooLong));
        }
        Ok(plain) => plain,
        // The beginning of a rejection that was cut off here may be all there is.
        Err((plain, _)) if !head.status.is_success() && !plain.is_empty() => plain,
        // The head still says that it is coded, and so nobody reads these bytes as anything else.
        Err(_) => return Ok(Response::from_parts(head, whole)),
    };
    coding::strip(&mut head.headers);
    let plain = Bytes::from(plain);
    Ok(Response::from_parts(head, plain.slice(..plain.len().min(limit))))
}

async fn read(head: &response::Parts, mut body: AnyBody, limit: usize) -> Result<Bytes, Failure> {
    let mut whole = BytesMut::new();
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let Ok(data) = frame.map_err(classify)?.into_data() else { continue };
        let room = limit - whole.len();
        whole.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            if head.status.is_success() {
                return Err(Failure::new(FailureKind::AnswerTooLong));
            }
            break;
        }
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    fn answer(status: u16, body: &'static str) -> Response<AnyBody> {
        let body = AnyBody::new(Full::new(Bytes::from_static(body.as_bytes())));
        Response::builder().status(status).body(body).unwrap()
    }

    #[tokio::test]
    async fn an_answer_within_the_limit_is_whole() {
        let whole = read_whole(answer(200, "12345"), 5).await.unwrap();
        assert_eq!(whole.body(), "12345");
    }

    #[tokio::test]
    async fn a_longer_success_is_a_failure_and_of_a_refusal_the_beginning_is_kept() {
        assert_eq!(read_whole(answer(200, "123456"), 5).await.unwrap_err().kind, FailureKind::AnswerTooLong);
        let refusal = read_whole(answer(502, "123456"), 5).await.unwrap();
        assert_eq!((refusal.status().as_u16(), &**refusal.body()), (502, b"12345".as_slice()));
    }
}
