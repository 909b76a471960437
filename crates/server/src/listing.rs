//! Files by age, a page at a time.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use partwise_models::{FileList, TypeDiscriminator};
use partwise_protocol::{ListFiles, Order};

use crate::{
    backend::Backend,
    files::StoredFile,
    id::ObjectId,
    layout::{self, FileMark},
    refusal::Refusal,
    tenant::Tenant,
};

/// A page without a `limit` of its own.
const DEFAULT_LIMIT: u32 = 10_000;
/// How many records are read side by side.
const READS: usize = 16;

impl Backend {
    /// A page of files: one listing of names, and one read for each file of the page.
    pub(crate) async fn list_files(&self, tenant: &Tenant, request: &ListFiles) -> Result<FileList, Refusal> {
        let marks = self.store.list(&layout::files(tenant), |name, _| FileMark::parse(name)).await?;
        let names = Names::new(&marks);
        let after = request.after.as_deref().map(|id| names.cursor(id)).transpose()?;
        let wanted = |id: &ObjectId| {
            !self.has_expired(*id) && request.purpose.as_ref().is_none_or(|purpose| *purpose == id.purpose())
        };
        let limit = request.limit.unwrap_or(DEFAULT_LIMIT) as usize;
        let (page, has_more) = names.page(request.order.unwrap_or(Order::Descending), after, limit, wanted);
        let data = self.read_files(tenant, page).await?;
        let mut list = FileList::new(data.iter().map(StoredFile::to_model).collect());
        list.object = Some(TypeDiscriminator::List);
        list.first_id = data.first().map(|file| file.id.file_id());
        list.last_id = data.last().map(|file| file.id.file_id());
        list.has_more = Some(has_more);
        Ok(list)
    }

    async fn read_files(&self, tenant: &Tenant, ids: Vec<ObjectId>) -> Result<Vec<StoredFile>, Refusal> {
        let reads = stream::iter(ids).map(|id| async move {
            let record = self.store.read(&layout::file(tenant, id)).await?;
            Ok(record.map(|record| StoredFile { id, record }))
        });
        reads.buffered(READS).try_filter_map(|file| async { Ok(file) }).try_collect().await
    }
}

/// The names of a tenant's files, in order.
struct Names {
    stored: BTreeSet<ObjectId>,
    deleted: BTreeSet<ObjectId>,
}

impl Names {
    fn new(marks: &[FileMark]) -> Self {
        let mut names = Self { stored: BTreeSet::new(), deleted: BTreeSet::new() };
        for mark in marks {
            match mark {
                FileMark::Stored(id) => names.stored.insert(*id),
                FileMark::Deleted(id) => names.deleted.insert(*id),
            };
        }
        names
    }

    /// Where a page starts. A file that is deleted or expired by now still marks the place, so that whoever pages on
    /// while files go away misses none.
    fn cursor(&self, file_id: &str) -> Result<ObjectId, Refusal> {
        let id = ObjectId::parse_file(file_id).filter(|id| self.stored.contains(id));
        id.ok_or_else(|| Refusal::NoSuchCursor { id: file_id.to_owned() })
    }

    /// The page behind `after`, and whether there is more behind it.
    fn page(
        &self,
        order: Order,
        after: Option<ObjectId>,
        limit: usize,
        wanted: impl Fn(&ObjectId) -> bool,
    ) -> (Vec<ObjectId>, bool) {
        let ids: Box<dyn Iterator<Item = &ObjectId>> = match order {
            Order::Ascending => Box::new(self.stored.iter()),
            Order::Descending => Box::new(self.stored.iter().rev()),
        };
        let is_behind = |id: &ObjectId| match (order, after) {
            (_, None) => true,
            (Order::Ascending, Some(after)) => *id > after,
            (Order::Descending, Some(after)) => *id < after,
        };
        let alive = ids.copied().filter(|id| is_behind(id) && !self.deleted.contains(id) && wanted(id));
        let mut page: Vec<ObjectId> = alive.take(limit + 1).collect();
        let has_more = page.len() > limit;
        page.truncate(limit);
        (page, has_more)
    }
}
