//! Taking away: files that are deleted and uploads that are cancelled, on a full disk too.
//!
//! A record says that something is gone, and its bytes go an hour later; at once when the disk was full in the last hour.
//! Where there is no room even for that record, in this order:
//!
//! 1. It takes the room of a piece of the reserve, and what the record frees goes at once, so that the reserve is refilled.
//! 2. The records of the parts go, one after the other, until the record has room: no file needs them.
//! 3. The record takes over the room of that of the upload's beginning, which no file needs either.
//! 4. A file that was sent at once loses its own record, which is the commit, and then its bytes. An upload that has lost the
//!    record of its beginning is cancelled without another: it is not to be found any more, and its bytes are swept.
//!
//! Wherever that is cut off, a file is there whole or not at all, and an upload can be cancelled, or is not to be found.

use object_store::path::Path;
use serde::Serialize;

use crate::{
    backend::Backend,
    id::ObjectId,
    layout::{self, BlobName, Owner, UploadMark},
    record::Tombstone,
    store::{Created, StoreError},
    tenant::Tenant,
};

/// Pieces of the reserve that are tried for one record. One has room for its bytes; its name may need more.
const PIECES: usize = 8;

/// What goes at once on a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freed {
    /// The bytes, and the records of parts.
    Bytes,
    /// All that a file with a tombstone does not need. Unless its records go, a deletion frees no inode.
    DeletedFile,
}

impl Backend {
    /// Deletes a file that is there; `false` when another request has deleted it first.
    pub(crate) async fn remove_file(&self, tenant: &Tenant, id: ObjectId) -> Result<bool, StoreError> {
        let tombstone = Tombstone { at: self.now(), by: Some(self.nonce()?) };
        match self.create_removing(tenant, id, &layout::file_deleted(tenant, id), &tombstone).await {
            Ok(Created::Before) => Ok(false),
            Ok(Created::Now) => {
                // Where this or anything else found no room, what is removed is to give some.
                if self.store.was_full_lately() {
                    self.free_at_once(tenant, id, Freed::DeletedFile).await;
                }
                Ok(true)
            }
            // The end of a completed upload would make the record of its file again.
            Err(error)
                if error.is_full() && !self.store.exists(&layout::upload_final(tenant, id)).await? =>
            {
                let is_ours = self.store.remove_first(&layout::file(tenant, id)).await?;
                if is_ours {
                    self.free_at_once(tenant, id, Freed::Bytes).await;
                }
                Ok(is_ours)
            }
            Err(error) => Err(error),
        }
    }

    /// Creates a record by which the file or upload `id` goes away.
    pub(crate) async fn create_removing<T: Serialize>(
        &self,
        tenant: &Tenant,
        id: ObjectId,
        path: &Path,
        record: &T,
    ) -> Result<Created, StoreError> {
        let mut outcome = self.store.create(path, record).await;
        // A full disk is noticed before a record that is there already.
        if is_full(&outcome) && self.store.exists(path).await? {
            return Ok(Created::Before);
        }
        for _ in 0..PIECES {
            if !is_full(&outcome) {
                break;
            }
            outcome = match self.store.create_from_reserve(path, record).await.transpose() {
                Some(created) => created,
                None => break,
            };
        }
        if is_full(&outcome) {
            for part in self.part_records(tenant, id).await? {
                self.store.remove(vec![part]).await?;
                outcome = self.store.create(path, record).await;
                if !is_full(&outcome) {
                    break;
                }
            }
        }
        if is_full(&outcome) {
            outcome = self.create_in_place_of_beginning(tenant, id, path, record).await;
        }
        outcome
    }

    /// Creates a record in the room of that of an upload's beginning, without which it is not to be found: on a local disk
    /// nobody else gets that room in between.
    async fn create_in_place_of_beginning<T: Serialize>(
        &self,
        tenant: &Tenant,
        id: ObjectId,
        path: &Path,
        record: &T,
    ) -> Result<Created, StoreError> {
        // Another request may have used the room to end the upload otherwise.
        if self.store.exists(path).await? {
            return Ok(Created::Before);
        }
        let beginning = layout::upload_created(tenant, id);
        match self.store.create_in_place_of(&beginning, path, record).await {
            Ok(Some(created)) => return Ok(created),
            Err(error @ StoreError::NotThere(_)) => return Err(error),
            // It may be gone nevertheless.
            Ok(None) | Err(_) => {}
        }
        self.store.remove(vec![beginning]).await?;
        self.store.create(path, record).await
    }

    async fn part_records(&self, tenant: &Tenant, id: ObjectId) -> Result<Vec<Path>, StoreError> {
        let folder = layout::upload(tenant, id);
        let parts = self.store.list(&folder, |_, path| match UploadMark::parse(path)? {
            (_, UploadMark::Part(part)) => Some(layout::part(tenant, id, part)),
            _ => None,
        });
        parts.await
    }

    /// Frees the bytes of what is gone, and what else goes with them, without the hours that they have on a disk with room,
    /// and refills the reserve.
    pub(crate) async fn free_at_once(&self, tenant: &Tenant, id: ObjectId, freed: Freed) {
        let removed = match freed {
            Freed::Bytes => self.remove_bytes(tenant, id).await,
            Freed::DeletedFile => self.remove_deleted(tenant, id).await,
        };
        if let Err(error) = removed {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(%tenant, %id, error, "what is gone keeps its room until it is swept");
        }
        self.store.fill_reserve().await;
        // A file whose record found no room may find some now.
        self.store.want_sweep();
    }

    /// Removes all of a deleted file but its tombstone.
    async fn remove_deleted(&self, tenant: &Tenant, id: ObjectId) -> Result<(), StoreError> {
        // Without its end, an upload that has a beginning is open again.
        let beginning = layout::upload_created(tenant, id);
        if self.store.exists(&layout::upload_final(tenant, id)).await? {
            self.store.remove(vec![beginning.clone()]).await?;
            self.store.sync_folder_of(&beginning).await?;
        }
        self.remove_bytes(tenant, id).await?;
        self.store.remove(vec![layout::upload_final(tenant, id), layout::file(tenant, id)]).await.map(drop)
    }

    async fn remove_bytes(&self, tenant: &Tenant, id: ObjectId) -> Result<(), StoreError> {
        let paths = if !self.store.exists(&layout::upload_final(tenant, id)).await? {
            vec![layout::blob(tenant, BlobName::Whole(id.stem()))]
        } else {
            // The records of its parts may have had to go already, so the names of the blobs say which are its.
            let folder = layout::blobs(tenant);
            let blobs = self.store.list(&folder, |name, _| {
                let name = BlobName::parse(name)?;
                (name.owner() == Owner::Upload(id)).then(|| layout::blob(tenant, name))
            });
            let mut paths = blobs.await?;
            paths.extend(self.part_records(tenant, id).await?);
            paths
        };
        self.store.remove(paths).await.map(drop)
    }
}

fn is_full(outcome: &Result<Created, StoreError>) -> bool {
    outcome.as_ref().is_err_and(StoreError::is_full)
}
