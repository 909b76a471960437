//! Moments to kill a run at.

use std::{
    thread::{sleep, yield_now},
    time::Duration,
};

use partwise_protocol::operations::OperationId::{AddUploadPart, CompleteUpload, CreateUpload};

use crate::{
    command::Run,
    journal::Exchange,
    service::{Hold, Service},
    state::State,
};

/// When a run is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// When the upload is being made, or was made and nobody knows.
    Create(Hold),
    /// So soon after the answer to its making.
    Created(Duration),
    /// So soon after the service has told of this many parts, those of earlier runs with them.
    Parts(usize, Duration),
    /// As soon as more of a checkpoint is written after that: before or after it is synced.
    Saving(usize),
    /// When the file is being made, or was made and nobody knows.
    Complete(Hold),
}

impl Moment {
    /// Has the service hold what must not happen before the kill.
    pub(crate) fn arm(self, service: &Service, run: u32) {
        match self {
            Self::Create(hold) => service.hold(run, CreateUpload, hold),
            Self::Complete(hold) => service.hold(run, CompleteUpload, hold),
            // However late the kill comes, the upload is not over before it.
            Self::Created(_) | Self::Parts(..) => service.hold(run, CompleteUpload, Hold::Before),
            Self::Saving(_) => {}
        }
    }

    /// Waits for it, in a run that began when so many parts were known.
    pub(crate) fn wait(self, service: &Service, run: &mut Run, state: &State, known: usize) {
        let number = run.number;
        let mut comes = |count: usize, condition: &dyn Fn(&Exchange) -> bool| {
            let is_it = |one: &&Exchange| one.run == number && condition(one);
            service.journal().wait(|all| all.iter().filter(is_it).count() >= count, || run.is_going_on());
        };
        let is_held = |one: &Exchange, operation, hold| {
            one.operation == operation && (hold == Hold::Before || one.done.is_some())
        };
        let is_answered = |one: &Exchange, operation| one.operation == operation && one.is_answered;
        let new = |acknowledged: usize| acknowledged.saturating_sub(known).max(1);
        match self {
            Self::Create(hold) => comes(1, &|one| is_held(one, CreateUpload, hold)),
            Self::Complete(hold) => comes(1, &|one| is_held(one, CompleteUpload, hold)),
            Self::Created(soon) => {
                comes(1, &|one| is_answered(one, CreateUpload));
                sleep(soon);
            }
            Self::Parts(acknowledged, soon) => {
                comes(new(acknowledged), &|one| is_answered(one, AddUploadPart));
                sleep(soon);
            }
            Self::Saving(acknowledged) => {
                comes(new(acknowledged), &|one| is_answered(one, AddUploadPart));
                let before = state.written();
                while state.written() == before {
                    assert!(run.is_going_on(), "it has ended");
                    yield_now();
                }
            }
        }
    }
}
