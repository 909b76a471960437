//! Files: made, found, taken away.

use futures_util::{join, try_join};
use object_store::path::Path;
use partwise_models::{DeletedFile, File, FileState, TypeDiscriminator};
use partwise_protocol::operations::ContentRange;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    backend::Backend,
    blob::{self, BlobWriter, Stretches},
    content::{Manifest, Section},
    id::{Attributes, ObjectId, Stem},
    layout::{self, BlobName},
    record::{FileRecord, FinalRecord, UploadEnd},
    refusal::Refusal,
    store::StoreError,
    summary::{End, Summarized as _, Summary},
    tenant::Tenant,
};

/// The most parts of a file whose record surely fits into a piece of the reserve.
const PARTS_IN_A_PIECE: usize = 128;

/// A file as its callers see it, before it is in a dialect's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredFile {
    pub(crate) id: ObjectId,
    pub(crate) summary: Summary,
}

impl StoredFile {
    pub(crate) fn into_model(self) -> File {
        let Self { id, summary: Summary { filename, bytes } } = self;
        let mut file = File::new(id.file_id())
            .object(TypeDiscriminator::File)
            .bytes(bytes)
            .created_at(id.created_at())
            .filename(filename)
            .purpose(id.purpose())
            .status(FileState::Processed);
        file.expires_at = id.expires_at();
        file
    }
}

/// The content of a file, or a range of it, on its way out.
pub(crate) struct Content {
    pub(crate) summary: Summary,
    /// The range, when not all of it was asked for.
    pub(crate) range: Option<ContentRange>,
    /// The number of bytes that come.
    pub(crate) length: u64,
    pub(crate) stretches: Stretches,
}

/// The result of writing the record of a completed upload's file again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restored {
    Written,
    /// The file is deleted.
    Deleted,
    /// The file is deleted, and its upload's records are gone.
    Swept,
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
            (stem, layout::blob(&tenant, BlobName::Whole(stem)))
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
        let content = Manifest::Whole { stem, bytes };
        let record = FileRecord { filename, bytes, content };
        let (path, blob) = (layout::file(tenant, id), layout::blob(tenant, BlobName::Whole(stem)));
        self.put_record_of(&blob, &path, &record).await?;
        Ok(StoredFile { id, summary: Summary::from(&record) })
    }

    /// Writes the record by which a new blob belongs to something. Where there is no room for it, the blob gives its own back.
    pub(crate) async fn put_record_of<T>(
        &self,
        blob: &Path,
        path: &Path,
        record: &T,
    ) -> Result<(), StoreError>
    where
        T: Serialize + DeserializeOwned + PartialEq + Send + 'static,
    {
        let written = self.store.put_once(path, record).await;
        let is_refused = written.as_ref().is_err_and(StoreError::is_full);
        if is_refused && !self.store.exists(path).await? {
            // One that stays is swept.
            let _ = self.store.remove(vec![blob.clone()]).await;
        }
        written
    }

    /// A file that is there, and neither deleted nor expired.
    pub(crate) async fn file(&self, tenant: &Tenant, file_id: &str) -> Result<StoredFile, Refusal> {
        let id = self.unexpired(file_id)?;
        let (path, tombstone) = (layout::file(tenant, id), layout::file_deleted(tenant, id));
        let (summary, deleted) = join!(Summary::read(&self.store, &path), self.store.exists(&tombstone));
        // One that is deleted is gone, whatever its record looks like.
        if deleted? {
            return Err(missing(file_id));
        }
        let summary = match summary {
            Ok(Some(summary)) => summary,
            Ok(None) => Summary::from(&self.restore_file(tenant, id).await?.ok_or_else(|| missing(file_id))?),
            // That of a file of parts is in the end of its upload, too.
            Err(damage @ StoreError::Record { .. }) => self.completed(tenant, id).await?.ok_or(damage)?,
            Err(error) => return Err(error.into()),
        };
        Ok(StoredFile { id, summary })
    }

    /// The bytes of a file, or those that `choose` asks for when it is told how many there are.
    pub(crate) async fn read_file(
        &self,
        tenant: &Tenant,
        file_id: &str,
        choose: impl FnOnce(u64) -> Result<Option<ContentRange>, Refusal>,
    ) -> Result<Content, Refusal> {
        let id = self.unexpired(file_id)?;
        let tombstone = layout::file_deleted(tenant, id);
        let entry = self.reading.entry(layout::file(tenant, id));
        let (record, deleted) = join!(entry.record(&self.store), self.store.exists(&tombstone));
        if deleted? {
            return Err(missing(file_id));
        }
        let restored;
        let record = match record {
            Ok(Some(record)) => record,
            Err(damage @ StoreError::Record { .. }) => {
                restored = self.completed_file(tenant, id).await?.ok_or(damage)?;
                &restored
            }
            Err(error) => return Err(error.into()),
            Ok(None) => {
                restored = self.restore_file(tenant, id).await?.ok_or_else(|| missing(file_id))?;
                &restored
            }
        };
        let (summary, range) = (Summary::from(record), choose(record.bytes)?);
        let wanted = range.map_or(0..record.bytes, |range| range.first..range.last + 1);
        let length = wanted.end - wanted.start;
        let section = Section::of(&record.content, wanted);
        let mut share = self.parts.share(tenant.clone());
        let stretches = if range.is_none() {
            entry.hold(&record.content, share).await?;
            blob::read(&self.store, tenant, section, entry).await
        } else {
            share.hold(section.size())?;
            drop(entry);
            blob::read(&self.store, tenant, section, share).await
        };
        let stretches = match stretches {
            Err(error) if error.is_not_found() && !self.has_record(tenant, id).await? => {
                return Err(missing(file_id));
            }
            stretches => stretches?,
        };
        Ok(Content { summary, range, length, stretches })
    }

    /// Says whether a file is still there, by its own record or by its upload's.
    async fn has_record(&self, tenant: &Tenant, id: ObjectId) -> Result<bool, StoreError> {
        if self.store.exists(&layout::file_deleted(tenant, id)).await? {
            return Ok(false);
        }
        Ok(self.store.exists(&layout::file(tenant, id)).await?
            || self.store.exists(&layout::upload_final(tenant, id)).await?)
    }

    /// Deletes a file. Its record need not be readable.
    pub(crate) async fn delete_file(&self, tenant: &Tenant, file_id: &str) -> Result<DeletedFile, Refusal> {
        let id = self.unexpired(file_id)?;
        let (path, tombstone) = (layout::file(tenant, id), layout::file_deleted(tenant, id));
        let (is_stored, is_deleted) = try_join!(self.stands(&path), self.store.exists(&tombstone))?;
        let is_there = !is_deleted && (is_stored || self.may_be_completed(tenant, id).await?);
        if !is_there || !self.remove_file(tenant, id).await? {
            return Err(missing(file_id));
        }
        Ok(DeletedFile::new(file_id).object(TypeDiscriminator::File).deleted(true))
    }

    /// Returns `true` if something is at the place of a record, even if it cannot be opened.
    async fn stands(&self, path: &Path) -> Result<bool, StoreError> {
        match self.store.exists(path).await {
            Err(error) if error.may_be_of_one_object() => self.check_store().await.map(|()| true),
            exists => exists,
        }
    }

    fn unexpired(&self, file_id: &str) -> Result<ObjectId, Refusal> {
        let id = ObjectId::parse_file(file_id).filter(|id| !self.has_expired(*id));
        id.ok_or_else(|| missing(file_id))
    }

    pub(crate) fn has_expired(&self, id: ObjectId) -> bool {
        id.expires_at().is_some_and(|end| end <= self.now())
    }

    /// The summary of the file that a completed upload became.
    async fn completed(&self, tenant: &Tenant, id: ObjectId) -> Result<Option<Summary>, StoreError> {
        let end = End::read(&self.store, &layout::upload_final(tenant, id)).await?;
        Ok(match end {
            Some(End::Completed(file)) => Some(file),
            _ => None,
        })
    }

    /// The file that a completed upload became.
    async fn completed_file(&self, tenant: &Tenant, id: ObjectId) -> Result<Option<FileRecord>, StoreError> {
        let end: Option<FinalRecord> = self.store.read(&layout::upload_final(tenant, id)).await?;
        Ok(match end {
            Some(FinalRecord { outcome: UploadEnd::Completed { file, .. }, .. }) => Some(file),
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
        let Some(file) = self.completed_file(tenant, id).await? else { return Ok(None) };
        match self.put_file_again(tenant, id, &file).await {
            Ok(Restored::Deleted | Restored::Swept) => Ok(None),
            Err(error) if !error.is_full() => Err(error),
            _ => Ok(Some(file)),
        }
    }

    /// Writes the record of a completed upload's file, unless the file was deleted meanwhile. It may have been at any time since
    /// the upload's end was read.
    pub(crate) async fn put_file_again(
        &self,
        tenant: &Tenant,
        id: ObjectId,
        file: &FileRecord,
    ) -> Result<Restored, StoreError> {
        if self.store.exists(&layout::file_deleted(tenant, id)).await? {
            return Ok(Restored::Deleted);
        }
        // The tombstone goes last, in a sweep that finds no end any more: this comes after looking for it.
        if !self.store.exists(&layout::upload_final(tenant, id)).await? {
            return Ok(Restored::Swept);
        }
        self.put_file(tenant, id, file).await?;
        Ok(Restored::Written)
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
        let parts = file.content.len();
        let created = match self.store.create_with_parts(&path, file.clone(), parts).await {
            // Without the record the file is not listed, and it is made already.
            Err(error) if error.is_full() && parts <= PARTS_IN_A_PIECE => {
                self.store.create_from_reserve(&path, file).await.ok().flatten().ok_or(error)?
            }
            created => created?,
        };
        self.store.expect(created, &path, file).await
    }
}

fn missing(file_id: &str) -> Refusal {
    Refusal::NoSuchFile { id: file_id.to_owned() }
}
