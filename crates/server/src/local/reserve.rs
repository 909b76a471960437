//! Room that is held back for records that take something away, so that they can be written to a full disk.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::staged::{make_folder, private};

/// How many pieces there are. A record needs one or two: for its bytes, its inode, and now and then a block of its folder.
const PIECES: u32 = 32;
/// What each holds back, besides an inode.
const PIECE: usize = 16 * 1024;

/// Small files that are removed when there is no other room.
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
            let written = options.open(&path).and_then(|mut file| file.write_all(&noise));
            if let Err(error) = written {
                // Half a piece would be taken for none.
                let _ = fs::remove_file(&path);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes a piece; `false` when there is none.
    pub(super) fn spend(&self) -> bool {
        self.pieces().any(|path| fs::remove_file(path).is_ok())
    }

    /// The names end like those of unfinished writes, so that no release lists them.
    fn pieces(&self) -> impl Iterator<Item = PathBuf> {
        (0..PIECES).map(|number| self.folder.join(format!("room#{number}")))
    }
}
