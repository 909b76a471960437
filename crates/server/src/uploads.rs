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
    id::{ObjectId, PartId},
    layout::{self, BlobName},
    record::{FileRecord, FinalRecord, Outcome, PartRecord, Piece, UploadRecord},
    refusal::Refusal,
    rules,
    store::Created,
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
        if let Some(Outcome::Completed { file }) = &self.outcome {
            upload.file = Some(StoredFile { id: self.id, record: file.clone() }.to_model());
        }
        upload
    }

    fn status(&self) -> UploadStatus {
        match &self.outcome {
            None => UploadStatus::Pending,
            Some(Outcome::Completed { .. }) => UploadStatus::Completed,
            Some(Outcome::Cancelled) => UploadStatus::Cancelled,
            Some(Outcome::Expired) => UploadStatus::Expired,
        }
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
        let id = self.stem(self.random()?).with(attributes);
        let expires_at = UnixSeconds(id.created_at().0 + rules::upload_lifetime(api.dialect()));
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
        dialect: &Dialect,
    ) -> Result<UploadPartResource, Refusal> {
        let NewPart { upload, id, blob } = part;
        // Sending the bytes may have taken longer than the upload lived.
        self.pending_upload(tenant, &upload.upload_id()).await?;
        let ((), bytes) = blob.finish().await?;
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
        let upload = self.end(tenant, upload, Outcome::Completed { file }).await?;
        self.completed_before(tenant, upload, &parts).await
    }

    /// Throws the parts away. Cancelling twice is answered twice, since the first answer may have been lost.
    pub(crate) async fn cancel_upload(
        &self,
        tenant: &Tenant,
        upload_id: &str,
    ) -> Result<StoredUpload, Refusal> {
        let mut upload = self.upload(tenant, upload_id).await?;
        if upload.outcome.is_none() {
            upload = self.end(tenant, upload, Outcome::Cancelled).await?;
        }
        if upload.outcome == Some(Outcome::Cancelled) { Ok(upload) } else { Err(upload.over()) }
    }

    /// An upload, ended if its time is over.
    pub(crate) async fn upload(&self, tenant: &Tenant, upload_id: &str) -> Result<StoredUpload, Refusal> {
        let missing = || Refusal::NoSuchUpload { id: upload_id.to_owned() };
        let id = ObjectId::parse_upload(upload_id).ok_or_else(missing)?;
        let (created, ended) = (layout::upload_created(tenant, id), layout::upload_final(tenant, id));
        let (record, end) = try_join!(self.store.read(&created), self.store.read::<FinalRecord>(&ended))?;
        let record: UploadRecord = record.ok_or_else(missing)?;
        let upload = StoredUpload { id, record, outcome: end.map(|end| end.outcome) };
        if upload.outcome.is_none() && upload.record.expires_at <= self.now() {
            return self.end(tenant, upload, Outcome::Expired).await;
        }
        Ok(upload)
    }

    async fn pending_upload(&self, tenant: &Tenant, upload_id: &str) -> Result<StoredUpload, Refusal> {
        let upload = self.upload(tenant, upload_id).await?;
        if upload.outcome.is_none() { Ok(upload) } else { Err(upload.over()) }
    }

    /// Ends an upload in this way, unless another request has ended it first: what comes back is how it did end.
    async fn end(
        &self,
        tenant: &Tenant,
        mut upload: StoredUpload,
        outcome: Outcome,
    ) -> Result<StoredUpload, Refusal> {
        let path = layout::upload_final(tenant, upload.id);
        let end = FinalRecord { at: self.now(), outcome };
        let end = match self.store.create(&path, &end).await? {
            Created::Now => end,
            Created::Before => self.store.read(&path).await?.unwrap_or(end),
        };
        upload.outcome = Some(end.outcome);
        Ok(upload)
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
        self.store.put_once(&layout::file(tenant, upload.id), file).await?;
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
