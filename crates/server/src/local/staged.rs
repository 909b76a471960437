//! Files that nobody sees before they are whole.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::folders::{Folders, Made, TRIES, sync_parent};
use crate::store::is_full;

/// A file that is being written, removed when it is dropped before it was published.
#[derive(Debug)]
pub(super) struct Staged {
    /// `None` once it is closed.
    file: Option<File>,
    /// Where it stands now, if anywhere.
    at: Option<PathBuf>,
    target: PathBuf,
    /// The folders that were made for it.
    made: Made,
    is_synced: bool,
}

/// A file has its name, but it may lose that when the power fails.
#[derive(Debug, thiserror::Error)]
#[error("the folder cannot be synced")]
struct NotSynced(#[source] io::Error);

impl Staged {
    /// Makes an empty file beside `target`, and the folders that lead there.
    pub(super) fn create(folders: &Folders, target: &Path, is_synced: bool) -> io::Result<Self> {
        let (mut number, mut tries, mut made) = (1, 0, Made::default());
        loop {
            let mut at = target.as_os_str().to_owned();
            at.push(format!("#{number}"));
            let mut options = OpenOptions::new();
            match private(&mut options).write(true).create_new(true).open(&at) {
                Ok(file) => {
                    let (at, target) = (Some(at.into()), target.to_owned());
                    return Ok(Self { file: Some(file), at, target, made, is_synced });
                }
                Err(error) => match (error.kind(), target.parent()) {
                    (io::ErrorKind::AlreadyExists, _) => number += 1,
                    (io::ErrorKind::NotFound, Some(folder)) if tries < TRIES => {
                        tries += 1;
                        made.keep();
                        made = folders.make(folder)?;
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// Takes over a file that has room already, which moves beside `target`: writing over its bytes needs no more, and
    /// nobody else can take it. From before that it counts as written now, so that no sweeper takes it for a leftover.
    ///
    /// # Errors
    /// `NotFound` when there is no such file, or no folder for the target; `InvalidData`, and the file is gone, when it has
    /// another length, or a second name, under which it may be somebody's record.
    pub(super) fn take_over(
        piece: &Path,
        length: Option<u64>,
        target: &Path,
        is_synced: bool,
    ) -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let mut at = target.as_os_str().to_owned();
        at.push(format!("#{}", u64::from_be_bytes(random)));
        if let Ok(file) = OpenOptions::new().write(true).open(piece) {
            let _ = file.set_modified(SystemTime::now());
        }
        fs::rename(piece, &at)?;
        let at = PathBuf::from(at);
        let file = OpenOptions::new().write(true).open(&at);
        let mut staged =
            Self { file: None, at: Some(at), target: target.to_owned(), made: Made::default(), is_synced };
        let file = file?;
        let found = file.metadata()?;
        if !found.is_file() || has_other_names(&found) || length.is_some_and(|length| length != found.len()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        staged.file = Some(file);
        Ok(staged)
    }

    /// Removes these folders with the file, unless it is published.
    pub(super) fn with_folders(mut self, made: Made) -> Self {
        self.made = made;
        self
    }

    /// Ends the file here, whatever stood behind.
    pub(super) fn truncate(&mut self) -> io::Result<()> {
        let file = self.file()?;
        let length = file.stream_position()?;
        file.set_len(length)
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file()?.write_all(bytes)
    }

    pub(super) fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.file()?.seek(SeekFrom::Start(offset)).map(drop)
    }

    /// Gives the file the name that it is to have, which another may have had.
    pub(super) fn publish(mut self) -> io::Result<()> {
        let at = self.close()?;
        fs::rename(&at, &self.target)?;
        self.published()
    }

    /// As [`publish`](Self::publish), unless another has the name.
    ///
    /// # Errors
    /// `AlreadyExists` when it has.
    pub(super) fn publish_new(mut self) -> io::Result<()> {
        let at = self.close()?;
        match fs::hard_link(&at, &self.target) {
            // Some file systems count a name as an inode, and moving one needs no more.
            Err(error) if is_full(&error) => rename_new(&at, &self.target)
                .map_err(|moved| if moved.kind() == io::ErrorKind::AlreadyExists { moved } else { error })?,
            linked => {
                linked?;
                // One that stays is swept.
                let _ = fs::remove_file(&at);
            }
        }
        self.published()
    }

    fn file(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or_else(|| io::Error::other("the file is closed"))
    }

    fn close(&mut self) -> io::Result<PathBuf> {
        let (file, at) = self.file.take().zip(self.at.clone()).ok_or(io::ErrorKind::NotFound)?;
        if self.is_synced {
            file.sync_all()?;
        }
        close(file)?;
        Ok(at)
    }

    /// The target is there. That its folder cannot be synced is no failure to write it, least of all for want of room.
    fn published(mut self) -> io::Result<()> {
        self.at = None;
        self.made.keep();
        if !self.is_synced {
            return Ok(());
        }
        sync_parent(&self.target).map_err(not_synced)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.file = None;
        if let Some(at) = &self.at {
            // One that stays is swept.
            let _ = fs::remove_file(at);
        }
    }
}

/// The error of a file that is there although its folder cannot be synced.
fn not_synced(error: io::Error) -> io::Error {
    io::Error::other(NotSynced(error))
}

#[cfg(unix)]
fn has_other_names(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) != 1
}

#[cfg(not(unix))]
fn has_other_names(_: &Metadata) -> bool {
    false
}

/// Moves a file to a name that no other has.
#[cfg(target_os = "linux")]
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

#[cfg(not(target_os = "linux"))]
fn rename_new(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Closes a file; some file systems of a network say only now that the disk is full.
#[cfg(unix)]
fn close(file: File) -> io::Result<()> {
    Ok(nix::unistd::close(file)?)
}

#[cfg(not(unix))]
fn close(file: File) -> io::Result<()> {
    drop(file);
    Ok(())
}

/// Makes these options those of a file for its owner alone, if they make one.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_was_not_refused_for_want_of_room() {
        assert!(!is_full(&not_synced(io::ErrorKind::StorageFull.into())));
    }

    #[test]
    fn folders_that_were_made_for_a_file_go_with_it_unless_others_use_them() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::new(home.path().to_owned(), true);
        let [a, b] = ["a", "b"].map(|name| home.path().join("tenants/t/files").join(name));
        drop(Staged::create(&folders, &a, true).unwrap());
        assert!(!home.path().join("tenants").exists());
        let dropped = Staged::create(&folders, &a, true).unwrap();
        let kept = Staged::create(&folders, &b, true).unwrap();
        drop(dropped);
        kept.publish_new().unwrap();
        assert!(b.exists());
    }
}
