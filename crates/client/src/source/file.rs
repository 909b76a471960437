//! Files on disk.

use std::{
    fs::{File, Metadata},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use partwise_net::hint::read_ahead;
use partwise_protocol::upload::SourceStamp;

use super::Source;
use crate::positioned::Positioned;

/// A regular file, held open. Several places of it are read at the same time.
///
/// Its stamp has the length, the time of the last modification, and on Unix the time of the last change of anything (ctime)
/// and the inode; a device's number may be another after the next start of the system. Elsewhere a file has no
/// identity that can be had without the system's own interfaces, so there another file of the same length and time
/// passes for the same.
///
/// ```no_run
/// use partwise::{FileSource, Purpose};
///
/// # async fn example(client: partwise::Client) -> Result<(), Box<dyn std::error::Error>> {
/// // A file goes up under another name than its own.
/// let source = FileSource::open("/var/tmp/export-17")?;
/// let file = client.upload("train.jsonl", source, Purpose::FineTune).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    file: Positioned,
}

impl FileSource {
    /// Opens the file at `path`, following links.
    ///
    /// # Errors
    /// When it cannot be opened for reading, or is no regular file: a folder, a pipe or a device has no length that
    /// could be promised. The message names the path.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        // Asked before opening, since opening a pipe waits for a writer.
        let named =
            |error: io::Error| io::Error::new(error.kind(), NamedError { path: path.clone(), source: error });
        require_regular(&std::fs::metadata(&path).map_err(named)?).map_err(named)?;
        let file = File::open(&path).map_err(named)?;
        require_regular(&file.metadata().map_err(named)?).map_err(named)?;
        read_ahead(&file);
        Ok(Self { file: Positioned::new(file), path })
    }

    /// This open file, which has no path.
    #[must_use]
    pub fn of(file: File) -> Self {
        read_ahead(&file);
        Self { file: Positioned::new(file), path: PathBuf::new() }
    }

    /// The path that it was opened with; empty when it was not.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// An error of the system with the path that it is about.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
struct NamedError {
    path: PathBuf,
    source: io::Error,
}

fn require_regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "it is a directory, and only files can be uploaded",
        ));
    }
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a pipe, a device or a socket, and only regular files can be uploaded",
        ));
    }
    Ok(())
}

impl Source for FileSource {
    fn stamp(&self) -> io::Result<SourceStamp> {
        Ok(SourceStamp::of(&self.file.with(File::metadata)?))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn file(&self) -> Option<Arc<File>> {
        self.file.shared()
    }
}

#[cfg(test)]
mod tests {
    use std::{error::Error, fs, time::UNIX_EPOCH};

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_file_is_read_at_any_place() {
        let folder = folder();
        let path = folder.path().join("ten");
        fs::write(&path, "0123456789").unwrap();
        let source = FileSource::open(&path).unwrap();
        for (offset, expected) in [(7, "789"), (0, "0123"), (4, "4567"), (10, "")] {
            let mut buffer = [0; 4];
            let filled = source.read_at(offset, &mut buffer).unwrap();
            assert_eq!(&buffer[..filled], expected.as_bytes());
        }
        assert_eq!(source.stamp().unwrap().length, 10);
    }

    #[test]
    fn what_is_no_regular_file_is_refused_by_name() {
        let folder = folder();
        let error = FileSource::open(folder.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        assert_eq!(error.to_string(), format!("cannot read {}", folder.path().display()));
        let named = error.get_ref().and_then(Error::source).unwrap();
        assert_eq!(named.to_string(), "it is a directory, and only files can be uploaded");
        let missing = FileSource::open(folder.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(missing.to_string().ends_with("missing"));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_refused() {
        let error = FileSource::open("/dev/null").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn the_stamp_changes_with_the_content_and_with_the_file() {
        let folder = folder();
        let path = folder.path().join("data");
        fs::write(&path, "one").unwrap();
        let first = FileSource::open(&path).unwrap();
        assert_eq!(first.stamp().unwrap(), first.stamp().unwrap());
        assert_eq!(first.stamp().unwrap(), FileSource::open(&path).unwrap().stamp().unwrap());
        let before = first.stamp().unwrap();

        let other = folder.path().join("other");
        fs::write(&other, "two").unwrap();
        let file = File::options().write(true).open(&other).unwrap();
        file.set_modified(fs::metadata(&path).unwrap().modified().unwrap()).unwrap();
        let replaced = FileSource::open(&other).unwrap().stamp().unwrap();
        #[cfg(unix)]
        assert_eq!(before.difference(&replaced).unwrap(), "another file stands in its place");
        #[cfg(not(unix))]
        assert_eq!(before, replaced);

        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "ten").unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        let rewritten = first.stamp().unwrap();
        #[cfg(unix)]
        assert!(before.leaves_open(&rewritten), "{before:?}, {rewritten:?}");
        assert_eq!(before.difference(&rewritten), None);

        file.set_modified(UNIX_EPOCH).unwrap();
        assert_eq!(before.difference(&first.stamp().unwrap()).unwrap(), "it was modified");
    }
}
