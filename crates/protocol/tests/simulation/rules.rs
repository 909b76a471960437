//! The rules of the machine as invariants: each of them is named, and numbered as the docs of `UploadMachine` number it; 10
//! stands for none of these.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $number:literal $name:ident,)*) => {
        /// What must hold in every story. A story that breaks one says which.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Rule {
            $($(#[doc = $doc])* $name,)*
        }

        impl Rule {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            fn number(self) -> u8 {
                match self {
                    $(Self::$name => $number,)*
                }
            }
        }
    };
}

rules! {
    /// Every story ends, and the machine is never busy without a reason.
    1 Ends,
    /// The end comes once; nothing is asked for after it, and nothing flies.
    1 EndOnce,
    /// Answers to requests that have ended change nothing.
    1 StaleIgnored,
    /// Every `Ok` names a file whose content is the source's.
    0 SameBytes,
    /// A body's length is announced exactly.
    2 ExactLength,
    /// A boundary is used once.
    2 NewBoundary,
    /// What goes again reads the same range again.
    2 SameRange,
    /// A part that the service has, as this run or its checkpoint knows, is not sent again, and none flies twice.
    3 NotSentAgain,
    /// The lowest part that may go goes.
    3 LowestFirst,
    /// In order, nothing of the source is read before all that lies before it is acknowledged.
    3 InOrder,
    /// Never more in flight than the plan allows.
    3 Parallel,
    /// Nothing but a cancel leaves before the gate opens.
    4 Gate,
    /// A 429 or 503 halves the window, once for all that flew together.
    4 Halving,
    /// Each full window of parts that are taken raises it by one, up to what the plan allows.
    4 Raising,
    /// Never more parts in flight than the window allows.
    4 Window,
    /// A wait that the service asked for is kept to, in milliseconds before seconds or a date before words, and is longer
    /// only as far as the backoff is.
    4 Hints,
    /// A wait over the cap is a failure.
    4 HintCap,
    /// `x-should-retry` decides over the status.
    4 ShouldRetry,
    /// Without it, 408, 409, 429, 5xx and what broke on its way are repeated, after a wait below its cap.
    4 Repeated,
    /// Without it, other refusals and sources that cannot be read are final, and told.
    4 Final,
    /// An exhausted quota is final.
    4 QuotaFinal,
    /// So many failures without progress are final, and fewer before the service has ever answered in the API's words.
    4 Budget,
    /// While the service cannot be reached, one request at a time finds out, after its wait.
    4 OneProbe,
    /// Of a file whose parts have any size, that request is the smallest part that may go.
    4 SmallestFirst,
    /// What failed since nothing was answered any more costs no budget, and waits for the service.
    4 Outage,
    /// What left before this machine slept costs no budget, and goes again at once.
    4 Sleep,
    /// A service that cannot be reached is waited for as long as the policy says, and no longer.
    4 Patience,
    /// An upload ends as away only once a request of its own has failed in that outage, whatever others know, and says how.
    4 OwnAttempt,
    /// Any part that is taken refills the budget of all.
    4 Refill,
    /// A request goes again only after its wait.
    4 Backoff,
    /// The request that makes the file leaves only after a checkpoint that says so is durable.
    5 Announced,
    /// An ambiguous `complete` is repeated once.
    5 CompleteOnce,
    /// An ambiguous `POST /files` goes again only after the list was asked for 30 seconds.
    5 NoBlindPost,
    /// A single request goes in parts once it was interrupted twice in the middle of its body, where the plan leaves that open
    /// and the file is large enough, and else never.
    5 FallsBack,
    /// One upload makes at most one file.
    5 OneFile,
    /// A result that says that there is no file is right.
    5 NoFileDenied,
    /// A file that is named is there, and none of somebody else.
    5 NoGuess,
    /// Nothing but a rejection of a part or of `complete` ends an upload as expired, or begins it anew.
    6 ServiceDecides,
    /// A final rejection whose date is past the expiry does.
    6 Believed,
    /// What is taken for an upload that is over, ends as expired, starts over or is forgotten, is over on the service: a 404
    /// does not say so.
    6 NotTooEarly,
    /// An expired upload starts over if it was an earlier run's, no part of it was taken in this one and the plan allows it,
    /// and else never.
    6 Restart,
    /// A rate that is far too slow and an expiry that is past are warned of, and a rate that is fast enough is not.
    6 Warned,
    /// An expiry before the beginning is ignored with a warning.
    6 Nonsense,
    /// Of a source that changed no file is made in parts, and none is reported.
    7 SourceSame,
    /// Resuming is refused for another source, service or dialect, and for nothing else.
    7 ResumeChecks,
    /// A checkpoint is never behind by more than the parts in flight.
    7 CheckpointClose,
    /// One checkpoint is saved at a time.
    7 OneSave,
    /// The MD5 goes with `complete`, if it is wanted.
    8 Md5,
    /// Cancelling ends within its budget.
    9 CancelEnds,
    /// Cancelling tells the service at once.
    9 CancelTells,
    /// Stopping, and an error that leaves something to resume, sends nothing new.
    9 StopSilent,
    /// Both end it soon, with everything that was acknowledged in the checkpoint.
    9 StopKeeps,
    /// The statistics are what happened.
    10 Counts,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}, {self:?}", self.number())
    }
}

static CHECKED: [AtomicU64; Rule::ALL.len()] = [const { AtomicU64::new(0) }; Rule::ALL.len()];

/// Ends the story when the rule does not hold.
#[track_caller]
pub(crate) fn hold(rule: Rule, holds: bool, otherwise: impl FnOnce() -> String) {
    CHECKED[rule as usize].fetch_add(1, Relaxed);
    assert!(holds, "{rule}: {}", otherwise());
}

/// How often each rule was looked at: one that never was would prove nothing.
pub(crate) fn checked() -> impl Iterator<Item = (Rule, u64)> {
    Rule::ALL.iter().map(|rule| (*rule, CHECKED[*rule as usize].load(Relaxed)))
}
