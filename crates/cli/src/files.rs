//! `partwise files list`, `get`, `delete` and `import`.

use std::{cmp::Reverse, collections::HashSet};

use partwise_models::{DeletedFile, File, FileList, FileState, ImportFileRequest};
use partwise_protocol::operations::{DeleteFile, ImportFile, ListFiles, Order, RetrieveFile};

use crate::{
    args::{GetArguments, ImportArguments, ListArguments, OrderName, OutputArguments},
    connect::{Connected, Connection},
    environment::Environment,
    output::Output,
    purpose,
    report::{Report, one_line},
    screen::say,
};

/// The most that a service puts on one page.
const LARGEST_PAGE: u32 = 10_000;

/// Prints the files that the service holds.
pub(crate) async fn list(
    arguments: &ListArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let purpose =
        arguments.purpose.as_deref().map(|text| purpose::resolve(text, arguments.allow_unknown_purpose));
    let mut query = ListFiles::new();
    query.purpose = purpose.transpose()?;
    query.order = arguments.order.map(|order| match order {
        OrderName::Asc => Order::Ascending,
        OrderName::Desc => Order::Descending,
    });
    let connected = connection.connect().await?;
    let mut output = Output::stdout();
    let mut table = Vec::new();
    let mut pages = Pages::new(query, arguments.limit);
    while let Some(files) = pages.next(&connected).await? {
        if !arguments.output.json {
            table.extend(files);
            continue;
        }
        for file in &files {
            output.json(file)?;
        }
        if !output.is_open() {
            return Ok(());
        }
    }
    if table.is_empty() && !arguments.output.json {
        // Said to people alone; when they are gone it is not said.
        say("no files");
    }
    output.table(&table)
}

/// The pages of a list, one request each.
struct Pages {
    /// The next request; `None` when there is nothing more to ask.
    query: Option<ListFiles>,
    /// How many files are still wanted.
    wanted: Option<u32>,
    /// Where pages have ended: a service that ignores `after` gives the same page for ever.
    ends: HashSet<String>,
}

impl Pages {
    fn new(query: ListFiles, wanted: Option<u32>) -> Self {
        Self { query: Some(query), wanted, ends: HashSet::new() }
    }

    async fn next(&mut self, connected: &Connected) -> Result<Option<Vec<File>>, Report> {
        let Some(mut query) = self.query.take() else { return Ok(None) };
        query.limit = self.wanted.map(|wanted| wanted.min(LARGEST_PAGE));
        let page = connected.client.call(&query).await;
        let page = page.map_err(|error| connected.explain.report("cannot list the files", &error))?;
        let files = self.take(page, query);
        Ok(Some(files))
    }

    /// The files of a page that are wanted; sets up the next request, if there is to be one.
    fn take(&mut self, page: FileList, mut query: ListFiles) -> Vec<File> {
        let more = page.has_more;
        let end = page.last_id.or_else(|| page.data.last().map(|file| file.id.clone()));
        let mut files = page.data;
        if more.is_none() {
            sort(&mut files, query.order);
        }
        if let Some(wanted) = &mut self.wanted {
            files.truncate(usize::try_from(*wanted).unwrap_or(usize::MAX));
            *wanted -= u32::try_from(files.len()).unwrap_or(*wanted).min(*wanted);
        }
        if let (Some(true), Some(end)) = (more, end) {
            if !files.is_empty() && self.wanted != Some(0) && self.ends.insert(end.clone()) {
                query.after = Some(end);
                self.query = Some(query);
            }
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

/// Prints one file's object.
pub(crate) async fn get(
    arguments: &GetArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let connected = connection.connect().await?;
    let file = connected.client.call(&RetrieveFile::new(&arguments.id)).await;
    let file =
        file.map_err(|error| connected.explain.report(&format!("cannot get {}", arguments.id), &error))?;
    print(&file, &arguments.output)
}

/// Deletes one file.
pub(crate) async fn delete(
    arguments: &GetArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let id = &arguments.id;
    let connected = connection.connect().await?;
    let answer = connected.client.call(&DeleteFile::new(id)).await;
    let answer = answer.map_err(|error| connected.explain.report(&format!("cannot delete {id}"), &error))?;
    connected.sweep().await;
    let deleted = answer.unwrap_or_else(|| {
        // Azure up to 2024-06-01 answers without a body; this says the same.
        let mut deleted = DeletedFile::new(id);
        deleted.deleted = Some(true);
        deleted
    });
    let refused = deleted.deleted == Some(false);
    let mut output = Output::stdout();
    if arguments.output.json {
        output.json(&deleted)?;
    } else if !refused {
        output.line(&format!("deleted {}", one_line(id)))?;
    }
    if refused {
        return Err(Report::failed(format!(
            "{id} was not deleted: the service says so, and mostly it was gone before"
        )));
    }
    Ok(())
}

/// Has the service fetch a file.
pub(crate) async fn import(
    arguments: &ImportArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let purpose = arguments.purpose.resolve_for(&arguments.filename, "give another --filename")?;
    let connected = connection.connect().await?;
    let request = ImportFileRequest::new(purpose, &arguments.filename, &arguments.url);
    let file = connected.client.call(&ImportFile::new(request)).await;
    let file =
        file.map_err(|error| connected.explain.report(&format!("cannot import {}", arguments.url), &error))?;
    print(&file, &arguments.output)?;
    match file.status {
        Some(FileState::Error) => {
            let details = file.status_details.as_deref().unwrap_or("it does not say why");
            let (url, details) = (&arguments.url, one_line(details));
            Err(Report::failed(format!("the service rejected the content of {url}: {details}")))
        }
        _ => Ok(()),
    }
}

fn print(file: &File, arguments: &OutputArguments) -> Result<(), Report> {
    let mut output = Output::stdout();
    if arguments.json { output.json(file) } else { output.file(file) }
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

    /// What is asked for behind each page, until nothing is.
    fn asked(wanted: Option<u32>, pages: &[FileList]) -> Vec<Option<String>> {
        let mut listing = Pages::new(ListFiles::new(), wanted);
        let mut asked = Vec::new();
        for page in pages {
            let Some(query) = listing.query.take() else { break };
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

    #[test]
    fn a_service_that_gives_the_same_page_for_ever_is_asked_twice() {
        let same = || page(&["a", "b"], Some(true));
        assert_eq!(asked(None, &[same(), same(), same()]), [Some("b".to_owned()), None]);
    }

    #[test]
    fn no_more_is_asked_for_than_is_wanted() {
        let full = || page(&["a", "b"], Some(true));
        assert_eq!(asked(Some(2), &[full()]), [None]);
        let mut pages = Pages::new(ListFiles::new(), Some(1));
        let query = pages.query.take().expect("the first");
        assert_eq!(pages.take(full(), query).len(), 1);
    }

    #[test]
    fn where_there_are_no_pages_the_order_is_made_here() {
        let mut everything = page(&["a", "b", "c"], None);
        for (file, time) in everything.data.iter_mut().zip([2, 3, 1]) {
            file.created_at = Some(UnixSeconds(time));
        }
        let mut query = ListFiles::new();
        query.order = Some(Order::Ascending);
        let files = Pages::new(query.clone(), None).take(everything, query);
        assert_eq!(files.iter().map(|file| file.id.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
    }
}
