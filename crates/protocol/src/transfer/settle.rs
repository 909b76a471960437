//! Finding the file of a request whose fate is unknown in the service's list.

use std::ops::RangeInclusive;
use std::time::Duration;

use partwise_models::{File, FileList, Purpose, UnixSeconds};

use crate::{ListFiles, Order};

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

/// Pages of one round; a list that goes on behind so many new files is no list of ours.
const MOST_PAGES: usize = 100;

/// What the file must be like.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) filename: String,
    pub(super) bytes: u64,
    pub(super) purpose: Purpose,
    /// When it must have been created, on the service's clock; `None` when that clock is not known, so that a file
    /// of an earlier day cannot be told from it.
    pub(super) created: Option<RangeInclusive<UnixSeconds>>,
}

impl Wanted {
    fn matches(&self, file: &File) -> bool {
        file.filename.as_deref() == Some(&self.filename)
            && file.bytes == Some(self.bytes)
            && file.purpose.as_ref() == Some(&self.purpose)
            && self
                .created
                .as_ref()
                .is_none_or(|window| file.created_at.is_some_and(|at| window.contains(&at)))
    }

    /// Whether files behind this one in the list, which are older, can still be it.
    fn may_be_behind(&self, file: &File) -> bool {
        let Some(window) = &self.created else { return true };
        file.created_at.is_none_or(|created| created >= *window.start())
    }
}

/// What a page of the list brought.
#[derive(Debug)]
pub(super) enum Settled {
    /// Ask for the next page at once.
    NextPage,
    /// Exactly one file matches.
    Found(File),
    /// These match, and none can be told to be ours.
    Unclear(Vec<File>),
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
    /// The ends of this round's pages; the last one is where the next page begins.
    ends: Vec<String>,
    matches: Vec<File>,
}

impl Settling {
    pub(super) fn new() -> Self {
        Self { began: None, round: 0, ends: Vec::new(), matches: Vec::new() }
    }

    /// The next page to ask for.
    pub(super) fn request(&self, purpose: &Purpose) -> ListFiles {
        let mut list = ListFiles::new();
        list.purpose = Some(purpose.clone());
        list.limit = Some(PAGE);
        list.order = Some(Order::Descending);
        list.after = self.ends.last().cloned();
        list
    }

    /// Takes a page in.
    pub(super) fn page(&mut self, list: FileList, wanted: &Wanted, now: Duration) -> Settled {
        let began = *self.began.get_or_insert(now);
        let end = list.last_id.clone().or_else(|| list.data.last().map(|file| file.id.clone()));
        // Some services page in circles.
        let next = end.filter(|end| {
            list.has_more == Some(true)
                && self.ends.len() < MOST_PAGES
                && !self.ends.contains(end)
                && list.data.last().is_some_and(|oldest| wanted.may_be_behind(oldest))
        });
        for file in list.data {
            let known = self.matches.iter().any(|other| other.id == file.id);
            if !known && wanted.matches(&file) {
                self.matches.push(file);
            }
        }
        if let Some(end) = next {
            self.ends.push(end);
            return Settled::NextPage;
        }
        self.ends.clear();
        let mut matches = std::mem::take(&mut self.matches);
        match matches.pop() {
            None => self.next_round(began),
            Some(file) if matches.is_empty() && wanted.created.is_some() => Settled::Found(file),
            Some(file) => {
                matches.push(file);
                Settled::Unclear(matches)
            }
        }
    }

    fn next_round(&mut self, began: Duration) -> Settled {
        self.round += 1;
        ROUNDS.get(self.round).map_or(Settled::None, |wait| Settled::Later(began.saturating_add(*wait)))
    }
}
