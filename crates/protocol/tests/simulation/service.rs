//! A model of the service: small, strict, and with a clock of its own.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use partwise_models::{
    ErrorCode, File, FileList, Purpose, UnixSeconds, Upload, UploadPartResource, UploadStatus,
};
use partwise_protocol::{
    Api, Operation,
    error::ApiError,
    operations::{
        AddUploadPart, CancelUpload, CompleteUpload, CreateFile, CreateUpload, ListFiles, OperationId,
        RetrieveFile,
    },
    transport::{Body, Segment},
};
use partwise_testkit::dice::Dice;

use crate::world::{digest, hex};

/// A file that came into being, with its content.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) file: File,
    pub(crate) content: Vec<u8>,
    /// When the list begins to show it, on the service's clock in milliseconds.
    pub(crate) listed_from: u64,
    /// When its object begins to show how large it is.
    sized_from: u64,
}

impl Stored {
    /// The object as the service shows it at this moment.
    fn shown(&self, clock: u64) -> File {
        let mut file = self.file.clone();
        file.bytes = file.bytes.filter(|_| self.sized_from <= clock);
        file
    }
}

#[derive(Debug)]
struct Open {
    upload: Upload,
    parts: BTreeMap<String, Vec<u8>>,
}

/// The service's side of one story.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) files: Vec<Stored>,
    /// Whether answers name an expiry before the upload's beginning.
    pub(crate) names_nonsense: bool,
    uploads: BTreeMap<String, Open>,
    lifetime: u64,
    list_lag: u64,
    /// OpenAI dates a file by its upload, Azure by its completion.
    dates_by_upload: bool,
    sends_date: bool,
    /// How long the size of a new file is not shown, in milliseconds.
    pub(crate) size_lag: u64,
    /// Whether files can be downloaded.
    pub(crate) serves_content: bool,
    pub(crate) habits: Habits,
    next_id: u64,
}

/// What a service may do otherwise than its documents say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    /// The list lacks this feature of every file.
    pub(crate) list_lacks: Option<Feature>,
    /// And so do the objects.
    pub(crate) objects_lack_it: bool,
    /// The list begins with the oldest file, whatever order is asked for.
    pub(crate) is_oldest_first: bool,
    /// The list does not say whether there is more.
    pub(crate) hides_more: bool,
}

/// A feature of a file that a service may not show.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Feature {
    Filename,
    Purpose,
    Time,
}

impl Habits {
    pub(crate) fn drawn(dice: &mut Dice) -> Self {
        let features = [Some(Feature::Filename), Some(Feature::Purpose), Some(Feature::Time)];
        let mut choices = vec![None; 9];
        choices.extend(features);
        Self {
            list_lacks: *dice.pick(&choices),
            objects_lack_it: dice.chance(300),
            is_oldest_first: dice.chance(150),
            hides_more: dice.chance(150),
        }
    }

    fn show(self, mut file: File, in_list: bool) -> File {
        match self.list_lacks.filter(|_| in_list || self.objects_lack_it) {
            Some(Feature::Filename) => file.filename = None,
            Some(Feature::Purpose) => file.purpose = None,
            Some(Feature::Time) => file.created_at = None,
            None => {}
        }
        file
    }
}

impl Service {
    pub(crate) fn new(lifetime: u64, list_lag: u64, dates_by_upload: bool, sends_date: bool) -> Self {
        Self {
            files: Vec::new(),
            names_nonsense: false,
            uploads: BTreeMap::new(),
            lifetime,
            list_lag,
            dates_by_upload,
            sends_date,
            size_lag: 0,
            serves_content: true,
            habits: Habits::default(),
            next_id: 0,
        }
    }

    /// A file of somebody else, or of an earlier day.
    pub(crate) fn add_file(&mut self, filename: &str, purpose: Purpose, content: Vec<u8>, created: u64) {
        self.store(filename, purpose, content, created, created * 1000);
    }

    /// When an upload expires, on the service's clock in milliseconds, as far as it has said so.
    pub(crate) fn expiry_of(&self, upload: &str) -> Option<u64> {
        let open = self.uploads.get(upload).filter(|_| !self.names_nonsense)?;
        Some(open.upload.expires_at?.0 * 1000)
    }

    /// Whether this upload is open, as far as it has noticed.
    pub(crate) fn is_open(&self, upload: &str) -> bool {
        self.uploads.get(upload).is_some_and(|open| open.upload.status == Some(UploadStatus::Pending))
    }

    /// Answers a request at a moment of its own clock, in milliseconds.
    pub(crate) fn answer(&mut self, request: Request<Bytes>, clock: u64) -> Response<Bytes> {
        let api = Api::of_request("http://service", request.uri()).expect("the machine keeps to the API");
        let response = match self.execute(&api, request, clock) {
            Ok(response) => response,
            Err(error) => error.encode_response(&api).unwrap(),
        };
        self.dated(response, clock)
    }

    /// Answers a request of another project, which has no upload and no file.
    pub(crate) fn answer_to_stranger(&self, request: &Request<Bytes>, clock: u64) -> Response<Bytes> {
        let api = Api::of_request("http://service", request.uri()).expect("the machine keeps to the API");
        let route = api.route(request.method(), request.uri()).expect("the machine keeps to the API");
        let response = match route.operation {
            OperationId::ListFiles => ListFiles::encode_response(&FileList::new(Vec::new()), &api),
            OperationId::AddUploadPart | OperationId::CompleteUpload | OperationId::CancelUpload => {
                refuse(StatusCode::NOT_FOUND, "no such upload").encode_response(&api)
            }
            other => unreachable!("{other} is sent to another project"),
        };
        self.dated(response.unwrap(), clock)
    }

    fn dated(&self, mut response: Response<Body>, clock: u64) -> Response<Bytes> {
        if self.sends_date {
            let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(clock / 1000);
            response.headers_mut().insert("date", httpdate::fmt_http_date(date).parse().unwrap());
        }
        response.map(|body| body.into_bytes().expect("a service has no source"))
    }

    fn execute(
        &mut self,
        api: &Api,
        request: Request<Bytes>,
        clock: u64,
    ) -> Result<Response<Body>, ApiError> {
        let route = api.route(request.method(), request.uri()).expect("the machine keeps to the API");
        let decoded = "the machine sends what can be read";
        let response = match route.operation {
            OperationId::CreateUpload => {
                let create = CreateUpload::decode_request(&route, request).expect(decoded);
                CreateUpload::encode_response(&self.create(create, clock), api)
            }
            OperationId::AddUploadPart => {
                let part = AddUploadPart::decode_request(&route, request).expect(decoded);
                AddUploadPart::encode_response(&self.add_part(part, api, clock)?, api)
            }
            OperationId::CompleteUpload => {
                let complete = CompleteUpload::decode_request(&route, request).expect(decoded);
                CompleteUpload::encode_response(&self.complete(complete, clock)?, api)
            }
            OperationId::CancelUpload => {
                let cancel = CancelUpload::decode_request(&route, request).expect(decoded);
                CancelUpload::encode_response(&self.cancel(&cancel.upload_id, clock)?, api)
            }
            OperationId::CreateFile => {
                let file = CreateFile::decode_request(&route, request).expect(decoded);
                let Segment::Bytes(content) = file.content else { unreachable!() };
                let second = clock / 1000;
                let stored = self.store(&file.filename, file.purpose, content.to_vec(), second, clock);
                CreateFile::encode_response(&stored, api)
            }
            OperationId::RetrieveFile => {
                let retrieve = RetrieveFile::decode_request(&route, request).expect(decoded);
                let stored = self.files.iter().find(|stored| stored.file.id == retrieve.file_id);
                let stored = stored.ok_or_else(|| refuse(StatusCode::NOT_FOUND, "no such file"))?;
                RetrieveFile::encode_response(&self.habits.show(stored.shown(clock), false), api)
            }
            OperationId::ListFiles => {
                let list = ListFiles::decode_request(&route, request).expect(decoded);
                ListFiles::encode_response(&self.list(&list, clock), api)
            }
            other => unreachable!("the machine never sends {other}"),
        };
        Ok(response.expect("the model answers what can be written"))
    }

    fn id(&mut self, prefix: &str) -> String {
        self.next_id += 1;
        format!("{prefix}{:08}", self.next_id)
    }

    fn create(&mut self, create: CreateUpload, clock: u64) -> Upload {
        let request = create.request;
        let mut upload = Upload::new(self.id("upload_"))
            .bytes(request.bytes)
            .filename(request.filename)
            .purpose(request.purpose)
            .status(UploadStatus::Pending)
            .created_at(UnixSeconds(clock / 1000))
            .expires_at(UnixSeconds(clock / 1000 + self.lifetime));
        self.uploads.insert(upload.id.clone(), Open { upload: upload.clone(), parts: BTreeMap::new() });
        if self.names_nonsense {
            upload.expires_at = Some(UnixSeconds(clock / 1000 - 57_615));
        }
        upload
    }

    /// The upload, if it still takes parts.
    fn pending(&mut self, id: &str, clock: u64) -> Result<&mut Open, ApiError> {
        let open = self.uploads.get_mut(id).ok_or_else(|| refuse(StatusCode::NOT_FOUND, "no such upload"))?;
        if open.upload.status == Some(UploadStatus::Pending)
            && open.upload.expires_at.unwrap().0 <= clock / 1000
        {
            open.upload.status = Some(UploadStatus::Expired);
        }
        match &open.upload.status {
            Some(UploadStatus::Pending) => Ok(open),
            other => {
                let status = other.as_ref().map_or("nothing", UploadStatus::as_str);
                Err(refuse(StatusCode::BAD_REQUEST, &format!("the upload is {status}")))
            }
        }
    }

    fn add_part(
        &mut self,
        part: AddUploadPart,
        api: &Api,
        clock: u64,
    ) -> Result<UploadPartResource, ApiError> {
        let id = self.id("part_");
        let Segment::Bytes(content) = part.content else { unreachable!() };
        assert!(content.len() as u64 <= api.limits().part, "a part is over the limit");
        let open = self.pending(&part.upload_id, clock)?;
        open.parts.insert(id.clone(), content.to_vec());
        Ok(UploadPartResource::new(id).upload_id(part.upload_id).created_at(UnixSeconds(clock / 1000)))
    }

    fn complete(&mut self, complete: CompleteUpload, clock: u64) -> Result<Upload, ApiError> {
        let dates_by_upload = self.dates_by_upload;
        let open = self.pending(&complete.upload_id, clock)?;
        let mut content = Vec::new();
        for (position, id) in complete.request.part_ids.iter().enumerate() {
            let first = complete.request.part_ids.iter().position(|other| other == id);
            assert_eq!(first, Some(position), "a part is named twice");
            content
                .extend(open.parts.get(id).ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "no such part"))?);
        }
        if Some(content.len() as u64) != open.upload.bytes {
            return Err(refuse(StatusCode::BAD_REQUEST, "the parts have another length than was announced"));
        }
        if complete.request.md5.is_some_and(|md5| md5 != hex(digest(&content))) {
            return Err(refuse(StatusCode::BAD_REQUEST, "the parts have another MD5"));
        }
        open.upload.status = Some(UploadStatus::Completed);
        let upload = open.upload.clone();
        let created = if dates_by_upload { upload.created_at.unwrap().0 } else { clock / 1000 };
        let file = self.store(
            upload.filename.as_deref().unwrap(),
            upload.purpose.clone().unwrap(),
            content,
            created,
            clock,
        );
        let open = self.uploads.get_mut(&complete.upload_id).expect("it was there a moment ago");
        open.upload.file = Some(file);
        Ok(open.upload.clone())
    }

    fn cancel(&mut self, id: &str, clock: u64) -> Result<Upload, ApiError> {
        let open = self.pending(id, clock)?;
        open.upload.status = Some(UploadStatus::Cancelled);
        Ok(open.upload.clone())
    }

    fn store(
        &mut self,
        filename: &str,
        purpose: Purpose,
        content: Vec<u8>,
        created: u64,
        clock: u64,
    ) -> File {
        let file = File::new(self.id("file-"))
            .filename(filename.to_owned())
            .purpose(purpose)
            .bytes(content.len() as u64)
            .created_at(UnixSeconds(created));
        let (listed_from, sized_from) = (clock + self.list_lag, clock + self.size_lag);
        self.files.push(Stored { file: file.clone(), content, listed_from, sized_from });
        file
    }

    fn list(&self, list: &ListFiles, clock: u64) -> FileList {
        let shown = self.files.iter().filter(|stored| stored.listed_from <= clock);
        let mut files: Vec<File> = shown.map(|stored| stored.shown(clock)).collect();
        files.retain(|file| list.purpose.is_none() || file.purpose == list.purpose);
        files.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        if self.habits.is_oldest_first {
            files.reverse();
        }
        if let Some(after) = &list.after {
            let position = files.iter().position(|file| file.id == *after).map_or(0, |position| position + 1);
            files.drain(..position);
        }
        // Pages far smaller than asked for, so that following them is exercised; where the list does not say whether there is
        // more, a page that is not full is the last. A dialect without pages lists all.
        let limit = match list.limit {
            None => usize::MAX,
            Some(limit) if self.habits.hides_more => limit as usize,
            Some(_) => 2,
        };
        let has_more = files.len() > limit;
        files.truncate(limit);
        let mut page = FileList::new(files.into_iter().map(|file| self.habits.show(file, true)).collect());
        page.last_id = page.data.last().map(|file| file.id.clone());
        page.has_more = Some(has_more).filter(|_| !self.habits.hides_more);
        page
    }
}

fn refuse(status: StatusCode, message: &str) -> ApiError {
    ApiError::new(status, message).with_code(ErrorCode::InvalidPayload)
}
