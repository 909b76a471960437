//! The way through a proxy: `CONNECT`, and what a proxy says that opens none.

use std::{pin::pin, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use partwise_net::coding::{self, Coding};
use partwise_protocol::error::ApiError;

use super::{connect::ConnectError, proxy::Server, stream::Stream};

/// So much is read of what a proxy says.
const EXCERPT: usize = 64 * 1024;

/// What a proxy says has come by then, or is not waited for: its status says enough.
const LONGEST_TO_SAY: Duration = Duration::from_secs(1);

/// Opens a way to `to`, a host with its port, on a stream to the proxy.
pub(super) async fn tunnel(stream: Stream, proxy: &Server, to: &str) -> Result<Stream, ConnectError> {
    let failed = |source| ConnectError::Proxy { proxy: proxy.to_string(), to: to.to_owned(), source };
    let mut http = http1::Builder::new();
    // As HTTP was written when some proxies were.
    http.title_case_headers(true);
    let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let asked = async {
        let answer = sender.send_request(connect(proxy, to)).await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(rejection(proxy, to, answer).await);
        }
        hyper::upgrade::on(answer).await.map_err(failed)
    };
    let mut connection = pin!(connection.with_upgrades());
    let mut asked = pin!(asked);
    let opened = tokio::select! {
        biased;
        opened = &mut asked => opened?,
        // It says to the request how it ended.
        _ = &mut connection => asked.await?,
    };
    match opened.downcast::<TokioIo<Stream>>() {
        // A host that speaks TLS says nothing before it is spoken to, so that what came early is not the host's.
        Ok(parts) if parts.read_buf.is_empty() => Ok(parts.io.into_inner()),
        _ => Err(ConnectError::ProxyGarbled { proxy: proxy.to_string(), to: to.to_owned() }),
    }
}

fn connect(proxy: &Server, to: &str) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    // Both are a host and a port that came out of a URL.
    *request.uri_mut() = to.parse::<Uri>().unwrap_or_default();
    if let Ok(host) = HeaderValue::try_from(to) {
        request.headers_mut().insert(header::HOST, host);
    }
    if let Some(authorization) = proxy.authorization() {
        request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization);
    }
    request
}

/// What a proxy says that does not let a request through.
pub(super) async fn rejection(proxy: &Server, to: &str, answer: Response<Incoming>) -> ConnectError {
    let (mut head, mut body) = answer.into_parts();
    let mut excerpt = BytesMut::new();
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            excerpt.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
            if excerpt.len() >= EXCERPT {
                break;
            }
        }
    };
    // Late is as good as nothing.
    let _ = tokio::time::timeout(LONGEST_TO_SAY, reading).await;
    if let Some(coding) = Coding::of(&head.headers) {
        let plain = coding.decode(&excerpt, EXCERPT).unwrap_or_else(|(plain, _)| plain);
        coding::strip(&mut head.headers);
        excerpt = Bytes::from(plain).into();
    }
    let schemes = schemes(&head.headers);
    let source = ApiError::decode_response(&Response::from_parts(head, excerpt.freeze()));
    ConnectError::ProxyRejected {
        proxy: proxy.to_string(),
        variable: proxy.variable,
        has_login: proxy.has_login(),
        schemes,
        to: to.to_owned(),
        source: Box::new(source),
    }
}

/// The schemes of the logins that a proxy offers. A list of challenges has commas between them, and inside them between
/// their parameters, which have a `=` behind their name.
fn schemes(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(header::PROXY_AUTHENTICATE).iter().filter_map(|line| line.to_str().ok());
    let first_words =
        lines.flat_map(|line| line.split(',')).filter_map(|item| item.split_whitespace().next());
    let is_token = |word: &&str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    first_words.filter(is_token).map(str::to_owned).collect()
}
