//! Uploads: begun, filled part by part in any order, and ended once.

use futures_util::{StreamExt, TryStreamExt, stream, try_join};
use partwise_models::{TypeDiscriminator, UnixSeconds, Upload, UploadPartResource, UploadStatus};

use crate::{
    backend::Backend,
    blob::{self, BlobWriter},
    files::StoredFile,
    id::{ObjectId, PartId},
    layout::{self, BlobName},
    record::{FileRecord, FinalRecord, Outcome, PartRecord, Piece, UploadRecord},
    refusal::Refusal,
    removal::Removing,
    rules::NewUpload,
    store::{Created, StoreError},
    sweeper::GRACE,
    tenant::Tenant,
};

/// How many records are read side by side.
const READS: usize = 16;

/// An upload as its records have it.
#[derive(Clone, Debug)]
pub(crate) struct StoredUpload {
    id: ObjectId,
    record: UploadRecord,
    outcome: Option<Outcome>,
}

/// A part on its way in.
pub(crate) struct NewPart {
    upload: ObjectId,
    id: PartId,
    pub(crate) blob: BlobWriter<()>,
}

impl StoredUpload {
    pub(crate) fn to_model(&self) -> Upload {
        let mut upload = Upload::new(self.id.upload_id());
        upload.object = Some(TypeDiscriminator::Upload);
        upload.bytes = Some(self.record.bytes);
        upload.created_at = Some(self.id.created_at());
        upload.expires_at = Some(self.record.expires_at);
        upload.filename = Some(self.record.filename.clone());
        upload.purpose = Some(self.id.purpose());
        upload.status = Some(self.status());
        if let Some(Outcome::Completed { file, .. }) = &self.outcome {
            upload.file = Some(StoredFile { id: self.id, record: file.clone() }.to_model());
        }
        upload
    }

    fn status(&self) -> UploadStatus {
        self.outcome.as_ref().map_or(UploadStatus::Pending, Outcome::status)
    }

    fn over(&self) -> Refusal {
        Refusal::UploadOver { id: self.id.upload_id(), status: self.status() }
    }
}

impl Backend {
    pub(crate) async fn create_upload(
        &self,
        tenant: &Tenant,
        new: NewUpload,
    ) -> Result<StoredUpload, Refusal> {
        let NewUpload { attributes, filename, bytes, mime_type, lifetime } = new;
        let id = self.stem(self.random()?).with(attributes);
        let expires_at = UnixSeconds(id.created_at().0.saturating_add(lifetime));
        let record = UploadRecord { filename, bytes, mime_type, expires_at };
        self.store.put_once(&layout::upload_created(tenant, id), &record).await?;
        Ok(StoredUpload { id, record, outcome: None })
    }

    /// Begins a part, if the upload still takes any.
    pub(crate) async fn begin_part(&self, tenant: &Tenant, upload_id: &str) -> Result<NewPart, Refusal> {
        let upload = self.pending_upload(tenant, upload_id).await?;
        let id = PartId::new(self.now(), self.random()?);
        let path = layout::blob(tenant, &BlobName::of_part(upload.id, id));
        Ok(NewPart { upload: upload.id, id, blob: self.new_blob(move || ((), path.clone())) })
    }

    /// Stores a part whose bytes have all been written, if the upload still takes it.
    pub(crate) async fn finish_part(
        &self,
        tenant: &Tenant,
        part: NewPart,
    ) -> Result<UploadPartResource, Refusal> {
        let NewPart { upload, id, blob } = part;
        // Sending the bytes may have taken longer than the upload lived.
        self.pending_upload(tenant, &upload.upload_id()).await?;
        let ((), bytes) = blob.finish().await?;
        let (path, blob) =
            (layout::part(tenant, upload, id), layout::blob(tenant, &BlobName::of_part(upload, id)));
        self.put_record_of(&blob, &path, &PartRecord { bytes }).await?;
        let mut resource = UploadPartResource::new(id.part_id());
        resource.object = Some(TypeDiscriminator::UploadPart);
        resource.created_at = Some(id.created_at());
        resource.upload_id = Some(upload.upload_id());
        // The dialects that have none leave it out of their answer.
        resource.azure_block_id = Some(id.azure_block_id());
        Ok(resource)
    }

    /// An upload that is open, or was completed and may be so again.
    pub(crate) async fn completable_upload(
        &self,
        tenant: &Tenant,
        upload_id: &str,
    ) -> Result<StoredUpload, Refusal> {
        let upload = self.upload(tenant, upload_id).await?;
        match upload.outcome {
            None | Some(Outcome::Completed { .. }) => Ok(upload),
            Some(Outcome::Cancelled | Outcome::Expired) => Err(upload.over()),
        }
    }

    /// Makes a file of the parts named. Nothing is copied: the file is the list of their blobs.
    pub(crate) async fn complete_upload(
        &self,
        tenant: &Tenant,
        mut upload: StoredUpload,
        parts: &[PartId],
        md5: Option<&str>,
    ) -> Result<StoredUpload, Refusal> {
        let md5 = md5.map(parse_md5).transpose()?;
        // Naming the parts may have taken longer than the upload lived.
        if upload.outcome.is_none() && upload.record.expires_at <= self.now() {
            upload.outcome = Some(self.expire(tenant, upload.id).await?);
        }
        if upload.outcome.is_none() {
            let file = self.assemble(tenant, &upload, parts).await?;
            if let Some(expected) = &md5 {
                check_md5(self.md5(tenant, &file).await?, expected)?;
            }
            // That may have taken long, and an upload that was cancelled on a full disk has no other sign of it.
            if !self.store.exists(&layout::upload_created(tenant, upload.id)).await? {
                return Err(Refusal::NoSuchUpload { id: upload.id.upload_id() });
            }
            // The sweeper may have taken the parts by now, without a record if the disk is full.
            upload.outcome = Some(match self.is_past(upload.record.expires_at, GRACE) {
                true => Outcome::Expired,
                false => self.end(tenant, upload.id, Outcome::Completed { file, md5: md5.clone() }).await?,
            });
        }
        self.completed_before(tenant, upload, parts, md5.as_deref()).await
    }

    /// Throws the parts away. Cancelling twice is answered twice, since the first answer may have been lost.
    pub(crate) async fn cancel_upload(&self, tenant: &Tenant, upload_id: &str) -> Result<Upload, Refusal> {
        let mut upload = match self.upload(tenant, upload_id).await {
            Err(Refusal::Store(error @ StoreError::Record { .. })) => {
                return self.cancel_damaged(tenant, upload_id, error).await;
            }
            upload => upload?,
        };
        if upload.outcome.is_none() {
            upload.outcome = Some(self.end(tenant, upload.id, Outcome::Cancelled).await?);
        }
        if upload.outcome == Some(Outcome::Cancelled) { Ok(upload.to_model()) } else { Err(upload.over()) }
    }

    /// Cancels an upload of which only the identifier is known: what it was to be cannot be read.
    async fn cancel_damaged(
        &self,
        tenant: &Tenant,
        upload_id: &str,
        damage: StoreError,
    ) -> Result<Upload, Refusal> {
        let Some(id) = ObjectId::parse_upload(upload_id) else { return Err(damage.into()) };
        let end: Option<FinalRecord> = self.store.read(&layout::upload_final(tenant, id)).await?;
        let outcome = match end {
            Some(end) => end.outcome,
            None => {
                tracing::error!(
                    error = &damage as &dyn std::error::Error,
                    "an upload is cancelled although its record is damaged"
                );
                self.end(tenant, id, Outcome::Cancelled).await?
            }
        };
        let status = outcome.status();
        if outcome != Outcome::Cancelled {
            return Err(Refusal::UploadOver { id: id.upload_id(), status });
        }
        let mut upload = Upload::new(id.upload_id());
        upload.object = Some(TypeDiscriminator::Upload);
        upload.created_at = Some(id.created_at());
        upload.purpose = Some(id.purpose());
        upload.status = Some(status);
        Ok(upload)
    }

    /// An upload, ended if its time is over.
    pub(crate) async fn upload(&self, tenant: &Tenant, upload_id: &str) -> Result<StoredUpload, Refusal> {
        let missing = || Refusal::NoSuchUpload { id: upload_id.to_owned() };
        let id = ObjectId::parse_upload(upload_id).ok_or_else(missing)?;
        let (created, ended) = (layout::upload_created(tenant, id), layout::upload_final(tenant, id));
        let (record, end) = try_join!(self.store.read(&created), self.store.read::<FinalRecord>(&ended))?;
        let record: UploadRecord = record.ok_or_else(missing)?;
        let mut outcome = end.map(|end| end.outcome);
        if outcome.is_none() && record.expires_at <= self.now() {
            outcome = Some(self.expire(tenant, id).await?);
        }
        Ok(StoredUpload { id, record, outcome })
    }

    async fn pending_upload(&self, tenant: &Tenant, upload_id: &str) -> Result<StoredUpload, Refusal> {
        let upload = self.upload(tenant, upload_id).await?;
        if upload.outcome.is_none() { Ok(upload) } else { Err(upload.over()) }
    }

    /// Ends an upload whose time is over, unless a request has ended it first. Where a full disk has no room for the record,
    /// it is over without.
    pub(crate) async fn expire(&self, tenant: &Tenant, id: ObjectId) -> Result<Outcome, StoreError> {
        match self.end(tenant, id, Outcome::Expired).await {
            Err(error) if error.is_full() => Ok(Outcome::Expired),
            ended => ended,
        }
    }

    /// Ends an upload in this way, unless another request has ended it first: what comes back is how it did end.
    async fn end(&self, tenant: &Tenant, id: ObjectId, outcome: Outcome) -> Result<Outcome, StoreError> {
        let path = layout::upload_final(tenant, id);
        let end = FinalRecord { at: self.now(), outcome };
        let Removing { created, was_full } = match &end.outcome {
            Outcome::Cancelled => match self.create_removing(tenant, id, &path, &end).await {
                Err(error) if error.is_full() => return self.cancel_without_record(tenant, id, error).await,
                created => created?,
            },
            _ => Removing { created: self.store.create(&path, &end).await?, was_full: false },
        };
        match created {
            Created::Now => {
                if was_full {
                    self.free_at_once(tenant, id, &[]).await;
                }
                Ok(end.outcome)
            }
            Created::Before => Ok(self.store.read(&path).await?.unwrap_or(end).outcome),
        }
    }

    /// Cancels an upload for the end of which others have left no room, although its other records are gone: without that of
    /// its beginning it is not to be found any more. Its bytes are left to the sweeper, since a request that completes it may
    /// have looked just before.
    async fn cancel_without_record(
        &self,
        tenant: &Tenant,
        id: ObjectId,
        refused: StoreError,
    ) -> Result<Outcome, StoreError> {
        let beginning = layout::upload_created(tenant, id);
        if self.store.exists(&beginning).await? {
            return Err(refused);
        }
        self.store.sync_folder_of(&beginning).await?;
        let end: Option<FinalRecord> = self.store.read(&layout::upload_final(tenant, id)).await?;
        Ok(end.map_or(Outcome::Cancelled, |end| end.outcome))
    }

    /// The answer of an upload that was completed, by this request or before, with these parts and this content.
    async fn completed_before(
        &self,
        tenant: &Tenant,
        upload: StoredUpload,
        parts: &[PartId],
        md5: Option<&str>,
    ) -> Result<StoredUpload, Refusal> {
        let Some(Outcome::Completed { file, md5: known }) = &upload.outcome else {
            return Err(upload.over());
        };
        let blobs = parts.iter().map(|part| BlobName::of_part(upload.id, *part));
        if !blobs.eq(file.content.iter().map(|piece| piece.blob.clone())) {
            return Err(Refusal::CompletedOtherwise { id: upload.id.upload_id() });
        }
        if let Some(expected) = md5 {
            let found = match known {
                Some(known) => known.clone(),
                None => {
                    // Of a file that is gone, the content may be too.
                    self.file(tenant, &upload.id.file_id()).await?;
                    self.md5(tenant, file).await?
                }
            };
            check_md5(found, expected)?;
        }
        // The file's record follows from the upload's end. On a full disk the file is read without, and the sweeper writes it.
        match self.put_file(tenant, upload.id, file).await {
            Err(error) if !error.is_full() => Err(error.into()),
            _ => Ok(upload),
        }
    }

    /// The file that the parts make, if they are there and have the size that was announced.
    async fn assemble(
        &self,
        tenant: &Tenant,
        upload: &StoredUpload,
        parts: &[PartId],
    ) -> Result<FileRecord, Refusal> {
        let reads = stream::iter(parts.to_vec()).map(|part| async move {
            let record: Option<PartRecord> = self.store.read(&layout::part(tenant, upload.id, part)).await?;
            let PartRecord { bytes } = record.ok_or_else(|| Refusal::NoSuchPart { id: part.part_id() })?;
            Ok::<_, Refusal>(Piece { blob: BlobName::of_part(upload.id, part), bytes })
        });
        let content: Vec<Piece> = reads.buffered(READS).try_collect().await?;
        let found = content.iter().fold(0, |sum: u64, piece| sum.saturating_add(piece.bytes));
        let expected = upload.record.bytes;
        if found != expected {
            return Err(Refusal::WrongSize { found, expected });
        }
        Ok(FileRecord { filename: upload.record.filename.clone(), bytes: found, content })
    }

    /// The MD5 of what is stored of a file, in lower-case hex digits.
    async fn md5(&self, tenant: &Tenant, file: &FileRecord) -> Result<String, Refusal> {
        let digest = blob::md5(&self.store, tenant, file).await?;
        Ok(format!("{:032x}", u128::from_be_bytes(digest)))
    }
}

/// The MD5 that a client names, in lower-case hex digits.
fn parse_md5(text: &str) -> Result<String, Refusal> {
    let is_digest = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| text.to_ascii_lowercase()).ok_or(Refusal::NotAnMd5)
}

fn check_md5(found: String, expected: &str) -> Result<(), Refusal> {
    if found == expected { Ok(()) } else { Err(Refusal::WrongMd5 { found, expected: expected.to_owned() }) }
}
