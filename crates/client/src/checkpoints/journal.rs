//! The checkpoints of a download in an open file.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use partwise_protocol::download::{DownloadCheckpoint, DownloadResumeError};

use super::{CheckpointStore, Held};
use partwise_net::blocking::Blocking;

/// The checkpoints of one download in an open file, which its caller may have locked; those of uploads are kept in a
/// [`CheckpointFile`](super::CheckpointFile).
///
/// Each is a line of JSON that is appended and synced; a crash leaves at worst half a line, and then the line before counts.
/// It happens on threads for blocking work; clones share the file.
///
/// ```no_run
/// use partwise::{CheckpointJournal, Client, FileTarget};
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let mut options = std::fs::File::options();
/// let mut file = options.read(true).write(true).create(true).truncate(false).open("results.jsonl.journal")?;
/// let download = client.download_to("file-abc123", FileTarget::open("results.jsonl")?);
/// let download = match CheckpointJournal::last(&mut file)? {
///     Some(saved) => download.resume(saved),
///     None => download,
/// };
/// download.save_to(CheckpointJournal::of(file)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CheckpointJournal {
    file: Arc<Mutex<File>>,
    /// The lock of the run, which a save keeps to its end. Last, so that the file is closed before it.
    _held: Option<Held>,
}

impl CheckpointJournal {
    /// Keeps checkpoints in `file`, which must be open for reading and writing and have nothing else in it.
    #[must_use]
    pub fn of(file: File) -> Self {
        Self { file: Arc::new(Mutex::new(file)), _held: None }
    }

    /// The same, whose saves hold a lock to their end.
    pub(crate) fn holding(self, held: Held) -> Self {
        Self { _held: Some(held), ..self }
    }

    /// The last checkpoint in a journal; `None` when it has none, or only the beginning of one. A last line that cannot be
    /// read is what a crash left of one, even when it ends as a line does, and the one before counts.
    ///
    /// # Errors
    /// When the journal cannot be read, or holds something else.
    pub fn last(file: &mut File) -> io::Result<Option<DownloadCheckpoint>> {
        file.rewind()?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
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

    fn append(&self, checkpoint: &DownloadCheckpoint) -> io::Result<()> {
        // A line break before it ends what a crash may have left half written.
        let mut line = vec![b'\n'];
        serde_json::to_writer(&mut line, checkpoint)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::End(0))?;
        file.write_all(&line)?;
        file.sync_data()
    }

    fn clear(&self) -> io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).set_len(0)
    }
}

impl CheckpointStore<DownloadCheckpoint> for CheckpointJournal {
    type Error = io::Error;

    async fn save(&self, checkpoint: DownloadCheckpoint) -> io::Result<()> {
        let journal = self.clone();
        Blocking::start(move || journal.append(&checkpoint)).await
    }

    async fn remove(&self) -> io::Result<()> {
        let journal = self.clone();
        Blocking::start(move || journal.clear()).await
    }
}
