//! The files that a service holds, page by page.

use std::{cmp::Reverse, collections::HashSet};

use futures_util::{
    TryStreamExt as _,
    stream::{self, BoxStream},
};
use partwise_models::{File, FileList, Purpose};
use partwise_protocol::operations::{ListFiles, Order};

use crate::{Client, Error};

/// The most that a service puts on one page.
const LARGEST_PAGE: u32 = 10_000;

impl Client {
    /// Lists the files that the service holds, over all pages.
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt as _;
    /// use partwise::{Client, models::{File, Purpose}};
    ///
    /// # async fn example(client: Client) -> Result<(), partwise::Error> {
    /// let files: Vec<File> = client.files().purpose(Purpose::Batch).stream().try_collect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn files(&self) -> FileListing {
        FileListing { client: self.clone(), pages: Pages::new(ListFiles::new()) }
    }
}

/// A list of files that is asked for page by page, made by [`Client::files`].
///
/// A service that has no pages gives everything at once and knows no order; its files are sorted here. One that ignores where a
/// page is to begin gives the same page again, which is left out and ends the list.
///
/// ```no_run
/// use partwise::{Purpose, protocol::operations::Order};
///
/// # async fn example(client: partwise::Client) -> Result<(), partwise::Error> {
/// let mut newest = client.files().purpose(Purpose::Batch).order(Order::Descending).limit(50);
/// while let Some(page) = newest.next_page().await? {
///     for file in page {
///         println!("{} {:?}", file.id, file.created_at);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is asked for before a page or the stream is"]
pub struct FileListing {
    client: Client,
    pages: Pages,
}

impl FileListing {
    /// Lists only files with this purpose.
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.pages.query_mut().purpose = Some(purpose);
        self
    }

    /// Lists the files by the time of their creation; by default in whatever order the service has.
    pub fn order(mut self, order: Order) -> Self {
        self.pages.query_mut().order = Some(order);
        self
    }

    /// Lists at most so many files, over all pages together.
    pub fn limit(mut self, files: u32) -> Self {
        self.pages.wanted = Some(files);
        self
    }

    /// Asks for the next page; `None` when there is nothing more to ask. A page may be empty, and another one follow.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub async fn next_page(&mut self) -> Result<Option<Vec<File>>, Error> {
        let Some(query) = self.pages.next() else { return Ok(None) };
        let page = self.client.call(&query).await?;
        Ok(Some(self.pages.take(page, query)))
    }

    /// The files one by one; the next page is asked for when all files of the one before were taken. It ends with its first
    /// error, which is one of [`next_page`](Self::next_page).
    pub fn stream(self) -> BoxStream<'static, Result<File, Error>> {
        let pages = stream::try_unfold(self, |mut listing| async {
            let page = listing.next_page().await?;
            Ok::<_, Error>(page.map(|files| (stream::iter(files.into_iter().map(Ok)), listing)))
        });
        Box::pin(pages.try_flatten())
    }
}

/// The pages of a list, one request each.
#[derive(Debug)]
struct Pages {
    /// The next request; `None` when there is nothing more to ask.
    query: Option<ListFiles>,
    /// How many files are still wanted.
    wanted: Option<u32>,
    /// Where pages have ended.
    ends: HashSet<String>,
}

impl Pages {
    fn new(query: ListFiles) -> Self {
        Self { query: Some(query), wanted: None, ends: HashSet::new() }
    }

    fn query_mut(&mut self) -> &mut ListFiles {
        self.query.get_or_insert_with(ListFiles::new)
    }

    /// The next request; the same one again until its page was [taken](Self::take).
    fn next(&self) -> Option<ListFiles> {
        let mut query = self.query.clone().filter(|_| self.wanted != Some(0))?;
        query.limit = self.wanted.map(|wanted| wanted.min(LARGEST_PAGE));
        Some(query)
    }

    /// The files of a page that are wanted; sets up the next request, if there is to be one.
    fn take(&mut self, page: FileList, mut query: ListFiles) -> Vec<File> {
        self.query = None;
        let more = page.has_more;
        let end = page.last_id.or_else(|| page.data.last().map(|file| file.id.clone()));
        let is_seen = end.as_ref().is_some_and(|end| !self.ends.insert(end.clone()));
        if is_seen {
            return Vec::new();
        }
        let mut files = page.data;
        if more.is_none() {
            sort(&mut files, query.order);
        }
        if let Some(wanted) = &mut self.wanted {
            files.truncate(usize::try_from(*wanted).unwrap_or(usize::MAX));
            *wanted -= u32::try_from(files.len()).unwrap_or(*wanted).min(*wanted);
        }
        if more == Some(true) && end.is_some() && self.wanted != Some(0) {
            query.after = end;
            self.query = Some(query);
        }
        files
    }
}

/// A service without pages gives everything at once and knows no order.
fn sort(files: &mut [File], order: Option<Order>) {
    match order {
        Some(Order::Ascending) => files.sort_by_key(|file| file.created_at),
        Some(Order::Descending) => files.sort_by_key(|file| Reverse(file.created_at)),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use partwise_models::UnixSeconds;

    use super::*;

    fn page(ids: &[&str], has_more: Option<bool>) -> FileList {
        let mut page = FileList::new(ids.iter().map(|id| File::new(*id)).collect());
        page.last_id = ids.last().map(ToString::to_string);
        page.has_more = has_more;
        page
    }

    fn pages(query: ListFiles, wanted: Option<u32>) -> Pages {
        Pages { wanted, ..Pages::new(query) }
    }

    /// What is asked for behind each page, until nothing is.
    fn asked(wanted: Option<u32>, given: &[FileList]) -> Vec<Option<String>> {
        let mut listing = pages(ListFiles::new(), wanted);
        let mut asked = Vec::new();
        for page in given {
            let Some(query) = listing.next() else { break };
            listing.take(page.clone(), query);
            asked.push(listing.query.as_ref().and_then(|query| query.after.clone()));
        }
        asked
    }

    #[test]
    fn a_list_ends_when_the_service_says_so_or_says_nothing() {
        let next = || Some("b".to_owned());
        assert_eq!(asked(None, &[page(&["a", "b"], Some(true)), page(&["c"], Some(false))]), [next(), None]);
        assert_eq!(asked(None, &[page(&["a", "b"], None)]), [None]);
        assert_eq!(asked(None, &[page(&[], Some(true))]), [None]);
    }

    /// The files that come of these pages.
    fn listed(given: &[FileList]) -> Vec<String> {
        let mut listing = pages(ListFiles::new(), None);
        let mut listed = Vec::new();
        for page in given {
            let Some(query) = listing.next() else { break };
            listed.extend(listing.take(page.clone(), query).into_iter().map(|file| file.id));
        }
        listed
    }

    #[test]
    fn a_service_that_gives_the_same_page_for_ever_is_asked_twice_and_its_files_come_once() {
        let same = || page(&["a", "b"], Some(true));
        assert_eq!(asked(None, &[same(), same(), same()]), [Some("b".to_owned()), None]);
        assert_eq!(listed(&[same(), same(), same()]), ["a", "b"]);
        assert_eq!(listed(&[same(), page(&["c"], Some(true)), same()]), ["a", "b", "c"]);
    }

    #[test]
    fn an_empty_page_that_names_another_end_does_not_end_the_list() {
        let mut empty = page(&[], Some(true));
        empty.last_id = Some("b".to_owned());
        let given = [page(&["a"], Some(true)), empty.clone(), page(&["c"], Some(false))];
        assert_eq!(listed(&given), ["a", "c"]);
        assert_eq!(asked(None, &given), [Some("a".to_owned()), Some("b".to_owned()), None]);
        assert_eq!(asked(None, &[empty.clone(), empty]), [Some("b".to_owned()), None]);
    }

    #[test]
    fn no_more_is_asked_for_than_is_wanted() {
        let full = || page(&["a", "b"], Some(true));
        assert_eq!(asked(Some(2), &[full()]), [None]);
        let mut one = pages(ListFiles::new(), Some(1));
        let query = one.next().unwrap();
        assert_eq!(one.take(full(), query).len(), 1);
        assert!(pages(ListFiles::new(), Some(0)).next().is_none());
    }

    #[test]
    fn where_there_are_no_pages_the_order_is_made_here() {
        let mut everything = page(&["a", "b", "c"], None);
        for (file, time) in everything.data.iter_mut().zip([2, 3, 1]) {
            file.created_at = Some(UnixSeconds(time));
        }
        let mut query = ListFiles::new();
        query.order = Some(Order::Ascending);
        let files = pages(query.clone(), None).take(everything, query);
        assert_eq!(files.iter().map(|file| file.id.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
    }
}
