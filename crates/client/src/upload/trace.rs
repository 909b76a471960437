//! What an upload says to those who trace it.

use std::mem::discriminant;

use partwise_models::File;
use partwise_protocol::{
    machine::{Attempt, Machine as _},
    upload::{Progress, Retry, Statistics, UploadMachine, Warning},
};
use tracing::{Span, field::Empty};

use crate::Error;

/// The span of one upload, and what happens in it.
pub(super) struct Trace {
    span: Span,
    is_in_parts: bool,
    /// What has to be recorded when the upload ends, or is dropped before.
    unrecorded: Option<Statistics>,
}

impl Trace {
    pub(super) fn begin(transfer: &UploadMachine) -> Self {
        let api = transfer.api();
        let span = tracing::info_span!(
            "upload",
            service = api.identity(),
            dialect = %api.dialect(),
            route = if transfer.is_in_parts() { "parts" } else { "single" },
            bytes = transfer.progress().bytes_total,
            id = Empty,
            attempts = Empty,
            retries = Empty,
            bytes_sent = Empty,
            bytes_acknowledged = Empty,
            waited_ms = Empty,
        );
        span.record("id", transfer.progress().upload_id);
        Self { span, is_in_parts: transfer.is_in_parts(), unrecorded: Some(Statistics::default()) }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Says that the file goes in parts although it was to go in one request.
    pub(super) fn goes_in_parts(&mut self, is_in_parts: bool) {
        if is_in_parts && !self.is_in_parts {
            self.is_in_parts = true;
            self.span.record("route", "parts");
            tracing::info!("the line does not last for one request: the file goes in parts");
        }
    }

    /// Says what has changed, inside the span: after each report to the machine, so that no retry is missed.
    pub(super) fn changed(&mut self, before: &Progress, now: &Progress) {
        let (was, is) = (&before.statistics, &now.statistics);
        self.unrecorded = Some(*is);
        if before.upload_id != now.upload_id {
            self.span.record("id", now.upload_id.as_deref());
        }
        if before.phase != now.phase {
            tracing::debug!(phase = ?now.phase, "goes on");
        }
        if let Some(retry) = now.latest_retry.filter(|_| was.retries.total < is.retries.total) {
            say_retry(&retry, (was.overloads < is.overloads).then_some(now.window));
        }
        let warned = before.warning.map(|warning| discriminant(&warning));
        if let Some(warning) = now.warning.filter(|warning| Some(discriminant(warning)) != warned) {
            say_warning(warning);
        }
    }

    /// Says how it ended, inside the span.
    pub(super) fn end(&mut self, result: &Result<File, Error>) {
        self.record();
        match result {
            Ok(file) => tracing::info!(file = file.id, "uploaded"),
            Err(error) => tracing::info!(error = error as &dyn std::error::Error, "not uploaded"),
        }
    }

    fn record(&mut self) {
        let Some(statistics) = self.unrecorded.take() else { return };
        let waited = u64::try_from(statistics.waited().as_millis()).unwrap_or(u64::MAX);
        self.span.record("attempts", statistics.attempts.total);
        self.span.record("retries", statistics.retries.total);
        self.span.record("bytes_sent", statistics.bytes_sent);
        self.span.record("bytes_acknowledged", statistics.bytes_acknowledged);
        self.span.record("waited_ms", waited);
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.record();
    }
}

/// `window` is how many parts may still be in flight, when the service asked for patience.
fn say_retry(retry: &Retry, window: Option<u16>) {
    let Attempt { operation, part, number, .. } = retry.attempt;
    let (operation, reason, wait) = (operation.name(), retry.reason.as_str(), retry.wait);
    match window {
        Some(window) => {
            tracing::warn!(operation, part, number, reason, ?wait, window, "the service asks for patience");
        }
        None => tracing::debug!(operation, part, number, reason, ?wait, "trying again"),
    }
}

fn say_warning(warning: Warning) {
    match warning {
        Warning::TooSlow { needed, left } => {
            tracing::warn!(?needed, ?left, "at this rate the upload expires before it is complete");
        }
        Warning::PastExpiry => {
            tracing::warn!("the upload seems to have expired; the service decides");
        }
        Warning::ExpiryIgnored => {
            tracing::warn!("the service named an expiry before the upload's beginning; it is ignored");
        }
        other => tracing::warn!(warning = ?other, "a warning"),
    }
}
