//! One file's way to the service, as a state machine without I/O.

mod acknowledged;
mod answers;
mod checkpoint;
mod chores;
mod clock;
mod connections;
mod cut;
mod error;
mod expiry;
mod failed_attempt;
mod fallback;
mod in_order;
mod line;
mod machine;
mod outage;
mod pace;
mod parts;
mod pending;
mod plan;
mod probe;
mod progress;
mod proof;
mod reconcile;
mod registry;
mod requests;
mod resume;
mod saver;
mod shown;
mod source;
mod state;
mod statistics;
mod stop;
mod stored;
mod task;

pub use checkpoint::{Checkpoint, ResumeError};
pub use error::UploadError;
pub(crate) use error::spoken;
pub use plan::{Parallel, Plan, PlanError, RouteChoice};
pub use progress::{Phase, Progress, Proof, Retry, Warning};
pub use reconcile::Comparison;
pub(crate) use registry::UploadRegistry;
pub use source::SourceStamp;
pub use statistics::{Attempts, Retries, RetryReason, Statistics};
pub use task::{UploadAction, UploadTask};

use std::{collections::VecDeque, time::Duration};

use http::Response;
use partwise_models::File;

use bytes::Bytes;

use crate::{
    Api,
    machine::{Attempt, Now, RequestId, SaveError, activity::Activity},
    multipart::base_name,
    random::Random,
    retry::{ServiceState, service_state::Member},
    transport::{Failure, FailureKind, SourceError},
};
use connections::Connections;
use failed_attempt::FailedAttempt;
use fallback::Fallback;
use in_order::NextPart;
use line::UplinkEstimate;
use pace::Pace;
use pending::{Asked, PendingRequest, PendingRequests};
use plan::Decided;
use proof::Reread;
use registry::{Identity, Likeness, Registration};
use saver::CheckpointSaver;
use shown::Measuring;
use state::{Chores, FinalResult, Hash, Solo, Stage, UploadRoute};
use stop::Stop;

/// One file's way to the service, in parallel parts or in one request, as a state machine.
///
/// A driver owns sockets, clocks and files; the machine decides. The driver calls [`poll`](crate::machine::Machine::poll), does what the
/// [`Action`](crate::machine::Action) says without waiting for it, and reports results with the `handle_*` methods. Time and entropy are
/// arguments, so the same inputs always give the same actions.
///
/// # States
/// ```text
///                 parts                                        single request
///
///   ┌──▶ create upload ──▶ send parts ◀─┐              ┌──▶ announce ──▶ POST /files ──▶ verify source ──▶ file
///   │          ▲              │         │ a part       │  (checkpoint)       │                │
///   │          │ expired,     ▼         │ fails        │                     │ ambiguous      ▼ it may have changed
///   │          │ of an     check source ┘              │                     ▼             compare content
///   │          │ earlier     and hash                  │  nothing was made   │                │
///   │          │ run          │                        └── recheck source ◀─ reconcile ◀──────┘
///   │          └──────────────┤                                              │     │
///   │ interrupted             ▼                                              │     ▼ not to be told
///   │ twice               announce ──▶ complete ──▶ file                     │   CompletionUnknown
///   │                    (checkpoint)      │ ambiguous, twice                │
///   └── POST /files                        └────────────▶ reconcile ─────────┴─▶ file
///
///   cancel, from anywhere: abandon what is in flight, cancel the upload ──▶ Cancelled
///   stop, from anywhere: wait for what is in flight, save a checkpoint ──▶ Stopped
///   the service cannot be reached: one probe at a time, in any state ──▶ the same state, or Away
/// ```
///
/// # Rules
/// 0. Every `Ok` names a file whose content is the source's, as [`Progress::proof`] says: the service answered with it,
///    or it was proven otherwise. A file of another size, one with the status `error`, and an answer that came before
///    all of the file had left are errors.
/// 1. After any `handle_*`, [`stop`](crate::machine::Machine::stop), [`cancel`](Self::cancel) or reached deadline, poll until
///    [`Action::Wait`](crate::machine::Action::Wait) or [`Action::Done`](crate::machine::Action::Done). Stale request names are ignored.
///    `Done` comes once. Misuse never panics.
/// 2. A part is `[form head][source range][form tail]`: its length is exact, nothing is copied, and sending it again
///    reads the range again, between boundaries that were never used before.
/// 3. Parts are cut when they are sent, off the beginning of what is left, and keep their range when they go again;
///    identifiers are kept by where a part begins, so parts may finish in any order. The lowest part that may go goes
///    first, up to [`Plan::parallel`] are in flight, and what was acknowledged is never sent again. Where
///    [`Plan::part_size`] is left open, a part is what its connection carried in about 4 s (2 s at first, and while
///    connections are being interrupted), between 64 KiB and the smaller of 64 MiB and
///    [`Limits::part`](crate::Limits::part); 256 KiB while nothing is known, at most 16 times the largest before it,
///    smaller towards the end so that all connections end together, and so large that there are at most
///    [`Limits::parts`](crate::Limits::parts). What was cut and is not acknowledged is, whenever a part is cut, at most
///    what was acknowledged over the last 12 s (or since the first part left, as a rate for 12 s) plus 1 MiB for each
///    connection. A part that was interrupted twice may be cut again. Where the number of connections is left open, it
///    begins at eight and is doubled as long as more bytes leave for it. Where parts take seconds, it is halved as long
///    as that loses less than 5 % of what is acknowledged (less than 30 % among connections that carry less than 2
///    Mbit/s each), down to two; other numbers are tried again later, since lines change.
/// 4. A refusal is final unless the [`RetryPolicy`](crate::retry::RetryPolicy) says otherwise: `x-should-retry` decides; else
///    408, 409, 429, 5xx and broken connections are repeated. The wait is drawn below a cap that doubles, and is longer
///    where the service asks for more, with `retry-after-ms` before `Retry-After` in seconds or as a date before the
///    words of a 429 or 503 ("try again in 60 seconds"); a service that asks for more than
///    [`max_hinted_wait`](crate::retry::RetryPolicy::max_hinted_wait) has failed, and one that has never answered in the API's
///    words fails [sooner](crate::retry::RetryPolicy::max_failures_before_contact), as long as it cannot have made a file. A
///    429 or 503 holds back the whole upload, not one part, and all machines that share a [`ServiceState`], of which
///    one goes first when the wait is over; it halves the parts in flight, once for all that were in flight together; success
///    raises them again, one for each full window. A part's retry budget is refilled whenever any part is acknowledged.
///    An exhausted quota is final. A request that failed without an answer, while nothing else was answered since it
///    left, is a failure of the service and costs no budget, unless the same request failed so in an earlier outage or
///    after more than 1 MiB of its body had left. Where no connection comes about, or two requests in a row fail
///    without an answer between them, or the only request in flight fails, the service is away for all machines that
///    share a [`ServiceState`]: one request at a time finds out, after a second and then ever later up to five seconds,
///    and whatever is answered to it ends that for all. Where the sizes of parts are left open, it is the smallest part
///    of those that go again, or a new one of the least size. It is waited for as long as
///    [`give_up_after`](crate::retry::RetryPolicy::give_up_after) says; then the end is [`UploadError::Away`]. A machine whose
///    time is over before a request of its own has failed in this outage sends one first, and one whose time is zero does
///    not wait for others.
/// 5. The two requests that make a file, `complete` and a single `POST /files`, are sent only after a checkpoint that
///    says so has been saved: a crash between request and answer is then known as ambiguous. An attempt of which
///    certainly less than the whole body has left ([`Failure::left`]) is never ambiguous: it is sent again after the
///    backoff. A single `POST /files` of which that is certain for every attempt goes in parts once it was interrupted
///    twice in the middle of its body, where the plan left the route and the size of parts open
///    ([`RouteChoice::Automatic`]), the service takes parts, and the file is larger than the smallest part; where the
///    service then opens no upload, it goes as one request again. An ambiguous `complete` is repeated once; when that
///    is rejected or ambiguous again, and for every ambiguous `POST /files`, the machine reconciles: it lists files, up
///    to five times over 30 seconds since lists lag. A candidate has the name, the size and the purpose, was created
///    since (the upload, or the first attempt), and belongs to no other upload of this client
///    ([`with_service`](Self::with_service)). What the list does not show is looked up, and excludes no file as long as
///    it is not known. Equal content is proof ([`UploadTask::Compare`]); other content is another file; what could not
///    be read is read again in the next round. Where the service does not serve content, a `complete` is proven by an
///    identifier derived from the upload's, or by the upload's own time when this client has no other upload that could
///    have made the file. No proof, or several equal files: [`UploadError::CompletionUnknown`] with the candidates,
///    never a guess. When the list has settled without a candidate, a single `POST /files` goes again, unless the
///    service has said that it should not.
/// 6. An upload expires on the service's clock, and the service decides: an upload has expired when a part or
///    `complete` is rejected for good and that answer's `Date` is past the expiry, or its words say so and can mean
///    nothing else. Every answer's `Date` shows that clock again, the create answer by `created_at` if by nothing else;
///    where a rejection has no `Date`, the clock that this run was shown last goes on with our monotonic one. Our own
///    clocks only warn: of a rate that cannot finish in time, and of an expiry that seems past, in which case of an
///    upload of an earlier run one part goes at a time until the service has taken it. An expired upload starts over
///    when it was an earlier run's, of which the service took no part in this run, and [`Plan::restart_when_expired`]
///    allows it; else [`UploadError::Expired`] says which rate it would have taken. An expiry before the upload's own
///    beginning is ignored with a warning.
/// 7. One checkpoint is saved at a time, and none is behind by more parts than may be in flight. It names the parts
///    that are acknowledged; the next run cuts the rest as it likes. Resuming needs the same service, dialect and
///    source. A 404 does not say that an upload is gone, since another key, project or tenant gets one too: the
///    checkpoint stays, with the [account](crate::operations::Account) that the service opened the upload for. An upload that is
///    cancelled in the words of the service has gone like one that expired. The source is stamped again before the file
///    is made of it: a file that changed under the upload is an error, not a corrupt training set. Where its time of
///    the last change alone differs ([`SourceStamp::changed`]), the content decides: parts are completed with the MD5
///    of what the source is now, which OpenAI and Azure compare; a file that another service made of them is compared
///    by us. A single request is compared with the digest of what was sent, or with what the service has. What cannot
///    be told is [`UploadError::Unproven`], and the checkpoint stays.
/// 8. An MD5, if wanted, is computed by the driver in file order while parts are in flight, and sent with `complete`, which waits
///    for it.
/// 9. Cancelling abandons what is in flight and cancels on the service at once, whatever rule 4 holds back, with a
///    budget of its own of ten seconds; it ends even when the service is gone. Stopping leaves the upload on the
///    service to be resumed: nothing new is sent, what is in flight has a moment to be answered, and whatever was
///    acknowledged is saved.
///
/// The simulation in the tests of this crate holds each of them by invariants that have its number.
///
/// # Example
/// A whole driver, blocking, one request at a time:
///
/// ```
/// use bytes::Bytes;
/// use partwise_models::{File, Purpose, UnixSeconds};
/// use partwise_protocol::{Api, machine::{Action, Machine as _, Now}, transport::{Body, Failure}, upload::{Comparison, Plan, SourceStamp, UploadMachine, UploadError, UploadTask}};
///
/// fn drive(
///     mut transfer: UploadMachine,
///     source: &[u8],
///     now: impl Fn() -> Now,
///     mut exchange: impl FnMut(http::Request<Bytes>) -> Result<http::Response<Bytes>, Failure>,
/// ) -> Result<File, UploadError> {
///     loop {
///         match transfer.poll(now()) {
///             Action::Start { id, task } => match task {
///                 UploadTask::Send { request, .. } => {
///                     let request = request.map(|body| body.resolve(source).expect("the source has this range"));
///                     match exchange(request) {
///                         Ok(response) => transfer.handle_response(id, response, None, now()),
///                         Err(failure) => transfer.handle_failure(id, failure, now()),
///                     }
///                 }
///                 UploadTask::Stamp => transfer.handle_stamped(id, Ok(SourceStamp::new(source.len() as u64))),
///                 UploadTask::Hash(_) => unreachable!("this plan wants no MD5"),
///                 UploadTask::Prepare(_) => transfer.handle_prepared(id, Ok(())),
///                 UploadTask::Compare { .. } => transfer.handle_compared(id, Ok(Comparison::Unknown), now()),
///             },
///             Action::Save(_) => transfer.handle_saved(Ok(())),
///             Action::Abandon(_) => {}
///             Action::Wait { .. } => std::thread::sleep(std::time::Duration::from_millis(1)),
///             Action::Done(result) => return result,
///         }
///     }
/// }
///
/// let plan = Plan::new("notes.txt", "text/plain", Purpose::Assistants);
/// let transfer = UploadMachine::new(Api::openai(), plan, SourceStamp::new(5), [7; 32])?;
/// let now = || Now { monotonic: std::time::Duration::ZERO, unix: UnixSeconds(1_719_184_911) };
/// let file = drive(transfer, b"hello", now, |request| {
///     assert_eq!(request.uri(), "https://api.openai.com/v1/files");
///     Ok(http::Response::new(Bytes::from_static(br#"{"id":"file-abc123","bytes":5}"#)))
/// })?;
/// assert_eq!(file.id, "file-abc123");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UploadMachine {
    api: Api,
    plan: Plan,
    source: SourceStamp,
    random: Random,
    route: UploadRoute,
    stage: Stage,
    /// The request that is not a part: at most one of these is under way.
    solo: Solo,
    pending: PendingRequests,
    /// What is known of the service together with others.
    service: Member,
    /// How long this machine had slept when that was last looked at.
    slept: Duration,
    /// The moment of the first poll.
    began: Option<Duration>,
    pace: Pace,
    /// What the parts show of the line.
    line: UplinkEstimate,
    /// What moves, for people.
    activity: Activity,
    measuring: Measuring,
    /// How often something was reported to have moved.
    moves: u64,
    /// Looks for the number of parts in flight, when the plan leaves it open.
    connections: Option<Connections>,
    saver: CheckpointSaver,
    hash: Hash,
    chores: Chores,
    /// The part that is sent next, where they go in order.
    next_part: Option<NextPart>,
    /// This upload's entry among those of its client.
    registration: Registration,
    /// The request that makes the file, as it was sent last.
    committed: Option<RequestId>,
    /// When it was sent first.
    commits_since: Option<Duration>,
    fallback: Fallback,
    /// The stamp from which on the source must not change any more, once it has left open whether it had.
    reread: Option<Reread>,
    /// The request that makes the file may have been executed, in this run or an earlier one.
    ambiguous: bool,
    /// Some answer made sense, a success or an error: what answers there speaks this API.
    understood: bool,
    stop: Stop,
    cancel_wanted: bool,
    /// The caller cancelled when the file was there already.
    is_given_up: bool,
    /// The upload is of an earlier run, and the service has taken no part of it in this one.
    is_untried: bool,
    /// How often a single request was sent again because the list did not have its file.
    reposts: u32,
    /// Why it is not known what became of the request that makes the file.
    cause_of_doubt: Option<Box<UploadError>>,
    abandoned: VecDeque<RequestId>,
    end: FinalResult,
    statistics: Statistics,
    latest_retry: Option<Retry>,
    /// How that attempt failed, until something succeeds.
    latest_failure: Option<Box<UploadError>>,
    proof: Option<Proof>,
    warning: Option<Warning>,
    /// When the first part of this upload left in this run, and how many bytes had left before.
    sending_since: Option<(Duration, u64)>,
}

impl UploadMachine {
    /// A transfer of a source that looks like this now. `entropy` must come from a good source and be new each time:
    /// form boundaries and waits are drawn from it.
    ///
    /// # Errors
    /// [`PlanError`] when the plan cannot work for this source and service.
    pub fn new(api: Api, plan: Plan, source: SourceStamp, entropy: [u8; 32]) -> Result<Self, PlanError> {
        let (route, stage) = match plan.decide(&api, source.length)? {
            Decided::Parts(sizes) => (UploadRoute::parts(source.length, sizes, plan.parallel), Stage::Create),
            Decided::Single => (
                UploadRoute::Single { posted_at: None, posted: None, clock: None },
                Stage::Announce { change: None },
            ),
        };
        Ok(Self::assemble(api, plan, source, entropy, route, stage))
    }

    fn assemble(
        api: Api,
        plan: Plan,
        source: SourceStamp,
        entropy: [u8; 32],
        route: UploadRoute,
        stage: Stage,
    ) -> Self {
        let connections = match plan.parallel {
            Parallel::Fixed(_) | Parallel::InOrder => None,
            Parallel::Adaptive { most } => Some(Connections::new(most)),
        };
        Self {
            pace: Pace::new(connections.as_ref().map_or(plan.parallel.most(), Connections::wanted)),
            connections,
            hash: if plan.md5 { Hash::Wanted } else { Hash::NotWanted },
            chores: Chores::default(),
            next_part: None,
            registration: UploadRegistry::default().register(Likeness {
                filename: base_name(&plan.filename).to_owned(),
                bytes: source.length,
                purpose: plan.purpose.clone(),
            }),
            api,
            plan,
            source,
            random: Random::new(entropy),
            route,
            stage,
            solo: Solo::default(),
            pending: PendingRequests::default(),
            service: Member::default(),
            slept: Duration::ZERO,
            began: None,
            line: UplinkEstimate::default(),
            activity: Activity::default(),
            measuring: Measuring::default(),
            moves: 0,
            saver: CheckpointSaver::default(),
            committed: None,
            commits_since: None,
            fallback: Fallback::default(),
            reread: None,
            ambiguous: false,
            understood: false,
            stop: Stop::NotWanted,
            cancel_wanted: false,
            is_given_up: false,
            is_untried: false,
            reposts: 0,
            cause_of_doubt: None,
            abandoned: VecDeque::new(),
            end: FinalResult::Open,
            statistics: Statistics::default(),
            latest_retry: None,
            latest_failure: None,
            proof: None,
            warning: None,
            sending_since: None,
        }
    }

    /// The same transfer as one of several of a client, which know together whether the service can be reached; none of them
    /// takes the file of another for its own. By default it knows of no other.
    #[must_use]
    pub fn with_service(mut self, service: &ServiceState) -> Self {
        self.service = Member::of(service);
        self.slept = self.service.slept();
        self.registration.move_to(&service.uploads);
        match &self.route {
            UploadRoute::Parts { upload: Some(upload), .. } => {
                self.registration.resume(Identity::Upload(upload.id.clone()));
                self.registration.begun(upload.created_at);
            }
            UploadRoute::Single { posted_at: Some(posted_at), .. } => {
                self.registration.resume(Identity::Post(*posted_at, self.source.clone()));
            }
            _ => {}
        }
        self.registration.settle(self.ambiguous);
        self
    }

    /// The service that the transfer goes to: what a credential is applied for.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Whether the file goes in parts; else it goes in one request, at least until that has been interrupted
    /// ([`RouteChoice::Automatic`]).
    #[must_use]
    pub fn is_in_parts(&self) -> bool {
        matches!(self.route, UploadRoute::Parts { .. })
    }

    /// A request was answered. `left` is an upper bound of the bytes of its body that may have reached the service, as in
    /// [`Failure::left`]: less than its length when the service answered early; `None` when the driver does not count.
    pub fn handle_response(&mut self, id: RequestId, response: Response<Bytes>, left: Option<u64>, now: Now) {
        if let Some(pending) = self.pending.end(id) {
            self.answered(pending, response, left, now);
            self.settle(pending);
        }
    }

    /// A file's content was compared with the source as [`UploadTask::Compare`] asked.
    ///
    /// A source that cannot be read ends the transfer, and leaves open what the file is.
    pub fn handle_compared(&mut self, id: RequestId, result: Result<Comparison, SourceError>, now: Now) {
        let Some(pending) = self.pending.end(id) else { return };
        match &result {
            Ok(Comparison::Unknown) | Err(_) => self.service.gave_up(id),
            // With a digest, nobody was asked.
            Ok(_) if self.compares_with_digest() => {}
            Ok(_) => self.service.answered(now.monotonic),
        }
        match result {
            Ok(result) if pending.asked == Asked::Content => self.compared(pending.attempt, &result, now),
            Ok(_) => self.attempt_failed(
                pending,
                FailedAttempt::Failed(Failure::new(FailureKind::Other)),
                None,
                now,
            ),
            Err(error) if matches!(self.stage, Stage::Prove { .. }) => {
                self.unproven(Some(UploadError::Source(error)));
            }
            Err(error) => self.finish(Err(UploadError::of_source(error))),
        }
    }

    /// What another upload of this client may take is known once the answer was taken in.
    fn settle(&mut self, pending: PendingRequest) {
        if pending.asked == Asked::Commit {
            self.registration.settle(self.ambiguous);
        }
    }

    /// Gives the transfer up: ends with [`UploadError::Cancelled`], after cancelling on the service if it can be
    /// reached. A file that is already known to exist is reported as a success anyway.
    pub fn cancel(&mut self) {
        self.cancel_wanted = true;
    }

    /// Drops everything that is under way.
    fn abandon_all(&mut self) {
        self.abandoned.extend(self.pending.end_all());
        self.give_back_next_part();
        self.service.gave_up_all();
    }

    /// Ends the transfer at once: what is still in flight is abandoned. The first end counts. An error that leaves something
    /// to resume ends it [gracefully](Self::end_gracefully) where parts may be in flight.
    fn finish(&mut self, result: Result<File, UploadError>) {
        self.abandon_all();
        self.registration.settle(self.ambiguous);
        self.stage = Stage::End { made: result.is_ok() };
        self.end.set(result);
    }
}
