//! What is unfinished here: the uploads that earlier runs began, and those that run now.
//!
//! One folder has two files for each: `KEY.upload` says which file it is of and is locked by the run at work on it,
//! `KEY.checkpoint` says how far it is. The key follows from what is uploaded where, so that the same command finds it.

mod entry;
mod key;
pub(crate) mod lock;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use partwise::CheckpointFile;
use partwise_protocol::upload::Checkpoint;

use self::key::Key;
pub(crate) use self::{
    entry::Entry,
    key::{Subject, is_local, settled},
};
use crate::report::Report;

const OTHER_FOLDER: &str = "--state DIR keeps what is unfinished somewhere else";

/// The folder.
#[derive(Debug)]
pub(crate) struct Unfinished {
    folder: PathBuf,
}

/// One upload that is unfinished, as it is listed.
#[derive(Debug)]
pub(crate) struct Found {
    key: Key,
    /// The file, as far as it is known.
    pub(crate) file: Option<String>,
    /// How far it is, or why that cannot be read.
    pub(crate) checkpoint: Result<Checkpoint, String>,
    /// Whether a run is at work on it.
    pub(crate) is_running: bool,
}

impl Found {
    /// What it is called here: the service's identifier, or one of our own where the service has none.
    pub(crate) fn id(&self) -> String {
        let of_service = self.checkpoint.as_ref().ok().and_then(Checkpoint::upload_id);
        of_service.map_or_else(|| self.key.local_id(), str::to_owned)
    }
}

impl Unfinished {
    /// The folder that was named, or the platform's for application state.
    pub(crate) fn at(named: Option<&Path>) -> Result<Self, Report> {
        if let Some(folder) = named {
            return Ok(Self { folder: folder.to_owned() });
        }
        let places = directories::ProjectDirs::from("", "", "partwise");
        let folder =
            places.map(|places| places.state_dir().unwrap_or(places.data_local_dir()).join("uploads"));
        folder.map(|folder| Self { folder }).ok_or_else(|| {
            Report::failed("this system names no folder for application state").hint(OTHER_FOLDER)
        })
    }

    /// Begins to work on the upload of `subject`, which no other run may do at the same time.
    pub(crate) async fn enter(&self, subject: &Subject<'_>) -> Result<Entry, Report> {
        let key = subject.key();
        let path = self.path(&key, "upload");
        make_folder(&self.folder).map_err(|cause| self.unusable(&cause))?;
        let locked = lock::patiently(&path).await.map_err(|cause| self.unusable(&cause))?;
        let Some(locked) = locked else {
            return Err(Report::failed(format!(
                "another run of partwise is uploading {} to {}",
                subject.file.display(),
                subject.place
            ))
            .hint("wait for it, or stop it first"));
        };
        Entry::new(locked, self.checkpoint_file(&key), &subject.file).map_err(|cause| self.unusable(&cause))
    }

    /// Begins to work on one that was listed; `None` when another run does.
    pub(crate) async fn enter_found(&self, found: &Found) -> Result<Option<Entry>, Report> {
        let path = self.path(&found.key, "upload");
        let locked = lock::patiently(&path).await.map_err(|cause| self.unusable(&cause))?;
        Ok(locked.map(|locked| Entry::of_earlier_run(locked, self.checkpoint_file(&found.key))))
    }

    /// All uploads that have a checkpoint, by file.
    pub(crate) fn list(&self) -> Result<Vec<Found>, Report> {
        let names = match fs::read_dir(&self.folder) {
            Ok(names) => names,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(self.unusable(&cause)),
        };
        let mut all = Vec::new();
        for name in names {
            let name = name.map_err(|cause| self.unusable(&cause))?.file_name();
            let Some(key) = name.to_str().and_then(|name| name.strip_suffix(".checkpoint")) else { continue };
            all.extend(self.found(Key::of_name(key)));
        }
        all.sort_by(|a, b| (&a.file, a.key.name()).cmp(&(&b.file, b.key.name())));
        Ok(all)
    }

    /// One upload; what cannot be read of it is no reason to show none.
    fn found(&self, key: Key) -> Option<Found> {
        let read_checkpoint = |json: io::Result<Option<Vec<u8>>>| match json {
            // A run that ends at this moment takes it away.
            Ok(None) => None,
            Ok(Some(json)) => Some(Checkpoint::from_json(&json).map_err(|cause| cause.to_string())),
            Err(cause) => Some(Err(cause.to_string())),
        };
        let checkpoint = read_checkpoint(read(&self.path(&key, "checkpoint")))?;
        let entry = self.path(&key, "upload");
        let file = read(&entry).ok().flatten().and_then(|json| entry::file_of(&json));
        let is_running = lock::is_held(&entry).unwrap_or(false);
        Some(Found { key, file, checkpoint, is_running })
    }

    fn path(&self, key: &Key, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", key.name()))
    }

    fn checkpoint_file(&self, key: &Key) -> CheckpointFile {
        CheckpointFile::at(self.path(key, "checkpoint"))
    }

    fn unusable(&self, cause: &io::Error) -> Report {
        let folder = self.folder.display();
        match cause.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                Report::failed(format!("{folder} is not a folder"))
            }
            _ => Report::because(format!("cannot keep what is unfinished in {folder}"), cause),
        }
        .hint(OTHER_FOLDER)
    }
}

/// The file's content; `None` when there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// What one uploads is nobody else's business.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
