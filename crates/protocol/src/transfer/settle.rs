//! Finding the file of a request whose fate is unknown in the service's list.

use std::time::Duration;

use partwise_models::{File, FileList, Purpose, UnixSeconds};

use super::clock::ClockOffset;
use crate::{ListFiles, Now, Order};

/// When the list is asked, counted from the first time: lists lag behind.
const ROUNDS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(2),
    Duration::from_secs(6),
    Duration::from_secs(14),
    Duration::from_secs(30),
];

/// Files of one page; the newest come first, so one page is nearly always enough.
const PAGE: u32 = 100;

/// Clocks are read in whole seconds and an answer takes its time.
const SLACK: u64 = 2;

/// What the file must be like.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) filename: String,
    pub(super) bytes: u64,
    pub(super) purpose: Purpose,
    /// The earliest creation, on the service's clock.
    pub(super) from: UnixSeconds,
}

impl Wanted {
    /// Whether this can be the file, at this moment of the service's clock.
    fn matches(&self, file: &File, now: UnixSeconds) -> bool {
        let in_time =
            |created: UnixSeconds| created.0 >= self.from.0 && created.0 <= now.0.saturating_add(SLACK);
        file.filename.as_deref() == Some(&self.filename)
            && file.bytes == Some(self.bytes)
            && file.purpose.as_ref() == Some(&self.purpose)
            && file.created_at.is_some_and(in_time)
    }

    /// The same, but for a start that was read off our clock: let it be a little earlier.
    pub(super) fn with_slack(mut self) -> Self {
        self.from = UnixSeconds(self.from.0.saturating_sub(SLACK));
        self
    }
}

/// What a page of the list brought.
#[derive(Debug)]
pub(super) enum Settled {
    /// Ask for the next page at once.
    NextPage,
    /// Exactly one file matches.
    Found(File),
    /// Several match: none can be told to be ours.
    Several(Vec<File>),
    /// None matches yet: ask again at this moment.
    Later(Duration),
    /// None matches, and the list has had time to settle.
    None,
}

/// The search through the list.
#[derive(Clone, Debug)]
pub(super) struct Settling {
    /// When the first page came.
    began: Option<Duration>,
    round: usize,
    after: Option<String>,
    matches: Vec<File>,
}

impl Settling {
    pub(super) fn new() -> Self {
        Self { began: None, round: 0, after: None, matches: Vec::new() }
    }

    /// The next page to ask for.
    pub(super) fn request(&self, purpose: &Purpose) -> ListFiles {
        let mut list = ListFiles::new();
        list.purpose = Some(purpose.clone());
        list.limit = Some(PAGE);
        list.order = Some(Order::Descending);
        list.after.clone_from(&self.after);
        list
    }

    /// Takes a page in.
    pub(super) fn page(&mut self, list: FileList, wanted: &Wanted, clock: ClockOffset, now: Now) -> Settled {
        let began = *self.began.get_or_insert(now.monotonic);
        let service_now = clock.service_time(now);
        let last = list.last_id.clone().or_else(|| list.data.last().map(|file| file.id.clone()));
        let oldest = list.data.last().and_then(|file| file.created_at);
        let goes_on = list.has_more == Some(true)
            && last.is_some()
            && last != self.after
            && oldest.is_none_or(|oldest| oldest >= wanted.from);
        for file in list.data {
            let known = self.matches.iter().any(|other| other.id == file.id);
            if !known && wanted.matches(&file, service_now) {
                self.matches.push(file);
            }
        }
        if goes_on {
            self.after = last;
            return Settled::NextPage;
        }
        self.after = None;
        match std::mem::take(&mut self.matches) {
            several if several.len() > 1 => Settled::Several(several),
            one => match one.into_iter().next() {
                Some(file) => Settled::Found(file),
                None => self.next_round(began),
            },
        }
    }

    fn next_round(&mut self, began: Duration) -> Settled {
        self.round += 1;
        ROUNDS.get(self.round).map_or(Settled::None, |wait| Settled::Later(began + *wait))
    }
}
