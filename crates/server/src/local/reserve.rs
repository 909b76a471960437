//! Room that is held back for records that take something away, so that they can be written to a full disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::staged::{Staged, make_folder};
use crate::{layout, store::is_full};

/// The number of pieces. A record needs one or two: for its bytes, its inode, and now and then a block of its folder.
const PIECES: u32 = 32;
/// Bytes that each holds back, besides an inode.
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
            // It gets its name when it is whole: one with a name may be somebody else's record at the next moment.
            let mut piece = Staged::create(&self.folder, &path, false)?;
            piece.write_all(&noise)?;
            piece.publish()?;
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
        (0..PIECES).map(|number| self.folder.join(format!("{}{number}", layout::ROOM)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_was_given_away_is_never_written_to_by_whoever_refills() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("reserve");
        let filling = Reserve::new(folder.clone());
        filling.fill().unwrap();
        std::thread::scope(|scope| {
            let fillers = [0, 1].map(|_| scope.spawn(|| (0..300).for_each(|_| drop(filling.fill()))));
            let spending = Reserve::new(folder.clone());
            let mut written = Vec::new();
            while fillers.iter().any(|filler| !filler.is_finished()) {
                let target = home.path().join(format!("record-{}", written.len()));
                if let Some(mut staged) = spending.spend(&target, false).unwrap() {
                    staged.write_all(b"a record").unwrap();
                    staged.truncate().unwrap();
                    staged.publish_new().unwrap();
                    written.push(target);
                }
            }
            for path in written {
                assert_eq!(fs::read(&path).unwrap(), b"a record");
            }
        });
    }

    #[test]
    fn what_is_short_is_made_whole_and_what_is_whole_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(home.path().join("reserve"));
        reserve.fill().unwrap();
        let pieces: Vec<_> = reserve.pieces().collect();
        fs::write(&pieces[0], "short").unwrap();
        let before = fs::metadata(&pieces[1]).unwrap().modified().unwrap();
        reserve.fill().unwrap();
        assert_eq!(fs::metadata(&pieces[0]).unwrap().len(), PIECE as u64);
        assert_eq!(fs::metadata(&pieces[1]).unwrap().modified().unwrap(), before);
        assert_eq!(fs::read_dir(home.path().join("reserve")).unwrap().count(), PIECES as usize);
    }
}
