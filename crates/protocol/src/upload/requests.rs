//! What goes out: the machine's side of [`UploadMachine::poll`].

use std::time::Duration;

use partwise_models::CreateUploadRequest;

use super::{
    Checkpoint, Comparison, Parallel, UploadAction, UploadError, UploadMachine, UploadTask,
    checkpoint::SavedRoute,
    connections::Connections,
    line::UplinkEstimate,
    parts::{Part, Parts, Tries},
    pending::Asked,
    probe,
    reconcile::Question,
    registry::Identity,
    state::{Hash, OpenUpload, Posted, Solo, Stage, UploadRoute},
    stop::Stop,
};
use crate::{
    Operation,
    error::EncodeError,
    machine::{Action, Attempt, Now, RequestId},
    multipart::Boundary,
    operations::{
        AddUploadPart, CancelUpload, CompleteUpload, CreateFile, CreateUpload, OperationId, RetrieveFile,
    },
    retry::service_state::Gate,
    transport::Body,
};

/// How long cancelling on the service may take.
const CANCEL_BUDGET: Duration = Duration::from_secs(10);

type Encoded = Result<http::Request<Body>, EncodeError>;

impl UploadMachine {
    /// What the driver has to do besides sending: saving, hashing, stamping.
    pub(super) fn next_chore(&mut self, now: Now) -> Option<UploadAction> {
        if matches!(self.stage, Stage::Cancel { .. } | Stage::End { .. }) {
            return None;
        }
        let stops = self.stop.is_under_way();
        if self.hash == Hash::Wanted && !stops {
            self.hash = Hash::Running;
            let whole = self.whole();
            return Some(self.chore(UploadTask::Hash(whole)));
        }
        match &mut self.stage {
            Stage::Verify { asked, .. } if !*asked => {
                *asked = true;
                return Some(self.chore(UploadTask::Stamp));
            }
            _ if stops => {}
            Stage::Check { asked } if !*asked && self.hash.is_settled() => {
                *asked = true;
                return Some(self.chore(UploadTask::Stamp));
            }
            Stage::Recheck { asked, .. } if !*asked => {
                *asked = true;
                return Some(self.chore(UploadTask::Stamp));
            }
            Stage::Announce { change: change @ None } => {
                *change = Some(self.saver.change());
                if let UploadRoute::Single { posted_at: posted_at @ None, posted, .. } = &mut self.route {
                    let just_now = Posted { at: now.monotonic, slept: Duration::ZERO };
                    (*posted_at, *posted) = (Some(now.unix), Some(just_now));
                    self.registration.identify(Identity::Post(now.unix, self.source.clone()));
                }
            }
            Stage::Announce { change: Some(change) } if self.saver.has(*change) => self.enter(Stage::Commit),
            _ => {}
        }
        if !self.saver.is_due() {
            return None;
        }
        let checkpoint = self.checkpoint()?;
        self.saver.begin().then_some(Action::Save(checkpoint))
    }

    /// A task that is no request.
    fn chore(&mut self, task: UploadTask) -> UploadAction {
        let id = self.pending.name();
        let before = match &task {
            UploadTask::Hash(_) => self.chores.hashing.replace(id),
            UploadTask::Stamp => self.chores.stamping.replace(id),
            UploadTask::Send { .. } | UploadTask::Compare { .. } | UploadTask::Prepare(_) => None,
        };
        // What is asked anew is not answered by what the source was before.
        self.abandoned.extend(before);
        Action::Start { id, task }
    }

    /// Enters a step that has a request and a retry budget of its own.
    pub(super) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.solo = Solo::default();
    }

    /// The next request that may leave now.
    pub(super) fn next_request(&mut self, now: Now) -> Result<Option<UploadAction>, UploadError> {
        let gate = self.service_gate(now);
        let is_closed = matches!(gate, Gate::Closed { .. });
        if self.stop.is_under_way() || is_closed || now.monotonic < self.gate() {
            return Ok(None);
        }
        if matches!(self.stage, Stage::Send) {
            return self.next_part(gate == Gate::OneRequest, now);
        }
        if !self.pending.is_empty() || now.monotonic < self.solo.not_before {
            return Ok(None);
        }
        if let Stage::Reconcile(search) = &self.stage {
            if let Question::Compare { file_id, .. } = search.question() {
                let file_id = file_id.clone();
                return Ok(Some(self.compare(file_id, None, now)));
            }
        }
        if let Stage::Prove { file, until } = &mut self.stage {
            until.get_or_insert(now.monotonic.saturating_add(self.plan.compare_limit));
            let (file_id, sent) = (file.id.clone(), self.committed);
            return Ok(Some(self.compare(file_id, sent, now)));
        }
        let boundary = Boundary::from_entropy(self.random.bytes());
        let (asked, operation, request) = match (&self.stage, &self.route) {
            (Stage::Create, _) => (Asked::Create, OperationId::CreateUpload, self.create_request()),
            (Stage::Commit, UploadRoute::Single { .. }) => {
                (Asked::Commit, OperationId::CreateFile, self.post_request(boundary))
            }
            (Stage::Commit, UploadRoute::Parts { upload: Some(upload), parts }) => {
                (Asked::Commit, OperationId::CompleteUpload, self.complete_request(upload, parts))
            }
            (Stage::Reconcile(search), _) => match search.question() {
                Question::Retrieve(file_id) => {
                    let retrieve = RetrieveFile::new(file_id);
                    (Asked::Object, OperationId::RetrieveFile, retrieve.encode_request(&self.api))
                }
                Question::List | Question::Compare { .. } => {
                    let list = search.list(&self.plan.purpose);
                    (Asked::List, OperationId::ListFiles, list.encode_request(&self.api))
                }
            },
            (Stage::Cancel { .. }, UploadRoute::Parts { upload: Some(upload), .. }) => {
                let cancel = CancelUpload::new(upload.id.clone());
                (Asked::Cancel, OperationId::CancelUpload, cancel.encode_request(&self.api))
            }
            _ => return Ok(None),
        };
        self.send(asked, operation, request, now).map(Some)
    }

    /// Returns the moment before which nothing may leave. A cancel does not wait for an overloaded service: it takes work
    /// from it, and has ten seconds.
    fn gate(&self) -> Duration {
        match self.stage {
            Stage::Cancel { .. } => Duration::ZERO,
            _ => self.pace.gate(),
        }
    }

    /// `is_probe`: it finds out whether the service can be reached again, and is not to cost more than that.
    fn next_part(&mut self, is_probe: bool, now: Now) -> Result<Option<UploadAction>, UploadError> {
        if !self.may_send_part(now) {
            return Ok(None);
        }
        if self.next_part.is_some() {
            let Some(next) = self.take_ready_part() else { return Ok(None) };
            return self.send_part(next.part, next.tries, now).map(Some);
        }
        let in_flight: Vec<_> = self.pending.parts().collect();
        let window = self.pace.window();
        let epoch = self.connections.as_ref().map_or(0, Connections::epoch);
        let UploadRoute::Parts { upload: Some(_), parts } = &mut self.route else { return Ok(None) };
        let leg = UplinkEstimate::leg(now.monotonic, epoch, &in_flight);
        let line = &self.line;
        let situation = |parts: &Parts, whole| line.situation(leg, &in_flight, window, parts, whole);
        let taken = match is_probe {
            true => {
                parts.take_smallest(now.monotonic, |parts, whole| situation(parts, whole)?.size_of_probe())
            }
            false => parts.take_next(now.monotonic, |parts, whole| situation(parts, whole)?.size()),
        };
        let Some((part, tries)) = taken else { return Ok(None) };
        match self.plan.parallel {
            Parallel::InOrder => Ok(Some(self.prepare(part, tries))),
            Parallel::Fixed(_) | Parallel::Adaptive { .. } => self.send_part(part, tries, now).map(Some),
        }
    }

    fn send_part(&mut self, part: Part, tries: Tries, now: Now) -> Result<UploadAction, UploadError> {
        let in_flight: Vec<_> = self.pending.parts().collect();
        let epoch = self.connections.as_ref().map_or(0, Connections::epoch);
        let leg = UplinkEstimate::leg(now.monotonic, epoch, &in_flight);
        self.line.begin(leg);
        let upload_id = self.route.upload().map(|upload| upload.id.clone()).unwrap_or_default();
        let boundary = Boundary::from_entropy(self.random.bytes());
        let request = AddUploadPart::new(upload_id, part.range(), boundary).encode_request(&self.api);
        self.sending_since.get_or_insert((now.monotonic, self.statistics.bytes_sent));
        self.measuring.part_leaves(now.monotonic, self.statistics.bytes_acknowledged);
        self.send(Asked::Part { part, tries, leg }, OperationId::AddUploadPart, request, now)
    }

    /// Not more than the window, and not more than a crash may cost: what is in flight may be acknowledged before the
    /// checkpoint under way is durable.
    fn may_send_part(&self, now: Now) -> bool {
        let in_flight = self.pending.count();
        let window = if self.is_in_question(now) { 1 } else { self.pace.window() };
        in_flight < usize::from(window)
            && in_flight + self.saver.parts_at_risk() < usize::from(self.plan.parallel.most())
    }

    fn send(
        &mut self,
        asked: Asked,
        operation: OperationId,
        request: Encoded,
        now: Now,
    ) -> Result<UploadAction, UploadError> {
        let request = request.map_err(|source| UploadError::Encode { operation, source })?;
        let of_its_kind = self.statistics.attempts.count(operation);
        let (part, number) = match asked {
            Asked::Part { part, tries, .. } => (Some(part.number), tries.sent),
            _ => (None, of_its_kind),
        };
        let attempt = Attempt { operation, part, number };
        let id = self.pending.start(asked, attempt, request.body().content_length(), now.monotonic);
        self.leaves(id, now);
        if asked == Asked::Commit {
            self.registration.commits();
            self.committed = Some(id);
            self.commits_since.get_or_insert(now.monotonic);
        }
        let answer_limit = operation.answer_limit();
        Ok(Action::Start { id, task: UploadTask::Send { attempt, request, answer_limit } })
    }

    fn leaves(&mut self, id: RequestId, now: Now) {
        if !matches!(self.stage, Stage::Cancel { .. }) {
            self.service.leaves(id, now.monotonic);
        }
    }

    /// Asks for a comparison of a file's content with the source.
    fn compare(&mut self, file_id: String, sent: Option<RequestId>, now: Now) -> UploadAction {
        let operation = OperationId::DownloadFile;
        let number = self.statistics.attempts.count(operation);
        let attempt = Attempt { operation, part: None, number };
        let id = self.pending.start(Asked::Content, attempt, 0, now.monotonic);
        // With a digest, nothing leaves.
        if sent.is_none() {
            self.leaves(id, now);
        }
        Action::Start { id, task: UploadTask::Compare { attempt, file_id, sent } }
    }

    fn create_request(&self) -> Encoded {
        let plan = &self.plan;
        let mut request = CreateUploadRequest::new(
            &plan.filename,
            plan.purpose.clone(),
            self.source.length,
            &plan.mime_type,
        );
        request.expires_after.clone_from(&plan.expires_after);
        CreateUpload::new(request).encode_request(&self.api)
    }

    fn post_request(&self, boundary: Boundary) -> Encoded {
        let plan = &self.plan;
        let mut file =
            CreateFile::new(plan.purpose.clone(), &plan.filename, &plan.mime_type, self.whole(), boundary);
        file.expires_after.clone_from(&plan.expires_after);
        file.encode_request(&self.api)
    }

    fn complete_request(&self, upload: &OpenUpload, parts: &Parts) -> Encoded {
        CompleteUpload::encode_from_json(&self.api, &upload.id, parts.stored().json(), self.hash.hex())
    }

    /// What must survive a crash now; `None` while there is nothing worth keeping.
    fn checkpoint(&self) -> Option<Checkpoint> {
        let committing = self.ambiguous || matches!(self.stage, Stage::Announce { .. } | Stage::Commit);
        let route = match &self.route {
            UploadRoute::Parts { upload, parts } => {
                let upload = upload.as_ref()?;
                SavedRoute::Parts {
                    upload_id: upload.id.clone(),
                    created_at: upload.created_at,
                    expires_at: upload.expires_at,
                    clock_offset: upload.clock.offset(),
                    account: upload.account.clone(),
                    acknowledged: parts.stored().clone(),
                    completing: committing,
                }
            }
            UploadRoute::Single { posted_at, .. } => SavedRoute::Single { posted_at: (*posted_at)? },
        };
        Some(Checkpoint::new(&self.api, &self.plan, &self.source, route))
    }

    /// Does what time alone brings about: the end of a cancel's budget, and warnings.
    pub(super) fn watch_time(&mut self, now: Now) {
        if let Stage::Cancel { until, file_possible } = self.stage {
            if now.monotonic >= until {
                self.finish(Err(UploadError::Cancelled { confirmed: false, file_possible }));
            }
            return;
        }
        self.watch_expiry(now);
    }

    fn next_look_for_connections(&self) -> Option<Duration> {
        let is_sending = matches!(self.stage, Stage::Send) && !self.pending.is_empty();
        self.connections.as_ref().filter(|_| is_sending && !self.stop.is_under_way())?.next_look()
    }

    /// Goes on looking for the number of parts in flight.
    pub(super) fn watch_connections(&mut self, now: Now) {
        if self.next_look_for_connections().is_none_or(|at| now.monotonic < at) {
            return;
        }
        let UploadRoute::Parts { parts, .. } = &self.route else { return };
        let in_flight = self
            .pending
            .parts()
            .map(|in_flight| probe::left_of_part(in_flight.sent, in_flight.part.len(), self.line.buffer));
        let left = self.statistics.bytes_acknowledged.saturating_add(in_flight.sum());
        let rest = usize::try_from(parts.rest()).unwrap_or(usize::MAX);
        let largest = self.pending.parts().map(|in_flight| in_flight.part.len()).max().unwrap_or_default();
        let window = self.pace.window();
        let rate = self.line.carried(window);
        self.with_connections(|connections| {
            connections.look(now.monotonic, left, rate, (rest, largest), window);
        });
    }

    /// However many are wanted is what may be in flight from then on.
    pub(super) fn with_connections(&mut self, act: impl FnOnce(&mut Connections)) {
        if let Some(connections) = &mut self.connections {
            act(connections);
            self.pace.set_ceiling(connections.wanted());
        }
    }

    /// When polling again makes sense without any report.
    pub(super) fn deadline(&self, now: Now) -> Option<Duration> {
        let gate = match self.service_gate(now) {
            Gate::Closed { until } => self.gate().max(until),
            Gate::Open | Gate::OneRequest => self.gate(),
        };
        let request = match (&self.stage, &self.route) {
            (Stage::Send, UploadRoute::Parts { parts, .. }) if self.may_send_part(now) => {
                match self.next_part {
                    Some(next) => next.is_ready.then_some(gate),
                    None => parts.next_at().map(|at| at.max(gate)),
                }
            }
            (Stage::Create | Stage::Commit | Stage::Reconcile(_) | Stage::Prove { .. }, _)
                if self.pending.is_empty() =>
            {
                Some(self.solo.not_before.max(gate))
            }
            (Stage::Cancel { until, .. }, _) => {
                let next = self.pending.is_empty().then(|| self.solo.not_before.max(gate));
                Some(next.map_or(*until, |next| next.min(*until)))
            }
            _ => None,
        };
        let expiry = self.next_look_at_expiry(now);
        let comparing = match &self.stage {
            Stage::Reconcile(search) => search.comparing_until(),
            Stage::Prove { until, .. } => *until,
            _ => None,
        };
        // What may not be sent any more has no moment to be sent at.
        let next = if self.stop.is_under_way() { self.stop_deadline() } else { request };
        [next, expiry, comparing, self.next_look_for_connections(), self.gives_up_at(now)]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn begin_cancel(&mut self, now: Now) {
        let file_possible = match self.stage {
            // The file is there: saying that it was cancelled would lose it.
            Stage::Verify { .. } | Stage::Cancel { .. } | Stage::End { .. } => {
                self.is_given_up = true;
                return;
            }
            // Comparing it takes too long for somebody who gives up.
            Stage::Prove { .. } => return self.proven(&Comparison::Unknown),
            Stage::Reconcile(_) => true,
            _ => self.ambiguous || self.pending.is_pending(Asked::Commit),
        };
        self.ambiguous = file_possible;
        self.stop = Stop::NotWanted;
        // One that was just being opened may stay open.
        let is_opening = self.pending.is_pending(Asked::Create);
        self.abandon_all();
        if self.route.upload().is_some() {
            self.enter(Stage::Cancel { until: now.monotonic.saturating_add(CANCEL_BUDGET), file_possible });
        } else {
            self.finish(Err(UploadError::Cancelled { confirmed: !is_opening, file_possible }));
        }
    }
}
