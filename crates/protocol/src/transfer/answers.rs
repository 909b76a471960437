//! What comes back: answers and failures, and what they lead to.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use partwise_models::{File, FileList, Upload, UploadPartResource, UploadStatus};

use super::{
    Attempt, Retry, Transfer, TransferError, Warning,
    clock::{ClockOffset, Expiry},
    flights::{Asked, Flight},
    parts::Tries,
    settle::{Settled, Settling},
    state::{OpenUpload, Stage, Way},
};
use crate::{
    AddUploadPart, ApiError, ApiErrorKind, CancelUpload, CompleteUpload, CreateFile, CreateUpload, Failure,
    FailureKind, Garbled, ListFiles, Now, Operation, OperationId, Repeat, ResponseError, SourceError,
    Verdict, retry::FAILURES_BEFORE_CONTACT,
};

/// Why a request brought nothing.
#[derive(Clone)]
enum Setback {
    Refused(Box<ApiError>),
    Garbled(Box<Garbled>),
    Failed(Failure),
}

impl From<ResponseError> for Setback {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::Refused(error) => Self::Refused(error),
            ResponseError::Garbled(garbled) => Self::Garbled(garbled),
        }
    }
}

impl Setback {
    /// Whether the service has certainly not done what was asked.
    fn was_never_done(&self) -> bool {
        match self {
            Self::Refused(error) => error.kind() == ApiErrorKind::RateLimited,
            Self::Failed(failure) => failure.kind.is_before_sending(),
            Self::Garbled(_) => false,
        }
    }

    /// Whether the service may have done what was asked all the same: what it refuses for good, it has not done.
    fn may_be_done(&self) -> bool {
        match self {
            Self::Refused(error) => error.is_transient() && error.kind() != ApiErrorKind::QuotaExhausted,
            Self::Failed(failure) => failure.kind != FailureKind::Source && !failure.kind.is_before_sending(),
            Self::Garbled(_) => true,
        }
    }

    /// The failed attempt, as the progress shows it.
    fn retry(&self, attempt: Attempt, wait: Duration) -> Retry {
        match self {
            Self::Refused(error) => Retry::after_refusal(attempt, error, wait),
            Self::Garbled(garbled) => Retry::after_garbled(attempt, garbled, wait),
            Self::Failed(failure) => Retry::after_failure(attempt, failure, wait),
        }
    }

    /// Whether nothing at all may be sent for a while.
    fn is_overload(&self) -> bool {
        matches!(self, Self::Refused(error) if error.is_overload())
    }

    /// Whether the service says that it has no such upload, or none that is open.
    fn says_that_there_is_none(&self) -> bool {
        let Self::Refused(error) = self else { return false };
        matches!(error.status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::GONE)
    }

    fn into_error(self, operation: OperationId) -> TransferError {
        match self {
            Self::Refused(source) => TransferError::Refused { operation, source },
            Self::Garbled(source) => TransferError::Garbled { operation, source },
            Self::Failed(source) if source.kind == FailureKind::Source => {
                TransferError::Source(match source.cause {
                    Some(cause) => SourceError::of_cause(cause),
                    None => SourceError::new("no cause was given"),
                })
            }
            Self::Failed(source) => TransferError::Failed { operation, source },
        }
    }
}

impl Transfer {
    pub(super) fn answered(&mut self, flight: Flight, response: Response<Bytes>, now: Now) {
        let clock = ClockOffset::of_answer(response.headers(), now);
        let outcome = match flight.asked {
            Asked::Create => {
                CreateUpload::decode_response(response).map(|upload| self.created(upload, clock, now))
            }
            Asked::Part { index, .. } => {
                AddUploadPart::decode_response(response).map(|part| self.taken(index, &part))
            }
            Asked::Commit => match self.way {
                Way::Parts { .. } => {
                    CompleteUpload::decode_response(response).map(|upload| self.completed(upload))
                }
                Way::Single { .. } => CreateFile::decode_response(response).map(|file| self.posted(file)),
            },
            Asked::List => {
                ListFiles::decode_response(response).map(|list| self.listed(flight.attempt, list, clock, now))
            }
            Asked::Cancel => CancelUpload::decode_response(response).map(|upload| self.cancelled(&upload)),
        };
        match outcome {
            Ok(()) => {
                self.understood = true;
                self.latest_failure = None;
            }
            Err(error) => self.set_back(flight, error.into(), now),
        }
    }

    pub(super) fn failed(&mut self, flight: Flight, failure: Failure, now: Now) {
        self.set_back(flight, Setback::Failed(failure), now);
    }

    fn created(&mut self, upload: Upload, clock: Option<ClockOffset>, now: Now) {
        let shown = clock.or_else(|| upload.created_at.map(|created| ClockOffset::between(created, now)));
        let clock = shown.unwrap_or_default();
        let expires_at = match Expiry::of(&upload) {
            Expiry::At(moment) => Some(moment),
            Expiry::Never => None,
            Expiry::Nonsense => {
                self.warning = Some(Warning::ExpiryIgnored);
                None
            }
        };
        let created_at = upload.created_at.unwrap_or_else(|| clock.service_time(now));
        if let Way::Parts { upload: open, .. } = &mut self.way {
            *open = Some(OpenUpload { id: upload.id, created_at, expires_at, clock });
        }
        self.saver.change();
        self.enter(Stage::Send);
    }

    fn taken(&mut self, index: usize, part: &UploadPartResource) {
        let Way::Parts { parts, .. } = &mut self.way else { return };
        parts.acknowledge(index, &part.id);
        self.is_untried = false;
        self.statistics.bytes_acknowledged += parts.range(index).len();
        self.pace.success();
        self.saver.part();
        if parts.is_complete() {
            self.enter(Stage::Check { asked: false });
        }
    }

    fn completed(&mut self, upload: Upload) {
        let is_completed =
            matches!(upload.status, None | Some(UploadStatus::Completed | UploadStatus::Other(_)));
        let length = self.source.length;
        // Azure's documents show a file in answers of every status, and one of another size.
        match upload.file.filter(|file| is_completed && file.bytes.is_none_or(|bytes| bytes == length)) {
            Some(file) => self.finish(Ok(file)),
            // A success, but the answer does not say with which file.
            None => {
                self.ambiguous = true;
                self.settle();
            }
        }
    }

    fn posted(&mut self, file: File) {
        self.statistics.bytes_acknowledged = self.source.length;
        self.enter(Stage::Verify { file: Box::new(file), asked: false });
    }

    fn listed(&mut self, attempt: Attempt, list: FileList, shown: Option<ClockOffset>, now: Now) {
        if let Way::Single { clock, .. } = &mut self.way {
            *clock = shown.or(*clock);
        }
        let wanted = self.wanted(now);
        let Stage::Settle(settling) = &mut self.stage else { return };
        match settling.page(list, &wanted, now.monotonic) {
            Settled::NextPage => {}
            Settled::Later(moment) => {
                self.solo.not_before = moment;
                self.statistics.settling += moment.saturating_sub(now.monotonic);
            }
            Settled::Unclear(candidates) => self.unknown(Some(candidates)),
            Settled::Found(file) => match self.way {
                Way::Parts { .. } => self.finish(Ok(file)),
                Way::Single { .. } => self.posted(file),
            },
            Settled::None => match self.way {
                Way::Parts { .. } => self.unknown(Some(Vec::new())),
                // The list has settled without it, so the service has not made it.
                Way::Single { .. } => self.post_again(attempt, now),
            },
        }
    }

    fn post_again(&mut self, attempt: Attempt, now: Now) {
        self.reposts += 1;
        if self.reposts > self.plan.retry.max_failures {
            return self.unknown(Some(Vec::new()));
        }
        self.ambiguous = false;
        let wait = self.plan.retry.wait(self.reposts, self.random.next());
        self.count_retry(Retry::not_listed(attempt, wait), false);
        self.enter(Stage::Commit);
        self.solo.not_before = now.monotonic.saturating_add(wait);
    }

    fn cancelled(&mut self, upload: &Upload) {
        let Stage::Cancel { file_possible, .. } = self.stage else { return };
        let is_cancelled = upload.status == Some(UploadStatus::Cancelled);
        let file_possible = file_possible && !is_cancelled;
        self.finish(Err(TransferError::Cancelled { confirmed: true, file_possible }));
    }

    /// Something was asked for in vain: again, another way, or the end.
    fn set_back(&mut self, flight: Flight, setback: Setback, now: Now) {
        match flight.asked {
            Asked::Create => self.create_set_back(flight, setback, now),
            Asked::Part { index, tries } => self.part_set_back(flight, index, tries, setback, now),
            Asked::Commit => self.commit_set_back(flight, setback, now),
            Asked::List => self.list_set_back(flight, setback, now),
            Asked::Cancel => self.cancel_set_back(flight, setback, now),
        }
    }

    fn create_set_back(&mut self, flight: Flight, setback: Setback, now: Now) {
        if let Err(setback) = self.try_solo_again(flight, Repeat::Orphans, setback, now) {
            self.finish(Err(setback.into_error(flight.attempt.operation)));
        }
    }

    fn part_set_back(&mut self, flight: Flight, index: usize, tries: Tries, setback: Setback, now: Now) {
        let Way::Parts { parts, .. } = &self.way else { return };
        let tries = parts.failed_again(tries);
        match self.judge(flight, Repeat::Orphans, tries.failures, &setback, now) {
            Some(wait) => {
                if let Way::Parts { parts, .. } = &mut self.way {
                    parts.give_back(index, tries, now.monotonic.saturating_add(wait));
                }
            }
            None if self.is_expired(now) => self.expire(),
            // Whatever became of the upload of an earlier run, it is as good as expired.
            None if self.is_untried && setback.says_that_there_is_none() && self.may_restart() => {
                self.expire();
            }
            None => self.finish(Err(setback.into_error(flight.attempt.operation))),
        }
    }

    /// Plans the same request once more, or gives the setback back when that is not worth it.
    fn try_solo_again(
        &mut self,
        flight: Flight,
        repeat: Repeat,
        setback: Setback,
        now: Now,
    ) -> Result<(), Setback> {
        self.solo.failures += 1;
        match self.judge(flight, repeat, self.solo.failures, &setback, now) {
            Some(wait) => self.solo.not_before = now.monotonic.saturating_add(wait),
            None => return Err(setback),
        }
        Ok(())
    }

    /// How long to wait before the same request goes again; `None` when it does not.
    fn judge(
        &mut self,
        flight: Flight,
        repeat: Repeat,
        failures: u32,
        setback: &Setback,
        now: Now,
    ) -> Option<Duration> {
        if !self.understood && failures > FAILURES_BEFORE_CONTACT {
            return None;
        }
        let random = self.random.next();
        let verdict = match setback {
            Setback::Refused(error) => self.plan.retry.on_refused(repeat, failures, error, now, random),
            Setback::Failed(failure) => self.plan.retry.on_failure(repeat, failures, failure, random),
            // An answer broken on its way is like a broken connection, unless nothing there ever made sense.
            Setback::Garbled(_) if self.understood => {
                let broken = Failure::new(FailureKind::Interrupted);
                self.plan.retry.on_failure(repeat, failures, &broken, random)
            }
            Setback::Garbled(_) => Verdict::GiveUp,
        };
        self.hold_if_overloaded(flight, setback, verdict, now);
        let Verdict::Retry { wait, .. } = verdict else { return None };
        self.count_again(flight, setback, wait);
        Some(wait)
    }

    fn count_again(&mut self, flight: Flight, setback: &Setback, wait: Duration) {
        self.count_retry(setback.retry(flight.attempt, wait), setback.is_overload());
        self.latest_failure = Some(Box::new(setback.clone().into_error(flight.attempt.operation)));
    }

    /// A service that asks for patience gets it from everything that comes next, this request or another.
    fn hold_if_overloaded(&mut self, flight: Flight, setback: &Setback, verdict: Verdict, now: Now) {
        let Setback::Refused(error) = setback else { return };
        if !error.is_overload() {
            return;
        }
        let wait = match verdict {
            Verdict::Retry { wait, .. } => wait,
            Verdict::GiveUp => error.retry.wait(now).unwrap_or_default().min(self.plan.retry.max_hinted_wait),
        };
        self.statistics.overloads += 1;
        let until = now.monotonic.saturating_add(wait);
        if self.pace.hold(now.monotonic, until, flight.id, self.flights.next_id()) {
            self.with_knee(|knee| knee.overloaded(now.monotonic));
        }
    }

    /// The request that makes the file brought nothing that can be relied on.
    fn commit_set_back(&mut self, flight: Flight, setback: Setback, now: Now) {
        let operation = flight.attempt.operation;
        let is_single = matches!(self.way, Way::Single { .. });
        if setback.was_never_done() {
            match self.try_solo_again(flight, Repeat::Orphans, setback, now) {
                Ok(()) => {}
                Err(_) if self.ambiguous => self.unknown(None),
                Err(setback) => self.finish(Err(setback.into_error(operation))),
            }
            return;
        }
        match (self.ambiguous, setback.may_be_done()) {
            (false, false) if self.is_expired(now) => self.expire(),
            (false, false) => self.finish(Err(setback.into_error(operation))),
            (false, true) if !is_single => {
                self.ambiguous = true;
                // Once in any case, whatever the policy says of it: another try shows more than the list does.
                let wait = self.judge(flight, Repeat::Orphans, 1, &setback, now).unwrap_or_else(|| {
                    let wait = self.plan.retry.base_wait;
                    self.count_again(flight, &setback, wait);
                    wait
                });
                self.solo.not_before = now.monotonic.saturating_add(wait);
            }
            _ => {
                self.hold_if_overloaded(flight, &setback, Verdict::GiveUp, now);
                self.ambiguous = true;
                self.tell_retry(Retry { reconciles: true, ..setback.retry(flight.attempt, Duration::ZERO) });
                self.latest_failure = Some(Box::new(setback.clone().into_error(operation)));
                self.cause_of_doubt = Some(Box::new(setback.into_error(operation)));
                self.settle();
            }
        }
    }

    fn settle(&mut self) {
        self.enter(Stage::Settle(Settling::new()));
    }

    fn list_set_back(&mut self, flight: Flight, setback: Setback, now: Now) {
        if self.try_solo_again(flight, Repeat::Harmless, setback, now).is_err() {
            self.unknown(None);
        }
    }

    fn unknown(&mut self, candidates: Option<Vec<File>>) {
        let upload_id = self.way.upload().map(|upload| upload.id.clone());
        let cause = self.cause_of_doubt.take();
        self.finish(Err(TransferError::CompletionUnknown { upload_id, candidates, cause }));
    }

    fn cancel_set_back(&mut self, flight: Flight, setback: Setback, now: Now) {
        let Stage::Cancel { file_possible, .. } = self.stage else { return };
        if let Err(setback) = self.try_solo_again(flight, Repeat::Harmless, setback, now) {
            let confirmed = setback.says_that_there_is_none();
            self.finish(Err(TransferError::Cancelled { confirmed, file_possible }));
        }
    }

    fn is_expired(&self, now: Now) -> bool {
        let expires = self.way.upload().and_then(|upload| Some((upload.expires_at?, upload.clock)));
        expires.is_some_and(|(moment, clock)| clock.service_time(now) >= moment)
    }
}
