//! The states that a transfer is in.

use std::time::Duration;

use partwise_models::{File, UnixSeconds};

use crate::{machine::RequestId, operations::Account, retry::service_state::Excuse};

use super::{
    Parallel, Phase, UploadError,
    clock::{ClockOffset, ServiceClock},
    cut::Sizes,
    parts::Parts,
    reconcile::Reconcile,
};

/// The step that a transfer is at.
#[derive(Debug)]
pub(super) enum Stage {
    /// `POST /uploads`.
    Create,
    /// Parts.
    Send,
    /// All parts are there: the hash must be known, and the source still the same.
    Check { asked: bool },
    /// A checkpoint that says what comes next must be durable; `change` is its number once it is asked for.
    Announce { change: Option<u64> },
    /// `complete`, or the single `POST /files`.
    Commit,
    /// The service has not made the file; before it is sent again at this moment, the source must still be the same, since
    /// files were told from it by their content.
    Recheck { asked: bool, again_at: Duration, told_apart: Vec<File> },
    /// The service's list is searched for the file of an ambiguous request.
    Reconcile(Box<Reconcile>),
    /// The single request made a file; the source must still be the same.
    Verify { file: Box<File>, asked: bool },
    /// The single request made a file, and the source may have changed meanwhile: the content decides.
    Prove { file: Box<File>, until: Option<Duration> },
    /// The upload is cancelled on the service, until this moment at most.
    Cancel { until: Duration, file_possible: bool },
    /// Over.
    End { made: bool },
}

/// The route that the file takes, with what is known on it.
#[derive(Debug)]
pub(super) enum UploadRoute {
    Parts {
        upload: Option<Box<OpenUpload>>,
        parts: Parts,
    },
    Single {
        /// When the request was first about to be sent, on our clock.
        posted_at: Option<UnixSeconds>,
        /// The same on the monotonic clock, when that was in this run.
        posted: Option<Posted>,
        /// The service's clock, once an answer showed it.
        clock: Option<ClockOffset>,
    },
}

/// When a single request was first about to be sent, on the monotonic clock, and for how long this machine has slept since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Posted {
    pub(super) at: Duration,
    pub(super) slept: Duration,
}

impl Posted {
    /// How long ago that was.
    pub(super) fn since(self, now: Duration) -> Duration {
        now.saturating_sub(self.at).saturating_add(self.slept)
    }
}

/// An upload that the service has open.
#[derive(Clone, Debug)]
pub(super) struct OpenUpload {
    pub(super) id: String,
    pub(super) created_at: UnixSeconds,
    pub(super) expires_at: Option<UnixSeconds>,
    pub(super) clock: ServiceClock,
    /// The account that it was opened for.
    pub(super) account: Account,
}

impl UploadRoute {
    pub(super) fn parts(length: u64, sizes: Sizes, parallel: Parallel) -> Self {
        let parts = Parts::new(length, sizes).in_order(parallel == Parallel::InOrder);
        Self::Parts { upload: None, parts }
    }

    pub(super) fn upload(&self) -> Option<&OpenUpload> {
        match self {
            Self::Parts { upload, .. } => upload.as_deref(),
            Self::Single { .. } => None,
        }
    }

    /// Parts in all, parts acknowledged, bytes acknowledged.
    pub(super) fn counts(&self, length: u64, stage: &Stage) -> (u64, u64, u64) {
        match self {
            Self::Parts { parts, .. } => {
                let stored = parts.stored();
                (parts.expected(), stored.count() as u64, stored.bytes())
            }
            Self::Single { .. } => match stage {
                Stage::Verify { .. } | Stage::Prove { .. } | Stage::End { made: true } => (1, 1, length),
                _ => (1, 0, 0),
            },
        }
    }
}

/// The failures and the delay of the one request that is not a part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Solo {
    pub(super) failures: u32,
    /// How often it was interrupted in the middle of its body.
    pub(super) interruptions: u32,
    pub(super) not_before: Duration,
    pub(super) excuse: Excuse,
}

/// The names of the tasks that are no requests, while they run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chores {
    pub(super) hashing: Option<RequestId>,
    pub(super) stamping: Option<RequestId>,
}

/// The MD5 of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    NotWanted,
    Wanted,
    Running,
    Known([u8; 16]),
}

impl Hash {
    pub(super) fn is_settled(self) -> bool {
        matches!(self, Self::NotWanted | Self::Known(_))
    }

    /// As it goes on the wire.
    pub(super) fn hex(self) -> Option<String> {
        match self {
            Self::Known(digest) => Some(digest.iter().map(|byte| format!("{byte:02x}")).collect()),
            _ => None,
        }
    }
}

/// The end, which is given out once.
#[derive(Debug)]
pub(super) enum FinalResult {
    Open,
    Ready(Box<Result<File, UploadError>>),
    Given,
}

impl FinalResult {
    pub(super) fn set(&mut self, result: Result<File, UploadError>) {
        if matches!(self, Self::Open) {
            *self = Self::Ready(Box::new(result));
        }
    }

    pub(super) fn take(&mut self) -> Option<Result<File, UploadError>> {
        match std::mem::replace(self, Self::Given) {
            Self::Ready(result) => Some(*result),
            Self::Open => {
                *self = Self::Open;
                None
            }
            Self::Given => None,
        }
    }
}

impl super::UploadMachine {
    pub(super) fn phase(&self) -> Phase {
        match self.stage {
            Stage::Create => Phase::Creating,
            Stage::Send => Phase::Sending,
            Stage::Check { .. }
            | Stage::Announce { .. }
            | Stage::Recheck { .. }
            | Stage::Verify { .. }
            | Stage::Prove { .. } => Phase::Checking,
            Stage::Commit => match self.route {
                UploadRoute::Parts { .. } => Phase::Completing,
                UploadRoute::Single { .. } => Phase::Sending,
            },
            Stage::Reconcile(_) => Phase::Settling,
            Stage::Cancel { .. } => Phase::Cancelling,
            Stage::End { .. } => Phase::Done,
        }
    }
}
