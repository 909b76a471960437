//! Requests under way, each on a task of its own that ends with this.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use partwise_protocol::{Failure, FailureKind, RequestId};
use tokio::task::{AbortHandle, Id, JoinSet};
use tracing::Span;

use crate::{Client, RequestBody, body::Handoff, digest::Digest, trace};

/// The requests of one upload that have no answer yet.
#[derive(Default)]
pub(super) struct Flights {
    tasks: JoinSet<Result<Response<Bytes>, Failure>>,
    by_task: HashMap<Id, Flight>,
}

struct Flight {
    request: RequestId,
    handoff: Arc<Handoff>,
    reported: u64,
    task: AbortHandle,
    span: Span,
}

/// A request that has come to its end.
pub(super) struct Landed {
    pub(super) request: RequestId,
    /// Bytes of its body that had left since the last report.
    pub(super) sent: u64,
    /// The digest of the content that it sent, if it was taken.
    pub(super) digest: Option<Digest>,
    pub(super) outcome: Result<Response<Bytes>, Failure>,
}

impl Flights {
    pub(super) fn start(
        &mut self,
        client: Client,
        id: RequestId,
        request: Request<RequestBody>,
        limit: u64,
        span: Span,
    ) {
        let handoff = request.body().handoff();
        let sending = async move { client.exchange(request, limit).await };
        let task = self.tasks.spawn(trace::attempt(span.clone(), sending));
        self.by_task.insert(task.id(), Flight { request: id, handoff, reported: 0, task, span });
    }

    /// Ends this request, if it still runs, and says how many bytes had left since the last report.
    pub(super) fn abandon(&mut self, id: RequestId) -> u64 {
        let mut sent = 0;
        self.by_task.retain(|_, flight| {
            let abandoned = flight.request == id;
            if abandoned {
                flight.task.abort();
                flight.span.record("failure", "abandoned");
                sent = flight.newly_sent();
            }
            !abandoned
        });
        sent
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_task.is_empty()
    }

    /// The next request that ends; waits for ever when there is none. May be dropped and called again.
    pub(super) async fn land(&mut self) -> Landed {
        loop {
            let Some(ended) = self.tasks.join_next_with_id().await else {
                return std::future::pending().await;
            };
            let (task, outcome) = match ended {
                Ok((task, outcome)) => (task, outcome),
                Err(stopped) => (stopped.id(), Err(Failure::with_cause(FailureKind::Other, stopped))),
            };
            // One that was abandoned is no longer known, and nobody waits for it.
            if let Some(mut flight) = self.by_task.remove(&task) {
                let (request, digest) = (flight.request, flight.handoff.digest());
                return Landed { request, sent: flight.newly_sent(), digest, outcome };
            }
        }
    }

    /// Bytes that have left since the last report, request by request.
    pub(super) fn newly_sent(&mut self) -> Vec<(RequestId, u64)> {
        self.by_task.values_mut().map(|flight| (flight.request, flight.newly_sent())).collect()
    }
}

impl Flight {
    fn newly_sent(&mut self) -> u64 {
        let sent = self.handoff.sent();
        let new = sent.saturating_sub(self.reported);
        self.reported = self.reported.max(sent);
        new
    }
}
