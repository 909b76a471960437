//! Room that is held back for records that take something away, so that they can be written to a full disk.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::staged::{Staged, make_folder, private};
use crate::store::is_full;

/// How many pieces there are. A record needs one or two: for its bytes, its inode, and now and then a block of its folder.
const PIECES: u32 = 32;
/// What each holds back, besides an inode.
const PIECE: usize = 16 * 1024;

/// Small files whose room is used when there is no other.
#[derive(Debug)]
pub(super) struct Reserve {
    folder: PathBuf,
}

impl Reserve {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the pieces that are missing.
    pub(super) fn fill(&self) -> io::Result<()> {
        let is_whole = |path: &PathBuf| fs::metadata(path).is_ok_and(|found| found.len() == PIECE as u64);
        let missing: Vec<PathBuf> = self.pieces().filter(|path| !is_whole(path)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        match make_folder(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Zeros take no room on a file system that compresses.
        let mut noise = vec![0; PIECE];
        getrandom::fill(&mut noise).map_err(io::Error::other)?;
        for path in missing {
            let mut options = OpenOptions::new();
            private(&mut options).write(true).create(true).truncate(false);
            let written = options.open(&path).and_then(|mut file| {
                file.write_all(&noise)?;
                file.set_len(PIECE as u64)
            });
            if let Err(error) = written {
                // Half a piece would be taken for none.
                let _ = fs::remove_file(&path);
                return Err(error);
            }
        }
        Ok(())
    }

    /// A file beside `target` that has a piece's room; `None` when there is none left.
    pub(super) fn spend(&self, target: &Path, is_synced: bool) -> io::Result<Option<Staged>> {
        for piece in self.pieces() {
            match Staged::take_over(&piece, target, is_synced) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // The folder of the target may need a block for the name, and this piece has one.
                Err(error) if is_full(&error) && fs::remove_file(&piece).is_ok() => return Err(error),
                staged => return staged.map(Some),
            }
        }
        Ok(None)
    }

    /// The names end like those of unfinished writes, so that no release lists them.
    fn pieces(&self) -> impl Iterator<Item = PathBuf> {
        (0..PIECES).map(|number| self.folder.join(format!("room#{number}")))
    }
}
