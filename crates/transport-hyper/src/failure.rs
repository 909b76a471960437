//! What a transport's error means for whoever decides about trying again.

use std::{error::Error, io};

use partwise_protocol::{Failure, FailureKind, SourceError};

use crate::{coding::Undecodable, service::BoxError, stack::StackError};

/// Finds out what kind of failure this is by looking through its causes; what nobody knows is taken for final.
pub(crate) fn classify(error: BoxError) -> Failure {
    // That a body broke off is not worth telling when it is the source that did.
    if let Some(error) = causes(&*error).find_map(|cause| cause.downcast_ref::<SourceError>()) {
        return error.clone().into();
    }
    let kind = causes(&*error).find_map(kind_of).unwrap_or(FailureKind::Other);
    Failure::with_cause(kind, error)
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// What one error of the chain says by itself; the outermost that knows decides.
fn kind_of(error: &(dyn Error + 'static)) -> Option<FailureKind> {
    if let Some(error) = error.downcast_ref::<StackError>() {
        return of_stack(error);
    }
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return error.is_connect().then_some(FailureKind::Connect);
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return of_hyper(error);
    }
    if error.is::<Undecodable>() {
        return Some(FailureKind::Other);
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

fn of_hyper(error: &hyper::Error) -> Option<FailureKind> {
    if error.is_parse() {
        return Some(FailureKind::Other);
    }
    if error.is_timeout() {
        return Some(FailureKind::Timeout);
    }
    let ended = error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    ended.then_some(FailureKind::Interrupted)
}

fn of_io(error: &io::Error) -> Option<FailureKind> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(FailureKind::Connect),
        io::ErrorKind::TimedOut => Some(FailureKind::Timeout),
        // The last three also end connections that stood, when the way to the peer is gone for too long: by then the
        // service may have acted.
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => Some(FailureKind::Interrupted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the service of somebody else")]
    struct Foreign(#[source] BoxError);

    fn kind(error: impl Into<BoxError>) -> FailureKind {
        classify(Foreign(error.into()).into()).kind
    }

    #[test]
    fn the_kind_is_found_below_errors_that_are_not_known() {
        assert_eq!(kind(io::Error::from(io::ErrorKind::ConnectionRefused)), FailureKind::Connect);
        assert_eq!(kind(io::Error::from(io::ErrorKind::ConnectionReset)), FailureKind::Interrupted);
        assert_eq!(kind(io::Error::from(io::ErrorKind::HostUnreachable)), FailureKind::Interrupted);
        assert_eq!(kind(io::Error::from(io::ErrorKind::TimedOut)), FailureKind::Timeout);
        assert_eq!(kind(StackError::Stalled { after: std::time::Duration::ZERO }), FailureKind::Timeout);
        assert_eq!(kind("nobody knows"), FailureKind::Other);
    }

    #[test]
    fn a_source_that_cannot_be_read_is_no_broken_connection() {
        let cause = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(SourceError::new(cause)), FailureKind::Source);
    }
}
