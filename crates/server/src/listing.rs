//! Files by age, a page at a time.

use std::{collections::VecDeque, future::Future, io};

use futures_util::future::try_join_all;
use object_store::{ObjectStoreExt, path::Path};
use partwise_models::File;
use partwise_protocol::operations::{ListFiles, Order};
use tracing::Instrument as _;

use crate::{
    backend::Backend,
    damage,
    files::StoredFile,
    id::ObjectId,
    layout::{self, FileMark},
    refusal::Refusal,
    store::StoreError,
    summary::{Glance, Summary},
    tenant::Tenant,
};

/// The number of records of one list that are read side by side.
const READS: usize = 16;
/// The number of lists that read at the same time. Each holds a descriptor for each record that it reads, and readers of the others wait.
pub(crate) const LISTS_READING: usize = 4;

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
        let (backend, tenant) = (self.clone(), tenant.clone());
        let ids = names.in_order(order).into_iter();
        Ok(FilePage { backend, tenant, ids, glances: VecDeque::new(), left: limit, unlogged: 0 })
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

    /// Reads the store's marker. Fails when the store is not there, or cannot be read at all: then what is missing is not gone,
    /// and what cannot be opened is not damaged.
    pub(crate) async fn check_store(&self) -> Result<(), StoreError> {
        self.store.objects.get(&layout::marker()).await?.bytes().await?;
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
    /// The files that are not deleted.
    fn in_order(mut self, order: Order) -> Vec<ObjectId> {
        self.deleted.sort_unstable();
        self.stored.retain(|id| self.deleted.binary_search(id).is_err());
        self.stored.sort_unstable();
        if order == Order::Descending {
            self.stored.reverse();
        }
        // A page may be held for as long as its reader takes.
        self.stored.shrink_to_fit();
        self.stored
    }
}

/// A page of files, whose records are read one after the other as they are asked for. It holds the identifiers of all files
/// behind its first, since any number of records may be damaged, and not much else: 16 bytes for each.
pub(crate) struct FilePage {
    backend: Backend,
    tenant: Tenant,
    /// Files that were not looked at.
    ids: std::vec::IntoIter<ObjectId>,
    /// Files that were looked at.
    glances: VecDeque<(ObjectId, Glance<Summary>)>,
    /// The number of files that the page still has room for.
    left: usize,
    /// Damaged records that have no line of their own in the log.
    unlogged: usize,
}

impl FilePage {
    /// The next file. Records that are damaged or cannot be opened are left out, and an error line says once where they are; those
    /// that are gone by now are left out, too.
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
                Glance::Longer => {
                    let found = in_task(read_whole(self.backend.clone(), self.tenant.clone(), id)).await?;
                    self.take(found).await?
                }
            };
            if let Some(summary) = summary {
                self.left -= 1;
                return Ok(Some(StoredFile { id, summary }.into_model()));
            }
        }
        damage::sum_up(std::mem::take(&mut self.unlogged));
        Ok(None)
    }

    /// Returns `true` if there are files behind this page, once it has been read to its end.
    pub(crate) fn has_more(&self) -> bool {
        !self.glances.is_empty() || self.ids.len() > 0
    }

    /// Looks at the next records, together.
    async fn look(&mut self) -> Result<(), StoreError> {
        let ids: Vec<ObjectId> = self.ids.by_ref().take(READS.min(self.left)).collect();
        let looks = in_task(look_at(self.backend.clone(), self.tenant.clone(), ids.clone())).await?;
        for (id, found) in ids.into_iter().zip(looks) {
            if let Some(glance) = self.take(found).await? {
                self.glances.push_back((id, glance));
            }
        }
        Ok(())
    }

    /// The content of a record that can be shown.
    async fn take<T>(&mut self, found: Found<T>) -> Result<Option<T>, StoreError> {
        match found {
            Found::Whole(content) => return Ok(Some(content)),
            Found::Damaged { is_logged } => self.unlogged += usize::from(!is_logged),
            Found::Nothing => self.backend.check_store().await?,
        }
        Ok(None)
    }
}

/// Reads in a task, so that a list whose body is not asked again while it reads keeps nobody else from reading.
async fn in_task<T: Send + 'static>(
    reading: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let read = tokio::spawn(reading.in_current_span()).await;
    read.map_err(|error| StoreError::Read(io::Error::other(error)))?
}

async fn look_at(
    backend: Backend,
    tenant: Tenant,
    ids: Vec<ObjectId>,
) -> Result<Vec<Found<Glance<Summary>>>, StoreError> {
    // The semaphore is never closed.
    let _reading = backend.listing.acquire().await;
    let look = async |id| {
        let path = layout::file(&tenant, id);
        let glance = Glance::at(&backend.store, &path).await;
        leave_out_damaged(&backend, &path, glance).await
    };
    try_join_all(ids.into_iter().map(look)).await
}

async fn read_whole(backend: Backend, tenant: Tenant, id: ObjectId) -> Result<Found<Summary>, StoreError> {
    let path = layout::file(&tenant, id);
    let record = backend.store.read(&path).await;
    leave_out_damaged(&backend, &path, record).await
}

/// The finding at the place of a record.
enum Found<T> {
    Whole(T),
    Damaged { is_logged: bool },
    Nothing,
}

async fn leave_out_damaged<T>(
    backend: &Backend,
    path: &Path,
    read: Result<Option<T>, StoreError>,
) -> Result<Found<T>, StoreError> {
    let error = match read {
        Ok(Some(found)) => return Ok(Found::Whole(found)),
        Ok(None) => return Ok(Found::Nothing),
        Err(error) => error,
    };
    match &error {
        StoreError::Record { .. } => {}
        // Of a store that is there, only this record cannot be read.
        _ if error.may_be_of_one_object() => {
            backend.check_store().await?;
            backend.store.check_entry(path).await?;
        }
        _ => return Err(error),
    }
    Ok(Found::Damaged { is_logged: backend.damage.note(&backend.store.shown(path), &error) })
}
