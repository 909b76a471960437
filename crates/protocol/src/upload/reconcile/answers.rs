//! What the machine makes of the search: it asks, waits, takes the file, sends again, or ends.

use std::time::Duration;

use partwise_models::{File, FileList, UnixSeconds};

use super::{Comparison, Context, Origin, Reconcile, Step, Wanted};
use crate::{
    error::ResponseError,
    machine::Now,
    multipart::base_name,
    operations::OperationId,
    retry::Verdict,
    transport::Repeat,
    upload::{
        Attempt, Retry, UploadError, UploadMachine,
        clock::{self, CLOCK_SLACK, ClockOffset},
        state::{Stage, UploadRoute},
    },
};

/// How far our clock may have been set between two runs, in seconds: a step of NTP, or of a wrong time zone.
const SLACK_BETWEEN_RUNS: u64 = 3600;

impl UploadMachine {
    /// Looks for the file of a request of which nobody knows whether it was executed.
    pub(in crate::upload) fn reconcile(&mut self) {
        self.enter(Stage::Reconcile(Box::default()));
    }

    pub(in crate::upload) fn listed(
        &mut self,
        attempt: Attempt,
        list: FileList,
        shown: Option<ClockOffset>,
        now: Now,
    ) {
        if let UploadRoute::Single { clock, .. } = &mut self.route {
            *clock = shown.or(*clock);
        }
        self.reconcile_with(attempt, now, |search, context| search.page(list, context));
    }

    /// A candidate's object came, or the service does not have it.
    pub(in crate::upload) fn retrieved(&mut self, attempt: Attempt, object: Option<File>, now: Now) {
        self.reconcile_with(attempt, now, |search, context| search.object(object, context));
    }

    /// A file's content was compared with the source.
    pub(in crate::upload) fn compared(&mut self, attempt: Attempt, result: &Comparison, now: Now) {
        if matches!(self.stage, Stage::Prove { .. }) {
            return self.proven(result);
        }
        self.reconcile_with(attempt, now, |search, context| search.compared(result, context));
    }

    fn reconcile_with(
        &mut self,
        attempt: Attempt,
        now: Now,
        report: impl FnOnce(&mut Reconcile, &Context<'_>) -> Step,
    ) {
        let wanted = self.wanted(now);
        let Stage::Reconcile(search) = &mut self.stage else { return };
        let context = Context {
            wanted: &wanted,
            registration: &self.registration,
            compare_limit: self.plan.compare_limit,
            list_is_paged: OperationId::ListFiles.takes_field("after", self.api.dialect()),
            now: now.monotonic,
        };
        let step = report(search, &context);
        // Each question has failures of its own.
        self.solo = Default::default();
        match step {
            Step::Ask => {}
            Step::Later(moment) => {
                self.solo.not_before = moment;
                self.statistics.settling += moment.saturating_sub(now.monotonic);
            }
            Step::Unclear(candidates) => self.unknown(Some(candidates)),
            Step::Found(file, proof) => self.made(*file, proof),
            Step::Missing { told_apart } => match self.route {
                // What differs from the source may be made of what it was.
                UploadRoute::Parts { .. } => self.unknown(Some(told_apart)),
                // The list has settled without it, so the service has not made it.
                UploadRoute::Single { .. } => self.post_again(attempt, told_apart, now),
            },
        }
    }

    fn post_again(&mut self, attempt: Attempt, told_apart: Vec<File>, now: Now) {
        if let Some(rejection) = self.take_final_rejection(now) {
            self.ambiguous = false;
            return self.finish(Err(rejection));
        }
        self.reposts += 1;
        if self.reposts > self.plan.retry_policy().max_failures {
            return self.unknown(Some(Vec::new()));
        }
        let wait = self.plan.retry_policy().wait(self.reposts, self.random.next());
        self.count_retry(Retry::not_listed(attempt, wait), false);
        let again_at = now.monotonic.saturating_add(wait);
        self.enter(Stage::Recheck { asked: false, again_at, told_apart });
    }

    /// Takes why the request brought nothing, when that was a rejection after which it does not go again: the service says so,
    /// or asks for too long a wait.
    fn take_final_rejection(&mut self, now: Now) -> Option<UploadError> {
        let UploadError::Rejected { source, .. } = self.cause_of_doubt.as_deref()? else { return None };
        let verdict = self.plan.retry_policy().on_rejection(Repeat::Harmless, 1, source, now, 0);
        let cause = self.cause_of_doubt.take_if(|_| verdict == Verdict::GiveUp);
        cause.map(|cause| *cause)
    }

    /// The source changed while files were compared with it: those that differ from it now may be made of what it was.
    pub(in crate::upload) fn compared_in_vain(&mut self, difference: String, told_apart: Vec<File>) {
        let changed = UploadError::SourceChanged { difference, file: None };
        if told_apart.is_empty() {
            return self.finish(Err(changed));
        }
        self.cause_of_doubt = Some(Box::new(changed));
        self.unknown(Some(told_apart));
    }

    /// The source is what it was: the single request goes again.
    pub(in crate::upload) fn rechecked(&mut self, again_at: Duration) {
        self.ambiguous = false;
        self.enter(Stage::Commit);
        self.solo.not_before = again_at;
    }

    /// Whether the search can go on after a question was rejected, with smaller pages.
    pub(in crate::upload) fn asks_for_less(&mut self) -> bool {
        match &mut self.stage {
            Stage::Reconcile(search) => search.ask_for_less(),
            _ => false,
        }
    }

    /// A question of the search has failed for good.
    pub(in crate::upload) fn give_up_search(&mut self, error: UploadError) {
        self.cause_of_doubt = Some(Box::new(error));
        let stage = std::mem::replace(&mut self.stage, Stage::End { made: false });
        let candidates = match stage {
            Stage::Reconcile(search) => search.into_candidates(),
            _ => Vec::new(),
        };
        self.unknown((!candidates.is_empty()).then_some(candidates));
    }

    /// Ends a comparison that takes too long.
    pub(in crate::upload) fn watch_comparison(&mut self, now: Now) {
        let until = match &self.stage {
            Stage::Reconcile(search) => search.comparing_until(),
            Stage::Prove { until, .. } => *until,
            _ => None,
        };
        if until.is_none_or(|until| now.monotonic < until) {
            return;
        }
        let pending = self.pending.end_only();
        self.abandoned.extend(pending.map(|pending| pending.id));
        self.service.gave_up_all();
        let none_sent = Attempt { operation: OperationId::DownloadFile, part: None, number: 0 };
        let attempt = pending.map_or(none_sent, |pending| pending.attempt);
        self.compared(attempt, &Comparison::Unknown, now);
    }

    /// The features of the file that is looked for.
    fn wanted(&self, now: Now) -> Wanted {
        let created = match &self.route {
            // What is listed is not of the future, whatever our clock says.
            UploadRoute::Parts { upload: Some(upload), .. } => {
                Some(upload.created_at..=UnixSeconds(u64::MAX))
            }
            // Our clock was read before the request left, and the service's is known to the second. A clock that was set
            // since says nothing.
            UploadRoute::Single { posted_at: Some(posted_at), posted, clock: Some(clock) }
                if !clock::was_set(*posted_at, posted.map(|posted| posted.since(now.monotonic)), now) =>
            {
                // Between two runs our clock may have been set forward or back, unseen.
                let slack = if posted.is_some() { CLOCK_SLACK } else { SLACK_BETWEEN_RUNS };
                let from = clock.apply(*posted_at).0.saturating_sub(slack);
                let to = clock.service_time(now).0.saturating_add(CLOCK_SLACK);
                Some(UnixSeconds(from)..=UnixSeconds(to))
            }
            _ => None,
        };
        Wanted {
            filename: base_name(&self.plan.filename).to_owned(),
            bytes: self.source.length,
            purpose: self.plan.purpose.clone(),
            created,
            upload: self
                .route
                .upload()
                .map(|upload| Origin { id: upload.id.clone(), created_at: upload.created_at }),
        }
    }
}

/// Whether the service says that it does not have the file.
pub(in crate::upload) fn is_missing(error: &ResponseError) -> bool {
    matches!(error, ResponseError::Rejected(error) if matches!(error.status.as_u16(), 404 | 410))
}
