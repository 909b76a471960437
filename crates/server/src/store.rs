//! The store that everything is kept in, and the few things that are done with it.

use std::{io, path::PathBuf, sync::Arc};

use futures_util::{StreamExt, TryStreamExt};
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, memory::InMemory, path::Path,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Semaphore;

/// Where a server keeps everything: one object store.
///
/// On a local disk what was answered with success is on the disk, synced with the folders that lead to it, unless
/// [`Durability::None`](crate::Durability::None) was chosen. Several
/// servers, in one process or several, may work on the same store at the same time: nothing in it is ever changed, so
/// there is no lock, and where two compete the store lets exactly one create the deciding record.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// The folder, when the store is a local disk: unfinished writes stand in it that the store does not list.
    pub(crate) folder: Option<PathBuf>,
}

/// The most records that this process has open at once, whatever reads them: descriptors are left for connections (`limits.rs`).
static RECORDS_AT_ONCE: Semaphore = Semaphore::const_new(32);

impl Store {
    /// A store in memory, for tests: gone when the last clone is dropped.
    #[must_use]
    pub fn memory() -> Self {
        Self { objects: Arc::new(InMemory::new()), folder: None }
    }

    /// Creates a record; says whether it is this call that did, or whether it was there before.
    pub(crate) async fn create<T: Serialize>(&self, path: &Path, record: &T) -> Result<Created, StoreError> {
        let json =
            serde_json::to_vec(record).map_err(|source| StoreError::Record { path: path.clone(), source })?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.objects.put_opts(path, PutPayload::from(json), options).await {
            Ok(_) => Ok(Created::Now),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Created::Before),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a record that only its own writer ever creates: one that is there already must be the same, written by a
    /// try of the store's own whose answer got lost, or by another server that found it missing.
    pub(crate) async fn put_once<T>(&self, path: &Path, record: &T) -> Result<(), StoreError>
    where
        T: Serialize + DeserializeOwned + PartialEq,
    {
        match self.create(path, record).await? {
            Created::Before if self.read(path).await?.as_ref() != Some(record) => {
                Err(StoreError::Taken { path: path.clone() })
            }
            Created::Now | Created::Before => Ok(()),
        }
    }

    /// Reads a record, if it is there.
    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, StoreError> {
        // A record is open from here until it was read, and a list reads many side by side.
        let _turn = RECORDS_AT_ONCE.acquire().await;
        let answer = match self.objects.get(path).await {
            Ok(answer) => answer.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(&answer)
            .map(Some)
            .map_err(|source| StoreError::Record { path: path.clone(), source })
    }

    /// Whether a record is there.
    pub(crate) async fn exists(&self, path: &Path) -> Result<bool, StoreError> {
        match self.objects.head(path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What stands under `folder`, with the last segment of each path, in no certain order.
    pub(crate) async fn list<T>(
        &self,
        folder: &Path,
        mut each: impl FnMut(&str, &ObjectMeta) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        let mut listing = self.objects.list(Some(folder));
        while let Some(meta) = listing.next().await.transpose()? {
            found.extend(meta.location.filename().and_then(|name| each(name, &meta)));
        }
        Ok(found)
    }

    /// The names of the folders directly under `folder`.
    pub(crate) async fn folders(&self, folder: &Path) -> Result<Vec<String>, StoreError> {
        let listing = self.objects.list_with_delimiter(Some(folder)).await?;
        Ok(listing.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    /// Removes objects; one that is gone already is no error. Says how many this call removed.
    pub(crate) async fn remove(&self, paths: Vec<Path>) -> Result<usize, StoreError> {
        let paths = futures_util::stream::iter(paths.into_iter().map(Ok)).boxed();
        let removals = self.objects.delete_stream(paths);
        let removed = removals.filter_map(|removal| async {
            match removal {
                Ok(_) => Some(Ok(())),
                Err(object_store::Error::NotFound { .. }) => None,
                Err(error) => Some(Err(StoreError::from(error))),
            }
        });
        removed.try_fold(0, |count, ()| async move { Ok(count + 1) }).await
    }
}

impl From<Arc<dyn ObjectStore>> for Store {
    /// Any store that can create an object only if it is not there, and that takes large ones in pieces of about 256 KiB to
    /// 1 MiB. S3 does not: it wants 5 MiB.
    fn from(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, folder: None }
    }
}

/// Whether a record was created now or was there before.
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
    Store(#[from] object_store::Error),
    #[error("the record `{path}` is not what it should be")]
    Record { path: Path, source: serde_json::Error },
    #[error("another record stands at `{path}`")]
    Taken { path: Path },
    #[error("the store cannot be read")]
    Read(#[source] io::Error),
    #[error("`{path}` has {found} bytes, but {expected} were stored")]
    Damaged { path: Path, expected: u64, found: u64 },
}

impl StoreError {
    /// Whether the disk, or a quota on it, is full.
    pub(crate) fn is_full(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            }
            cause = error.source();
        }
        false
    }
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
