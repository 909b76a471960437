//! A lock that keeps two runs off one upload, and that a crash lets go of.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use fs4::{FileExt, TryLockError};

/// A listing holds the lock for a moment, to see whether anybody has it.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// A file that this process alone has locked.
#[derive(Debug)]
pub(crate) struct Locked {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
}

/// The result of an attempt to lock.
enum Tried {
    Locked(Locked),
    /// Another run has it.
    Taken,
    /// Somebody looks at it, or has just taken it away: it will be free.
    Busy,
}

/// Locks the file at `path`, which is made when it is not there; `None` when another run has it locked.
pub(crate) async fn patiently(path: &Path) -> io::Result<Option<Locked>> {
    for _ in 0..TRIES {
        match once(path)? {
            Tried::Locked(locked) => return Ok(Some(locked)),
            Tried::Taken => return Ok(None),
            Tried::Busy => tokio::time::sleep(BETWEEN_TRIES).await,
        }
    }
    Ok(None)
}

fn once(path: &Path) -> io::Result<Tried> {
    let mut options = options_here();
    // What one uploads is nobody else's business.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
    match FileExt::try_lock(&file) {
        // Who had it before may have taken the file away, and the next one has another.
        Ok(()) if !is_at(&file, path)? => Ok(Tried::Busy),
        Ok(()) => Ok(Tried::Locked(Locked { path: path.to_owned(), file })),
        // A listing shares the lock, a run does not.
        Err(TryLockError::WouldBlock) if is_held(path)? => Ok(Tried::Taken),
        Err(TryLockError::WouldBlock) => Ok(Tried::Busy),
        Err(TryLockError::Error(cause)) => Err(cause),
    }
}

/// Options that open a file at its very path: through a link, its maker would choose the file that is written.
pub(crate) fn options_here() -> OpenOptions {
    #[allow(unused_mut, reason = "elsewhere nothing need be said")]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    options
}

/// Returns `true` if some process has it locked.
pub(crate) fn is_held(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(cause),
    };
    match FileExt::try_lock_shared(&file) {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(cause)) => Err(cause),
    }
}

impl Locked {
    /// Takes the file away while nobody else can have it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        // Elsewhere it cannot be told whether a file is still the one at its path, so it stays.
        if cfg!(unix) { fs::remove_file(&self.path) } else { Ok(()) }
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let open = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cause),
    }
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_one_has_it_at_a_time_and_a_file_that_is_gone_locks_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.upload");
        assert!(!is_held(&path).expect("readable"));
        let first = patiently(&path).await.expect("writable").expect("free");
        assert!(is_held(&path).expect("readable"));
        assert!(patiently(&path).await.expect("writable").is_none());
        first.remove().expect("ours");
        let second = patiently(&path).await.expect("writable").expect("the first one's file is gone");
        drop(first);
        assert!(is_held(&path).expect("readable"), "the first one's end is nothing to the second");
        drop(second);
        assert!(!is_held(&path).expect("readable"));
    }
}
