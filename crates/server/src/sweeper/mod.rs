//! Takes back the room of what is gone: bytes go only some time after the record that frees them, and records some time
//! after the bytes.
//!
//! Nothing has to be written to take back room, so that a full disk can be swept; and where nothing has changed, nothing
//! is written.

mod inventory;
mod leftovers;
mod upload;

use std::{
    io,
    time::{Duration, SystemTime},
};

use partwise_models::UnixSeconds;

use self::inventory::Inventory;
use crate::{
    backend::Backend,
    id::{ObjectId, Stem},
    layout::{self, BlobName, Owner},
    local::NotThere,
    record::Tombstone,
    store::StoreError,
    tenant::Tenant,
};

/// Seconds that bytes stay after they were freed, so that readers may finish. Records stay as long again. On a disk that was
/// full in the last hour, neither bytes stay nor those records of a deleted file that its tombstone makes needless.
pub(crate) const GRACE: u64 = 60 * 60;
const TWICE_GRACE: u64 = 2 * GRACE;
/// Seconds that the records that say what is gone stay on a disk that was full in the last hour: far longer than a request
/// takes from looking for them to writing what they forbid.
const BRIEF: u64 = 10 * 60;
/// Seconds that bytes that belong to nothing stay: by then their writer is gone. On a disk that was full in the last hour,
/// an hour has to do.
const ABANDONED: u64 = 24 * 60 * 60;

/// The results of a sweep.
///
/// ```
/// use partwise_server::{Server, Store};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder(Store::memory()).build().await?;
/// let swept = server.sweep().await?;
/// assert_eq!((swept.blobs, swept.records), (0, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Blobs whose bytes are gone now.
    pub blobs: usize,
    /// Records of deleted and expired files, and of uploads that are over, that are gone now.
    pub records: usize,
    /// Files of unfinished writes, on a local disk, and what an interrupted start has left in a store elsewhere, that are gone now.
    pub unfinished: usize,
    /// Files, uploads and tenants that could not be looked at or removed; the log says why, and the next sweep tries again.
    pub skipped: usize,
}

/// Bytes that belong to nothing that is to be seen.
#[derive(Default)]
struct Abandoned {
    blobs: Vec<BlobName>,
    /// The number of those that may belong to something that is not to be seen.
    kept: usize,
}

impl Backend {
    /// Looks at everything of every tenant once: three listings per tenant, two more where bytes seem to belong to nothing, and one
    /// or two reads for each deleted file and each upload.
    pub(crate) async fn sweep(&self) -> Result<Swept, StoreError> {
        let _turn = self.store.full_disk.turn().await;
        self.as_sweeper().sweep_all().await
    }

    async fn sweep_all(&self) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        for name in self.store.folders(&layout::tenants()).await? {
            let Ok(tenant) = Tenant::new(&name) else { continue };
            if let Err(error) = self.sweep_tenant(&tenant, &mut swept).await {
                if matches!(error, StoreError::NotThere(NotThere::Store { .. })) {
                    return Err(error);
                }
                let error: &dyn std::error::Error = &error;
                tracing::error!(%tenant, error, "what this tenant has cannot be swept");
                swept.skipped += 1;
            }
        }
        self.sweep_folder(&mut swept).await?;
        self.sweep_probes(&mut swept).await?;
        self.store.fill_reserve().await;
        Ok(swept)
    }

    /// Removes what servers have left that ended while they probed a store elsewhere.
    async fn sweep_probes(&self, swept: &mut Swept) -> Result<(), StoreError> {
        if self.store.is_exact() {
            return Ok(());
        }
        let probes = self.store.list(&layout::probes(), |_, path| Some(path.clone())).await?;
        let mut left = Vec::new();
        for path in probes {
            if self.store.written(&path).await?.is_some_and(|written| self.is_past(written, ABANDONED)) {
                left.push(path);
            }
        }
        self.store.remove_counted(left, &mut swept.unfinished).await
    }

    /// Seconds after which bytes that belong to nothing are abandoned: nobody is writing them any more.
    fn abandoned_after(&self) -> u64 {
        if self.store.was_full_lately() { GRACE } else { ABANDONED }
    }

    /// Seconds that the bytes of what is gone stay. A full disk has no room for them.
    fn grace(&self) -> u64 {
        if self.store.was_full_lately() { 0 } else { GRACE }
    }

    /// Seconds that the records of what is gone stay.
    fn grace_of_records(&self) -> u64 {
        if self.store.was_full_lately() { BRIEF } else { TWICE_GRACE }
    }

    /// Sweeps what only a local disk has.
    async fn sweep_folder(&self, swept: &mut Swept) -> Result<(), StoreError> {
        let Some(folder) = &self.store.folder else { return Ok(()) };
        let root = folder.root().to_owned();
        let seconds = Duration::from_secs(self.now().0.saturating_sub(self.abandoned_after()));
        // A clock that says what no file can have finds nothing old.
        let before = SystemTime::UNIX_EPOCH.checked_add(seconds).unwrap_or(SystemTime::UNIX_EPOCH);
        let removal = move || leftovers::remove(&root, before);
        let removed = tokio::task::spawn_blocking(removal)
            .await
            .map_err(|error| StoreError::Read(io::Error::other(error)))?;
        swept.unfinished += removed.removed;
        swept.skipped += removed.skipped;
        Ok(())
    }

    async fn sweep_tenant(&self, tenant: &Tenant, swept: &mut Swept) -> Result<(), StoreError> {
        let inventory = Inventory::of(&self.store, tenant).await?;
        let (uploads, files) = (inventory.upload_ids(), inventory.files_sent_at_once());
        let mut abandoned = Abandoned::default();
        for id in uploads {
            let outcome = self.sweep_upload(tenant, id, &inventory, &mut abandoned, swept).await;
            count_failure(tenant, id, outcome, swept)?;
        }
        for stem in files {
            let outcome = self.sweep_blobs_of_file(tenant, stem, &inventory, &mut abandoned, swept).await;
            count_failure(tenant, stem, outcome, swept)?;
        }
        if abandoned.kept > 0 {
            tracing::warn!(
                %tenant,
                blobs = abandoned.kept,
                "bytes without a record stay, since no older record is to be seen: is a disk below the store not mounted?"
            );
        }
        let outcome = self.remove_abandoned(tenant, abandoned.blobs, swept).await;
        count_failure(tenant, "bytes without a record", outcome, swept)?;
        self.sweep_file_records(tenant, &inventory, swept).await
    }

    async fn remove_abandoned(
        &self,
        tenant: &Tenant,
        blobs: Vec<BlobName>,
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        let blobs = Inventory::still_without_owner(&self.store, tenant, blobs).await?;
        self.remove_blobs(tenant, &blobs, swept).await
    }

    /// Removes the bytes of a file that was sent at once, if it is gone or was never made.
    async fn sweep_blobs_of_file(
        &self,
        tenant: &Tenant,
        stem: Stem,
        inventory: &Inventory,
        abandoned: &mut Abandoned,
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        let blobs = inventory.blobs.get(&Owner::File(stem)).map(Vec::as_slice).unwrap_or_default();
        match inventory.file_of(stem) {
            Some(id) => match self.end_of_file(tenant, id, inventory).await? {
                Some(end) if self.is_past(end, self.grace()) => self.remove_blobs(tenant, blobs, swept).await,
                _ => Ok(()),
            },
            None => self.abandon(tenant, Owner::File(stem), inventory, abandoned).await,
        }
    }

    /// Adds the bytes of an owner that is not to be seen, those that are there for so long that their writer is gone.
    async fn abandon(
        &self,
        tenant: &Tenant,
        owner: Owner,
        inventory: &Inventory,
        abandoned: &mut Abandoned,
    ) -> Result<(), StoreError> {
        let begun = match owner {
            Owner::File(stem) => stem.created_at(),
            Owner::Upload(id) => id.created_at(),
        };
        if !self.is_past(begun, self.abandoned_after()) {
            return Ok(());
        }
        // Another disk may have to be mounted below the folder of the store. A blob that stays is better than one that is lost.
        let is_certain = match (&self.store.folder, owner) {
            (None, _) => true,
            (Some(_), owner) if inventory.has_older_records(owner) => true,
            // Only the disk with its records can have the folder that they stood in.
            (Some(folder), Owner::Upload(id)) => folder.is_folder(&layout::upload(tenant, id)).await,
            (Some(_), Owner::File(_)) => false,
        };
        for blob in inventory.blobs.get(&owner).into_iter().flatten() {
            let written = self.store.written(&layout::blob(tenant, *blob)).await?;
            if written.is_some_and(|written| self.is_past(written, self.abandoned_after())) {
                match is_certain {
                    true => abandoned.blobs.push(*blob),
                    false => abandoned.kept += 1,
                }
            }
        }
        Ok(())
    }

    /// Removes the records of files that are gone for so long that their bytes are, too. Those of completed uploads come
    /// later, in a sweep that has found no record of the upload: from its end the file's record could be made again.
    async fn sweep_file_records(
        &self,
        tenant: &Tenant,
        inventory: &Inventory,
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        let (mut gone, mut needless) = (Vec::new(), Vec::new());
        for id in inventory.file_ids() {
            if inventory.uploads.contains_key(&id) || inventory.has_blobs(id) {
                continue;
            }
            match self.end_of_file(tenant, id, inventory).await {
                Ok(Some(end)) if self.is_past(end, self.grace_of_records()) => gone.push(id),
                Ok(Some(_)) if self.is_needless(id, inventory) && inventory.is_stored(id) => {
                    needless.push(id);
                }
                Ok(_) => {}
                Err(error) => count_failure(tenant, id, Err(error), swept)?,
            }
        }
        self.remove_records_of_files(tenant, needless, swept).await?;
        // A tombstone that went before its file's record would bring the file back. Another sweeper may have removed the record.
        let gone = self.remove_records_of_files(tenant, gone, swept).await?;
        let tombstones = gone.iter().filter(|id| inventory.deleted.contains(*id));
        let tombstones = tombstones.map(|id| layout::file_deleted(tenant, *id)).collect();
        let outcome = self.store.remove_counted(tombstones, &mut swept.records).await;
        count_failure(tenant, "tombstones of files", outcome, swept)
    }

    /// Says whether the records of a file and its upload are to give an inode back: the tombstone does without them.
    fn is_needless(&self, id: ObjectId, inventory: &Inventory) -> bool {
        self.store.was_full_lately() && inventory.deleted.contains(&id)
    }

    /// Removes these records, and gives back the files whose record is gone for good then.
    async fn remove_records_of_files(
        &self,
        tenant: &Tenant,
        files: Vec<ObjectId>,
        swept: &mut Swept,
    ) -> Result<Vec<ObjectId>, StoreError> {
        let Some(first) = files.first().map(|id| layout::file(tenant, *id)) else { return Ok(files) };
        let records = files.iter().map(|id| layout::file(tenant, *id)).collect();
        let outcome = self.store.remove_counted(records, &mut swept.records).await;
        let mut gone = files;
        if outcome.is_err() {
            let files = std::mem::take(&mut gone);
            for id in files {
                if matches!(self.store.exists(&layout::file(tenant, id)).await, Ok(false)) {
                    gone.push(id);
                }
            }
        }
        count_failure(tenant, "records of files", outcome, swept)?;
        self.store.sync_folder_of(&first).await?;
        Ok(gone)
    }

    /// Since when a file is deleted or expired.
    async fn end_of_file(
        &self,
        tenant: &Tenant,
        id: ObjectId,
        inventory: &Inventory,
    ) -> Result<Option<UnixSeconds>, StoreError> {
        if !inventory.deleted.contains(&id) {
            return Ok(id.expires_at().filter(|end| *end <= self.now()));
        }
        let path = layout::file_deleted(tenant, id);
        match self.store.read::<Tombstone>(&path).await {
            Ok(tombstone) => Ok(tombstone.map(|tombstone| tombstone.at)),
            // That it is there says enough.
            Err(error @ StoreError::Record { .. }) => {
                tracing::error!(%tenant, error = &error as &dyn std::error::Error, "a deleted file's tombstone is damaged");
                self.store.written(&path).await
            }
            Err(error) => Err(error),
        }
    }

    async fn remove_blobs(
        &self,
        tenant: &Tenant,
        blobs: &[BlobName],
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        let paths = blobs.iter().map(|blob| layout::blob(tenant, *blob)).collect();
        self.store.remove_counted(paths, &mut swept.blobs).await
    }
}

/// Says what could not be looked at, and goes on; not when the whole store is gone.
fn count_failure(
    tenant: &Tenant,
    what: impl std::fmt::Display,
    outcome: Result<(), StoreError>,
    swept: &mut Swept,
) -> Result<(), StoreError> {
    match outcome {
        Ok(()) => Ok(()),
        Err(error @ StoreError::NotThere(_)) => Err(error),
        Err(StoreError::Busy) => {
            tracing::debug!(%tenant, %what, "other large records are being read");
            swept.skipped += 1;
            Ok(())
        }
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(%tenant, %what, error, "what the sweeper cannot read or remove stays");
            swept.skipped += 1;
            Ok(())
        }
    }
}
