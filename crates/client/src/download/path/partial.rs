//! What has come of a download so far: a file beside the target, and how far it is.
//!
//! `NAME.partwise` has the bytes at their places. `NAME.partwise-journal` has a line of JSON for each time that what was
//! written was made durable, and is locked by the run at work on it.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use partwise_protocol::download::DownloadCheckpoint;

use super::place::{DownloadPathError, Place};
use crate::{
    CheckpointJournal, CheckpointStore, FileTarget, Target,
    lock::{self, Locked},
    paths::beside,
};

/// An unfinished download that no other run can work on while this is alive.
#[derive(Debug)]
pub(super) struct Partial {
    content: PathBuf,
    /// What a run that was dropped has begun shares it to its end.
    journal: Arc<Locked>,
}

impl Partial {
    /// Begins to work on the download to a place. What lies at its names and is nothing of an earlier run is removed
    /// when the file there may be replaced, and else an error.
    pub(super) async fn enter(place: &Place) -> Result<Self, DownloadPathError> {
        let content = beside(place.path(), ".partwise");
        let journal = beside(place.path(), ".partwise-journal");
        let unwritable = |cause: io::Error| place.unwritable(cause);
        while let Some(foreign) = foreign(&content, &journal).map_err(unwritable)? {
            if !place.replaces() {
                return Err(DownloadPathError::Foreign { path: foreign.to_owned() });
            }
            fs::remove_file(foreign).map_err(unwritable)?;
        }
        match lock::patiently(&journal).await.map_err(unwritable)? {
            Some(journal) => Ok(Self { content, journal: Arc::new(journal) }),
            None => Err(DownloadPathError::InUse { path: place.name().to_owned() }),
        }
    }

    /// Where the bytes are.
    pub(super) fn path(&self) -> &Path {
        &self.content
    }

    /// How far an earlier run was, or this one.
    pub(super) fn last_checkpoint(&self) -> io::Result<Option<DownloadCheckpoint>> {
        last_checkpoint(&mut self.journal.file.try_clone()?)
    }

    /// The checkpoint that an earlier run has left at a place. Another may be at work there; where its lock keeps others from
    /// reading, that is not known.
    pub(super) fn left_at(place: &Place) -> Option<DownloadCheckpoint> {
        let journal = lock::options_here().read(true).open(beside(place.path(), ".partwise-journal"));
        journal.and_then(|mut journal| last_checkpoint(&mut journal)).ok()?
    }

    /// The bytes that are there, to be completed, and where checkpoints are kept.
    pub(super) fn resume(&self) -> io::Result<(FileTarget, Kept)> {
        let content =
            lock::options_here().read(true).write(true).create(true).truncate(false).open(&self.content)?;
        let journal = CheckpointJournal::of(self.journal.file.try_clone()?).holding(self.journal.clone());
        Ok((FileTarget::of(content).past_the_cache().holding(self.journal.clone()), Kept(journal)))
    }

    /// The same, of which nothing is left as soon as anything is written.
    pub(super) fn start_over(&self) -> io::Result<(Overwrite, Kept)> {
        let (content, kept) = self.resume()?;
        let journal = self.journal.file.try_clone()?;
        Ok((Overwrite { journal, content, has_begun: Mutex::new(false) }, kept))
    }

    /// Gives the file its name.
    pub(super) fn complete(self, place: &Place) -> Result<(), DownloadPathError> {
        if !cfg!(unix) {
            // There it stays, and must not speak of what has another name by then.
            self.journal.file.set_len(0).map_err(|cause| place.unnamed(cause))?;
        }
        let named = place.take(&self.content).map_err(|cause| place.unnamed(cause));
        if named.is_ok() {
            // One that stays does no harm: what it speaks of is not there.
            let _ = self.journal.remove();
        }
        named
    }

    /// Leaves nothing behind.
    pub(super) fn discard(self) {
        // What cannot be removed is started over by the next run.
        let _ = fs::remove_file(&self.content);
        let _ = self.journal.remove();
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.journal.let_go();
    }
}

/// The last checkpoint in a journal, if it speaks of any byte.
fn last_checkpoint(journal: &mut fs::File) -> io::Result<Option<DownloadCheckpoint>> {
    let last = CheckpointJournal::last(journal)?;
    Ok(last.filter(|saved| saved.written().0 > 0))
}

/// A target that keeps what an earlier run left until an answer was accepted, which gives it a length or a first byte.
#[derive(Debug)]
pub(super) struct Overwrite {
    journal: fs::File,
    /// Behind the journal, so that it is closed before the lock ends.
    content: FileTarget,
    has_begun: Mutex<bool>,
}

impl Overwrite {
    fn begin(&self) -> io::Result<()> {
        let mut has_begun = self.has_begun.lock().unwrap_or_else(PoisonError::into_inner);
        if !*has_begun {
            // First of all nothing may speak of bytes that are not there any more, whatever the power does.
            self.journal.set_len(0)?;
            self.journal.sync_all()?;
            self.content.set_length(0)?;
            *has_begun = true;
        }
        Ok(())
    }
}

impl Target for Overwrite {
    fn length(&self) -> io::Result<u64> {
        self.content.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.begin()?;
        self.content.set_length(length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.begin()?;
        self.content.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.content.sync()
    }
}

/// The checkpoints of one run. The last one outlives the download: it goes when the file has its name.
#[derive(Debug)]
pub(super) struct Kept(CheckpointJournal);

impl CheckpointStore<DownloadCheckpoint> for Kept {
    type Error = io::Error;

    async fn save(&self, checkpoint: DownloadCheckpoint) -> io::Result<()> {
        self.0.save(checkpoint).await
    }

    async fn remove(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Which of the two, if any, is there and is none of ours.
fn foreign<'p>(content: &'p Path, journal: &'p Path) -> io::Result<Option<&'p Path>> {
    // In this order: whoever ends meanwhile takes the content away first.
    let there = kind(content)?;
    let is_ours = match kind(journal)? {
        Some(kind) if !kind.is_file() => return Ok(Some(journal)),
        Some(_) if !is_journal(journal)? => return Ok(Some(journal)),
        found => found.is_some(),
    };
    Ok(there.filter(|kind| !is_ours || !kind.is_file()).map(|_| content))
}

/// What is there, if anything is. A link is a link.
fn kind(path: &Path) -> io::Result<Option<fs::FileType>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found.file_type())),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Whether a file is empty or begins as journals begin, of whatever release.
fn is_journal(path: &Path) -> io::Result<bool> {
    const BEGINNING: &[u8] = b"{\"version\":";

    let mut beginning = Vec::new();
    match lock::options_here().read(true).open(path) {
        Ok(file) => file.take(64).read_to_end(&mut beginning)?,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => 0,
        Err(cause) => return Err(cause),
    };
    // Where the power went away, a file may have its length and nothing but zeros.
    let is_text = |byte: &u8| !matches!(byte, b'\n' | 0);
    let beginning = beginning.iter().position(is_text).map_or(&[][..], |first| &beginning[first..]);
    Ok(beginning.starts_with(BEGINNING) || BEGINNING.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_run_that_was_dropped_is_waited_for_until_its_last_write_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::at(&folder.path().join("a"), false).unwrap();
        let first = Partial::enter(&place).await.unwrap();
        let in_use = Partial::enter(&place).await.unwrap_err();
        assert!(matches!(in_use, DownloadPathError::InUse { .. }), "{in_use}");
        let (target, kept) = first.start_over().unwrap();
        drop(first);
        let (end, ended) = mpsc::channel();
        let working = thread::spawn(move || {
            ended.recv().unwrap();
            target.write_at(0, b"late").unwrap();
            drop((target, kept));
        });
        let mut next = Box::pin(Partial::enter(&place));
        assert!(next.as_mut().now_or_never().is_none(), "the first one is still at work");
        end.send(()).unwrap();
        let next = next.await.unwrap();
        assert_eq!(fs::read(next.path()).unwrap(), b"late");
        working.join().unwrap();
    }
}
