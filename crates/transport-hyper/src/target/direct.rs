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

    /// Writes the whole pages that `bytes` begin with; `None` when there are none, or none are taken.
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
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.is_refused.store(true, Relaxed);
                None
            }
            written => Some(written),
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Direct {
    pub(super) fn of(_: &File) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[allow(clippy::unused_self, reason = "there is none here")]
    pub(super) fn write_at(&self, _: u64, _: &[u8]) -> Option<io::Result<usize>> {
        None
    }
}
