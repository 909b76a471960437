//! The store that everything is kept in, and the few things that are done with it.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, memory::InMemory, path::Path};
use partwise_models::UnixSeconds;
use partwise_protocol::transport::{FailureKind, causes};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    blob::PieceMemory,
    full_disk::FullDisk,
    large_record::Turns,
    local::{self, LocalFolder, NotThere},
};

/// Where a server keeps everything: one object store.
///
/// On a local disk what was answered with success is on the disk, synced with the folders that lead to it, unless
/// [`Durability::None`](crate::Durability::None) was chosen. Several
/// servers, in one process or several, may work on the same store at the same time: nothing in it is ever changed, so
/// there is no lock, and where two compete the store lets exactly one create the deciding record.
///
/// ```
/// use partwise_server::{Durability, Store};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("files");
/// // A folder, which is created when it is not there.
/// let store = Store::local(&path)?;
/// # drop(store);
/// // The same folder, for files that can be made again.
/// let store = Store::local_with(&path, Durability::None)?;
/// // For tests.
/// let store = Store::memory();
/// # drop(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Store {
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// The folder, when the store is a local disk: it has unfinished writes that the store does not list, and a reserve.
    pub(crate) folder: Option<LocalFolder>,
    pub(crate) full_disk: Arc<FullDisk>,
    pub(crate) large: Arc<Turns>,
    /// Set in the sweeper's own.
    pub(crate) is_swept: bool,
    kind: Kind,
    /// The memory of those who write large blobs to a store elsewhere.
    pub(crate) pieces: PieceMemory,
    /// One permit for each content that is read from a store elsewhere.
    readers: Arc<Semaphore>,
}

/// How far the answers of a store can be believed.
#[derive(Clone, Debug)]
enum Kind {
    /// A folder or memory: an answer says what was done.
    Exact,
    /// Over a network, or by means that are not known here. The name is for people.
    Remote { name: String, is_probed: bool, must_exist: bool },
}

/// Its name alone: stores elsewhere know keys.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.name()).finish()
    }
}

/// The most contents of files that are read from a store elsewhere at once: their readers may take their time, and leave connections
/// to others.
const READERS: usize = 160;
/// The time that one who wants to read content waits for a turn.
const LONGEST_TURN: Duration = Duration::from_secs(10);

/// The most records that this process has open at once, whatever reads them: descriptors are left for connections (`limits.rs`).
pub(crate) static RECORDS_AT_ONCE: Semaphore = Semaphore::const_new(32);

impl Store {
    /// A store in memory, for tests: gone when the last clone is dropped.
    #[must_use]
    pub fn memory() -> Self {
        Self::of(Arc::new(InMemory::new()), None, Kind::Exact)
    }

    pub(crate) fn folder(folder: LocalFolder) -> Self {
        Self::of(Arc::new(folder.clone()), Some(folder), Kind::Exact)
    }

    /// A store over a network, or by means that are not known here.
    pub(crate) fn remote(objects: Arc<dyn ObjectStore>, name: String) -> Self {
        Self::of(objects, None, Kind::Remote { name, is_probed: true, must_exist: false })
    }

    fn of(objects: Arc<dyn ObjectStore>, folder: Option<LocalFolder>, kind: Kind) -> Self {
        let (full_disk, large, pieces) = Default::default();
        let readers = Arc::new(Semaphore::new(READERS));
        Self { objects, folder, full_disk, large, is_swept: false, kind, pieces, readers }
    }

    /// Leaves out the requests by which a server finds out at its start whether the store can be relied on: for credentials that
    /// may not delete, and for stores that were probed before. One that overwrites objects which are to be created only if they are
    /// not there loses files.
    #[must_use]
    pub fn without_probe(mut self) -> Self {
        if let Kind::Remote { is_probed, .. } = &mut self.kind {
            *is_probed = false;
        }
        self
    }

    /// Opens what is a store already, and makes no new one: the [building](crate::Builder::build) of a server fails with
    /// [`OpenError::NoMarkerYet`](crate::OpenError::NoMarkerYet). Folders are opened so by [`local_existing`](Self::local_existing).
    #[must_use]
    pub fn existing(mut self) -> Self {
        if let Kind::Remote { must_exist, .. } = &mut self.kind {
            *must_exist = true;
        }
        self
    }

    /// Says whether no new store is to be made.
    pub(crate) fn must_exist(&self) -> bool {
        matches!(self.kind, Kind::Remote { must_exist: true, .. })
    }

    /// The turn to read content, held for as long as that lasts; `None` where nobody is in another's way.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too many read for too long.
    pub(crate) async fn read_turn(&self) -> Result<Option<OwnedSemaphorePermit>, StoreError> {
        if self.is_exact() {
            return Ok(None);
        }
        let turn = timeout(LONGEST_TURN, self.readers.clone().acquire_owned()).await;
        turn.ok().and_then(Result::ok).map(Some).ok_or(StoreError::Busy)
    }

    /// Says whether an answer of the store says what it did.
    pub(crate) fn is_exact(&self) -> bool {
        matches!(self.kind, Kind::Exact)
    }

    /// Says whether the store is to be probed before anything is kept in it.
    pub(crate) fn is_probed(&self) -> bool {
        matches!(self.kind, Kind::Remote { is_probed: true, .. })
    }

    /// The store's name, for people.
    pub(crate) fn name(&self) -> String {
        match (&self.kind, &self.folder) {
            (Kind::Remote { name, .. }, _) => name.clone(),
            (Kind::Exact, Some(folder)) => folder.root().display().to_string(),
            (Kind::Exact, None) => "memory://".to_owned(),
        }
    }

    /// Keeps in mind whether a write failed for want of room, and has the store swept then.
    pub(crate) fn noted<T>(&self, written: Result<T, StoreError>) -> Result<T, StoreError> {
        if written.as_ref().is_err_and(StoreError::is_full) {
            self.full_disk.note();
            self.want_sweep();
        }
        written
    }

    /// Asks for a sweep, since the disk is full, or was and has room again. A sweep is no reason for another.
    pub(crate) fn want_sweep(&self) {
        if !self.is_swept {
            self.full_disk.want_sweep();
        }
    }

    /// Returns `true` if a write of this process has failed for want of room in the last hour.
    pub(crate) fn was_full_lately(&self) -> bool {
        self.full_disk.was_full_lately()
    }

    /// Creates a record; says whether it is this call that did, or whether it was there before.
    pub(crate) async fn create<T: Serialize>(&self, path: &Path, record: &T) -> Result<Created, StoreError> {
        self.create_object(path, json(path, record)?).await
    }

    /// Writes a record over what stands there.
    pub(crate) async fn replace<T: Serialize>(&self, path: &Path, record: &T) -> Result<(), StoreError> {
        self.objects.put(path, json(path, record)?).await?;
        Ok(())
    }

    /// Creates a record that only its own writer ever creates: one that is there already must be the same, written by a
    /// try of the store's own whose answer got lost, or by another server that found it missing.
    pub(crate) async fn put_once<T>(&self, path: &Path, record: &T) -> Result<(), StoreError>
    where
        T: Serialize + DeserializeOwned + PartialEq + Send + 'static,
    {
        let created = self.create(path, record).await?;
        self.expect(created, path, record).await
    }

    /// Checks that a record that was there before is the same.
    pub(crate) async fn expect<T>(&self, created: Created, path: &Path, record: &T) -> Result<(), StoreError>
    where
        T: DeserializeOwned + PartialEq + Send + 'static,
    {
        if created == Created::Now {
            return Ok(());
        }
        match self.read::<T>(path).await? {
            Some(found) if found == *record => Ok(()),
            Some(_) => Err(StoreError::Taken { path: path.clone() }),
            None => Err(StoreError::Unsettled { path: path.clone() }),
        }
    }

    /// Reads an object, if it is there, and when it was written, on the store's clock.
    pub(crate) async fn read_dated(&self, path: &Path) -> Result<Option<(Bytes, UnixSeconds)>, StoreError> {
        match self.objects.get(path).await {
            Ok(answer) => {
                let written = written(&answer.meta);
                Ok(Some((answer.bytes().await?, written)))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns `true` if a record is there.
    pub(crate) async fn exists(&self, path: &Path) -> Result<bool, StoreError> {
        match self.objects.head(path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The objects under `folder`, with the last segment of each path, in no certain order. They are known by name alone.
    pub(crate) async fn list<T>(
        &self,
        folder: &Path,
        mut each: impl FnMut(&str, &Path) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        let mut paths = match &self.folder {
            Some(local) => local.names(folder),
            None => self.objects.list(Some(folder)).map_ok(|meta| meta.location).boxed(),
        };
        while let Some(path) = paths.next().await.transpose()? {
            found.extend(path.filename().and_then(|name| each(name, &path)));
        }
        Ok(found)
    }

    /// When an object was written, on the store's clock; `None` when it is not there.
    pub(crate) async fn written(&self, path: &Path) -> Result<Option<UnixSeconds>, StoreError> {
        match self.objects.head(path).await {
            Ok(meta) => Ok(Some(written(&meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of what stands in the store's root; on a local disk those of other programs, too.
    pub(crate) async fn root_names(&self) -> Result<Vec<String>, StoreError> {
        if let Some(folder) = &self.folder {
            return Ok(folder.root_names().await?);
        }
        let listing = self.objects.list_with_delimiter(None).await?;
        let objects = listing.objects.iter().map(|meta| &meta.location);
        let names = listing.common_prefixes.iter().chain(objects);
        Ok(names.filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    /// The names of the folders directly under `folder`.
    pub(crate) async fn folders(&self, folder: &Path) -> Result<Vec<String>, StoreError> {
        let listing = self.objects.list_with_delimiter(Some(folder)).await?;
        Ok(listing.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    /// Removes objects, in no certain order; one that is gone already is no error. Says how many this call removed.
    ///
    /// # Errors
    /// As of [`remove_counted`](Self::remove_counted).
    pub(crate) async fn remove(&self, paths: Vec<Path>) -> Result<usize, StoreError> {
        let mut removed = 0;
        self.remove_counted(paths, &mut removed).await?;
        Ok(removed)
    }

    /// As [`remove`](Self::remove), and adds those that it removed also when there is an error.
    ///
    /// # Errors
    /// The first one, once all others are removed.
    pub(crate) async fn remove_counted(
        &self,
        paths: Vec<Path>,
        removed: &mut usize,
    ) -> Result<(), StoreError> {
        let paths = futures_util::stream::iter(paths.into_iter().map(Ok)).boxed();
        let mut removals = self.objects.delete_stream(paths);
        let mut outcome = Ok(());
        while let Some(removal) = removals.next().await {
            match removal {
                Ok(_) => *removed += 1,
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => outcome = outcome.and(Err(error.into())),
            }
        }
        outcome
    }

    /// Removes an object on which others depend: when this returns it is gone for good, also after a power cut. Says
    /// whether it is this call that removed it.
    pub(crate) async fn remove_first(&self, path: &Path) -> Result<bool, StoreError> {
        let removed = self.remove(vec![path.clone()]).await?;
        if removed > 0 {
            self.sync_folder_of(path).await?;
        }
        Ok(removed > 0)
    }

    /// Fails where not the object at `path` is at fault that cannot be opened, but its folder.
    pub(crate) async fn check_entry(&self, path: &Path) -> Result<(), StoreError> {
        match &self.folder {
            Some(folder) => Ok(folder.check_entry(path).await?),
            None => Ok(()),
        }
    }

    /// Makes what was removed beside `path` stay removed when the power fails.
    pub(crate) async fn sync_folder_of(&self, path: &Path) -> Result<(), StoreError> {
        match &self.folder {
            Some(folder) => Ok(folder.sync_folder_of(path).await?),
            None => Ok(()),
        }
    }

    /// Creates a record in the room of a piece of what is held back on a local disk; `None` where nothing is.
    pub(crate) async fn create_from_reserve<T: Serialize>(
        &self,
        path: &Path,
        record: &T,
    ) -> Result<Option<Created>, StoreError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        match folder.create_from_reserve(path, json(path, record)?).await {
            Ok(had_room) => Ok(had_room.then_some(Created::Now)),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Some(Created::Before)),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a record in the room of another on a local disk, which goes; `None` where that cannot be done, and then the
    /// other may be gone nevertheless.
    pub(crate) async fn create_in_place_of<T: Serialize>(
        &self,
        other: &Path,
        path: &Path,
        record: &T,
    ) -> Result<Option<Created>, StoreError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        match folder.create_in_place_of(other, path, json(path, record)?).await {
            Ok(()) => Ok(Some(Created::Now)),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Some(Created::Before)),
            Err(error) => Err(error.into()),
        }
    }

    /// Holds back again what was given up, as far as there is room.
    pub(crate) async fn fill_reserve(&self) {
        if let Some(folder) = &self.folder {
            folder.fill_reserve().await;
        }
    }

    /// Removes the folder that stands for `prefix` on a local disk, if it is empty.
    pub(crate) async fn remove_empty(&self, prefix: &Path) {
        if let Some(folder) = &self.folder {
            folder.remove_empty(prefix).await;
        }
    }

    /// A path as a person would look for it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        match &self.folder {
            Some(folder) => folder.root().join(path.as_ref()).display().to_string(),
            None => path.to_string(),
        }
    }
}

fn written(meta: &ObjectMeta) -> UnixSeconds {
    UnixSeconds(meta.last_modified.timestamp().try_into().unwrap_or(0))
}

pub(crate) fn json<T: Serialize>(path: &Path, record: &T) -> Result<PutPayload, StoreError> {
    let damaged = |source| StoreError::Record { path: path.to_string(), source };
    serde_json::to_vec(record).map(PutPayload::from).map_err(damaged)
}

impl From<Arc<dyn ObjectStore>> for Store {
    /// Any store that can create an object only if it is not there, and that takes large ones in pieces of 8 MiB. A server
    /// finds that out at its start; see [`without_probe`](Store::without_probe).
    fn from(objects: Arc<dyn ObjectStore>) -> Self {
        let name = objects.to_string();
        Self::remote(objects, name)
    }
}

/// The result of creating a record: it was created now, or was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Created {
    Now,
    Before,
}

/// The store failed, or holds something that we did not put there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the store failed")]
    Store(#[source] object_store::Error),
    #[error(transparent)]
    NotThere(NotThere),
    #[error("the record `{path}` is damaged")]
    Record { path: String, source: serde_json::Error },
    #[error("too many large records are being read")]
    Busy,
    #[error("another record stands at `{path}`")]
    Taken { path: Path },
    #[error("the store says that there is an object `{path}`, and does not show it")]
    Unsettled { path: Path },
    #[error("the store cannot be read")]
    Read(#[source] io::Error),
    #[error("no random number is to be had")]
    Entropy(#[source] getrandom::Error),
    #[error("`{path}` has {found} bytes, but {expected} were stored")]
    Damaged { path: Path, expected: u64, found: u64 },
}

impl From<object_store::Error> for StoreError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::Generic { store, source } => match source.downcast() {
                Ok(gone) => Self::NotThere(*gone),
                Err(source) => Self::Store(object_store::Error::Generic { store, source }),
            },
            error => Self::Store(error),
        }
    }
}

impl StoreError {
    /// Returns `true` if the disk, or a quota on it, is full.
    pub(crate) fn is_full(&self) -> bool {
        self.io_error().is_some_and(is_full)
    }

    /// Returns `true` where a store elsewhere cannot be reached, does not serve now, or does not know what it holds: that passes.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            // Errors of a disk stay until somebody does something.
            Self::Store(object_store::Error::Generic { store, .. }) => {
                let is_of_disk = [local::NAME, "LocalFileSystem"].contains(store)
                    || self.is_full()
                    || self.may_be_of_one_object();
                // Certificates that are not trusted, plain http that is not allowed: nor do they.
                let is_final = matches!(self.failure(), Some(FailureKind::Unsent | FailureKind::Other));
                !is_of_disk && !is_final
            }
            Self::Unsettled { .. } => true,
            _ => false,
        }
    }

    /// What became of the request, where no answer came.
    fn failure(&self) -> Option<FailureKind> {
        causes(self).find_map(FailureKind::of)
    }

    /// Returns `true` if a request to a store elsewhere left and its answer did not come.
    pub(crate) fn is_lost(&self) -> bool {
        is_lost(self)
    }

    /// Returns `true` if the object is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Store(object_store::Error::NotFound { .. }))
    }

    /// Returns `true` for an error that one object can have while the others can be read: its permissions are wrong, or the disk
    /// is broken where it is. That the whole store is unreadable says the same, so the caller reads another object.
    pub(crate) fn may_be_of_one_object(&self) -> bool {
        matches!(self, Self::Store(object_store::Error::PermissionDenied { .. }))
            || self.io_error().is_some_and(is_denied_or_broken)
    }

    fn io_error(&self) -> Option<&io::Error> {
        io_error(self)
    }
}

/// Returns `true` if a request to a store elsewhere left and its answer did not come, as far as an error says.
pub(crate) fn is_lost(error: &(dyn Error + 'static)) -> bool {
    matches!(causes(error).find_map(FailureKind::of), Some(FailureKind::Interrupted | FailureKind::Timeout))
}

/// Returns `true` if the system had no room, as far as an error of a store says.
pub(crate) fn has_no_room(error: &object_store::Error) -> bool {
    io_error(error).is_some_and(is_full)
}

/// The system's error among the causes of another.
fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    causes(error).find_map(|error| error.downcast_ref())
}

fn is_denied_or_broken(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(nix::errno::Errno::EIO as i32) {
        return true;
    }
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Says whether the system has no room left: no blocks, no inodes, or none that the owner may use.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed_with(kind: io::ErrorKind) -> StoreError {
        let source = Box::new(io::Error::from(kind));
        StoreError::Store(object_store::Error::Generic { store: "disk", source })
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        assert!(failed_with(io::ErrorKind::StorageFull).is_full());
        assert!(failed_with(io::ErrorKind::QuotaExceeded).is_full());
        #[cfg(unix)]
        for errno in [nix::errno::Errno::ENOSPC, nix::errno::Errno::EDQUOT] {
            assert!(is_full(&io::Error::from(errno)));
        }
        assert!(!failed_with(io::ErrorKind::PermissionDenied).is_full());
    }

    #[tokio::test]
    async fn a_record_is_written_once_and_never_over_another() {
        let store = Store::memory();
        let path = Path::from("a");
        assert_eq!(store.create(&path, &1).await.unwrap(), Created::Now);
        assert_eq!(store.create(&path, &2).await.unwrap(), Created::Before);
        store.put_once(&path, &1).await.unwrap();
        assert!(matches!(store.put_once(&path, &2).await, Err(StoreError::Taken { .. })));
        assert_eq!(store.read(&path).await.unwrap(), Some(1));
    }
}
