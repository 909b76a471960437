//! Files: made, found, taken away.

use std::ops::Range;

use futures_util::try_join;
use partwise_models::{DeletedFile, File, FileState, TypeDiscriminator};

use crate::{
    backend::Backend,
    blob::{self, BlobWriter, Stretches},
    id::{Attributes, ObjectId, Stem},
    layout::{self, BlobName},
    record::{FileRecord, FinalRecord, Outcome, Piece, Tombstone},
    refusal::Refusal,
    store::{Created, StoreError},
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
        self.store.put_once(&layout::file(tenant, id), &record).await?;
        Ok(StoredFile { id, record })
    }

    /// A file that is there, whole, and neither deleted nor expired.
    pub(crate) async fn file(&self, tenant: &Tenant, file_id: &str) -> Result<StoredFile, Refusal> {
        let missing = || Refusal::NoSuchFile { id: file_id.to_owned() };
        let id = ObjectId::parse_file(file_id).filter(|id| !self.has_expired(*id)).ok_or_else(missing)?;
        let (path, tombstone) = (layout::file(tenant, id), layout::file_deleted(tenant, id));
        let (record, deleted) = try_join!(self.store.read(&path), self.store.exists(&tombstone))?;
        if deleted {
            return Err(missing());
        }
        let record = match record {
            Some(record) => record,
            None => self.restore_file(tenant, id).await?.ok_or_else(missing)?,
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

    pub(crate) async fn delete_file(&self, tenant: &Tenant, file_id: &str) -> Result<DeletedFile, Refusal> {
        let file = self.file(tenant, file_id).await?;
        let tombstone = layout::file_deleted(tenant, file.id);
        match self.store.create(&tombstone, &Tombstone { at: self.now() }).await? {
            Created::Before => Err(Refusal::NoSuchFile { id: file_id.to_owned() }),
            Created::Now => {
                let mut deleted = DeletedFile::new(file_id);
                deleted.object = Some(TypeDiscriminator::File);
                deleted.deleted = Some(true);
                Ok(deleted)
            }
        }
    }

    pub(crate) fn has_expired(&self, id: ObjectId) -> bool {
        id.expires_at().is_some_and(|end| end <= self.now())
    }

    /// Writes the record of a file that a completed upload became, when whoever completed it could not any more.
    pub(crate) async fn restore_file(
        &self,
        tenant: &Tenant,
        id: ObjectId,
    ) -> Result<Option<FileRecord>, StoreError> {
        let end: Option<FinalRecord> = self.store.read(&layout::upload_final(tenant, id)).await?;
        let Some(FinalRecord { outcome: Outcome::Completed { file, .. }, .. }) = end else { return Ok(None) };
        self.store.put_once(&layout::file(tenant, id), &file).await?;
        Ok(Some(file))
    }
}
