//! One search through the service's list, page by page.

use partwise_models::{File, FileList, Purpose, UnixSeconds};

use super::Wanted;
use crate::operations::{ListFiles, Order};

/// Files of one page, as long as the newest come first: then one page is nearly always enough.
const PAGE: u32 = 100;

/// Files of one page of a list whose newest files do not come first: all of it has to be read.
const LARGEST_PAGE: u32 = 10_000;

/// Pages of one search; a list that goes on behind so many files is not searched to its end.
const MOST_PAGES: usize = 100;

/// One search through the list.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    /// The ends of the pages so far; the last one is where the next page begins.
    ends: Vec<String>,
    order: Seen,
    /// Files that fit.
    fitting: Vec<File>,
    /// The service rejects large pages.
    only_small: bool,
}

/// The order that the pages were seen in.
#[derive(Clone, Copy, Debug, Default)]
enum Seen {
    /// No file yet.
    #[default]
    Nothing,
    /// All files so far have the same time, so that nothing shows an order.
    First { oldest: UnixSeconds },
    /// Some file is older than one before it, and none is newer.
    Descending { oldest: UnixSeconds },
    /// Some file is newer than one before it, or has no time.
    Otherwise,
}

/// The result of one search.
#[derive(Debug)]
pub(super) struct Searched {
    /// Every file that fits, once.
    pub(super) fitting: Vec<File>,
    /// Whether the search reached every file that can fit: where it did not, a file that was not found may be there.
    pub(super) is_whole: bool,
}

impl Pages {
    /// The next page to ask for.
    pub(super) fn request(&self, purpose: &Purpose) -> ListFiles {
        let mut list = ListFiles::new();
        list.purpose = Some(purpose.clone());
        list.limit = Some(self.limit());
        list.order = Some(Order::Descending);
        list.after = self.ends.last().cloned();
        list
    }

    fn limit(&self) -> u32 {
        if matches!(self.order, Seen::Otherwise) && !self.only_small { LARGEST_PAGE } else { PAGE }
    }

    /// Asks for no large page any more; false when the one that was rejected was none.
    pub(super) fn ask_for_less(&mut self) -> bool {
        let was_large = self.limit() > PAGE;
        self.only_small = true;
        was_large
    }

    /// The files of a search that was not ended.
    pub(super) fn into_fitting(self) -> Vec<File> {
        self.fitting
    }

    /// Takes a page. `None` when the next one has to be read too. `is_paged`: whether the dialect has pages.
    pub(super) fn take(&mut self, list: FileList, wanted: &Wanted, is_paged: bool) -> Option<Searched> {
        // A full page of a service that does not say whether there are more may have some behind it; a page with more files
        // than were asked for is of one that lists them all.
        let is_full = is_paged && u32::try_from(list.data.len()) == Ok(self.limit());
        self.order = list.data.iter().fold(self.order, Seen::then);
        let end = list.last_id.clone().or_else(|| list.data.last().map(|file| file.id.clone()));
        let goes_on = list.has_more.unwrap_or(is_full);
        // Only a list that was seen to descend promises that what follows is older.
        let is_past = matches!(self.order, Seen::Descending { .. })
            && list.data.last().is_some_and(|oldest| !wanted.may_be_older_than(oldest));
        for file in list.data {
            let is_known = self.fitting.iter().any(|other| other.id == file.id);
            if !is_known && wanted.fits(&file) {
                self.fitting.push(file);
            }
        }
        let is_whole = !goes_on || is_past;
        // Some services page in circles.
        let next = end.filter(|end| self.ends.len() < MOST_PAGES && !self.ends.contains(end));
        match next {
            Some(end) if !is_whole => {
                self.ends.push(end);
                None
            }
            _ => {
                let fitting = std::mem::take(&mut self.fitting);
                *self = Self { only_small: self.only_small, ..Self::default() };
                Some(Searched { fitting, is_whole })
            }
        }
    }
}

impl Seen {
    fn then(self, file: &File) -> Self {
        match (self, file.created_at) {
            (Self::Otherwise, _) | (_, None) => Self::Otherwise,
            (Self::Nothing, Some(oldest)) => Self::First { oldest },
            (Self::First { oldest } | Self::Descending { oldest }, Some(created)) if created > oldest => {
                Self::Otherwise
            }
            (Self::First { oldest }, Some(created)) if created == oldest => Self::First { oldest },
            (Self::First { .. } | Self::Descending { .. }, Some(created)) => {
                Self::Descending { oldest: created }
            }
        }
    }
}
