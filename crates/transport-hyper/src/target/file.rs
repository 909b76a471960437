//! Files on disk.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::Path,
    sync::{Mutex, PoisonError},
};

use partwise_protocol::{DownloadCheckpoint, DownloadResumeError};

use super::{Target, direct::Direct};
use crate::positioned::Positioned;

/// A regular file that a download is written to, and perhaps another one that remembers how far it is.
///
/// Checkpoints are lines of JSON, each appended and synced after the bytes that it speaks of; a crash leaves at worst half a
/// line, and then the line before counts.
#[derive(Debug)]
pub struct FileTarget {
    file: Positioned,
    direct: Option<Direct>,
    journal: Option<Mutex<File>>,
}

impl FileTarget {
    /// Writes to the file at `path`, which is made when it is not there. What it has stays until it is written over.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self::of(file))
    }

    /// Writes to this file, which must be open for writing.
    #[must_use]
    pub fn of(file: File) -> Self {
        Self { file: Positioned::new(file), direct: None, journal: None }
    }

    /// Writes whole pages straight to the disk where the system can do that (Linux, most file systems on disks), which spares
    /// the processor a copy of everything. What was written is then not in the system's cache either: right for what is
    /// not read again at once.
    ///
    /// A file that grows to a length known beforehand is then preallocated as well, where that fits, so that several
    /// ranges are written faster and it lies in fewer pieces: it has its whole size on the disk while it is not complete yet.
    #[must_use]
    pub fn past_the_cache(mut self) -> Self {
        self.direct = self.file.with(Direct::of).ok();
        self
    }

    /// Keeps checkpoints in `journal`, which must be open for reading and writing and have nothing else in it.
    #[must_use]
    pub fn with_journal(mut self, journal: File) -> Self {
        self.journal = Some(Mutex::new(journal));
        self
    }

    /// The last checkpoint in a journal; `None` when it has none, or only the beginning of one. A last line that cannot be
    /// read is what a crash left of one, even when it ends as a line does, and the one before counts.
    ///
    /// # Errors
    /// When the journal cannot be read, or holds something else.
    pub fn last_checkpoint(journal: &mut File) -> io::Result<Option<DownloadCheckpoint>> {
        journal.rewind()?;
        let mut text = Vec::new();
        io::Read::read_to_end(journal, &mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let mut lines = text[..whole].rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let read = match (lines.next().map(DownloadCheckpoint::from_json), lines.next()) {
            (Some(Err(DownloadResumeError::Unreadable { .. })), Some(before)) => {
                Some(DownloadCheckpoint::from_json(before))
            }
            (last, _) => last,
        };
        read.transpose().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

impl Target for FileTarget {
    fn length(&self) -> io::Result<u64> {
        self.file.with(|file| Ok(file.metadata()?.len()))
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        if let Some(direct) = &self.direct {
            direct.preallocate(length)?;
        }
        self.file.with(|file| file.set_len(length))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let written = self.direct.as_ref().and_then(|direct| direct.write_at(offset, bytes));
        written.unwrap_or_else(|| self.file.write_at(offset, bytes))
    }

    fn sync(&self) -> io::Result<()> {
        self.file.with(File::sync_data)
    }

    fn keep(&self, checkpoint: &DownloadCheckpoint) -> io::Result<()> {
        let Some(journal) = &self.journal else { return Ok(()) };
        self.sync()?;
        // A line break before it ends what a crash may have left half written.
        let mut line = vec![b'\n'];
        serde_json::to_writer(&mut line, checkpoint)?;
        line.push(b'\n');
        let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.seek(SeekFrom::End(0))?;
        journal.write_all(&line)?;
        journal.sync_data()
    }
}
