//! Sweeping uploads, and the files that they became.

use std::collections::HashSet;

use partwise_models::UnixSeconds;

use super::{
    Abandoned, GRACE, Swept, TWICE_GRACE,
    inventory::{Inventory, UploadRecords},
};
use crate::{
    backend::Backend,
    id::ObjectId,
    layout::{self, BlobName, Owner},
    record::{FileRecord, FinalRecord, UploadEnd, UploadRecord},
    rules::LONGEST_UPLOAD,
    store::StoreError,
    tenant::Tenant,
};

/// The state of an upload, for the sweeper.
enum State {
    /// Nothing of it may go yet.
    Kept,
    /// Since then nobody needs anything of it, or of the file that it became.
    Gone(UnixSeconds),
    /// It became this file, which lives.
    Lives { at: UnixSeconds, file: FileRecord },
    /// There is neither its beginning nor its end.
    Unknown,
}

impl Backend {
    pub(super) async fn sweep_upload(
        &self,
        tenant: &Tenant,
        id: ObjectId,
        inventory: &Inventory,
        abandoned: &mut Abandoned,
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        let nothing = UploadRecords::default();
        let records = inventory.uploads.get(&id).unwrap_or(&nothing);
        let blobs = inventory.blobs.get(&Owner::Upload(id)).map(Vec::as_slice).unwrap_or_default();
        match self.state(tenant, id, records, inventory).await? {
            State::Kept => Ok(()),
            State::Gone(since) => {
                if self.is_past(since, self.grace()) {
                    self.remove_blobs(tenant, blobs, swept).await?;
                }
                // Bytes that were there until now are needed by nobody, but their records have an hour to go.
                let is_done = self.is_past(since, self.grace_of_records()) || self.is_needless(id, inventory);
                if blobs.is_empty() && is_done {
                    self.remove_records(tenant, id, records, swept).await?;
                }
                Ok(())
            }
            State::Lives { at, file } => {
                if !inventory.is_stored(id) {
                    match self.put_file_again(tenant, id, &file).await {
                        // The file is read without it, and a sweep that finds room writes it.
                        Err(error) if error.is_full() => {}
                        written => drop(written?),
                    }
                }
                if !self.is_past(at, self.grace()) {
                    return Ok(());
                }
                let kept: HashSet<BlobName> = file.content.pieces().map(|piece| piece.blob).collect();
                let unnamed: Vec<_> = blobs.iter().filter(|blob| !kept.contains(blob)).copied().collect();
                self.remove_blobs(tenant, &unnamed, swept).await?;
                // A completion that looked before the upload ended may still read them.
                if !self.is_past(at, GRACE) {
                    return Ok(());
                }
                // The end names the parts of the file, and completing again goes by that.
                let parts = records.parts.iter().map(|part| layout::part(tenant, id, *part)).collect();
                self.store.remove_counted(parts, &mut swept.records).await
            }
            State::Unknown => {
                self.abandon(tenant, Owner::Upload(id), inventory, abandoned).await?;
                let latest = records.parts.iter().map(|part| part.created_at()).max();
                if latest
                    .is_some_and(|latest| self.is_past(latest.max(id.created_at()), self.abandoned_after()))
                {
                    self.remove_records(tenant, id, records, swept).await?;
                }
                Ok(())
            }
        }
    }

    async fn state(
        &self,
        tenant: &Tenant,
        id: ObjectId,
        records: &UploadRecords,
        inventory: &Inventory,
    ) -> Result<State, StoreError> {
        if inventory.is_file(id) {
            if let Some(end) = self.end_of_file(tenant, id, inventory).await? {
                return Ok(State::Gone(end));
            }
        }
        if records.has_end {
            let end: Option<FinalRecord> = self.store.read(&layout::upload_final(tenant, id)).await?;
            if let Some(end) = end {
                return Ok(self.state_after(id, end, inventory.is_stored(id)));
            }
        }
        if inventory.is_stored(id) {
            // Only somebody who removed records by hand can have made it so.
            return Ok(State::Kept);
        }
        if !records.has_beginning {
            return Ok(State::Unknown);
        }
        self.state_of_open(tenant, id).await
    }

    fn state_after(&self, id: ObjectId, end: FinalRecord, has_file: bool) -> State {
        let FinalRecord { at, outcome, .. } = end;
        match outcome {
            UploadEnd::Completed { file, .. } => match id.expires_at().filter(|end| *end <= self.now()) {
                Some(expired) => State::Gone(expired),
                None => State::Lives { at, file },
            },
            UploadEnd::Cancelled | UploadEnd::Expired if has_file => State::Kept,
            UploadEnd::Cancelled | UploadEnd::Expired => State::Gone(at),
        }
    }

    /// The state of an upload without an end. One whose time is over is ended; where the disk has no room for that, it counts
    /// as ended for so long after its time that no request can still be completing it.
    async fn state_of_open(&self, tenant: &Tenant, id: ObjectId) -> Result<State, StoreError> {
        let begun = self.store.read::<UploadRecord>(&layout::upload_created(tenant, id)).await;
        let expires_at = match begun {
            Ok(Some(record)) => record.expires_at,
            // Another sweep has just taken it.
            Ok(None) => return Ok(State::Kept),
            Err(error @ StoreError::Record { .. }) => {
                tracing::error!(%tenant, error = &error as &dyn std::error::Error, "an upload's record is damaged");
                UnixSeconds(id.created_at().0.saturating_add(LONGEST_UPLOAD))
            }
            Err(error) => return Err(error),
        };
        if expires_at > self.now() {
            return Ok(State::Kept);
        }
        self.expire(tenant, id).await?;
        let end: Option<FinalRecord> = self.store.read(&layout::upload_final(tenant, id)).await?;
        Ok(match end {
            Some(end) => self.state_after(id, end, false),
            None if self.is_past(expires_at, TWICE_GRACE) => State::Gone(expires_at),
            None => State::Kept,
        })
    }

    /// Removes the records of an upload that is over. Its end goes last: without it the upload would be open again.
    async fn remove_records(
        &self,
        tenant: &Tenant,
        id: ObjectId,
        records: &UploadRecords,
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        let mut paths = Vec::new();
        if records.has_beginning {
            paths.push(layout::upload_created(tenant, id));
        }
        self.store.remove_counted(paths, &mut swept.records).await?;
        let parts = records.parts.iter().map(|part| layout::part(tenant, id, *part)).collect();
        self.store.remove_counted(parts, &mut swept.records).await?;
        let end = layout::upload_final(tenant, id);
        self.store.sync_folder_of(&end).await?;
        // It may have been written by this sweep, after the listing.
        self.store.remove_counted(vec![end], &mut swept.records).await?;
        self.store.remove_empty(&layout::upload(tenant, id)).await;
        Ok(())
    }
}
