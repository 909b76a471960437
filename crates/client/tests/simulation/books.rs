//! What the network sees of an upload, held against the rules.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use partwise_protocol::{machine::Now, operations::OperationId, retry::RetryHint};
use tokio::time::Instant;

use crate::{
    clocks::Clocks,
    disk::Disk,
    rules::{Broken, Rule},
};

/// The books of one story.
#[derive(Debug)]
pub(crate) struct Books {
    parallel: usize,
    clocks: Clocks,
    disk: Disk,
    broken: Broken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests under way, with where in the file their part begins.
    flying: BTreeMap<u64, Option<u64>>,
    /// Parts that the checkpoint at the beginning of this run knew, by where they begin.
    known: BTreeSet<u64>,
    /// Parts acknowledged to this run, with their identifiers.
    acknowledged: BTreeMap<u64, String>,
    /// When the service asked for patience, and until when.
    gate: (Instant, Instant),
    /// Bodies that came whole and were taken by the server.
    kept: u64,
}

/// A request under way, until this is dropped.
pub(crate) struct Flight {
    books: Arc<Books>,
    number: u64,
}

impl Books {
    pub(crate) fn new(parallel: u16, clocks: Clocks, disk: Disk, broken: Broken) -> Arc<Self> {
        let state = State {
            flying: BTreeMap::new(),
            known: BTreeSet::new(),
            acknowledged: BTreeMap::new(),
            gate: (Instant::now(), Instant::now()),
            kept: 0,
        };
        Arc::new(Self { parallel: parallel.into(), clocks, disk, broken, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A run begins, with what the checkpoint knows. It knows nothing of what services asked for before.
    pub(crate) fn begin_run(&self) {
        let mut state = self.state();
        state.known = self.disk.acknowledged().into_iter().map(|(offset, _)| offset).collect();
        state.acknowledged.clear();
        state.gate = (Instant::now(), Instant::now());
    }

    /// Whether requests are under way.
    pub(crate) fn is_anything_flying(&self) -> bool {
        !self.state().flying.is_empty()
    }

    /// How many bodies the server has taken whole.
    pub(crate) fn kept(&self) -> u64 {
        self.state().kept
    }

    /// A request leaves; `part` is where its part begins in the file.
    pub(crate) fn take_off(
        self: &Arc<Self>,
        number: u64,
        operation: OperationId,
        part: Option<u64>,
    ) -> Flight {
        let mut state = self.state();
        let (since, until) = state.gate;
        let now = Instant::now();
        // At the very moment of the refusal the driver may not have heard of it.
        let may_leave = now <= since || now >= until || operation == OperationId::CancelUpload;
        self.broken.hold(Rule::Gate, may_leave, || {
            format!("{operation} leaves {:?} before the gate opens", until - now)
        });
        match operation {
            OperationId::CreateUpload => {
                // A new upload has no parts yet.
                state.known.clear();
                state.acknowledged.clear();
            }
            OperationId::AddUploadPart => self.hold_part(&state, part),
            OperationId::CompleteUpload | OperationId::CreateFile => {
                let announced = self.disk.announces_a_file();
                self.broken.hold(Rule::Announced, announced, || format!("{operation} leaves without"));
            }
            _ => {}
        }
        state.flying.insert(number, part);
        let flying = state.flying.len();
        self.broken.hold(Rule::Parallel, flying <= self.parallel, || format!("{flying} requests fly"));
        Flight { books: self.clone(), number }
    }

    fn hold_part(&self, state: &State, part: Option<u64>) {
        let Some(part) = part else { return };
        let taken = state.known.contains(&part) || state.acknowledged.contains_key(&part);
        self.broken.hold(Rule::NotSentAgain, !taken, || format!("the part at {part} is sent again"));
        let twice = state.flying.values().any(|flying| *flying == Some(part));
        self.broken.hold(Rule::Parallel, !twice, || format!("the part at {part} flies twice"));
    }

    /// The server has done something.
    pub(crate) fn done(&self, operation: OperationId) {
        if matches!(operation, OperationId::AddUploadPart | OperationId::CreateFile) {
            self.state().kept += 1;
        }
    }

    /// The client gets this answer, whole.
    pub(crate) fn deliver(&self, operation: OperationId, part: Option<u64>, answer: &Response<Bytes>) {
        let now = Instant::now();
        let mut state = self.state();
        if matches!(answer.status().as_u16(), 429 | 503) {
            let time = Now { monotonic: Duration::ZERO, unix: self.clocks.client() };
            let wait = RetryHint::of_headers(answer.headers()).wait(time).unwrap_or_default();
            if now + wait > state.gate.1 {
                state.gate = (now, now + wait);
            }
        }
        let (OperationId::AddUploadPart, Some(part), true) = (operation, part, answer.status().is_success())
        else {
            return;
        };
        let Ok(body) = serde_json::from_slice::<serde_json::Value>(answer.body()) else { return };
        state.acknowledged.insert(part, body["id"].as_str().expect("a part has an identifier").to_owned());
        let ahead = self.ahead(&state);
        self.broken.hold(Rule::CheckpointClose, ahead <= self.parallel, || {
            format!("{ahead} parts are acknowledged that no checkpoint knows")
        });
    }
}

impl Books {
    /// How many parts are acknowledged to this run that no checkpoint knows.
    pub(crate) fn unknown_to_the_checkpoint(&self) -> usize {
        self.ahead(&self.state())
    }

    fn ahead(&self, state: &State) -> usize {
        let saved: BTreeSet<_> = self.disk.acknowledged().into_iter().collect();
        state.acknowledged.iter().filter(|(at, id)| !saved.contains(&(**at, (*id).clone()))).count()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.books.state().flying.remove(&self.number);
    }
}
