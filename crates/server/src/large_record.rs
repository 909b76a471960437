//! Large records, of up to tens of megabytes: each is read and written in its turn, so that few are in memory at once, and parsed
//! and formatted on a thread for work that blocks.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read as _, Seek as _, SeekFrom},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use object_store::{GetResult, GetResultPayload, ObjectStoreExt, path::Path};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

use crate::{
    layout,
    store::{Created, RECORDS_AT_ONCE, Store, StoreError, json},
};

/// A record over so many bytes is a large one. 64 KiB are parsed in less than a millisecond.
const LARGE: u64 = 64 * 1024;
/// A record with more parts than these is a large one: each takes some hundred bytes.
const FEW_PARTS: usize = 512;
/// The large records of a store that one process reads at once.
const AT_ONCE: usize = 2;
/// The time that a large record waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

impl Store {
    /// Reads a record, if it is there.
    ///
    /// # Errors
    /// [`StoreError::Record`] when it is there and cannot be understood: then it is damaged, and nothing else is.
    /// [`StoreError::Busy`] when it is a large one, and others are being read for too long.
    pub(crate) async fn read<T>(&self, path: &Path) -> Result<Option<T>, StoreError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        self.read_with(path, |record| record).await
    }

    /// Reads a record, if it is there, and keeps only what `take` makes of it, before another large record is read.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) async fn read_with<T, U>(
        &self,
        path: &Path,
        take: impl FnOnce(T) -> U + Send + 'static,
    ) -> Result<Option<U>, StoreError>
    where
        T: DeserializeOwned + 'static,
        U: Send + 'static,
    {
        // A record is open from here until it was read.
        let permit = RECORDS_AT_ONCE.acquire().await;
        let Some(answer) = self.open_record(path).await? else { return Ok(None) };
        if answer.meta.size <= LARGE {
            let bytes = answer.bytes().await?;
            let record = serde_json::from_slice(&bytes).map_err(|source| self.unreadable(path, source))?;
            return Ok(Some(take(record)));
        }
        // Small records do not wait for large ones.
        drop((answer, permit));
        let turn = self.large.next(path).await?;
        let Some(answer) = self.open_record(path).await? else { return Ok(None) };
        let source = Source::of(answer).await?;
        let parsed = spawn_blocking(move || {
            let taken = source.parse().map(take);
            drop(turn);
            taken
        });
        let parsed = parsed.await.map_err(|error| StoreError::Read(io::Error::other(error)))?;
        parsed.map(Some).map_err(|source| self.unreadable(path, source))
    }

    /// Creates a record with this many parts; says whether it is this call that did.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when it is a large one, and others are being read or written for too long.
    pub(crate) async fn create_with_parts<T>(
        &self,
        path: &Path,
        record: T,
        parts: usize,
    ) -> Result<Created, StoreError>
    where
        T: Serialize + Send + 'static,
    {
        if parts <= FEW_PARTS {
            return self.create(path, &record).await;
        }
        let _turn = self.large.next(path).await?;
        let at = path.clone();
        let payload = spawn_blocking(move || json(&at, &record)).await;
        let payload = payload.map_err(|error| StoreError::Read(io::Error::other(error)))??;
        self.create_object(path, payload).await
    }

    async fn open_record(&self, path: &Path) -> Result<Option<GetResult>, StoreError> {
        match self.objects.get(path).await {
            Ok(answer) => Ok(Some(answer)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn unreadable(&self, path: &Path, source: serde_json::Error) -> StoreError {
        if source.is_io() {
            return StoreError::Read(source.into());
        }
        StoreError::Record { path: self.shown(path), source }
    }
}

/// The turns to read and write large records. One tenant has at most half of the turns, and waits for the next among the
/// other tenants, however many requests it sends.
#[derive(Debug)]
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    by_tenant: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A turn, until this is dropped.
struct Turn {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Turns {
    /// Waits for the turn of the record at this path.
    async fn next(&self, path: &Path) -> Result<Turn, StoreError> {
        let of_tenant = self.of_tenant(path);
        let turn = async {
            let _of_tenant = of_tenant.acquire_owned().await.ok()?;
            let _of_all = self.all.clone().acquire_owned().await.ok()?;
            Some(Turn { _of_tenant, _of_all })
        };
        timeout(LONGEST_WAIT, turn).await.ok().flatten().ok_or(StoreError::Busy)
    }

    fn of_tenant(&self, path: &Path) -> Arc<Semaphore> {
        let tenant = layout::tenant_of(path).unwrap_or_default();
        // Nothing that holds it panics.
        let mut tenants = self.by_tenant.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = tenants.entry(tenant.to_owned());
        turns.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE / 2))).clone()
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), by_tenant: Mutex::default() }
    }
}

/// The text of a large record.
enum Source {
    /// A file on a local disk, which is parsed as it is read.
    File(File),
    Bytes(bytes::Bytes),
}

impl Source {
    async fn of(answer: GetResult) -> Result<Self, StoreError> {
        Ok(match answer.payload {
            GetResultPayload::File(file, _) => Self::File(file),
            GetResultPayload::Stream(_) => Self::Bytes(answer.bytes().await?),
        })
    }

    fn parse<T: DeserializeOwned>(self) -> serde_json::Result<T> {
        match self {
            Self::File(mut file) => {
                file.seek(SeekFrom::Start(0)).map_err(serde_json::Error::io)?;
                serde_json::from_reader(BufReader::with_capacity(LARGE as usize, file).by_ref())
            }
            Self::Bytes(bytes) => serde_json::from_slice(&bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt as _;

    use super::*;

    async fn store() -> (Store, Path, String) {
        let (store, path) = (Store::memory(), Path::from("large"));
        let text = "x".repeat(LARGE as usize);
        store.put_once(&path, &text).await.unwrap();
        store.put_once(&Path::from("small"), &1).await.unwrap();
        (store, path, text)
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_record_waits_for_its_turn_and_is_refused_when_none_comes() {
        let (store, path, text) = store().await;
        let turns = store.large.all.clone().acquire_many_owned(AT_ONCE as u32).await.unwrap();
        assert!(matches!(store.read::<String>(&path).await, Err(StoreError::Busy)));
        assert_eq!(store.read::<u32>(&Path::from("small")).await.unwrap(), Some(1), "small ones do not wait");
        let waiting = tokio::spawn({
            let (store, path) = (store.clone(), path.clone());
            async move { store.read::<String>(&path).await }
        });
        tokio::time::sleep(LONGEST_WAIT / 2).await;
        drop(turns);
        assert_eq!(waiting.await.unwrap().unwrap(), Some(text));
        assert_eq!(store.large.all.available_permits(), AT_ONCE);
    }

    #[tokio::test]
    async fn a_turn_lasts_until_what_is_not_kept_is_gone() {
        let (store, path, text) = store().await;
        let turns = store.large.all.clone();
        let during = move |record: String| (record.len(), turns.available_permits());
        let taken = store.read_with(&path, during).await.unwrap();
        assert_eq!(taken, Some((text.len(), AT_ONCE - 1)));
        store.objects.put(&path, "[".repeat(LARGE as usize + 1).into()).await.unwrap();
        assert!(matches!(store.read::<String>(&path).await, Err(StoreError::Record { .. })));
        assert_eq!(store.large.all.available_permits(), AT_ONCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_leaves_turns_to_others() {
        let (turns, path) =
            (Turns::default(), |tenant: &str| Path::from(format!("tenants/{tenant}/files/a.json")));
        let first = turns.next(&path("a")).await.unwrap();
        assert!(matches!(turns.next(&path("a")).await, Err(StoreError::Busy)));
        let _second = turns.next(&path("b")).await.unwrap();
        assert!(matches!(turns.next(&path("c")).await, Err(StoreError::Busy)));
        drop(first);
        turns.next(&path("c")).await.unwrap();
        turns.next(&path("a")).await.unwrap();
    }
}
