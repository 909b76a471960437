//! Uploads: begun, filled part by part in any order, and ended once.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream, try_join};
use partwise_models::{TypeDiscriminator, UnixSeconds, Upload, UploadPartResource, UploadStatus};

use crate::{
    backend::Backend,
    blob::{self, BlobWriter},
    content::{Manifest, PartPiece},
    files::{Restored, StoredFile},
    id::{ObjectId, PartId},
    layout::{self, BlobName},
    memory::MemoryShare,
    record::{FileRecord, FinalRecord, PartRecord, UploadEnd, UploadRecord},
    refusal::Refusal,
    removal::Freed,
    rules::NewUpload,
    store::{Created, StoreError},
    summary::{End, Summarized as _, Summary},
    sweeper::GRACE,
    tenant::Tenant,
};

/// How many records are read side by side.
const READS: usize = 16;
/// How often an end is written that is neither to be written nor to be seen.
const TRIES: usize = 3;

/// An upload as its records have it.
#[derive(Clone, Debug)]
pub(crate) struct StoredUpload {
    id: ObjectId,
    record: UploadRecord,
    end: Option<End>,
}

/// An upload that was completed before with the parts that a completion names.
struct Repeated {
    md5: Option<String>,
    /// The file, where more of it is needed than it takes to compare the parts.
    file: Option<FileRecord>,
    share: MemoryShare,
}

/// A part on its way in.
pub(crate) struct NewPart {
    upload: ObjectId,
    id: PartId,
    pub(crate) blob: BlobWriter<()>,
}

impl StoredUpload {
    pub(crate) fn to_model(&self) -> Upload {
        let mut upload = Upload::new(self.id.upload_id())
            .object(TypeDiscriminator::Upload)
            .bytes(self.record.bytes)
            .created_at(self.id.created_at())
            .expires_at(self.record.expires_at)
            .filename(self.record.filename.clone())
            .purpose(self.id.purpose())
            .status(self.status());
        if let Some(End::Completed(summary)) = &self.end {
            upload.file = Some(StoredFile { id: self.id, summary: summary.clone() }.into_model());
        }
        upload
    }

    fn status(&self) -> UploadStatus {
        self.end.as_ref().map_or(UploadStatus::Pending, End::status)
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
        Ok(StoredUpload { id, record, end: None })
    }

    /// Begins a part, if the upload still takes any.
    pub(crate) async fn begin_part(&self, tenant: &Tenant, upload_id: &str) -> Result<NewPart, Refusal> {
        let upload = self.pending_upload(tenant, upload_id).await?;
        let id = PartId::new(self.now(), self.random()?);
        let path = layout::blob(tenant, BlobName::Part(upload.id, id));
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
            (layout::part(tenant, upload, id), layout::blob(tenant, BlobName::Part(upload, id)));
        self.put_record_of(&blob, &path, &PartRecord { bytes }).await?;
        Ok(UploadPartResource::new(id.part_id())
            .object(TypeDiscriminator::UploadPart)
            .created_at(id.created_at())
            .upload_id(upload.upload_id())
            // The dialects that have none leave it out of their answer.
            .azure_block_id(id.azure_block_id()))
    }

    /// An upload that is open, or was completed and may be so again.
    pub(crate) async fn completable_upload(
        &self,
        tenant: &Tenant,
        upload_id: &str,
    ) -> Result<StoredUpload, Refusal> {
        let upload = self.upload(tenant, upload_id).await?;
        match upload.end {
            None | Some(End::Completed(_)) => Ok(upload),
            Some(End::Cancelled | End::Expired) => Err(upload.over()),
        }
    }

    /// Makes a file of the parts named. Nothing is copied: the file is the list of their blobs.
    pub(crate) async fn complete_upload(
        &self,
        tenant: &Tenant,
        upload_id: &str,
        parts: Arc<[PartId]>,
        md5: Option<&str>,
    ) -> Result<StoredUpload, Refusal> {
        let md5 = md5.map(parse_md5).transpose()?;
        // Naming the parts may have taken longer than the upload lived, or than its records stay.
        let mut upload = self.completable_upload(tenant, upload_id).await?;
        if upload.end.is_some() {
            return self.completed_before(tenant, upload, parts, md5.as_deref()).await;
        }
        let mut share = self.parts.share(tenant.clone());
        share.hold(Manifest::size_of(parts.len()))?;
        let file = self.assemble(tenant, &upload, &parts).await?;
        if let Some(expected) = &md5 {
            let found = self.md5(tenant, &file).await;
            if is_missing(&found) {
                // The bytes go when the upload ends, at once on a full disk.
                upload = self.completable_upload(tenant, upload_id).await?;
                if upload.end.is_some() {
                    return self.completed_before(tenant, upload, parts, Some(expected)).await;
                }
            }
            check_md5(found?, expected)?;
        }
        // That may have taken long, and an upload that was cancelled on a full disk has no other sign of it.
        if !self.store.exists(&layout::upload_created(tenant, upload.id)).await? {
            return Err(Refusal::NoSuchUpload { id: upload.id.upload_id() });
        }
        // The sweeper may have taken the parts by now, without a record if the disk is full.
        if self.is_past(upload.record.expires_at, GRACE) {
            upload.end = Some(End::Expired);
            return Err(upload.over());
        }
        let outcome = UploadEnd::Completed { file: file.clone(), md5: md5.clone() };
        let (end, created) = self.end(tenant, upload.id, outcome).await?;
        upload.end = Some(end);
        match created {
            Created::Now => match self.put_file(tenant, upload.id, &file).await {
                Err(error) if !error.is_full() => Err(error.into()),
                _ => Ok(upload),
            },
            Created::Before => self.completed_before(tenant, upload, parts, md5.as_deref()).await,
        }
    }

    /// Throws the parts away. Cancelling twice is answered twice, since the first answer may have been lost.
    pub(crate) async fn cancel_upload(&self, tenant: &Tenant, upload_id: &str) -> Result<Upload, Refusal> {
        let mut upload = match self.upload(tenant, upload_id).await {
            Err(Refusal::Store(error @ StoreError::Record { .. })) => {
                return self.cancel_damaged(tenant, upload_id, error).await;
            }
            upload => upload?,
        };
        if upload.end.is_none() {
            upload.end = Some(self.end(tenant, upload.id, UploadEnd::Cancelled).await?.0);
        }
        if upload.end == Some(End::Cancelled) { Ok(upload.to_model()) } else { Err(upload.over()) }
    }

    /// Cancels an upload of which only the identifier is known: what it was to be cannot be read.
    async fn cancel_damaged(
        &self,
        tenant: &Tenant,
        upload_id: &str,
        damage: StoreError,
    ) -> Result<Upload, Refusal> {
        let Some(id) = ObjectId::parse_upload(upload_id) else { return Err(damage.into()) };
        let end = match End::read(&self.store, &layout::upload_final(tenant, id)).await? {
            Some(end) => end,
            None => {
                tracing::error!(
                    error = &damage as &dyn std::error::Error,
                    "an upload is cancelled although its record is damaged"
                );
                self.end(tenant, id, UploadEnd::Cancelled).await?.0
            }
        };
        let status = end.status();
        if end != End::Cancelled {
            return Err(Refusal::UploadOver { id: id.upload_id(), status });
        }
        Ok(Upload::new(id.upload_id())
            .object(TypeDiscriminator::Upload)
            .created_at(id.created_at())
            .purpose(id.purpose())
            .status(status))
    }

    /// An upload, ended if its time is over.
    pub(crate) async fn upload(&self, tenant: &Tenant, upload_id: &str) -> Result<StoredUpload, Refusal> {
        let missing = || Refusal::NoSuchUpload { id: upload_id.to_owned() };
        let id = ObjectId::parse_upload(upload_id).ok_or_else(missing)?;
        let (created, ended) = (layout::upload_created(tenant, id), layout::upload_final(tenant, id));
        let (record, mut end) = try_join!(self.store.read(&created), End::read(&self.store, &ended))?;
        let record: UploadRecord = record.ok_or_else(missing)?;
        if end.is_none() && record.expires_at <= self.now() {
            end = Some(self.expire(tenant, id).await?);
        }
        Ok(StoredUpload { id, record, end })
    }

    async fn pending_upload(&self, tenant: &Tenant, upload_id: &str) -> Result<StoredUpload, Refusal> {
        let upload = self.upload(tenant, upload_id).await?;
        if upload.end.is_none() { Ok(upload) } else { Err(upload.over()) }
    }

    /// Ends an upload whose time is over, unless a request has ended it first. Where a full disk has no room for the record,
    /// it is over without.
    pub(crate) async fn expire(&self, tenant: &Tenant, id: ObjectId) -> Result<End, StoreError> {
        match self.end(tenant, id, UploadEnd::Expired).await {
            Err(error) if error.is_full() => Ok(End::Expired),
            ended => ended.map(|(end, _)| end),
        }
    }

    /// Ends an upload in this way, unless another request has ended it first: what comes back is how it did end, and when.
    async fn end(
        &self,
        tenant: &Tenant,
        id: ObjectId,
        outcome: UploadEnd,
    ) -> Result<(End, Created), StoreError> {
        let path = layout::upload_final(tenant, id);
        let end = FinalRecord { at: self.now(), by: Some(self.nonce()?), outcome };
        let own = match &end.outcome {
            UploadEnd::Completed { file, .. } => End::Completed(Summary::from(file)),
            UploadEnd::Cancelled => End::Cancelled,
            UploadEnd::Expired => End::Expired,
        };
        for _ in 0..TRIES {
            let created = match &end.outcome {
                UploadEnd::Cancelled => match self.create_removing(tenant, id, &path, &end).await {
                    Err(error) if error.is_full() => {
                        return self.cancel_without_record(tenant, id, error).await;
                    }
                    created => created?,
                },
                UploadEnd::Completed { file, .. } => {
                    self.store.create_with_parts(&path, end.clone(), file.content.len()).await?
                }
                UploadEnd::Expired => self.store.create(&path, &end).await?,
            };
            if created == Created::Now {
                if own == End::Cancelled && self.store.was_full_lately() {
                    self.free_at_once(tenant, id, Freed::Bytes).await;
                }
                return Ok((own, created));
            }
            // What stands there decides; a store may show nothing where it says that something is.
            if let Some(end) = End::read(&self.store, &path).await? {
                return Ok((end, created));
            }
        }
        Err(StoreError::Unsettled { path })
    }

    /// Cancels an upload for the end of which others have left no room, although its other records are gone: without that of
    /// its beginning it is not to be found any more. Its bytes are left to the sweeper, since a request that completes it may
    /// have looked just before.
    async fn cancel_without_record(
        &self,
        tenant: &Tenant,
        id: ObjectId,
        refused: StoreError,
    ) -> Result<(End, Created), StoreError> {
        let beginning = layout::upload_created(tenant, id);
        if self.store.exists(&beginning).await? {
            return Err(refused);
        }
        self.store.sync_folder_of(&beginning).await?;
        let end = End::read(&self.store, &layout::upload_final(tenant, id)).await?;
        Ok((end.unwrap_or(End::Cancelled), Created::Before))
    }

    /// The answer of an upload that was completed before, if it was with these parts and this content.
    async fn completed_before(
        &self,
        tenant: &Tenant,
        upload: StoredUpload,
        parts: Arc<[PartId]>,
        md5: Option<&str>,
    ) -> Result<StoredUpload, Refusal> {
        let Some(End::Completed(_)) = &upload.end else {
            return Err(upload.over());
        };
        let id = upload.id;
        let swept = || Refusal::NoSuchUpload { id: id.upload_id() };
        let has_record = self.store.exists(&layout::file(tenant, id)).await?;
        let (names_md5, mut share) = (md5.is_some(), self.parts.share(tenant.clone()));
        let compare = move |end: FinalRecord| match end.outcome {
            UploadEnd::Completed { file, md5 } if file.content.is_of(id, &parts) => {
                let is_needed = !has_record || names_md5 && md5.is_none();
                if is_needed {
                    share.hold(Manifest::size_of(parts.len()))?;
                }
                Ok(Repeated { md5, file: is_needed.then_some(file), share })
            }
            _ => Err(Refusal::CompletedOtherwise { id: id.upload_id() }),
        };
        let repeated = self.store.read_with(&layout::upload_final(tenant, id), compare).await?;
        let Repeated { md5: known, file, share: _share } = repeated.ok_or_else(swept)??;
        if let Some(expected) = md5 {
            let found = match (known, &file) {
                (Some(known), _) => known,
                (None, Some(file)) => {
                    // Of a file that is gone, the content may be too.
                    self.file(tenant, &id.file_id()).await?;
                    let found = self.md5(tenant, file).await;
                    if is_missing(&found) {
                        self.file(tenant, &id.file_id()).await?;
                    }
                    found?
                }
                (None, None) => return Err(swept()),
            };
            check_md5(found, expected)?;
        }
        // The file's record follows from the upload's end. On a full disk the file is read without, and the sweeper writes it.
        if let Some(file) = file.filter(|_| !has_record) {
            match self.put_file_again(tenant, id, &file).await {
                Ok(Restored::Swept) => return Err(swept()),
                Err(error) if !error.is_full() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(upload)
    }

    /// The file that the parts make, if they are there and have the size that was announced.
    async fn assemble(
        &self,
        tenant: &Tenant,
        upload: &StoredUpload,
        parts: &[PartId],
    ) -> Result<FileRecord, Refusal> {
        let reads = stream::iter(parts.iter().copied()).map(|part| async move {
            let record: Option<PartRecord> = self.store.read(&layout::part(tenant, upload.id, part)).await?;
            let PartRecord { bytes } = record.ok_or_else(|| Refusal::NoSuchPart { id: part.part_id() })?;
            Ok::<_, Refusal>(PartPiece { part, bytes })
        });
        let pieces: Vec<PartPiece> = reads.buffered(READS).try_collect().await?;
        let found = pieces.iter().fold(0, |sum: u64, piece| sum.saturating_add(piece.bytes));
        let expected = upload.record.bytes;
        if found != expected {
            return Err(Refusal::WrongSize { found, expected });
        }
        let content = Manifest::Parts { upload: upload.id, parts: pieces.into() };
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

/// Says whether bytes were not there.
fn is_missing<T>(read: &Result<T, Refusal>) -> bool {
    matches!(read, Err(Refusal::Store(error)) if error.is_not_found())
}

fn check_md5(found: String, expected: &str) -> Result<(), Refusal> {
    if found == expected { Ok(()) } else { Err(Refusal::WrongMd5 { found, expected: expected.to_owned() }) }
}
