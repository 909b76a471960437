//! Files by age, a page at a time.

use std::{collections::VecDeque, io};

use futures_util::future::try_join_all;
use object_store::ObjectStoreExt;
use partwise_models::File;
use partwise_protocol::{ListFiles, Order};
use tracing::Instrument as _;

use crate::{
    backend::Backend,
    files::file_model,
    id::ObjectId,
    layout::{self, FileMark},
    refusal::Refusal,
    store::StoreError,
    summary::{Glance, Summary},
    tenant::Tenant,
};

/// How many records of one list are read side by side.
const READS: usize = 16;
/// How many lists read at the same time. Each holds a descriptor for each record that it reads, and readers of the others wait.
pub(crate) const LISTS_READING: usize = 4;
/// How many files more than it shows a page knows of, in place of those whose records are damaged or gone.
const SPARE: usize = 1024;

impl Backend {
    /// The page that is asked for, of at most `limit` files. This lists names; records are read as the page is.
    pub(crate) async fn list_files(
        &self,
        tenant: &Tenant,
        request: &ListFiles,
        limit: usize,
    ) -> Result<FilePage, Refusal> {
        let order = request.order.unwrap_or(Order::Descending);
        // The place of a file is in its identifier, so that one that is gone, and forgotten, still marks it: a caller that pages
        // on while files go away misses none.
        let cursor =
            |id: &String| ObjectId::parse_file(id).ok_or_else(|| Refusal::NotAFileId { id: id.clone() });
        let after = request.after.as_ref().map(cursor).transpose()?;
        let is_behind = |id: ObjectId| match (order, after) {
            (_, None) => true,
            (Order::Ascending, Some(after)) => id > after,
            (Order::Descending, Some(after)) => id < after,
        };
        let is_wanted = |id: ObjectId| {
            is_behind(id)
                && !self.has_expired(id)
                && request.purpose.as_ref().is_none_or(|purpose| *purpose == id.purpose())
        };
        let names = self.names(tenant, is_wanted).await?;
        let (ids, is_cut) = names.page(order, limit.saturating_add(SPARE));
        let (backend, tenant) = (self.clone(), tenant.clone());
        Ok(FilePage { backend, tenant, ids: ids.into_iter(), is_cut, glances: VecDeque::new(), left: limit })
    }

    async fn names(
        &self,
        tenant: &Tenant,
        is_wanted: impl Fn(ObjectId) -> bool,
    ) -> Result<Names, StoreError> {
        let (mut names, mut is_empty) = (Names::default(), true);
        let each = |name: &str, _: &_| {
            is_empty = false;
            match FileMark::parse(name) {
                Some(FileMark::Stored(id)) if is_wanted(id) => names.stored.push(id),
                Some(FileMark::Deleted(id)) if is_wanted(id) => names.deleted.push(id),
                _ => {}
            }
            None::<()>
        };
        self.store.list(&layout::files(tenant), each).await?;
        if is_empty {
            self.check_store().await?;
        }
        Ok(names)
    }

    /// Fails when the store is not there: then what is missing is not gone.
    async fn check_store(&self) -> Result<(), StoreError> {
        self.store.objects.head(&layout::marker()).await?;
        Ok(())
    }
}

/// The names that a tenant's files have.
#[derive(Default)]
struct Names {
    stored: Vec<ObjectId>,
    deleted: Vec<ObjectId>,
}

impl Names {
    /// The first `most` files that are not deleted, and whether there are others behind them.
    fn page(mut self, order: Order, most: usize) -> (Vec<ObjectId>, bool) {
        self.deleted.sort_unstable();
        self.stored.retain(|id| self.deleted.binary_search(id).is_err());
        self.stored.sort_unstable();
        if order == Order::Descending {
            self.stored.reverse();
        }
        let is_cut = self.stored.len() > most;
        self.stored.truncate(most);
        // A page may be held for as long as its reader takes.
        self.stored.shrink_to_fit();
        (self.stored, is_cut)
    }
}

/// A page of files, whose records are read one after the other as they are asked for. It holds their identifiers, and not much
/// else: 16 bytes for each.
pub(crate) struct FilePage {
    backend: Backend,
    tenant: Tenant,
    /// Files that were not looked at.
    ids: std::vec::IntoIter<ObjectId>,
    /// Whether there are files behind those.
    is_cut: bool,
    /// Files that were looked at.
    glances: VecDeque<(ObjectId, Glance<Summary>)>,
    /// How many files more the page can have.
    left: usize,
}

impl FilePage {
    /// The next file. Records that are damaged are left out, and an error line says where they stand; those that are gone by now
    /// are left out, too.
    ///
    /// Nothing is read, and no descriptor held, before this is called and after it has returned.
    pub(crate) async fn next(&mut self) -> Result<Option<File>, StoreError> {
        while self.left > 0 {
            let Some((id, glance)) = self.glances.pop_front() else {
                if self.ids.len() == 0 {
                    break;
                }
                self.look().await?;
                continue;
            };
            let summary = match glance {
                Glance::Summary(summary) => Some(summary),
                Glance::Longer => self.read_whole(id).await?,
            };
            if let Some(Summary { filename, bytes }) = summary {
                self.left -= 1;
                return Ok(Some(file_model(id, filename, bytes)));
            }
        }
        Ok(None)
    }

    /// Whether there are files behind this page, once it has been read to its end.
    pub(crate) fn has_more(&self) -> bool {
        !self.glances.is_empty() || self.ids.len() > 0 || self.is_cut
    }

    /// Looks at the next records, together.
    async fn look(&mut self) -> Result<(), StoreError> {
        let ids: Vec<ObjectId> = self.ids.by_ref().take(READS.min(self.left)).collect();
        // A task, so that a list whose body is not asked again while it reads keeps nobody else from reading.
        let looks = look_at(self.backend.clone(), self.tenant.clone(), ids.clone());
        let looks = tokio::spawn(looks.in_current_span()).await;
        let mut is_missing = false;
        for (id, found) in ids.iter().zip(looks.map_err(|error| StoreError::Read(io::Error::other(error)))??)
        {
            match found {
                Found::Whole(glance) => self.glances.push_back((*id, glance)),
                Found::Damaged => {}
                Found::Nothing => is_missing = true,
            }
        }
        if is_missing { self.backend.check_store().await } else { Ok(()) }
    }

    async fn read_whole(&self, id: ObjectId) -> Result<Option<Summary>, StoreError> {
        let record = self.backend.store.read(&layout::file(&self.tenant, id)).await;
        match leave_out_damaged(record)? {
            Found::Whole(summary) => Ok(Some(summary)),
            Found::Damaged => Ok(None),
            Found::Nothing => self.backend.check_store().await.map(|()| None),
        }
    }
}

async fn look_at(
    backend: Backend,
    tenant: Tenant,
    ids: Vec<ObjectId>,
) -> Result<Vec<Found<Glance<Summary>>>, StoreError> {
    // The semaphore is never closed.
    let _reading = backend.listing.acquire().await;
    let look = |id| {
        let path = layout::file(&tenant, id);
        let store = &backend.store;
        async move { leave_out_damaged(Glance::at(store, &path).await) }
    };
    try_join_all(ids.into_iter().map(look)).await
}

/// What stands where a record should.
enum Found<T> {
    Whole(T),
    Damaged,
    Nothing,
}

fn leave_out_damaged<T>(read: Result<Option<T>, StoreError>) -> Result<Found<T>, StoreError> {
    match read {
        Ok(Some(found)) => Ok(Found::Whole(found)),
        Ok(None) => Ok(Found::Nothing),
        Err(StoreError::Record { path, source }) => {
            let error: &dyn std::error::Error = &source;
            tracing::error!(%path, error, "a damaged record is left out of the list; its file can be deleted");
            Ok(Found::Damaged)
        }
        Err(error) => Err(error),
    }
}
