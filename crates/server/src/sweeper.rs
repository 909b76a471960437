//! Takes back the room of what is gone: bytes go only some time after the record that frees them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs, io,
    path::Path,
    time::SystemTime,
};

use partwise_models::UnixSeconds;

use crate::{
    backend::Backend,
    id::{ObjectId, Stem},
    layout::{self, BlobName, FileMark, Owner},
    record::{FinalRecord, Outcome, Tombstone},
    refusal::Refusal,
    store::StoreError,
    tenant::Tenant,
};

/// How long bytes stay after they were freed: who was reading them then may finish.
const GRACE: u64 = 60 * 60;
/// How long bytes that belong to nothing stay: by then whoever was writing them is gone.
const ABANDONED: u64 = 24 * 60 * 60;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Blobs whose bytes are gone now.
    pub blobs: usize,
    /// Files of unfinished writes, on a local disk, that are gone now.
    pub unfinished: usize,
    /// Files and uploads that could not be looked at; the log says why, and the next sweep tries again.
    pub skipped: usize,
}

/// The names that a tenant's files have, by what their blobs are named after.
#[derive(Default)]
struct Files {
    stored: HashMap<Stem, ObjectId>,
    deleted: HashSet<ObjectId>,
}

struct Blob {
    name: BlobName,
    written: UnixSeconds,
}

impl Backend {
    /// Looks at every blob of every tenant once: two listings per tenant, and one or two reads for each deleted file
    /// and each upload that still have blobs.
    pub(crate) async fn sweep(&self) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        for name in self.store.folders(&layout::tenants()).await? {
            if let Ok(tenant) = Tenant::new(&name) {
                self.sweep_tenant(&tenant, &mut swept).await?;
            }
        }
        if let Some(folder) = self.store.folder.clone() {
            let before = SystemTime::UNIX_EPOCH
                + std::time::Duration::from_secs(self.now().0.saturating_sub(ABANDONED));
            let removal = move || remove_unfinished(&folder.join(layout::TENANTS), before);
            let removed = tokio::task::spawn_blocking(removal).await.map_err(io::Error::other);
            swept.unfinished = removed.and_then(|removed| removed).map_err(StoreError::Read)?;
        }
        Ok(swept)
    }

    async fn sweep_tenant(&self, tenant: &Tenant, swept: &mut Swept) -> Result<(), StoreError> {
        // Blobs first: a file that comes in between has no blob here to lose.
        let mut blobs: BTreeMap<Owner, Vec<Blob>> = BTreeMap::new();
        let folder = layout::blobs(tenant);
        let listed = self.store.list(&folder, |name, meta| {
            let (name, owner) = BlobName::parse(name)?;
            let written = UnixSeconds(meta.last_modified.timestamp().try_into().unwrap_or(0));
            Some((owner, Blob { name, written }))
        });
        for (owner, blob) in listed.await? {
            blobs.entry(owner).or_default().push(blob);
        }
        let mut files = Files::default();
        for mark in self.store.list(&layout::files(tenant), |name, _| FileMark::parse(name)).await? {
            match mark {
                FileMark::Stored(id) => drop(files.stored.insert(id.stem(), id)),
                FileMark::Deleted(id) => drop(files.deleted.insert(id)),
            }
        }
        for (owner, blobs) in blobs {
            let freed = match self.freed(tenant, owner, blobs, &files).await {
                Ok(freed) => freed,
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(%tenant, ?owner, error, "what the sweeper cannot read stays");
                    swept.skipped += 1;
                    continue;
                }
            };
            let paths = freed.iter().map(|name| layout::blob(tenant, name)).collect();
            swept.blobs += self.store.remove(paths).await?;
        }
        Ok(())
    }

    /// Those blobs whose time has come.
    async fn freed(
        &self,
        tenant: &Tenant,
        owner: Owner,
        blobs: Vec<Blob>,
        files: &Files,
    ) -> Result<Vec<BlobName>, Refusal> {
        let all = |blobs: Vec<Blob>| blobs.into_iter().map(|blob| blob.name).collect();
        let stem = match owner {
            Owner::File(stem) => stem,
            Owner::Upload(id) => id.stem(),
        };
        let file = files.stored.get(&stem).copied();
        if let Some(end) = self.end_of_file(tenant, file, files).await? {
            return Ok(if self.is_past(end, GRACE) { all(blobs) } else { Vec::new() });
        }
        match owner {
            Owner::File(_) if file.is_some() => Ok(Vec::new()),
            Owner::File(stem) => {
                let is_abandoned = |blob: &Blob| self.is_past(blob.written.max(stem.created_at()), ABANDONED);
                Ok(all(blobs.into_iter().filter(is_abandoned).collect()))
            }
            Owner::Upload(id) => {
                let Some(end) = self.end_of_upload(tenant, id).await? else { return Ok(Vec::new()) };
                if !self.is_past(end.at, GRACE) {
                    return Ok(Vec::new());
                }
                let Outcome::Completed { file, .. } = end.outcome else { return Ok(all(blobs)) };
                let kept: HashSet<BlobName> = file.content.into_iter().map(|piece| piece.blob).collect();
                Ok(all(blobs.into_iter().filter(|blob| !kept.contains(&blob.name)).collect()))
            }
        }
    }

    /// Since when a file is deleted or expired.
    async fn end_of_file(
        &self,
        tenant: &Tenant,
        file: Option<ObjectId>,
        files: &Files,
    ) -> Result<Option<UnixSeconds>, Refusal> {
        let Some(id) = file else { return Ok(None) };
        if !files.deleted.contains(&id) {
            return Ok(id.expires_at().filter(|end| *end <= self.now()));
        }
        let tombstone: Option<Tombstone> = self.store.read(&layout::file_deleted(tenant, id)).await?;
        Ok(tombstone.map(|tombstone| tombstone.at))
    }

    /// How an upload ended. On the way, one whose time is over is ended, and a file whose record is missing gets it.
    async fn end_of_upload(&self, tenant: &Tenant, id: ObjectId) -> Result<Option<FinalRecord>, Refusal> {
        match self.upload(tenant, &id.upload_id()).await {
            Ok(_) => {}
            // A part is only stored in an upload that is there, but nothing here shall depend on it.
            Err(Refusal::NoSuchUpload { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        self.restore_file(tenant, id).await?;
        Ok(self.store.read(&layout::upload_final(tenant, id)).await?)
    }

    fn is_past(&self, start: UnixSeconds, wait: u64) -> bool {
        start.0.saturating_add(wait) <= self.now().0
    }
}

/// Removes what writes that never finished have left under `folder`: the store names them `<object>#<number>` and does
/// not list them.
fn remove_unfinished(folder: &Path, before: SystemTime) -> io::Result<usize> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            removed += remove_unfinished(&entry.path(), before)?;
        } else if is_unfinished(&entry.file_name().to_string_lossy())
            && entry.metadata()?.modified()? < before
        {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_unfinished(name: &str) -> bool {
    name.split_once('#')
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
