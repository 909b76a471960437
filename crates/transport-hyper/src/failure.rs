//! What a transport's error means for a caller who decides about a retry.

use std::error::Error;

use partwise_protocol::transport::{FailureKind, causes};

use crate::stack::StackError;

/// What one error means, as far as the libraries below this crate are concerned: errors of [`Stack`](crate::stack::Stack), hyper,
/// hyper-util's pooled client and rustls, and those that [`FailureKind::of`] knows; `None` for all others. For a whole chain of
/// causes give it to [`Failure::of`](partwise_protocol::transport::Failure::of).
///
/// ```
/// use std::time::Duration;
///
/// use partwise_protocol::transport::{Failure, FailureKind};
/// use partwise_transport_hyper::{failure_kind, stack::StackError};
///
/// let silent = StackError::NoAnswer { after: Duration::from_secs(60) };
/// assert_eq!(failure_kind(&silent), Some(FailureKind::Timeout));
/// assert_eq!(Failure::of(silent.into(), failure_kind).kind, FailureKind::Timeout);
/// ```
#[must_use]
pub fn failure_kind(error: &(dyn Error + 'static)) -> Option<FailureKind> {
    if let Some(error) = error.downcast_ref::<StackError>() {
        return of_stack(error);
    }
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return error.is_connect().then(|| of_connect(error));
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return Some(of_hyper(error));
    }
    #[cfg(feature = "__tls")]
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return Some(FailureKind::Unsent);
    }
    if error.is::<tokio::time::error::Elapsed>() {
        return Some(FailureKind::Timeout);
    }
    FailureKind::of(error)
}

fn of_stack(error: &StackError) -> Option<FailureKind> {
    match error {
        StackError::Connect(error) if error.is_transient() => Some(FailureKind::Connect),
        StackError::ClosedBeforeSending { .. } => Some(FailureKind::Connect),
        StackError::Connect(_) | StackError::SpeaksTls { .. } | StackError::NotHttp { .. } => {
            Some(FailureKind::Unsent)
        }
        StackError::Stalled { .. } | StackError::NoAnswer { .. } => Some(FailureKind::Timeout),
        // As good as an answer that was lost.
        StackError::Garbled { .. } => Some(FailureKind::Interrupted),
        // The cause may know more: that the kernel gave the peer up.
        StackError::Interrupted { source, .. } => {
            Some(causes(&**source).find_map(failure_kind).unwrap_or(FailureKind::Interrupted))
        }
        StackError::Body(_) | StackError::Exchange(_) => None,
        _ => Some(FailureKind::Other),
    }
}

/// No connection came about: why may still be final.
fn of_connect(error: &(dyn Error + 'static)) -> FailureKind {
    match causes(error).skip(1).find_map(failure_kind) {
        Some(FailureKind::Unsent) => FailureKind::Unsent,
        None if causes(error).skip(1).any(is_of_the_uri) => FailureKind::Unsent,
        _ => FailureKind::Connect,
    }
}

/// Whether a connector of hyper-util rejects the URI: it has a scheme that the connector does not speak, or no host. The type is
/// private there, so its text is all there is to tell it by; with another text the request would be retried as without this.
fn is_of_the_uri(error: &(dyn Error + 'static)) -> bool {
    error.source().is_none() && error.to_string().starts_with("invalid URL, ")
}

fn of_hyper(error: &hyper::Error) -> FailureKind {
    // hyper never took it: a connection was closed before the request's turn came.
    if error.is_canceled() {
        return FailureKind::Connect;
    }
    // The body ended early, hyper was used wrongly, or somebody ended its task.
    if error.is_user() {
        return FailureKind::Other;
    }
    if error.is_timeout() {
        return FailureKind::Timeout;
    }
    // What is left is the end of the connection in the midst of something, or an answer that is no HTTP. The socket may
    // know more: that the kernel gave the peer up.
    match causes(error).skip(1).find_map(failure_kind) {
        Some(kind @ (FailureKind::Timeout | FailureKind::Unsent)) => kind,
        _ => FailureKind::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Full};
    use hyper::client::conn::http1;
    use hyper_util::{
        client::legacy,
        rt::{TokioExecutor, TokioIo},
    };
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use std::io;

    use partwise_net::BoxError;
    use partwise_protocol::transport::Failure;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the service of somebody else")]
    struct Foreign(#[source] BoxError);

    fn kind(error: impl Into<BoxError>) -> FailureKind {
        Failure::of(Foreign(error.into()).into(), failure_kind).kind
    }

    #[test]
    fn the_kind_is_found_below_errors_that_are_not_known() {
        use io::ErrorKind as Io;
        for (cause, expected) in [
            (Io::ConnectionRefused, FailureKind::Connect),
            (Io::AddrNotAvailable, FailureKind::Connect),
            (Io::ConnectionReset, FailureKind::Interrupted),
            (Io::HostUnreachable, FailureKind::Interrupted),
            (Io::WriteZero, FailureKind::Interrupted),
            (Io::TimedOut, FailureKind::Timeout),
            // A read of the standard library that timed out.
            (Io::WouldBlock, FailureKind::Timeout),
            (Io::PermissionDenied, FailureKind::Other),
        ] {
            assert_eq!(kind(io::Error::from(cause)), expected, "{cause:?}");
        }
        assert_eq!(kind(StackError::Stalled { after: std::time::Duration::ZERO }), FailureKind::Timeout);
        assert_eq!(kind("nobody knows"), FailureKind::Other);
    }

    #[test]
    fn an_error_inside_an_io_error_is_found() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(kind(io::Error::other(reset)), FailureKind::Interrupted);
        let closed = io::Error::new(io::ErrorKind::UnexpectedEof, "closed without sending TLS close_notify");
        assert_eq!(kind(io::Error::other(Foreign(closed.into()))), FailureKind::Interrupted);
    }

    #[cfg(feature = "__tls")]
    #[test]
    fn a_certificate_that_is_not_trusted_is_final_whichever_library_says_so() {
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert_eq!(kind(io::Error::new(io::ErrorKind::InvalidData, unknown)), FailureKind::Unsent);
    }

    /// What hyper says of a request to a peer that reads it, says this, and closes.
    async fn hypers(said: &'static [u8]) -> Result<Response<Bytes>, hyper::Error> {
        let (ours, theirs) = tokio::io::duplex(1024);
        tokio::spawn(peer(theirs, said));
        let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await.unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(Request::new(Full::new(Bytes::new()))).await?;
        let (head, body) = response.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }

    async fn peer(mut stream: DuplexStream, said: &[u8]) {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut read).await.unwrap();
        }
        stream.write_all(said).await.unwrap();
    }

    #[tokio::test]
    async fn hypers_errors_are_told_apart() {
        for (why, said) in [
            ("no answer", &b""[..]),
            ("half a head", b"HTTP/1.1 200 OK\r\nContent-"),
            ("no HTTP", b"SSH-2.0-OpenSSH_9.6\r\n"),
            ("half a body", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345"),
            ("half of the chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123"),
            ("no chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsurprise\r\n"),
        ] {
            assert_eq!(kind(hypers(said).await.unwrap_err()), FailureKind::Interrupted, "{why}");
        }
    }

    #[tokio::test]
    async fn a_request_that_hyper_never_took_has_not_left() {
        let (ours, theirs) = tokio::io::duplex(1024);
        let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(ours)).await.unwrap();
        drop((connection, theirs));
        let error = sender.send_request(Request::new(Full::new(Bytes::new()))).await.unwrap_err();
        assert!(error.is_canceled());
        assert_eq!(kind(error), FailureKind::Connect);
    }

    #[tokio::test]
    async fn a_uri_that_the_connector_rejects_is_final_and_a_peer_that_refuses_is_not() {
        let pooled = legacy::Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        for (uri, expected) in [
            ("https://127.0.0.1:1/v1", FailureKind::Unsent),
            ("ftp://127.0.0.1:1/v1", FailureKind::Unsent),
            ("http://127.0.0.1:1/v1", FailureKind::Connect),
        ] {
            let error = pooled.get(uri.parse().unwrap()).await.unwrap_err();
            assert!(error.is_connect(), "{error}");
            assert_eq!(kind(error), expected, "{uri}");
        }
    }

    #[tokio::test]
    async fn a_body_that_hypers_caller_ends_early_is_final() {
        let (ours, _theirs) = tokio::io::duplex(1024);
        let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await.unwrap();
        tokio::spawn(connection);
        let body = http_body_util::StreamBody::new(futures_util::stream::empty::<
            Result<http_body::Frame<Bytes>, io::Error>,
        >());
        let mut request = Request::new(body);
        request.headers_mut().insert(http::header::CONTENT_LENGTH, 9.into());
        *request.method_mut() = http::Method::POST;
        let error = sender.send_request(request).await.unwrap_err();
        assert!(error.is_user(), "{error}");
        assert_eq!(kind(error), FailureKind::Other);
    }
}
