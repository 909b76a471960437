//! Files on disk.

use std::{fs::File, io, path::Path};

use super::{Target, direct::Direct};
use crate::{checkpoints::Held, positioned::Positioned};

/// A regular file that a download is written to.
///
/// ```no_run
/// use partwise::FileTarget;
///
/// # async fn example(client: partwise::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let target = FileTarget::open("result.jsonl")?.past_the_cache();
/// client.download_to("file-abc123", target).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileTarget {
    file: Positioned,
    direct: Option<Direct>,
    /// The lock of the run, which a write keeps to its end.
    _held: Option<Held>,
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
        Self { file: Positioned::new(file), direct: None, _held: None }
    }

    /// The same, whose writes hold a lock to their end.
    pub(crate) fn holding(self, held: Held) -> Self {
        Self { _held: Some(held), ..self }
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
}
