//! The checkpoints of an upload in a file.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, BufWriter, IntoInnerError, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use partwise_protocol::upload::Checkpoint;

use super::{CheckpointStore, Held};
use crate::paths::{directory_of, sync_directory};
use partwise_net::blocking::Blocking;

/// The checkpoint of one upload in a file at a path; those of downloads are kept in a [`CheckpointJournal`](super::CheckpointJournal).
///
/// It is written beside its place under a name that no other has, synced, and put there in one step, so that a crash leaves the one
/// before or this one, never half of each; what a crash leaves beside it is removed with the checkpoint. The directory is synced too
/// where the system and the file system have that (Unix). When no more than parts that were
/// acknowledged is new, a [line](Checkpoint::line_since) is appended and synced instead, of which a crash may leave half;
/// what it names is then sent again. All of it happens on threads for blocking work; clones wait for each other.
///
/// No lock keeps two runs apart that are given the same path: each would put its checkpoints in the place of the other's, and the last one
/// saved is the one that is found. In one process this holds for a run that was dropped too, until its last save has ended, unless both were
/// given clones of one value. [`UploadBuilder::resume_in`](crate::UploadBuilder::resume_in) locks the checkpoints of its
/// [`CheckpointDir`](super::CheckpointDir), for as long as anything is saved there.
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
    /// The lock of the run, which a save keeps to its end.
    _held: Option<Held>,
}

/// What the names of checkpoints that are being written end with, behind letters and digits drawn for each.
const NEW: &str = ".new";
const DRAWN: usize = 12;

/// The checkpoint that this or a clone wrote last.
#[derive(Debug)]
struct Written {
    checkpoint: Checkpoint,
    /// It stands at its end.
    file: File,
}

impl CheckpointFile {
    /// A checkpoint at this path. Its directory must exist, and no other run may use the path at the same time: nothing is locked.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into().into(), written: Arc::default(), _held: None }
    }

    /// The same, whose saves hold a lock to their end.
    pub(super) fn holding(self, held: Held) -> Self {
        Self { _held: Some(held), ..self }
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
        let mut prefix = self.path.file_name().unwrap_or_default().to_owned();
        prefix.push(".");
        let mut beside = tempfile::Builder::new();
        beside.prefix(&prefix).suffix(NEW).rand_bytes(DRAWN);
        // For its owner alone: what is uploaded, and where to, concerns no one else.
        let file = beside.tempfile_in(directory_of(&self.path))?;
        // As text in memory first it would have megabytes where there are a hundred thousand parts.
        let mut file = BufWriter::new(file);
        serde_json::to_writer(&mut file, checkpoint)?;
        let file = file.into_inner().map_err(IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        let file = file.persist(&self.path).map_err(|refused| refused.error)?;
        sync_directory(directory_of(&self.path))?;
        Ok(file)
    }

    fn unlink(&self) -> io::Result<()> {
        let mut written = self.written();
        *written = None;
        let removed = remove(&self.path);
        self.remove_left_over();
        removed
    }

    /// Removes checkpoints that a crash left half written. One that stays does no harm.
    pub(super) fn remove_left_over(&self) {
        let Ok(names) = fs::read_dir(directory_of(&self.path)) else { return };
        for found in names.flatten().filter(|found| self.is_left_over(&found.file_name())) {
            if let Err(cause) = remove(&found.path()) {
                tracing::debug!(%cause, "half a checkpoint cannot be removed");
            }
        }
    }

    fn is_left_over(&self, name: &OsStr) -> bool {
        let own = self.path.file_name().unwrap_or_default().as_encoded_bytes();
        let Some(rest) = name.as_encoded_bytes().strip_prefix(own) else { return false };
        let Some(drawn) = rest.strip_suffix(NEW.as_bytes()) else { return false };
        // Earlier releases drew nothing.
        drawn.is_empty()
            || (drawn.len() == DRAWN + 1
                && drawn[0] == b'.'
                && drawn[1..].iter().all(u8::is_ascii_alphanumeric))
    }
}

/// Removes a file; one that is not there is removed already.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
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

    #[test]
    fn what_a_crash_left_beside_it_is_removed_with_it_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = CheckpointFile::at(folder.path().join("checkpoint"));
        file.write(checkpoint(["", "", "", ""], false)).unwrap();
        let left = ["checkpoint.new", "checkpoint.abcDEF012345.new"];
        let others = ["checkpoint.mine.new", "checkpoint.abcDEF-12345.new", "other.abcDEF012345.new"];
        left.iter().chain(&others).for_each(|name| fs::write(folder.path().join(name), "x").unwrap());
        file.unlink().unwrap();
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|found| found.unwrap().file_name()).collect();
        names.sort();
        let mut others = others;
        others.sort_unstable();
        assert_eq!(names, others);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_cannot_be_listed_takes_checkpoints() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        let file = CheckpointFile::at(folder.path().join("checkpoint"));
        mode(0o300);
        let written = file.write(checkpoint(["", "", "", ""], false));
        mode(0o700);
        written.unwrap();
        assert!(file.load().unwrap().is_some());
    }
}
