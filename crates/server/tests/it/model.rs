//! Random conversations, checked against a model that keeps everything in a few vectors.

use std::collections::HashSet;

use http::StatusCode;
use partwise_models::{File, Purpose, UploadStatus};
use partwise_protocol::operations::{CancelUpload, DeleteFile, ListFiles, Order};
use partwise_testkit::cloud::{Dialect, FakeCloud, Fault, Kind};
use proptest::{prelude::*, sample::Index};

use crate::world::{Caller, HOUR, World, new_file, new_upload};

#[derive(Clone, Debug)]
pub(crate) enum Step {
    CreateFile {
        content: Vec<u8>,
        purpose: Purpose,
    },
    DeleteFile(Index),
    CreateUpload {
        bytes: u64,
    },
    AddPart {
        upload: Index,
        content: Vec<u8>,
    },
    /// Names these parts of all that were ever added, its own or not.
    Complete {
        upload: Index,
        parts: Vec<Index>,
    },
    /// Names its own parts, as far as they fit the size that was announced.
    CompleteWell {
        upload: Index,
        reversed: bool,
    },
    Cancel(Index),
    Wait(u64),
    List {
        limit: u32,
        order: Order,
        purpose: Option<Purpose>,
    },
    Sweep,
}

fn purpose() -> impl Strategy<Value = Purpose> {
    prop_oneof![Just(Purpose::Assistants), Just(Purpose::Vision)]
}

fn step() -> impl Strategy<Value = Step> {
    let content = || prop::collection::vec(any::<u8>(), 1..4);
    let index = any::<Index>;
    prop_oneof![
        2 => (content(), purpose()).prop_map(|(content, purpose)| Step::CreateFile { content, purpose }),
        1 => index().prop_map(Step::DeleteFile),
        2 => (1u64..8).prop_map(|bytes| Step::CreateUpload { bytes }),
        6 => (index(), content()).prop_map(|(upload, content)| Step::AddPart { upload, content }),
        1 => (index(), prop::collection::vec(index(), 0..4)).prop_map(|(upload, parts)| Step::Complete { upload, parts }),
        4 => (index(), any::<bool>()).prop_map(|(upload, reversed)| Step::CompleteWell { upload, reversed }),
        1 => index().prop_map(Step::Cancel),
        1 => prop_oneof![Just(0u64), Just(1), Just(HOUR - 1), Just(HOUR)].prop_map(Step::Wait),
        2 => (1u32..4, any::<bool>(), prop::option::of(purpose())).prop_map(|(limit, up, purpose)| {
            Step::List { limit, order: if up { Order::Ascending } else { Order::Descending }, purpose }
        }),
        1 => Just(Step::Sweep),
    ]
}

struct ModelUpload {
    model: partwise_models::Upload,
    bytes: u64,
    expires_at: u64,
    /// Its state if its time is not over; `None` while pending.
    outcome: Option<Ended>,
    /// When it or its file went, if it did: two hours later nothing may be left of it.
    gone_at: Option<u64>,
}

#[derive(Clone, PartialEq)]
enum Ended {
    Completed { file: String, parts: Vec<String> },
    Cancelled,
}

struct ModelPart {
    upload: usize,
    id: String,
    content: Vec<u8>,
}

struct ModelFile {
    file: File,
    content: Vec<u8>,
    is_deleted: bool,
}

pub(crate) struct Model<O> {
    world: World<O>,
    caller: Caller,
    uploads: Vec<ModelUpload>,
    parts: Vec<ModelPart>,
    files: Vec<ModelFile>,
}

impl<O> Model<O> {
    pub(crate) fn new(world: World<O>) -> Self {
        let caller = world.caller();
        Self { world, caller, uploads: Vec::new(), parts: Vec::new(), files: Vec::new() }
    }

    /// Takes all steps, and looks at what is left.
    pub(crate) async fn converse(mut self, steps: Vec<Step>) {
        for step in steps {
            self.take(step).await;
        }
        self.audit().await;
        self.world.server.sweep().await.unwrap();
        self.audit().await;
        self.world.advance(3 * HOUR);
        self.world.server.sweep().await.unwrap();
        self.audit().await;
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::CreateFile { content, purpose } => {
                let file = self.caller.call(&new_file(purpose, "f", &content)).await.unwrap();
                self.files.push(ModelFile { file, content, is_deleted: false });
            }
            Step::DeleteFile(index) if !self.files.is_empty() => {
                let file = index.index(self.files.len());
                let answer = self.caller.call(&DeleteFile::new(&self.files[file].file.id)).await;
                match self.files[file].is_deleted {
                    true => assert_eq!(answer.unwrap_err().status, StatusCode::NOT_FOUND),
                    false => assert_eq!(answer.unwrap().unwrap().deleted, Some(true)),
                }
                if !self.files[file].is_deleted {
                    self.files[file].is_deleted = true;
                    let (id, now) = (self.files[file].file.id.clone(), self.world.now());
                    let came_from = |upload: &&mut ModelUpload| matches!(&upload.outcome, Some(Ended::Completed { file, .. }) if *file == id);
                    self.uploads.iter_mut().filter(came_from).for_each(|upload| upload.gone_at = Some(now));
                }
            }
            Step::CreateUpload { bytes } => {
                let model = self.caller.call(&new_upload("u", bytes)).await.unwrap();
                assert_eq!(model.status, Some(UploadStatus::Pending));
                let expires_at = self.world.now() + HOUR;
                self.uploads.push(ModelUpload { model, bytes, expires_at, outcome: None, gone_at: None });
            }
            Step::AddPart { upload, content } if !self.uploads.is_empty() => {
                let upload = upload.index(self.uploads.len());
                let answer = self.caller.try_add_part(&self.uploads[upload].model, &content).await;
                assert_eq!(answer.is_ok(), self.is_pending(upload), "{answer:?}");
                if let Ok(part) = answer {
                    self.parts.push(ModelPart { upload, id: part.id, content });
                }
            }
            Step::Complete { upload, parts } if !self.uploads.is_empty() && !self.parts.is_empty() => {
                let upload = upload.index(self.uploads.len());
                let parts = parts.iter().map(|part| part.index(self.parts.len())).collect();
                self.complete(upload, parts).await;
            }
            Step::CompleteWell { upload, reversed } if !self.uploads.is_empty() => {
                let upload = upload.index(self.uploads.len());
                let parts = self.fitting_parts(upload, reversed);
                self.complete(upload, parts).await;
            }
            Step::Cancel(upload) if !self.uploads.is_empty() => {
                self.cancel(upload.index(self.uploads.len())).await;
            }
            Step::Wait(seconds) => self.world.advance(seconds),
            Step::List { limit, order, purpose } => self.list(limit, order, purpose).await,
            Step::Sweep => drop(self.world.server.sweep().await.unwrap()),
            // What needs a file, a part or an upload waits until there is one.
            _ => {}
        }
    }

    fn is_pending(&self, upload: usize) -> bool {
        let upload = &self.uploads[upload];
        upload.outcome.is_none() && self.world.now() < upload.expires_at
    }

    /// Says whether the sweeper may have taken all that was left of it.
    fn may_be_swept(&self, upload: usize) -> bool {
        let upload = &self.uploads[upload];
        let gone_at = match upload.outcome {
            None => Some(upload.expires_at),
            Some(_) => upload.gone_at,
        };
        gone_at.is_some_and(|gone_at| gone_at + 2 * HOUR <= self.world.now())
    }

    fn assert_refused(&self, upload: usize, status: StatusCode) {
        let is_unknown = status == StatusCode::NOT_FOUND && self.may_be_swept(upload);
        assert!(status == StatusCode::BAD_REQUEST || is_unknown, "{status}");
    }

    fn fitting_parts(&self, upload: usize, reversed: bool) -> Vec<usize> {
        let mut room = self.uploads[upload].bytes as usize;
        let mut parts: Vec<usize> =
            (0..self.parts.len()).filter(|part| self.parts[*part].upload == upload).collect();
        parts.retain(|part| {
            let length = self.parts[*part].content.len();
            let fits = length <= room;
            room -= if fits { length } else { 0 };
            fits
        });
        if reversed {
            parts.reverse();
        }
        parts
    }

    async fn complete(&mut self, upload: usize, parts: Vec<usize>) {
        let ids: Vec<String> = parts.iter().map(|part| self.parts[*part].id.clone()).collect();
        let content: Vec<u8> = parts.iter().flat_map(|part| self.parts[*part].content.clone()).collect();
        let are_its_own = parts.iter().all(|part| self.parts[*part].upload == upload);
        let are_different = parts.iter().collect::<HashSet<_>>().len() == parts.len();
        let may = match &self.uploads[upload].outcome {
            Some(Ended::Completed { parts, .. }) => *parts == ids,
            _ => {
                let fits = content.len() as u64 == self.uploads[upload].bytes;
                self.is_pending(upload) && are_its_own && are_different && fits
            }
        };
        let answer = self.caller.try_complete(&self.uploads[upload].model, &ids).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(refusal) => {
                assert!(!may || self.may_be_swept(upload), "{refusal:?}");
                return self.assert_refused(upload, refusal.status);
            }
        };
        assert!(may);
        let file = answer.file.unwrap();
        match &self.uploads[upload].outcome {
            Some(Ended::Completed { file: before, .. }) => assert_eq!(*before, file.id),
            _ => {
                self.uploads[upload].outcome = Some(Ended::Completed { file: file.id.clone(), parts: ids });
                self.files.push(ModelFile { file, content, is_deleted: false });
            }
        }
    }

    async fn cancel(&mut self, upload: usize) {
        let may = self.is_pending(upload) || self.uploads[upload].outcome == Some(Ended::Cancelled);
        let answer = self.caller.call(&CancelUpload::new(&self.uploads[upload].model.id)).await;
        match answer {
            Ok(cancelled) => {
                assert!(may && cancelled.status == Some(UploadStatus::Cancelled));
                let now = self.world.now();
                self.uploads[upload].outcome = Some(Ended::Cancelled);
                self.uploads[upload].gone_at.get_or_insert(now);
            }
            Err(refusal) => {
                assert!(!may || self.may_be_swept(upload), "{refusal:?}");
                self.assert_refused(upload, refusal.status);
            }
        }
    }

    async fn list(&self, limit: u32, order: Order, purpose: Option<Purpose>) {
        let alive = self.files.iter().filter(|file| !file.is_deleted).map(|file| &file.file);
        let mut expected: Vec<&File> =
            alive.filter(|file| purpose.is_none() || file.purpose == purpose).collect();
        expected.sort_by_key(|file| (file.created_at, &file.id));
        if order == Order::Descending {
            expected.reverse();
        }
        let mut request = ListFiles::new();
        (request.limit, request.order, request.purpose) = (Some(limit), Some(order), purpose);
        let mut found = Vec::new();
        loop {
            let page = self.caller.call(&request).await.unwrap();
            assert!(page.data.len() <= limit as usize);
            found.extend(page.data);
            if page.has_more == Some(false) {
                break;
            }
            request.after = page.last_id;
        }
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    }

    /// Every file has its bytes, and nothing else is there.
    async fn audit(&self) {
        for file in &self.files {
            match self.caller.download(&file.file.id).await {
                Ok(content) => assert!(!file.is_deleted && content == file.content),
                Err(refusal) => assert!(file.is_deleted && refusal.status == StatusCode::NOT_FOUND),
            }
        }
        self.list(2, Order::Ascending, None).await;
    }
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..60)
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(Dialect::ALL.to_vec())
}

/// Faults that nobody who asks the server is to notice, and how many requests without one come before each.
fn faults() -> impl Strategy<Value = Vec<(u64, Option<Kind>, Fault)>> {
    let fault = prop_oneof![
        Just((None, Fault::Reject(503))),
        Just((None, Fault::Reject(429))),
        Just((None, Fault::FailAfterwards(503))),
        Just((None, Fault::LoseRequest)),
        Just((None, Fault::LoseAnswer)),
        Just((Some(Kind::Create), Fault::Reject(409))),
        Just((Some(Kind::Create), Fault::FailAfterwards(409))),
        (0usize..200).prop_map(|bytes| (Some(Kind::Get), Fault::Truncate(bytes))),
    ];
    // A request that meets more than it is retried for fails.
    prop::collection::vec((8u64..20, fault), 40)
        .prop_map(|faults| faults.into_iter().map(|(before, (kind, fault))| (before, kind, fault)).collect())
}

/// Takes all steps in the world that is made, in paused time: nothing but the server and its store waits for it.
fn converse(steps: Vec<Step>, world: impl Future<Output = World>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async { Model::new(world.await).converse(steps).await });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_random_conversation_goes_as_the_model_says(steps in steps()) {
        converse(steps, World::new());
    }

    #[test]
    fn a_random_conversation_over_a_cloud_goes_as_the_model_says(steps in steps(), dialect in dialect()) {
        converse(steps, World::over(FakeCloud::new().store(dialect)));
    }

    #[test]
    fn what_passes_on_the_way_to_a_cloud_changes_no_conversation(
        steps in steps(),
        dialect in dialect(),
        faults in faults(),
    ) {
        converse(steps, async {
            let cloud = FakeCloud::new();
            let world = World::over(cloud.store(dialect)).await;
            let mut number = 0;
            for (before, kind, fault) in faults {
                number += before;
                match kind {
                    Some(kind) => cloud.on(kind).nth(number, fault),
                    None => cloud.on_any().nth(number, fault),
                }
            }
            world
        });
    }
}
