//! Reconciling: finding the file of an ambiguous request in the service's list, and proving that it is the one.
//!
//! ```text
//! list ──> retrieve (files that lack a feature) ──> compare (files without a verdict) ──> judge
//!   ^                                                                                  │
//!   └───────── later: nothing fits yet, or another upload may have made it ────────────┘
//! ```

mod answers;
mod pages;
mod wanted;

use std::{collections::BTreeMap, time::Duration};

use partwise_models::{File, FileList, Purpose};

pub(super) use self::answers::is_missing;
use self::{
    pages::Pages,
    wanted::{Origin, Wanted, shows_all_features},
};
use super::{
    Proof,
    registry::{Registration, Taking},
};
use crate::operations::ListFiles;

/// When the list is searched, counted from the first time: lists lag behind.
const ROUNDS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(2),
    Duration::from_secs(6),
    Duration::from_secs(14),
    Duration::from_secs(30),
];

/// When a file is looked at again that an upload in flight may have made.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The result of comparing a file's content with the source, as [`UploadTask::Compare`](super::UploadTask::Compare) asks.
///
/// ```
/// use partwise_protocol::upload::Comparison;
///
/// /// Returns whether the contents are the same, where that is known.
/// fn is_same(comparison: &Comparison) -> Option<bool> {
///     match comparison {
///         Comparison::Equal => Some(true),
///         Comparison::Different => Some(false),
///         Comparison::NotServed | Comparison::Unknown => None,
///     }
/// }
///
/// assert_eq!(is_same(&Comparison::NotServed), None);
/// ```
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "a driver reports one of these")]
pub enum Comparison {
    /// The service's content is the source's, from the first byte to the last.
    Equal,
    /// The contents differ, or their lengths do.
    Different,
    /// The service rejects downloads of this file: 400 or 403.
    NotServed,
    /// The content could not be read to its end: it is not known whether it is the source's.
    Unknown,
}

/// The search for one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Reconcile {
    question: Question,
    /// When the first page came.
    began: Option<Duration>,
    round: usize,
    pages: Pages,
    /// Whether the last search reached every file that can fit.
    is_whole: bool,
    /// Files of the last search that fit and that no other upload of this client was answered with.
    candidates: Vec<File>,
    /// Candidates lacking a feature that were retrieved in this round.
    retrieved: Vec<String>,
    /// Candidates whose content is another than the source's.
    told_apart: Vec<File>,
    verdicts: BTreeMap<String, Verdict>,
    /// When comparing has to end; set as it begins.
    compare_until: Option<Duration>,
}

/// What the search asks next.
#[derive(Clone, Debug, Default)]
pub(super) enum Question {
    /// The next page of the list.
    #[default]
    List,
    /// The object of this file, of which the list does not show every feature.
    Retrieve(String),
    /// The content of this file, to be compared with the source until this moment at most.
    Compare { file_id: String, until: Duration },
}

/// What comparing a candidate with the source has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Equal,
    Different,
    NotServed,
    Unknown,
}

/// What a report leads to.
#[derive(Debug)]
pub(super) enum Step {
    /// Ask the next question at once.
    Ask,
    /// Search again at this moment.
    Later(Duration),
    /// This file is the one.
    Found(Box<File>, Proof),
    /// These fit, and none is proven.
    Unclear(Vec<File>),
    /// None fits, and the list has had time to settle. These were told apart from the source by their content alone.
    Missing { told_apart: Vec<File> },
}

impl Reconcile {
    /// What to ask next.
    pub(super) fn question(&self) -> &Question {
        &self.question
    }

    /// When the comparison that is asked for has to end.
    pub(super) fn comparing_until(&self) -> Option<Duration> {
        match &self.question {
            Question::Compare { until, .. } => Some(*until),
            Question::List | Question::Retrieve(_) => None,
        }
    }

    /// The next page to ask for.
    pub(super) fn list(&self, purpose: &Purpose) -> ListFiles {
        self.pages.request(purpose)
    }

    /// Asks for smaller pages; false when the question that was rejected was not for a large one.
    pub(super) fn ask_for_less(&mut self) -> bool {
        matches!(self.question, Question::List) && self.pages.ask_for_less()
    }

    /// Takes a page of the list.
    pub(super) fn page(&mut self, list: FileList, context: &Context<'_>) -> Step {
        self.began.get_or_insert(context.now);
        let Some(searched) = self.pages.take(list, context.wanted, context.list_is_paged) else {
            return Step::Ask;
        };
        self.is_whole = searched.is_whole;
        self.candidates = searched.fitting;
        self.retrieved.clear();
        self.go_on(context)
    }

    /// Takes the object of a candidate; `None` when the service says that it does not have the file, which its list has:
    /// one of the two lags behind, and the next round shows which.
    pub(super) fn object(&mut self, object: Option<File>, context: &Context<'_>) -> Step {
        let Question::Retrieve(file_id) = std::mem::take(&mut self.question) else { return Step::Ask };
        if let Some(object) = object.filter(|object| object.id == file_id) {
            let candidate = self.candidates.iter_mut().find(|candidate| candidate.id == file_id);
            candidate.into_iter().for_each(|candidate| fill(candidate, &object));
            self.candidates.retain(|candidate| context.wanted.fits(candidate));
        }
        self.retrieved.push(file_id);
        self.go_on(context)
    }

    /// Takes the result of comparing a candidate with the source.
    pub(super) fn compared(&mut self, result: &Comparison, context: &Context<'_>) -> Step {
        let Question::Compare { file_id, .. } = std::mem::take(&mut self.question) else { return Step::Ask };
        let verdict = match result {
            Comparison::Equal => Verdict::Equal,
            Comparison::Different => Verdict::Different,
            Comparison::NotServed => Verdict::NotServed,
            Comparison::Unknown => Verdict::Unknown,
        };
        if verdict == Verdict::Different {
            self.told_apart.extend(self.candidates.iter().find(|file| file.id == file_id).cloned());
        }
        self.verdicts.insert(file_id, verdict);
        self.go_on(context)
    }

    /// The files that may be the one, for an end without a proof.
    pub(super) fn into_candidates(mut self) -> Vec<File> {
        let is_new = |file: &File| self.candidates.iter().all(|other| other.id != file.id);
        let of_this_search = self.pages.into_fitting().into_iter().filter(is_new).collect::<Vec<_>>();
        self.candidates.extend(of_this_search);
        self.candidates
    }

    /// The next step once a report was taken.
    fn go_on(&mut self, context: &Context<'_>) -> Step {
        let (registration, verdicts) = (context.registration, &self.verdicts);
        self.candidates.retain(|file| {
            verdicts.get(&file.id) != Some(&Verdict::Different) && !registration.is_taken(&file.id)
        });
        match self.next_question(context) {
            Some(question) => {
                self.question = question;
                Step::Ask
            }
            None => {
                self.question = Question::List;
                self.judge(context)
            }
        }
    }

    /// What has to be asked of some candidate before it can be decided, if anything.
    fn next_question(&mut self, context: &Context<'_>) -> Option<Question> {
        let lacks_something = |file: &&File| !shows_all_features(file) && !self.retrieved.contains(&file.id);
        if let Some(file) = self.candidates.iter().find(lacks_something) {
            return Some(Question::Retrieve(file.id.clone()));
        }
        // A size that is not known may become known until the last round; then the content has to do.
        let is_last_round = self.next_round(context.now).is_none();
        let unjudged =
            |file: &&File| (file.bytes.is_some() || is_last_round) && !self.verdicts.contains_key(&file.id);
        let file_id = self.candidates.iter().find(unjudged)?.id.clone();
        let until =
            *self.compare_until.get_or_insert_with(|| context.now.saturating_add(context.compare_limit));
        Some(Question::Compare { file_id, until })
    }

    /// Decides when there is nothing more to ask in this round.
    fn judge(&mut self, context: &Context<'_>) -> Step {
        let [equal, unknown, not_served] =
            [Verdict::Equal, Verdict::Unknown, Verdict::NotServed].map(|verdict| self.with(verdict));
        if self.candidates.is_empty() {
            return self.later(context);
        }
        if let [file] = &equal[..] {
            return self.take(file, Proof::Content, context);
        }
        if !equal.is_empty() {
            return self.unclear();
        }
        if !unknown.is_empty() {
            return self.compare_later(context);
        }
        if not_served.len() < self.candidates.len() {
            return self.later(context);
        }
        match context.proven_without_content(&not_served) {
            Some((file, proof)) => self.take(file, proof, context),
            None => self.unclear(),
        }
    }

    fn with(&self, verdict: Verdict) -> Vec<File> {
        let is_so = |file: &&File| self.verdicts.get(&file.id) == Some(&verdict);
        self.candidates.iter().filter(is_so).cloned().collect()
    }

    /// What could not be read may be read in the next round, unless comparing has taken its time.
    fn compare_later(&mut self, context: &Context<'_>) -> Step {
        if self.compare_until.is_some_and(|until| context.now >= until) {
            return self.unclear();
        }
        self.verdicts.retain(|_, verdict| *verdict != Verdict::Unknown);
        self.later(context)
    }

    fn unclear(&mut self) -> Step {
        Step::Unclear(std::mem::take(&mut self.candidates))
    }

    /// Takes the file for this upload, unless it is or may be another one's.
    fn take(&mut self, file: &File, proof: Proof, context: &Context<'_>) -> Step {
        match context.registration.take(&file.id) {
            Taking::Taken => Step::Found(Box::new(file.clone()), proof),
            Taking::OfAnother => {
                self.candidates.retain(|candidate| candidate.id != file.id);
                self.judge(context)
            }
            Taking::PerhapsOfAnother if self.may_wait(context) => {
                Step::Later(context.now.saturating_add(LOOK_AGAIN))
            }
            Taking::PerhapsOfAnother => self.unclear(),
        }
    }

    /// Whether there is time for an upload in flight to show that the file is its own.
    fn may_wait(&self, context: &Context<'_>) -> bool {
        self.began.is_some_and(|began| context.now < began.saturating_add(context.compare_limit))
    }

    /// The next round, or the end of the last.
    fn later(&mut self, context: &Context<'_>) -> Step {
        match self.next_round(context.now) {
            Some(moment) => {
                self.round += 1;
                Step::Later(moment)
            }
            None if self.is_whole && self.candidates.is_empty() => {
                Step::Missing { told_apart: std::mem::take(&mut self.told_apart) }
            }
            None => self.unclear(),
        }
    }

    fn next_round(&self, now: Duration) -> Option<Duration> {
        let wait = ROUNDS.get(self.round + 1)?;
        Some(self.began.unwrap_or(now).saturating_add(*wait))
    }
}

/// What the search needs to know besides the answers.
pub(super) struct Context<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) registration: &'a Registration,
    pub(super) compare_limit: Duration,
    pub(super) list_is_paged: bool,
    pub(super) now: Duration,
}

impl Context<'_> {
    /// The one file of several that is known to be made of the upload although its content is not served.
    fn proven_without_content<'f>(&self, files: &'f [File]) -> Option<(&'f File, Proof)> {
        if let Some(file) = files.iter().find(|file| self.wanted.has_derived_id(file)) {
            return Some((file, Proof::DerivedId));
        }
        let upload = self.wanted.upload.as_ref()?;
        let [file] = files else { return None };
        let is_proven =
            self.wanted.has_upload_time(file) && self.registration.is_only_one_at(upload.created_at);
        is_proven.then_some((file, Proof::UploadTime))
    }
}

/// Takes over what an object of the same file shows.
fn fill(file: &mut File, object: &File) {
    let listed = std::mem::replace(file, object.clone());
    file.filename = file.filename.take().or(listed.filename);
    file.bytes = file.bytes.or(listed.bytes);
    file.purpose = file.purpose.take().or(listed.purpose);
    file.created_at = file.created_at.or(listed.created_at);
}
