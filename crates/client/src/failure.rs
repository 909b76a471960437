//! What an error of a service means for a caller who decides about a retry.

use std::error::Error;

use partwise_net::BoxError;
use partwise_protocol::transport::{Failure, FailureKind};

use crate::decoded::Undecodable;

/// Finds out what kind of failure this is by looking through its causes; what is not known is final.
/// [`ClientBuilder::transport`](crate::ClientBuilder::transport) tells callers of it.
pub(crate) fn classify(error: BoxError) -> Failure {
    Failure::of(error, kind_of)
}

fn kind_of(error: &(dyn Error + 'static)) -> Option<FailureKind> {
    if error.is::<Undecodable>() {
        return Some(FailureKind::Other);
    }
    if error.is::<tokio::time::error::Elapsed>() {
        return Some(FailureKind::Timeout);
    }
    #[cfg(feature = "hyper")]
    return partwise_transport_hyper::failure_kind(error);
    #[cfg(not(feature = "hyper"))]
    FailureKind::of(error)
}

#[cfg(test)]
mod tests {
    use std::io;

    use partwise_protocol::transport::SourceError;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the service of somebody else")]
    struct Foreign(#[source] BoxError);

    fn kind(error: impl Into<BoxError>) -> FailureKind {
        classify(Foreign(error.into()).into()).kind
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

    #[test]
    fn a_source_that_cannot_be_read_is_no_broken_connection() {
        let cause = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(SourceError::new(cause)), FailureKind::Source);
    }
}
