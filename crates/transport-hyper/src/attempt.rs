//! One attempt of one request: credential, sending, and the whole answer.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use partwise_protocol::{Failure, FailureKind};

use crate::{
    Client, RequestBody, error::Withheld, failure::classify, loopback::is_loopback, service::AnyBody,
};

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("partwise/", env!("CARGO_PKG_VERSION")));

impl Client {
    /// Sends the request with a credential and hands out the answer once its head is there.
    pub(crate) async fn send(&self, mut request: Request<RequestBody>) -> Result<Response<AnyBody>, Failure> {
        self.refuse_plain_http(&request)?;
        tracing::debug!(path = request.uri().path(), "sending");
        request.headers_mut().entry(header::USER_AGENT).or_insert(USER_AGENT);
        let credential = self.credentials.ask().await.map_err(Withheld::NoCredential)?;
        credential.apply(&self.api, &mut request);
        let handoff = request.body().handoff();
        let answer = self.service.call(request).await;
        // A service may answer to a body that breaks off, as if that were its caller's doing: one that runs in this
        // process does.
        match handoff.broken() {
            Some(error) => Err(Failure::from(error.clone()).with_left(handoff.left())),
            None => answer.map_err(|error| classify(error).with_left(handoff.left())),
        }
    }

    fn refuse_plain_http(&self, request: &Request<RequestBody>) -> Result<(), Withheld> {
        let uri = request.uri();
        let host = uri.host().unwrap_or_default();
        if self.plain_http || uri.scheme() != Some(&http::uri::Scheme::HTTP) || is_loopback(host) {
            return Ok(());
        }
        Err(Withheld::PlainHttp { host: host.to_owned() })
    }

    /// Sends the request and reads the whole answer, of which at most `limit` bytes are kept.
    pub(crate) async fn exchange(
        &self,
        request: Request<RequestBody>,
        limit: u64,
    ) -> Result<Response<Bytes>, Failure> {
        let handoff = request.body().handoff();
        let response = self.send(request).await?;
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

/// Reads an answer of at most `limit` bytes. Of a longer refusal the beginning is kept: its status matters more.
pub(crate) async fn read_whole(response: Response<AnyBody>, limit: u64) -> Result<Response<Bytes>, Failure> {
    let (head, mut body) = response.into_parts();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
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
    Ok(Response::from_parts(head, whole.freeze()))
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
