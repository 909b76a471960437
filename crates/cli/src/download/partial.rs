//! What has come of a download so far: a file beside the target, and how far it is.
//!
//! `NAME.partwise` has the bytes at their places. `NAME.partwise-journal` has a line of JSON for each time that what was
//! written was made durable, and is locked by the run at work on it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use partwise_protocol::DownloadCheckpoint;
use partwise_transport_hyper::FileTarget;

use super::destination::{Target, cannot_write};
use crate::{
    report::Report,
    unfinished::lock::{self, Locked},
};

/// An unfinished download that no other run can work on while this is alive.
#[derive(Debug)]
pub(super) struct Partial {
    content: PathBuf,
    journal: Locked,
}

impl Partial {
    /// Begins to work on the download to `target`.
    pub(super) async fn enter(target: &Target) -> Result<Self, Report> {
        let content = beside(target.path(), ".partwise");
        let journal = beside(target.path(), ".partwise-journal");
        let refused = |cause: io::Error| cannot_write(target.name(), &cause);
        match lock::patiently(&journal).await.map_err(refused)? {
            Some(journal) => Ok(Self { content, journal }),
            None => {
                Err(Report::failed(format!("another run of partwise is downloading to {}", target.name()))
                    .hint("wait for it, or stop it first"))
            }
        }
    }

    /// Where the bytes are.
    pub(super) fn path(&self) -> &Path {
        &self.content
    }

    /// How far an earlier run was, or this one.
    pub(super) fn last_checkpoint(&self) -> io::Result<Option<DownloadCheckpoint>> {
        let last = FileTarget::last_checkpoint(&mut self.journal.file.try_clone()?)?;
        Ok(last.filter(|saved| saved.written().0 > 0))
    }

    /// What is there, to be written on.
    pub(super) fn go_on(&self) -> io::Result<FileTarget> {
        let content =
            File::options().read(true).write(true).create(true).truncate(false).open(&self.content)?;
        Ok(FileTarget::of(content).past_the_cache().with_journal(self.journal.file.try_clone()?))
    }

    /// The same with nothing in it.
    pub(super) fn begin_anew(&self) -> io::Result<FileTarget> {
        // First of all nothing may speak of bytes that are not there any more.
        self.journal.file.set_len(0)?;
        File::create(&self.content)?;
        self.go_on()
    }

    /// Gives the file its name.
    pub(super) fn complete(self, target: &Target) -> Result<(), Report> {
        let named = target.take(&self.content).map_err(|cause| cannot_write(target.name(), &cause));
        if named.is_ok() {
            // One that stays does no harm: what it speaks of is not there.
            let _ = self.journal.remove();
        }
        named
    }

    /// Leaves nothing behind.
    pub(super) fn discard(self) {
        // What cannot be removed is begun anew by the next run.
        let _ = fs::remove_file(&self.content);
        let _ = self.journal.remove();
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}
