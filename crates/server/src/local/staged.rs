//! Files that nobody sees before they are whole.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use crate::store::is_full;

/// A file that is being written, removed when it is dropped before it was published.
#[derive(Debug)]
pub(super) struct Staged {
    /// `None` once it is closed.
    file: Option<File>,
    /// Where it stands now, if anywhere.
    at: Option<PathBuf>,
    target: PathBuf,
    is_synced: bool,
}

impl Staged {
    /// Makes an empty file beside `target`, and the folders that lead there from `root`.
    pub(super) fn create(root: &Path, target: &Path, is_synced: bool) -> io::Result<Self> {
        let mut number = 1;
        loop {
            let mut at = target.as_os_str().to_owned();
            at.push(format!("#{number}"));
            let mut options = OpenOptions::new();
            match private(&mut options).write(true).create_new(true).open(&at) {
                Ok(file) => {
                    let (at, target) = (Some(at.into()), target.to_owned());
                    return Ok(Self { file: Some(file), at, target, is_synced });
                }
                Err(error) => match (error.kind(), target.parent()) {
                    (io::ErrorKind::AlreadyExists, _) => number += 1,
                    (io::ErrorKind::NotFound, Some(folder)) => make_folders(root, folder, is_synced)?,
                    _ => return Err(error),
                },
            }
        }
    }

    /// Takes over a file that has room already, which moves beside `target`: writing over its bytes needs no more, and
    /// nobody else can take it.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub(super) fn take_over(piece: &Path, target: &Path, is_synced: bool) -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let mut at = target.as_os_str().to_owned();
        at.push(format!("#{}", u64::from_be_bytes(random)));
        fs::rename(piece, &at)?;
        let mut staged = Self { file: None, at: Some(at.into()), target: target.to_owned(), is_synced };
        staged.file = staged.at.as_ref().map(|at| OpenOptions::new().write(true).open(at)).transpose()?;
        Ok(staged)
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
        self.at = None;
        self.sync_parent()
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
        self.at = None;
        self.sync_parent()
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

    fn sync_parent(&self) -> io::Result<()> {
        if self.is_synced { sync_parent(&self.target) } else { Ok(()) }
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

/// Syncs the folder that `path` stands in. Only Unix can open and sync a folder.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Makes the folders from `root` to `folder`, never `root` itself: where that is gone, so is the disk.
fn make_folders(root: &Path, folder: &Path, is_synced: bool) -> io::Result<()> {
    if folder == root || !folder.starts_with(root) {
        return Err(io::ErrorKind::NotFound.into());
    }
    loop {
        match make_folder(folder) {
            Ok(()) if is_synced => return sync_parent(folder),
            Ok(()) => return Ok(()),
            Err(error) => match (error.kind(), folder.parent()) {
                (io::ErrorKind::AlreadyExists, _) => return Ok(()),
                (io::ErrorKind::NotFound, Some(parent)) => make_folders(root, parent, is_synced)?,
                _ => return Err(error),
            },
        }
    }
}

/// Makes a folder for its owner alone.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    #[allow(unused_mut, reason = "elsewhere nothing need be said")]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes these options those of a file for its owner alone, if they make one.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}
