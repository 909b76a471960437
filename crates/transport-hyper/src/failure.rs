//! What a transport's error means for whoever decides about trying again.

use std::{error::Error, io};

use partwise_protocol::{Failure, FailureKind, SourceError};

use crate::{coding::Undecodable, service::BoxError, stack::StackError};

/// Finds out what kind of failure this is by looking through its causes; what nobody knows is taken for final.
/// [`Client::new`](crate::Client::new) tells callers of it.
pub(crate) fn classify(error: BoxError) -> Failure {
    // That a body broke off is not worth telling when it is the source that did.
    if let Some(error) = causes(&*error).find_map(|cause| cause.downcast_ref::<SourceError>()) {
        return error.clone().into();
    }
    // A service that says what happened is believed.
    let error = match error.downcast::<Failure>() {
        Ok(failure) => return *failure,
        Err(error) => error,
    };
    let known = causes(&*error).find_map(|cause| cause.downcast_ref::<Failure>()).cloned();
    let kind = || causes(&*error).find_map(kind_of).unwrap_or(FailureKind::Other);
    let mut failure = known.unwrap_or_else(|| Failure::new(kind()));
    failure.cause = Some(error.into());
    failure
}

/// An error and its causes. An `io::Error` names the cause of what it holds, and not that itself.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        }
    })
}

/// What one error of the chain says by itself; the outermost that knows decides.
fn kind_of(error: &(dyn Error + 'static)) -> Option<FailureKind> {
    if let Some(error) = error.downcast_ref::<StackError>() {
        return of_stack(error);
    }
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return error.is_connect().then(|| of_connect(error));
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return Some(of_hyper(error));
    }
    if error.is::<Undecodable>() {
        return Some(FailureKind::Other);
    }
    #[cfg(feature = "__tls")]
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return Some(FailureKind::Unsent);
    }
    if error.is::<tokio::time::error::Elapsed>() {
        return Some(FailureKind::Timeout);
    }
    error.downcast_ref::<io::Error>().and_then(of_io)
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
            Some(causes(&**source).find_map(kind_of).unwrap_or(FailureKind::Interrupted))
        }
        StackError::Body(_) | StackError::Exchange(_) => None,
        _ => Some(FailureKind::Other),
    }
}

/// No connection came about: why may still be final.
fn of_connect(error: &(dyn Error + 'static)) -> FailureKind {
    match causes(error).skip(1).find_map(kind_of) {
        Some(FailureKind::Unsent) => FailureKind::Unsent,
        _ => FailureKind::Connect,
    }
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
    match causes(error).skip(1).find_map(kind_of) {
        Some(kind @ (FailureKind::Timeout | FailureKind::Unsent)) => kind,
        _ => FailureKind::Interrupted,
    }
}

fn of_io(error: &io::Error) -> Option<FailureKind> {
    match error.kind() {
        // Only the opening of a connection ends so.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::AddrNotAvailable => Some(FailureKind::Connect),
        // The second is how a blocking socket says that the time is over.
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Some(FailureKind::Timeout),
        // The last three also end connections that stood, when the way to the peer is gone for too long: by then the
        // service may have acted.
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::WriteZero
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => Some(FailureKind::Interrupted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Full};
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the service of somebody else")]
    struct Foreign(#[source] BoxError);

    fn kind(error: impl Into<BoxError>) -> FailureKind {
        classify(Foreign(error.into()).into()).kind
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

    #[test]
    fn a_failure_is_believed_wherever_it_is_in_the_chain() {
        let timeout = || Failure::with_cause(FailureKind::Timeout, "nothing came");
        let itself = classify(timeout().into());
        assert_eq!(itself.kind, FailureKind::Timeout);
        assert_eq!(itself.cause.unwrap().to_string(), "nothing came", "it is not wrapped in itself");
        assert_eq!(kind(timeout()), FailureKind::Timeout);
        assert_eq!(kind(io::Error::new(io::ErrorKind::ConnectionReset, timeout())), FailureKind::Timeout);
        let below = classify(Foreign(timeout().into()).into());
        assert_eq!(below.cause.unwrap().to_string(), "the service of somebody else", "no layer is lost");
    }

    #[cfg(feature = "__tls")]
    #[test]
    fn a_certificate_that_is_not_trusted_is_final_whichever_library_says_so() {
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert_eq!(kind(io::Error::new(io::ErrorKind::InvalidData, unknown)), FailureKind::Unsent);
    }

    #[test]
    fn a_source_that_cannot_be_read_is_no_broken_connection() {
        let cause = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(SourceError::new(cause)), FailureKind::Source);
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
