//! Room that is held back for records that must not fail on a full disk: those that take something away, and those of files
//! that uploads were completed to. Requests that delete, cancel or complete spend it; so do requests that read, and the sweeper,
//! where they find such a file without its record. Deletions, cancellations and sweeps refill it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    folders::{Folders, make_folder},
    staged::Staged,
};
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
        let folders = Folders::new(self.folder.clone(), false);
        let mut noise = vec![0; PIECE];
        for path in missing {
            // Zeros take no room on a file system that compresses, and what is equal none where equal blocks are shared.
            getrandom::fill(&mut noise).map_err(io::Error::other)?;
            // It gets its name when it is whole: one with a name may be somebody else's record at the next moment.
            let mut piece = Staged::create(&folders, &path, false)?;
            piece.write_all(&noise)?;
            piece.publish()?;
        }
        Ok(())
    }

    /// A file beside `target` that has a piece's room; `None` when there is none left that can be moved there.
    ///
    /// # Errors
    /// When there is no room for its name: the room of a piece was given to the disk, and the next may do.
    pub(super) fn spend(
        &self,
        folders: &Folders,
        target: &Path,
        is_synced: bool,
    ) -> io::Result<Option<Staged>> {
        for piece in self.pieces() {
            match take_over(&piece, folders, target, is_synced) {
                Ok(staged) => return Ok(Some(staged)),
                // The folder of the target may need a block for the name, and this piece has one.
                Err(error) if is_full(&error) && fs::remove_file(&piece).is_ok() => return Err(error),
                // Taken by another, on another disk, or not ours to move.
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// The names end like those of unfinished writes, so that no release lists them.
    fn pieces(&self) -> impl Iterator<Item = PathBuf> {
        (0..PIECES).map(|number| self.folder.join(format!("{}{number}", layout::ROOM)))
    }
}

/// Moves a piece beside the target, for which the folder may have to be made.
fn take_over(piece: &Path, folders: &Folders, target: &Path, is_synced: bool) -> io::Result<Staged> {
    let length = Some(PIECE as u64);
    match (Staged::take_over(piece, length, target, is_synced), target.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound && piece.exists() => {
            let made = folders.make(folder)?;
            Ok(Staged::take_over(piece, length, target, is_synced)?.with_folders(made))
        }
        (taken, _) => taken,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        time::{Duration, SystemTime},
    };

    use super::*;

    #[test]
    fn a_piece_that_was_given_away_is_never_written_to_by_a_refill() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("reserve");
        let filling = Reserve::new(folder.clone());
        filling.fill().unwrap();
        std::thread::scope(|scope| {
            let fillers = [0, 1].map(|_| scope.spawn(|| (0..300).for_each(|_| drop(filling.fill()))));
            let spending = Reserve::new(folder.clone());
            let folders = Folders::new(home.path().to_owned(), false);
            let mut written = Vec::new();
            while fillers.iter().any(|filler| !filler.is_finished()) {
                let target = home.path().join(format!("record-{}", written.len()));
                if let Some(mut staged) = spending.spend(&folders, &target, false).unwrap() {
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

    #[test]
    fn a_piece_that_has_another_name_or_length_is_not_written_to() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::new(home.path().to_owned(), false);
        let reserve = Reserve::new(home.path().join("reserve"));
        reserve.fill().unwrap();
        let pieces: Vec<_> = reserve.pieces().collect();
        let other = home.path().join("other");
        fs::hard_link(&pieces[0], &other).unwrap();
        let before = fs::read(&other).unwrap();
        fs::write(&pieces[1], "short").unwrap();
        let mut staged = reserve.spend(&folders, &home.path().join("record"), false).unwrap().unwrap();
        staged.write_all(b"a record").unwrap();
        assert_eq!(fs::read(&other).unwrap(), before);
        assert!(!pieces[2].exists(), "the third was taken");
    }

    #[test]
    fn a_piece_that_is_taken_counts_as_written_now() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::new(home.path().to_owned(), false);
        let reserve = Reserve::new(home.path().join("reserve"));
        reserve.fill().unwrap();
        let day_ago = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
        for piece in reserve.pieces() {
            File::options().write(true).open(piece).unwrap().set_modified(day_ago).unwrap();
        }
        let _staged = reserve.spend(&folders, &home.path().join("record"), false).unwrap().unwrap();
        let mut entries = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap());
        let taken = entries.find(|entry| entry.file_name().to_string_lossy().starts_with("record#"));
        assert!(taken.unwrap().metadata().unwrap().modified().unwrap() > day_ago + Duration::from_secs(60));
    }

    #[test]
    fn no_two_pieces_are_equal() {
        let home = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(home.path().join("reserve"));
        reserve.fill().unwrap();
        let contents: std::collections::HashSet<_> =
            reserve.pieces().map(|piece| fs::read(piece).unwrap()).collect();
        assert_eq!(contents.len(), PIECES as usize);
    }

    #[test]
    fn a_piece_is_moved_to_a_folder_that_is_not_there_yet() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::new(home.path().to_owned(), true);
        let reserve = Reserve::new(home.path().join("reserve"));
        reserve.fill().unwrap();
        let target = home.path().join("tenants/a/files/record");
        drop(reserve.spend(&folders, &target, true).unwrap().unwrap());
        assert!(!home.path().join("tenants").exists(), "what was not published leaves no folders");
        let mut staged = reserve.spend(&folders, &target, true).unwrap().unwrap();
        staged.write_all(b"a record").unwrap();
        staged.truncate().unwrap();
        staged.publish_new().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"a record");
    }
}
