//! The checkpoints of an upload in a file.

use std::{
    fs::{self, File},
    io::{self, BufWriter, IntoInnerError, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use partwise_protocol::upload::Checkpoint;

use super::CheckpointStore;
use partwise_net::blocking::Blocking;

/// The checkpoint of one upload in a file at a path; those of downloads are kept in a [`CheckpointJournal`](super::CheckpointJournal).
///
/// It is written beside its place, synced, and put there in one step, so that a crash leaves the one before or this
/// one, never half of each. The folder is synced too where the system has that (Unix). When no more than parts that were
/// acknowledged is new, a [line](Checkpoint::line_since) is appended and synced instead, of which a crash may leave half;
/// what it names is then sent again. All of it happens on threads for blocking work; clones wait for each other.
///
/// ```no_run
/// use partwise::{CheckpointFile, Purpose};
///
/// # async fn example(client: partwise::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let checkpoint = CheckpointFile::at("train.jsonl.partwise");
/// let upload = client.upload_file("train.jsonl", Purpose::FineTune);
/// let upload = match checkpoint.load()? {
///     Some(saved) => upload.resume(saved),
///     None => upload,
/// };
/// let file = upload.save_to(checkpoint).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CheckpointFile {
    path: Arc<Path>,
    /// A save goes on to its end although the upload was dropped, and must not come after what is done next.
    written: Arc<Mutex<Option<Written>>>,
}

/// The checkpoint that this or a clone wrote last.
#[derive(Debug)]
struct Written {
    checkpoint: Checkpoint,
    /// It stands at its end.
    file: File,
}

impl CheckpointFile {
    /// A checkpoint at this path. Its folder must exist, and nobody else may use the path at the same time.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into().into(), written: Arc::default() }
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The checkpoint that was saved last, if there is one.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or holds something else.
    pub fn load(&self) -> io::Result<Option<Checkpoint>> {
        let mut written = self.written();
        // Others may have written it since.
        *written = None;
        match fs::read(&self.path) {
            Ok(json) => Checkpoint::from_json(&json).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn written(&self) -> MutexGuard<'_, Option<Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, checkpoint: Checkpoint) -> io::Result<()> {
        let mut written = self.written();
        // After a failure it is not known what stands in the file, and the next one is written whole.
        let file = match written.take() {
            Some(before) if has_a_name(&before.file)? => match checkpoint.line_since(&before.checkpoint) {
                Some(line) => append(before.file, &line)?,
                None => {
                    drop(before);
                    self.replace(&checkpoint)?
                }
            },
            _ => self.replace(&checkpoint)?,
        };
        *written = Some(Written { checkpoint, file });
        Ok(())
    }

    fn replace(&self, checkpoint: &Checkpoint) -> io::Result<File> {
        let beside = self.beside();
        // As text in memory first it would have megabytes where there are a hundred thousand parts.
        let mut options = File::options();
        // What is uploaded, and where to, is nobody else's business.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.write(true).create(true).truncate(true).open(&beside)?;
        let mut file = BufWriter::new(file);
        serde_json::to_writer(&mut file, checkpoint)?;
        let file = file.into_inner().map_err(IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        self.sync_folder()?;
        Ok(file)
    }

    fn unlink(&self) -> io::Result<()> {
        let mut written = self.written();
        *written = None;
        // A crash may have left one that was being written.
        for path in [&self.beside(), &*self.path] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn beside(&self) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        self.path.with_file_name(name)
    }

    /// Without this, the new name may be gone after a power cut although the content is there.
    #[cfg(unix)]
    fn sync_folder(&self) -> io::Result<()> {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
            _ => File::open(".")?.sync_all(),
        }
    }

    #[cfg(not(unix))]
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "folders cannot be synced here")]
    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns `true` if anybody could find what is appended to this file: not when it was removed, or another was put in its place.
#[cfg(unix)]
fn has_a_name(file: &File) -> io::Result<bool> {
    Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) > 0)
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "a file that is open keeps its name here")]
fn has_a_name(_: &File) -> io::Result<bool> {
    Ok(true)
}

fn append(mut file: File, line: &str) -> io::Result<File> {
    file.write_all(line.as_bytes())?;
    file.sync_data()?;
    Ok(file)
}

impl CheckpointStore<Checkpoint> for CheckpointFile {
    type Error = io::Error;

    async fn save(&self, checkpoint: Checkpoint) -> io::Result<()> {
        let file = self.clone();
        Blocking::start(move || file.write(checkpoint)).await
    }

    async fn remove(&self) -> io::Result<()> {
        let file = self.clone();
        Blocking::start(move || file.unlink()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkpoint of one upload of four bytes, of which those with an identifier are there.
    fn checkpoint(part_ids: [&str; 4], completing: bool) -> Checkpoint {
        let parts = (0..).zip(part_ids).filter(|(_, id)| !id.is_empty());
        let parts: Vec<_> =
            parts.map(|(start, id)| format!(r#"{{"start":{start},"length":1,"id":"{id}"}}"#)).collect();
        let parts = parts.join(",");
        let json = format!(
            r#"{{"version":3,"place":"https://api.openai.com/v1","dialect":{{"provider":"openai"}},"source":{{"length":4}},"filename":"a","mime_type":"b","purpose":"c","md5":false,"route":{{"parts":{{"upload_id":"upload_1","created_at":1,"expires_at":null,"clock_offset":0,"acknowledged":[{parts}],"completing":{completing}}}}}}}"#
        );
        Checkpoint::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_new_is_appended_and_what_is_different_takes_the_place_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = CheckpointFile::at(folder.path().join("checkpoint"));
        let lines = || fs::read_to_string(file.path()).unwrap().lines().count();
        let somebody_else = CheckpointFile::at(file.path());
        let saves = [
            (["", "", "", ""], false, 1),
            (["a", "", "", ""], false, 2),
            (["a", "", "c", "d"], false, 4),
            (["a", "", "c", "d"], true, 1),
            (["", "", "c", "d"], true, 1),
            (["b", "", "c", "d"], true, 2),
        ];
        for (part_ids, completing, expected) in saves {
            let checkpoint = checkpoint(part_ids, completing);
            file.write(checkpoint.clone()).unwrap();
            assert_eq!((somebody_else.load().unwrap(), lines()), (Some(checkpoint), expected));
        }
        // One that was taken away is written whole.
        fs::remove_file(file.path()).unwrap();
        let completed = checkpoint(["b", "a", "c", "d"], true);
        file.write(completed.clone()).unwrap();
        assert_eq!((somebody_else.load().unwrap(), lines()), (Some(completed), 1));
        // Another run, and one that has looked what is there now, do not know where the lines belong.
        let later = CheckpointFile::at(file.path());
        later.write(checkpoint(["b", "", "c", "d"], true)).unwrap();
        assert_eq!(lines(), 1);
        later.load().unwrap();
        later.write(checkpoint(["b", "b", "c", "d"], true)).unwrap();
        assert_eq!(lines(), 1);
        later.unlink().unwrap();
        assert_eq!(later.load().unwrap(), None);
        later.write(checkpoint(["b", "b", "c", "d"], true)).unwrap();
        assert_eq!(lines(), 1);
    }
}
