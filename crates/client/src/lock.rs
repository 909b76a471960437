//! A lock that keeps two runs off one upload, and that a crash lets go of.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::watch;

/// A listing holds the lock for a moment, to see whether another has it.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);
/// A dropped run whose writes have not ended by then, as on a file system that hangs, counts as one that is at work.
const LONGEST_END: Duration = Duration::from_secs(30);

/// A file that this process alone has locked, until it is dropped. Work that may outlive its run shares it: what has begun on a thread
/// for blocking work goes on to its end.
#[derive(Debug)]
pub(crate) struct Locked {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    /// Last, so that the file is closed when others hear of it.
    known: Known,
}

/// The locks of this process. Another process is told apart from a run here that has ended, whose work on threads has not.
static LOCKS: Mutex<BTreeMap<PathBuf, LockHere>> = Mutex::new(BTreeMap::new());

#[derive(Debug)]
struct LockHere {
    is_let_go: Arc<AtomicBool>,
    /// It closes when the lock ends.
    end: watch::Receiver<()>,
}

/// A lock of this process, as long as it is known by its path.
#[derive(Debug)]
struct Known {
    path: PathBuf,
    is_let_go: Arc<AtomicBool>,
    /// Dropped after the lock is forgotten.
    _end: watch::Sender<()>,
}

impl Known {
    fn new(path: &Path) -> Self {
        let (sender, end) = watch::channel(());
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_let_go = Arc::<AtomicBool>::default();
        locks().insert(path.clone(), LockHere { is_let_go: is_let_go.clone(), end });
        Self { path, is_let_go, _end: sender }
    }

    /// Forgets the lock, unless another file has its path by now.
    fn forget(&self) {
        let mut locks = locks();
        if locks.get(&self.path).is_some_and(|here| Arc::ptr_eq(&here.is_let_go, &self.is_let_go)) {
            locks.remove(&self.path);
        }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.forget();
    }
}

fn locks() -> MutexGuard<'static, BTreeMap<PathBuf, LockHere>> {
    LOCKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The result of an attempt to lock.
enum Tried {
    Locked(Locked),
    /// Another run has it.
    Taken,
    /// Another looks at it, or has just removed it: it will be free.
    Busy,
}

/// The run that has the lock, if one has.
enum Holder {
    /// A run that is at work, of this process or another one.
    AtWork,
    /// A run of this process that was dropped: what it began on threads ends when this closes.
    Ending(watch::Receiver<()>),
}

/// Locks the file at `path`, which is made when it is not there; `None` when another run has it locked. A run of this process that was
/// dropped is waited for to its end, for half a minute at most.
pub(crate) async fn patiently(path: &Path) -> io::Result<Option<Locked>> {
    let mut tries = 0;
    while tries < TRIES {
        // Asked before: one that ends between the two leaves the lock free.
        let holder = holder(path);
        match (once(path)?, holder) {
            (Tried::Locked(locked), _) => return Ok(Some(locked)),
            // Nothing is ever sent: it changes when it closes.
            (Tried::Taken, Holder::Ending(mut end)) => {
                if tokio::time::timeout(LONGEST_END, end.changed()).await.is_err() {
                    return Ok(None);
                }
            }
            (Tried::Taken, Holder::AtWork) => return Ok(None),
            (Tried::Busy, _) => {
                tries += 1;
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
        }
    }
    Ok(None)
}

fn holder(path: &Path) -> Holder {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match locks().get(&path) {
        Some(here) if here.is_let_go.load(Relaxed) => Holder::Ending(here.end.clone()),
        _ => Holder::AtWork,
    }
}

fn once(path: &Path) -> io::Result<Tried> {
    let mut options = options_here();
    // What one uploads is nobody else's business.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
    match system::try_lock(&file)? {
        // Who had it before may have taken the file away, and the next one has another.
        true if !is_at(&file, path)? => Ok(Tried::Busy),
        true => Ok(Tried::Locked(Locked { path: path.to_owned(), file, known: Known::new(path) })),
        // A listing shares the lock, a run does not.
        false if is_held(path)? => Ok(Tried::Taken),
        false => Ok(Tried::Busy),
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
    Ok(!system::try_lock_shared(&file)?)
}

/// Locks as the system has them, which end with the process that holds them. `false` where another one holds the lock.
#[cfg(unix)]
mod system {
    use std::{fs::File, io};

    use rustix::{
        fs::{FlockOperation, flock},
        io::Errno,
    };

    pub(super) fn try_lock(file: &File) -> io::Result<bool> {
        lock(file, FlockOperation::NonBlockingLockExclusive)
    }

    pub(super) fn try_lock_shared(file: &File) -> io::Result<bool> {
        lock(file, FlockOperation::NonBlockingLockShared)
    }

    fn lock(file: &File, how: FlockOperation) -> io::Result<bool> {
        match flock(file, how) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(not(any(unix, target_family = "wasm")))]
mod system {
    use std::{fs::File, io};

    use fs4::{FileExt, TryLockError};

    pub(super) fn try_lock(file: &File) -> io::Result<bool> {
        is_locked(FileExt::try_lock(file))
    }

    pub(super) fn try_lock_shared(file: &File) -> io::Result<bool> {
        is_locked(FileExt::try_lock_shared(file))
    }

    fn is_locked(tried: Result<(), TryLockError>) -> io::Result<bool> {
        match tried {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(cause)) => Err(cause),
        }
    }
}

/// Without a system there are no files, and no locks.
#[cfg(target_family = "wasm")]
mod system {
    use std::{fs::File, io};

    pub(super) fn try_lock(_: &File) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn try_lock_shared(_: &File) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Locked {
    /// Says that its run has ended: the next one waits for what still shares the lock.
    pub(crate) fn let_go(&self) {
        self.known.is_let_go.store(true, Relaxed);
    }

    /// Removes the file while no other run can have it.
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
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn only_one_has_it_at_a_time_and_a_file_that_is_gone_locks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.upload");
        assert!(!is_held(&path).unwrap());
        let first = patiently(&path).await.unwrap().unwrap();
        assert!(is_held(&path).unwrap());
        assert!(patiently(&path).await.unwrap().is_none());
        first.remove().unwrap();
        let second = patiently(&path).await.unwrap().unwrap();
        drop(first);
        assert!(is_held(&path).unwrap(), "the first one's end is nothing to the second");
        drop(second);
        assert!(!is_held(&path).unwrap());
        assert!(!locks().contains_key(&fs::canonicalize(&path).unwrap()));
    }

    #[tokio::test]
    async fn what_a_run_that_has_ended_left_at_work_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.upload");
        let first = patiently(&path).await.unwrap().unwrap();
        first.let_go();
        let mut next = Box::pin(patiently(&path));
        assert!(next.as_mut().now_or_never().is_none(), "it is still at work");
        drop(first);
        assert!(next.await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_whose_work_does_not_end_counts_as_one_that_is_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.upload");
        let stuck = patiently(&path).await.unwrap().unwrap();
        stuck.let_go();
        let began = tokio::time::Instant::now();
        assert!(patiently(&path).await.unwrap().is_none());
        assert_eq!(began.elapsed().as_secs(), LONGEST_END.as_secs());
    }
}
