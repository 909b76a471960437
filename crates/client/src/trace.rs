//! The span of one attempt of a request. No key and no body is ever in one.

use http::Response;
use partwise_protocol::{operations::OperationId, transport::Failure};
use tracing::{Instrument, Span, field::Empty};

/// A span for one attempt; its outcome is recorded by [`attempt`].
pub(crate) fn attempt_span(operation: OperationId, part: Option<u64>, number: u64) -> Span {
    tracing::debug_span!(
        "attempt",
        operation = operation.name(),
        part,
        number,
        status = Empty,
        failure = Empty
    )
}

/// Runs an attempt in its span, and records there what became of it.
pub(crate) async fn attempt<B>(
    span: Span,
    sending: impl Future<Output = Result<Response<B>, Failure>>,
) -> Result<Response<B>, Failure> {
    let outcome = sending.instrument(span.clone()).await;
    match &outcome {
        Ok(response) => {
            let status = response.status().as_u16();
            span.record("status", status);
            span.in_scope(|| tracing::debug!("answered"));
        }
        Err(failure) => {
            span.record("failure", failure.kind.as_str());
            span.in_scope(|| tracing::debug!(error = failure as &dyn std::error::Error, "failed"));
        }
    }
    outcome
}
