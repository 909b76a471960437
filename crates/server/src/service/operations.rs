//! The ten operations: read, done, answered.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use partwise_protocol::{
    Api, Credential, Operation,
    operations::{
        AddUploadPart, CancelUpload, CompleteUpload, CreateFile, CreateUpload, DeleteFile, DownloadFile,
        DownloadHead, ImportFile, ListFiles, OperationId, RetrieveFile, Route,
    },
    transport::{Segment, SourceRange},
};

use super::{
    body::{RequestBody, ResponseBody},
    codings,
    form::{self, ContentField},
    list,
};
use crate::{Server, id::PartId, memory::MemoryShare, refusal::Refusal, tenant::Tenant};

/// The largest JSON body of most operations, which needs some hundred bytes.
const JSON_LIMIT: u64 = 1024 * 1024;
/// The largest one that completes an upload: 400,000 parts, and 8 GiB in parts of 64 KiB are 131,072.
const COMPLETION_LIMIT: u64 = 16 * 1024 * 1024;

type Answer = Result<Response<ResponseBody>, Refusal>;

/// One request of a known caller for a known operation.
struct Call<'a> {
    api: &'a Api,
    tenant: Tenant,
    route: Route,
    parts: &'a Parts,
    body: &'a mut RequestBody,
    /// The memory of its JSON body, held until it is answered.
    json: MemoryShare,
}

impl Server {
    /// Does what the request asks for. Its body is not touched before the caller is known.
    pub(super) async fn operate(&self, api: &Api, parts: &Parts, body: &mut RequestBody) -> Answer {
        let credential = Credential::try_extract(&Request::from_parts(parts.clone(), ()))
            .map_err(Refusal::of_unreadable_key)?;
        let tenant = self.keys().tenant(credential.as_ref())?;
        let route = api.route(&parts.method, &parts.uri)?;
        codings::check(&parts.headers)?;
        let json = self.json().share(tenant.clone());
        let mut call = Call { api, tenant, route, parts, body, json };
        match call.route.operation {
            OperationId::ListFiles => self.list_files(call).await,
            OperationId::CreateFile => self.create_file(call).await,
            OperationId::ImportFile => {
                let ImportFile { request, .. } = call.read().await?;
                self.rules(api.dialect()).check_import(&request)?;
                Err(Refusal::ImportUnsupported)
            }
            OperationId::RetrieveFile => {
                let RetrieveFile { file_id, .. } = call.read().await?;
                let file = self.backend().file(&call.tenant, &file_id).await?;
                call.answer::<RetrieveFile>(&file.into_model())
            }
            OperationId::DeleteFile => {
                let DeleteFile { file_id, .. } = call.read().await?;
                let deleted = self.backend().delete_file(&call.tenant, &file_id).await?;
                call.answer::<DeleteFile>(&Some(deleted))
            }
            OperationId::DownloadFile => self.download_file(call).await,
            OperationId::CreateUpload => {
                let CreateUpload { request, .. } = call.read().await?;
                let new = self.rules(api.dialect()).upload(request, api.limits().upload)?;
                let upload = self.backend().create_upload(&call.tenant, new).await?;
                call.answer::<CreateUpload>(&upload.to_model())
            }
            OperationId::AddUploadPart => self.add_upload_part(call).await,
            OperationId::CompleteUpload => self.complete_upload(call).await,
            OperationId::CancelUpload => {
                let CancelUpload { upload_id, .. } = call.read().await?;
                let upload = self.backend().cancel_upload(&call.tenant, &upload_id).await?;
                call.answer::<CancelUpload>(&upload)
            }
        }
    }

    async fn list_files(&self, mut call: Call<'_>) -> Answer {
        let request: ListFiles = call.read().await?;
        let limit = list::limit(&request, call.api);
        let page = self.backend().list_files(&call.tenant, &request, limit).await?;
        list::answer(page, call.api).await
    }

    async fn create_file(&self, call: Call<'_>) -> Answer {
        let Call { api, tenant, parts, body, .. } = call;
        let rules = self.rules(api.dialect());
        let mut blob = self.backend().begin_file(&tenant)?;
        let content = ContentField {
            field: CreateFile::CONTENT_FIELD,
            limit: api.limits().file,
            check: &|head| rules.check_head(head),
        };
        let fields = form::receive(parts, body, content, &mut blob).await?;
        let stored = Segment::Source(SourceRange::new(0, blob.total()));
        let CreateFile { purpose, filename, expires_after, .. } =
            CreateFile::from_form(&fields, stored, api.dialect())?;
        let attributes = rules.attributes(&purpose, &filename, expires_after.as_ref())?;
        let (stem, bytes) = blob.finish().await?;
        let file = self.backend().create_file(&tenant, stem, attributes, filename, bytes).await?;
        answer::<CreateFile>(&file.into_model(), api)
    }

    async fn add_upload_part(&self, call: Call<'_>) -> Answer {
        let Call { api, tenant, route, parts, body, .. } = call;
        let upload_id = route.id.unwrap_or_default();
        let mut part = self.backend().begin_part(&tenant, &upload_id).await?;
        let content = ContentField {
            field: AddUploadPart::CONTENT_FIELD,
            limit: api.limits().part,
            check: &|_| Ok(()),
        };
        form::receive(parts, body, content, &mut part.blob).await?;
        let part = self.backend().finish_part(&tenant, part).await?;
        answer::<AddUploadPart>(&part, api)
    }

    /// The upload is looked up first: what names its parts may be long, and there may be none to complete.
    async fn complete_upload(&self, mut call: Call<'_>) -> Answer {
        let upload_id = call.route.id.as_deref().unwrap_or_default();
        // Nothing of it is kept while the body comes, which may take long.
        drop(self.backend().completable_upload(&call.tenant, upload_id).await?);
        let body = call.body.collect(COMPLETION_LIMIT, &mut call.json).await?;
        let (parts, md5) = parts_of_completion(&body)?;
        drop(body);
        call.json.shrink_to(size_of_val(&parts[..]));
        let upload = self.backend().complete_upload(&call.tenant, upload_id, parts, md5.as_deref()).await?;
        call.answer::<CompleteUpload>(&upload.to_model())
    }

    async fn download_file(&self, mut call: Call<'_>) -> Answer {
        let request: DownloadFile = call.read().await?;
        // The content under an identifier never changes.
        let etag = format!("\"{}\"", request.file_id);
        let asked = request.range.filter(|_| request.if_range.as_ref().is_none_or(|known| *known == etag));
        let choose =
            move |bytes| asked.map(|range| range.within(bytes).ok_or(Refusal::Range { bytes })).transpose();
        let content = self.backend().read_file(&call.tenant, &request.file_id, choose).await?;
        let mut head = DownloadHead::default();
        head.length = Some(content.length);
        head.range = content.range;
        head.filename = Some(content.summary.filename);
        head.etag = Some(etag);
        let body = |_| ResponseBody::stream(content.stretches, content.length);
        Ok(DownloadFile::encode_response(&head, call.api)?.map(body))
    }
}

impl Call<'_> {
    /// The request, with its JSON body if the operation has one; any other body is left alone.
    async fn read<O: Operation>(&mut self) -> Result<O, Refusal> {
        let body = match O::ID {
            OperationId::CreateUpload | OperationId::ImportFile => self.collect(JSON_LIMIT).await?,
            _ => Bytes::new(),
        };
        Ok(O::decode_request(&self.route, Request::from_parts(self.parts.clone(), body))?)
    }

    async fn collect(&mut self, limit: u64) -> Result<Bytes, Refusal> {
        self.body.collect(limit, &mut self.json).await
    }

    fn answer<O: Operation>(&self, response: &O::Response) -> Answer {
        answer::<O>(response, self.api)
    }
}

fn answer<O: Operation>(response: &O::Response, api: &Api) -> Answer {
    Ok(O::encode_response(response, api)?.map(ResponseBody::of))
}

/// The parts that a body names, in order and each once, and the MD5 that they are to have.
fn parts_of_completion(body: &[u8]) -> Result<(Arc<[PartId]>, Option<String>), Refusal> {
    let mut parts = Vec::new();
    let md5 = CompleteUpload::read_parts(body, |id| {
        let part = PartId::parse(id).ok_or_else(|| Refusal::NoSuchPart { id: id.to_owned() })?;
        parts.push(part);
        Ok::<_, Refusal>(())
    })?;
    let mut sorted = parts.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(repeated) => Err(Refusal::RepeatedPart { id: repeated[0].part_id() }),
        None => Ok((parts.into(), md5)),
    }
}
