//! Files: made, found, taken away.

use std::ops::Range;

use futures_util::{join, try_join};
use object_store::path::Path;
use partwise_models::{DeletedFile, File, FileState, TypeDiscriminator};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    backend::Backend,
    blob::{self, BlobWriter, Stretches},
    id::{Attributes, ObjectId, Stem},
    layout::{self, BlobName},
    record::{FileRecord, FinalRecord, Outcome, Piece},
    refusal::Refusal,
    store::StoreError,
    tenant::Tenant,
};

/// A file as its records have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredFile {
    pub(crate) id: ObjectId,
    pub(crate) record: FileRecord,
}

impl StoredFile {
    pub(crate) fn to_model(&self) -> File {
        file_model(self.id, self.record.filename.clone(), self.record.bytes)
    }
}

/// A file as its callers see it: what its identifier says, its name and its size in bytes.
pub(crate) fn file_model(id: ObjectId, filename: String, bytes: u64) -> File {
    let mut file = File::new(id.file_id());
    file.object = Some(TypeDiscriminator::File);
    file.bytes = Some(bytes);
    file.created_at = Some(id.created_at());
    file.expires_at = id.expires_at();
    file.filename = Some(filename);
    file.purpose = Some(id.purpose());
    file.status = Some(FileState::Processed);
    file
}

impl Backend {
    /// Begins a file that comes at once: its bytes go into the writer.
    ///
    /// Its stem, and so its place among the files, is drawn when bytes are first written: for a file that the writer holds in
    /// memory that is when all of them have come.
    pub(crate) fn begin_file(&self, tenant: &Tenant) -> Result<BlobWriter<Stem>, Refusal> {
        let (backend, tenant, random) = (self.clone(), tenant.clone(), self.random()?);
        Ok(self.new_blob(move || {
            let stem = backend.stem(random);
            (stem, layout::blob(&tenant, &BlobName::whole(stem)))
        }))
    }

    /// Makes a file of the blob with this stem, which is stored already.
    pub(crate) async fn create_file(
        &self,
        tenant: &Tenant,
        stem: Stem,
        attributes: Attributes,
        filename: String,
        bytes: u64,
    ) -> Result<StoredFile, Refusal> {
        let id = stem.with(attributes);
        let content = vec![Piece { blob: BlobName::whole(stem), bytes }];
        let record = FileRecord { filename, bytes, content };
        let (path, blob) = (layout::file(tenant, id), layout::blob(tenant, &BlobName::whole(stem)));
        self.put_record_of(&blob, &path, &record).await?;
        Ok(StoredFile { id, record })
    }

    /// Writes the record by which a new blob belongs to something. Where there is no room for it, the blob gives its own back.
    pub(crate) async fn put_record_of<T>(
        &self,
        blob: &Path,
        path: &Path,
        record: &T,
    ) -> Result<(), StoreError>
    where
        T: Serialize + DeserializeOwned + PartialEq,
    {
        let written = self.store.put_once(path, record).await;
        let is_refused = written.as_ref().is_err_and(StoreError::is_full);
        if is_refused && !self.store.exists(path).await? {
            // One that stays is swept.
            let _ = self.store.remove(vec![blob.clone()]).await;
        }
        written
    }

    /// A file that is there, whole, and neither deleted nor expired.
    pub(crate) async fn file(&self, tenant: &Tenant, file_id: &str) -> Result<StoredFile, Refusal> {
        let missing = || Refusal::NoSuchFile { id: file_id.to_owned() };
        let id = ObjectId::parse_file(file_id).filter(|id| !self.has_expired(*id)).ok_or_else(missing)?;
        let (path, tombstone) = (layout::file(tenant, id), layout::file_deleted(tenant, id));
        let (record, deleted) = join!(self.store.read(&path), self.store.exists(&tombstone));
        // One that is deleted is gone, whatever its record looks like.
        if deleted? {
            return Err(missing());
        }
        let record = match record {
            Ok(Some(record)) => record,
            Ok(None) => self.restore_file(tenant, id).await?.ok_or_else(missing)?,
            // That of a file of parts is in the end of its upload, too.
            Err(damage @ StoreError::Record { .. }) => self.completed(tenant, id).await?.ok_or(damage)?,
            Err(error) => return Err(error.into()),
        };
        Ok(StoredFile { id, record })
    }

    /// The bytes of a file from `range.start` up to `range.end`.
    pub(crate) async fn read_file(
        &self,
        tenant: &Tenant,
        file: &StoredFile,
        range: Range<u64>,
    ) -> Result<Stretches, Refusal> {
        Ok(blob::read(&self.store, tenant, &file.record, range).await?)
    }

    /// Deletes a file. Its record need not be readable.
    pub(crate) async fn delete_file(&self, tenant: &Tenant, file_id: &str) -> Result<DeletedFile, Refusal> {
        let missing = || Refusal::NoSuchFile { id: file_id.to_owned() };
        let id = ObjectId::parse_file(file_id).filter(|id| !self.has_expired(*id)).ok_or_else(missing)?;
        let (path, tombstone) = (layout::file(tenant, id), layout::file_deleted(tenant, id));
        let (is_stored, is_deleted) = try_join!(self.store.exists(&path), self.store.exists(&tombstone))?;
        let is_there = !is_deleted && (is_stored || self.may_be_completed(tenant, id).await?);
        if !is_there || !self.remove_file(tenant, id).await? {
            return Err(missing());
        }
        let mut deleted = DeletedFile::new(file_id);
        deleted.object = Some(TypeDiscriminator::File);
        deleted.deleted = Some(true);
        Ok(deleted)
    }

    pub(crate) fn has_expired(&self, id: ObjectId) -> bool {
        id.expires_at().is_some_and(|end| end <= self.now())
    }

    /// The file that a completed upload became.
    pub(crate) async fn completed(
        &self,
        tenant: &Tenant,
        id: ObjectId,
    ) -> Result<Option<FileRecord>, StoreError> {
        let end: Option<FinalRecord> = self.store.read(&layout::upload_final(tenant, id)).await?;
        Ok(match end {
            Some(FinalRecord { outcome: Outcome::Completed { file, .. }, .. }) => Some(file),
            _ => None,
        })
    }

    /// Says whether an upload became a file, or has an end that is damaged, which deleting takes away.
    async fn may_be_completed(&self, tenant: &Tenant, id: ObjectId) -> Result<bool, StoreError> {
        match self.completed(tenant, id).await {
            Ok(file) => Ok(file.is_some()),
            Err(damage @ StoreError::Record { .. }) => {
                let error: &dyn std::error::Error = &damage;
                tracing::error!(%tenant, error, "a file is deleted although the end of its upload is damaged");
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a completed upload's file from the upload's end, and writes the file's record, which is missing. On a full disk
    /// the file is read without it.
    pub(crate) async fn restore_file(
        &self,
        tenant: &Tenant,
        id: ObjectId,
    ) -> Result<Option<FileRecord>, StoreError> {
        let Some(file) = self.completed(tenant, id).await? else { return Ok(None) };
        match self.put_file(tenant, id, &file).await {
            Err(error) if !error.is_full() => Err(error),
            _ => Ok(Some(file)),
        }
    }

    /// Writes the record of a completed upload's file, if it is not there.
    pub(crate) async fn put_file(
        &self,
        tenant: &Tenant,
        id: ObjectId,
        file: &FileRecord,
    ) -> Result<(), StoreError> {
        let path = layout::file(tenant, id);
        // Looking costs less than a write that comes to nothing, and works on a full disk.
        if self.store.exists(&path).await? {
            return Ok(());
        }
        self.store.put_once(&path, file).await
    }
}
