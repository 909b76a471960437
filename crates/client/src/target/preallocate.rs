//! Blocks on the disk for what a file will hold, taken before it is written.

use std::{fs::File, io};

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};

/// What stays free at least: for the checkpoints, for what the file system writes about the file, and for others.
const LEAST_LEFT: u64 = 64 * 1024 * 1024;

/// Preallocates what `file` is to grow by, where that fits and the file system can do it. Blocks that are found one by one,
/// while several write at several places, make them wait for each other, and scatter the file.
///
/// That nothing was preallocated is no error, whatever the reason: a disk that is too small for the file as it is may be
/// large enough once its file system has compressed it, and otherwise says so when it is full.
pub(super) fn up_to(file: &File, length: u64) -> io::Result<()> {
    let before = file.metadata()?.len();
    let more = length.saturating_sub(before);
    if more == 0 || !fits(more, free_beside(file)) {
        return Ok(());
    }
    or_give_back(file, before, || fallocate(file, FallocateFlags::empty(), before, more))
}

/// How many bytes of its disk are free; none when nobody knows.
fn free_beside(file: &File) -> u64 {
    fstatvfs(file).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether so many bytes leave enough of those that are free.
fn fits(more: u64, free: u64) -> bool {
    more <= free.saturating_sub(LEAST_LEFT.max(free / 16))
}

/// Allocates all, or leaves the file as it was: half of it would only be in the way of others.
fn or_give_back(
    file: &File,
    before: u64,
    allocate: impl FnOnce() -> rustix::io::Result<()>,
) -> io::Result<()> {
    allocate().or_else(|_| file.set_len(before))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        os::unix::fs::{FileExt, MetadataExt},
    };

    use rustix::io::Errno;

    use super::*;
    use crate::target::{FileTarget, Target, direct::Direct, testing::file_beside_the_tests};

    const MIB: u64 = 1024 * 1024;

    fn allocated(file: &File) -> u64 {
        file.metadata().expect("it is open").blocks() * 512
    }

    fn four_bytes() -> File {
        let mut file = file_beside_the_tests();
        file.write_all(b"0123").expect("there is room for four bytes");
        file
    }

    #[test]
    fn where_the_file_system_can_a_file_has_its_blocks_before_it_is_written() {
        let probe = file_beside_the_tests();
        let can = fallocate(&probe, FallocateFlags::empty(), 0, 3 * MIB).is_ok();
        let file = four_bytes();
        up_to(&file, 3 * MIB).unwrap();
        assert_eq!(allocated(&file) >= 3 * MIB, can && allocated(&probe) >= 3 * MIB);
        let mut content = [1; 8];
        let read = file.read_at(&mut content, 0).unwrap();
        assert_eq!(content[..read], b"0123\0\0\0\0"[..read]);
        // What it has is never cut off.
        let length = file.metadata().unwrap().len();
        up_to(&file, 2).unwrap();
        assert_eq!(file.metadata().unwrap().len(), length);
    }

    #[test]
    fn a_target_that_goes_through_the_cache_is_left_to_the_file_system() {
        let (through, past) = (four_bytes(), four_bytes());
        let of = |file: &File| FileTarget::of(file.try_clone().unwrap());
        of(&through).set_length(3 * MIB).unwrap();
        of(&past).past_the_cache().set_length(3 * MIB).unwrap();
        assert!(allocated(&through) < MIB, "{}", allocated(&through));
        let expected = four_bytes();
        if Direct::of(&past).is_ok() {
            up_to(&expected, 3 * MIB).unwrap();
        }
        assert_eq!(allocated(&past) >= 3 * MIB, allocated(&expected) >= 3 * MIB);
        for file in [through, past] {
            assert_eq!(file.metadata().unwrap().len(), 3 * MIB);
        }
    }

    #[test]
    fn what_was_allocated_in_vain_is_given_back() {
        let file = four_bytes();
        let allocate = || {
            // As far as it goes.
            let _ = fallocate(&file, FallocateFlags::empty(), 4, 2 * MIB);
            Err(Errno::NOSPC)
        };
        or_give_back(&file, 4, allocate).unwrap();
        assert!(allocated(&file) < MIB, "{}", allocated(&file));
        assert_eq!(file.metadata().unwrap().len(), 4);
    }

    #[test]
    fn a_sixteenth_of_what_is_free_stays_free_and_never_less_than_the_least() {
        const GIB: u64 = 1024 * MIB;

        for (free, most) in [(0, 0), (64 * MIB, 0), (GIB, GIB - 64 * MIB), (16 * GIB, 15 * GIB)] {
            assert!(fits(most, free) && !fits(most + 1, free), "{free}");
        }
        assert!(fits(u64::MAX / 2, u64::MAX) && !fits(u64::MAX, u64::MAX));
    }
}
