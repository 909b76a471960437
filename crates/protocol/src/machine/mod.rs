//! The contract between the machines and their drivers.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

pub(crate) mod activity;

pub use self::activity::TransferState;
use partwise_models::UnixSeconds;

use crate::{operations::OperationId, transport::Failure};

/// Two readings of time, taken by the caller: this crate has no clock.
///
/// ```
/// use std::time::Duration;
///
/// use partwise_protocol::machine::Now;
///
/// // Three seconds on a clock that began with the driver, on 14 November 2023.
/// let now = Now { monotonic: Duration::from_secs(3), unix: 1_700_000_000.into() };
/// assert_eq!(now.unix.0, 1_700_000_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "callers build it at every step; there is no third clock")]
pub struct Now {
    /// A clock that never goes back, from any origin that stays the same: for waits and rates.
    pub monotonic: Duration,
    /// The wall clock: for expiry.
    pub unix: UnixSeconds,
}

impl Now {
    /// Two readings of the standard library's clocks: `now` on a clock that began at `origin`, and the time of day.
    ///
    /// ```
    /// use std::time::{Duration, Instant, SystemTime};
    ///
    /// use partwise_protocol::machine::Now;
    ///
    /// let origin = Instant::now();
    /// let now = Now::since(origin, origin + Duration::from_secs(3), SystemTime::now());
    /// assert_eq!(now.monotonic, Duration::from_secs(3));
    /// ```
    #[must_use]
    pub fn since(origin: std::time::Instant, now: std::time::Instant, of_day: std::time::SystemTime) -> Self {
        let unix = of_day.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { monotonic: now.saturating_duration_since(origin), unix: unix.as_secs().into() }
    }
}

/// Names one task of one machine. Never used twice.
///
/// ```
/// use std::collections::HashMap;
///
/// use partwise_protocol::machine::RequestId;
///
/// /// The tasks of a driver, each with a handle that ends it when it is dropped.
/// struct Running<H>(HashMap<RequestId, H>);
///
/// impl<H> Running<H> {
///     fn start(&mut self, id: RequestId, handle: H) {
///         self.0.insert(id, handle);
///     }
///
///     /// The task has ended, or is abandoned.
///     fn end(&mut self, id: RequestId) {
///         self.0.remove(&id);
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// The subject of a request, for people: nothing needs to be decided by it.
///
/// ```
/// use partwise_protocol::{machine::Attempt, operations::OperationId};
///
/// let attempt = Attempt::new(OperationId::ListFiles, 2);
/// assert_eq!((attempt.operation.name(), attempt.number, attempt.part), ("listFiles", 2, None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The operation that is asked for.
    pub operation: OperationId,
    /// The part that is sent, counted from 1.
    pub part: Option<u64>,
    /// How often this was sent in this run, this time included; of a download, the number of the request among all of the
    /// run.
    pub number: u64,
}

impl Attempt {
    /// The `number`th attempt of an operation.
    #[must_use]
    pub fn new(operation: OperationId, number: u64) -> Self {
        Self { operation, part: None, number }
    }
}

/// The next step of a driver. It does so without waiting for the result, and polls again.
///
/// `T` is what the machine can ask for, `C` its checkpoint and `R` its result.
///
/// ```
/// use partwise_protocol::{machine::Action, upload::UploadAction};
///
/// /// A line for a log of what an upload asks for.
/// fn line(action: &UploadAction) -> String {
///     match action {
///         Action::Start { id, .. } => format!("start {id:?}"),
///         Action::Abandon(id) => format!("abandon {id:?}"),
///         Action::Save(checkpoint) => format!("save the checkpoint of {}", checkpoint.filename()),
///         Action::Wait { until } => format!("wait until {until:?}"),
///         Action::Done(result) => format!("done, {}", if result.is_ok() { "with a file" } else { "without one" }),
///     }
/// }
///
/// assert_eq!(line(&Action::Wait { until: None }), "wait until None");
/// ```
#[must_use]
#[derive(Debug)]
#[allow(
    clippy::exhaustive_enums,
    clippy::large_enum_variant,
    reason = "a driver that ignores one is wrong; one is alive at a time"
)]
pub enum Action<T, C, R> {
    /// Start this task, and report its end with the handler that its documentation names, or with
    /// [`handle_failure`](Machine::handle_failure) when there is no answer.
    Start {
        /// Names the task in reports.
        id: RequestId,
        /// The task.
        task: T,
    },
    /// Drop this task if it still runs; nothing about it need be reported.
    Abandon(RequestId),
    /// Make durable what was received, then this checkpoint, and report it with [`handle_saved`](Machine::handle_saved). Never
    /// asked for again before the report. A driver that keeps none reports success at once.
    Save(C),
    /// Nothing to do before the next report or this moment of the monotonic clock, whichever comes first.
    Wait {
        /// The moment; `None` when only a report can bring news.
        until: Option<Duration>,
    },
    /// The end. Comes once; after it the machine only waits.
    Done(R),
}

/// The next step of the driver of `M`.
pub type ActionOf<M> = Action<
    <M as Machine>::Task,
    <M as Machine>::Checkpoint,
    Result<<M as Machine>::Output, <M as Machine>::Error>,
>;

/// A file's way to or from a service as a state machine without I/O: [`UploadMachine`](crate::upload::UploadMachine) or [`DownloadMachine`](crate::download::DownloadMachine).
///
/// A driver owns sockets, clocks and files; the machine decides. The driver calls [`poll`](Self::poll), does what the
/// [`Action`] says without waiting for it, and reports results with the `handle_*` methods. Time and entropy are arguments,
/// so the same inputs always give the same actions.
///
/// After any `handle_*`, [`stop`](Self::stop) or reached deadline, poll until [`Action::Wait`] or [`Action::Done`]. Names
/// that are not known any more are ignored. `Done` comes once. Misuse never panics.
///
/// ```
/// use partwise_protocol::machine::{Action, Machine, Now};
///
/// /// One turn of any driver: everything that is to be done now.
/// fn turn<M: Machine>(machine: &mut M, now: Now, mut start: impl FnMut(M::Task)) -> Option<Result<M::Output, M::Error>> {
///     loop {
///         match machine.poll(now) {
///             Action::Start { id: _, task } => start(task),
///             Action::Abandon(_) => {}
///             // This driver keeps no checkpoints.
///             Action::Save(_) => machine.handle_saved(Ok(())),
///             Action::Wait { .. } => return None,
///             Action::Done(result) => return Some(result),
///         }
///     }
/// }
/// ```
pub trait Machine {
    /// What the machine can ask for besides keeping time and checkpoints.
    type Task;
    /// What must survive a crash.
    type Checkpoint: Send + 'static;
    /// What a success gives.
    type Output;
    /// The error of an end without success.
    type Error;
    /// How far it is, for people.
    type Progress;

    /// Says what to do next.
    fn poll(&mut self, now: Now) -> ActionOf<Self>;

    /// So many more bytes of a task's content have moved, counted from the last report on: bytes of a request's body that have
    /// left, or bytes of an answer that were written, next to those before. It may be reported of an abandoned task too. None at all says that something
    /// moved which is not counted, such as bytes that had left before and are now on the other side.
    fn handle_moved(&mut self, id: RequestId, bytes: u64);

    /// A task ended without an answer, or without the rest of one.
    fn handle_failure(&mut self, id: RequestId, failure: Failure, now: Now);

    /// The checkpoint was saved as [`Action::Save`] asked, or could not be.
    fn handle_saved(&mut self, saved: Result<(), SaveError>);

    /// Stops for now: nothing new is sent, and what is known so far is saved, to be resumed later.
    fn stop(&mut self);

    /// How far it is.
    fn progress(&self) -> Self::Progress;

    /// Says whether the checkpoint that was saved last may still lead to a success after this end.
    fn is_resumable_after(&self, error: &Self::Error) -> bool;
}

/// A checkpoint could not be saved.
///
/// ```
/// use std::{error::Error as _, io};
///
/// use partwise_protocol::machine::SaveError;
///
/// let error = SaveError::from(io::Error::from(io::ErrorKind::PermissionDenied));
/// assert_eq!(error.to_string(), "the checkpoint cannot be saved");
/// assert!(error.source().is_some());
/// ```
#[derive(Clone, Debug)]
pub struct SaveError(Arc<dyn Error + Send + Sync>);

impl SaveError {
    /// An error with its cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(cause.into()))
    }
}

impl From<io::Error> for SaveError {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the checkpoint cannot be saved")
    }
}

impl Error for SaveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
