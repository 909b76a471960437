//! Uploads: begun, filled part by part in any order, and ended once.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream, try_join};
use partwise_models::{
    CompleteUploadRequest, CreateUploadRequest, TypeDiscriminator, UnixSeconds, Upload, UploadPartResource,
    UploadStatus,
};
use partwise_protocol::{Api, Dialect};

use crate::{
    backend::Backend,
    blob::{self, BlobWriter},
    files::StoredFile,
    id::{ObjectId, PartId, Stem},
    layout::{self, BlobName},
    record::{FileRecord, FinalRecord, Outcome, PartRecord, Piece, UploadRecord},
    refusal::Refusal,
    removal::Removing,
    rules,
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
    pub(crate) blob: BlobWriter,
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
        if let Some(Outcome::Completed { file }) = &self.outcome {
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
        api: &Api,
        request: CreateUploadRequest,
    ) -> Result<StoredUpload, Refusal> {
        let CreateUploadRequest { filename, purpose, bytes, mime_type, expires_after, .. } = request;
        let attributes = rules::attributes(api.dialect(), &purpose, &filename, expires_after.as_ref())?;
        if mime_type.is_empty() {
            return Err(Refusal::Empty { field: "mime_type" });
        }
        let limit = api.limits().upload;
        if bytes == 0 || bytes > limit {
            return Err(Refusal::UploadBytes { bytes, limit });
        }
        let id = Stem::new(self.now(), self.random()?).with(attributes);
        let expires_at = UnixSeconds(id.created_at().0.saturating_add(rules::upload_lifetime(api.dialect())));
        let record = UploadRecord { filename, bytes, mime_type, expires_at };
        self.store.put_once(&layout::upload_created(tenant, id), &record).await?;
        Ok(StoredUpload { id, record, outcome: None })
    }

    /// Begins a part, if the upload still takes any.
    pub(crate) async fn begin_part(&self, tenant: &Tenant, upload_id: &str) -> Result<NewPart, Refusal> {
        let upload = self.pending_upload(tenant, upload_id).await?;
        let id = PartId::new(self.now(), self.random()?);
        let path = layout::blob(tenant, &BlobName::of_part(upload.id, id));
        Ok(NewPart { upload: upload.id, id, blob: self.new_blob(path) })
    }

    /// Stores a part whose bytes have all been written, if the upload still takes it.
    pub(crate) async fn finish_part(
        &self,
        tenant: &Tenant,
        part: NewPart,
        dialect: &Dialect,
    ) -> Result<UploadPartResource, Refusal> {
        let NewPart { upload, id, blob } = part;
        // Sending the bytes may have taken longer than the upload lived.
        self.pending_upload(tenant, &upload.upload_id()).await?;
        let bytes = blob.finish().await?;
        self.store.put_once(&layout::part(tenant, upload, id), &PartRecord { bytes }).await?;
        let mut resource = UploadPartResource::new(id.part_id());
        resource.object = Some(TypeDiscriminator::UploadPart);
        resource.created_at = Some(id.created_at());
        resource.upload_id = Some(upload.upload_id());
        resource.azure_block_id = (*dialect != Dialect::OpenAi).then(|| id.azure_block_id());
        Ok(resource)
    }

    /// Makes a file of the parts named. Nothing is copied: the file is the list of their blobs.
    pub(crate) async fn complete_upload(
        &self,
        tenant: &Tenant,
        upload_id: &str,
        request: &CompleteUploadRequest,
    ) -> Result<StoredUpload, Refusal> {
        let upload = self.upload(tenant, upload_id).await?;
        let parts = parse_parts(&request.part_ids)?;
        if upload.outcome.is_some() {
            return self.completed_before(tenant, upload, &parts).await;
        }
        let file = self.assemble(tenant, &upload, &parts).await?;
        if let Some(expected) = &request.md5 {
            self.check_md5(tenant, &file, expected).await?;
        }
        // The sweeper may have taken the parts by now, without a record if the disk is full.
        if self.is_past(upload.record.expires_at, GRACE) {
            return Err(StoredUpload { outcome: Some(Outcome::Expired), ..upload }.over());
        }
        let outcome = Some(self.end(tenant, upload.id, Outcome::Completed { file }).await?);
        let upload = StoredUpload { outcome, ..upload };
        self.completed_before(tenant, upload, &parts).await
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
            Outcome::Cancelled => self.create_removing(tenant, id, &path, &end).await?,
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

    /// The answer of an upload that was completed, by this request or before, with these parts.
    async fn completed_before(
        &self,
        tenant: &Tenant,
        upload: StoredUpload,
        parts: &[PartId],
    ) -> Result<StoredUpload, Refusal> {
        let Some(Outcome::Completed { file }) = &upload.outcome else { return Err(upload.over()) };
        let blobs = parts.iter().map(|part| BlobName::of_part(upload.id, *part));
        if !blobs.eq(file.content.iter().map(|piece| piece.blob.clone())) {
            return Err(Refusal::CompletedOtherwise { id: upload.id.upload_id() });
        }
        // The file's record follows from the upload's end; whoever finds it missing writes it.
        self.put_file(tenant, upload.id, file).await?;
        Ok(upload)
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

    async fn check_md5(&self, tenant: &Tenant, file: &FileRecord, expected: &str) -> Result<(), Refusal> {
        if expected.len() != 32 || !expected.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Refusal::NotAnMd5);
        }
        let digest = blob::md5(&self.store, tenant, file).await?;
        let found = format!("{:032x}", u128::from_be_bytes(digest));
        if found.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        Err(Refusal::WrongMd5 { found, expected: expected.to_owned() })
    }
}

fn parse_parts(ids: &[String]) -> Result<Vec<PartId>, Refusal> {
    let mut seen = HashSet::new();
    ids.iter()
        .map(|id| {
            let part = PartId::parse(id).ok_or_else(|| Refusal::NoSuchPart { id: id.clone() })?;
            if seen.insert(part) { Ok(part) } else { Err(Refusal::RepeatedPart { id: id.clone() }) }
        })
        .collect()
}
