//! Writing past the system's cache.

use std::{fs::File, io};

/// A second way into a file, for whole pages alone.
#[derive(Debug)]
pub(super) struct Direct {
    #[cfg(target_os = "linux")]
    file: File,
    /// The file system takes none of them after all.
    #[cfg(target_os = "linux")]
    is_refused: std::sync::atomic::AtomicBool,
}

#[cfg(target_os = "linux")]
impl Direct {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        use std::os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _};

        let flag = rustix::fs::OFlags::DIRECT.bits() as i32;
        // The same file, whatever its name is by now.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let file = File::options().write(true).custom_flags(flag).open(path)?;
        Ok(Self { file, is_refused: false.into() })
    }

    /// Preallocates what the file is to grow by, where it can.
    pub(super) fn preallocate(&self, length: u64) -> io::Result<()> {
        super::preallocate::up_to(&self.file, length)
    }

    /// Writes the whole pages that `bytes` begin with; `None` when there are none, or none are taken: then the usual way has
    /// to tell what is wrong, if anything is.
    pub(super) fn write_at(&self, offset: u64, bytes: &[u8]) -> Option<io::Result<usize>> {
        use std::{os::unix::fs::FileExt as _, sync::atomic::Ordering::Relaxed};

        // The most that any disk wants pages to be.
        const PAGE: usize = 4096;

        let whole = bytes.len() / PAGE * PAGE;
        let is_aligned = offset % PAGE as u64 == 0 && bytes.as_ptr().align_offset(PAGE) == 0;
        if whole == 0 || !is_aligned || self.is_refused.load(Relaxed) {
            return None;
        }
        match self.file.write_at(&bytes[..whole], offset) {
            Err(error) if !is_the_same_either_way(error.kind()) => {
                self.is_refused.store(true, Relaxed);
                None
            }
            written => Some(written),
        }
    }
}

/// Whether the usual way would bring this error as well.
#[cfg(target_os = "linux")]
fn is_the_same_either_way(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{Interrupted, QuotaExceeded, StorageFull};

    matches!(kind, StorageFull | QuotaExceeded | Interrupted)
}

#[cfg(not(target_os = "linux"))]
impl Direct {
    pub(super) fn of(_: &File) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[allow(clippy::unused_self, reason = "there is none here")]
    pub(super) fn preallocate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    #[allow(clippy::unused_self, reason = "there is none here")]
    pub(super) fn write_at(&self, _: u64, _: &[u8]) -> Option<io::Result<usize>> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;
    use crate::target::{FileTarget, Target, testing::file_beside_the_tests};

    /// A page that begins where pages begin.
    fn page(room: &mut Vec<u8>) -> &[u8] {
        room.resize(3 * 4096, 7);
        let start = room.as_ptr().align_offset(4096);
        &room[start..start + 4096]
    }

    /// Whether the file is on one of those that are known to take it.
    fn is_on_a_disk(file: &File) -> bool {
        const EXT4: u64 = 0xef53;
        const XFS: u64 = 0x5846_5342;
        const BTRFS: u64 = 0x9123_683e;

        [EXT4, XFS, BTRFS].contains(&(rustix::fs::fstatfs(file).expect("it is open").f_type as u64))
    }

    #[test]
    fn on_a_disk_whole_pages_go_past_the_cache_and_elsewhere_they_are_written_all_the_same() {
        let mut room = Vec::new();
        let page = page(&mut room);
        for file in [file_beside_the_tests(), tempfile::tempfile().unwrap()] {
            let direct = Direct::of(&file).ok();
            let written = direct.as_ref().and_then(|direct| direct.write_at(4096, page));
            match written {
                Some(written) => assert_eq!(written.unwrap(), 4096),
                None => {
                    assert!(!is_on_a_disk(&file), "a disk takes whole pages");
                    assert!(direct.is_none_or(|direct| direct.is_refused.load(Relaxed)));
                }
            }
            let target = FileTarget::of(file.try_clone().unwrap()).past_the_cache();
            assert_eq!(target.write_at(0, page).unwrap(), 4096);
            let mut read = vec![0; 4096];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut read, 0).unwrap();
            assert_eq!(read, page);
        }
    }

    #[test]
    fn what_fails_once_is_never_tried_again_and_crumbs_are_not_tried_at_all() {
        let mut room = Vec::new();
        let page = page(&mut room);
        let file = tempfile::NamedTempFile::new().unwrap();
        // It takes nothing: it is open for reading alone.
        let direct = Direct { file: File::open(file.path()).unwrap(), is_refused: false.into() };
        assert!(direct.write_at(1, page).is_none() && direct.write_at(0, &page[..100]).is_none());
        assert!(!direct.is_refused.load(Relaxed));
        assert!(direct.write_at(0, page).is_none());
        assert!(direct.is_refused.load(Relaxed));
    }
}
