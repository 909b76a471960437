//! A store in memory that fails as it is told to.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};

/// Clones share everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faulty {
    objects: Arc<InMemory>,
    faults: Arc<Mutex<Faults>>,
    /// Calls that write, whether they came to something or not.
    writes: Arc<AtomicUsize>,
    sweeps: Arc<Sweeps>,
}

/// Sweeps begin by listing the tenants.
#[derive(Debug, Default)]
struct Sweeps {
    count: AtomicUsize,
    listing: AtomicUsize,
    most_at_once: AtomicUsize,
}

#[derive(Debug, Default)]
struct Faults {
    /// The time that listing the tenants takes.
    listing_takes: Option<Duration>,
    /// The number of objects that there is room for; a removal makes room for one.
    room: Option<usize>,
    /// Set when others take the room that a removal makes.
    is_contended: bool,
    /// After so many changes everything fails, as for a process that was killed.
    changes: Option<usize>,
    /// Set when of several removals the last comes first: their order is the store's.
    is_backwards: bool,
    /// Objects with this in their path cannot be removed.
    stuck: Option<String>,
    /// Folders with this in their path cannot be listed.
    unlistable: Option<&'static str>,
    /// Folders with this in their path list as empty the next time.
    empty_once: Vec<&'static str>,
}

impl Faulty {
    /// The same objects without the faults.
    pub(crate) fn sound(&self) -> Self {
        Self { objects: self.objects.clone(), ..Self::default() }
    }

    pub(crate) fn set_room(&self, room: usize) {
        self.faults.lock().unwrap().room = Some(room);
    }

    pub(crate) fn set_contended(&self, is_contended: bool) {
        self.faults.lock().unwrap().is_contended = is_contended;
    }

    pub(crate) fn remove_backwards(&self) {
        self.faults.lock().unwrap().is_backwards = true;
    }

    pub(crate) fn make_stuck(&self, part: &str) {
        self.faults.lock().unwrap().stuck = Some(part.to_owned());
    }

    pub(crate) fn room(&self) -> Option<usize> {
        self.faults.lock().unwrap().room
    }

    pub(crate) fn stop_after(&self, changes: usize) {
        self.faults.lock().unwrap().changes = Some(changes);
    }

    /// Says whether it came to that.
    pub(crate) fn stopped(&self) -> bool {
        self.running().is_err()
    }

    pub(crate) fn hide_from_listings(&self, part: &'static str) {
        self.faults.lock().unwrap().unlistable = Some(part);
    }

    pub(crate) fn list_as_empty_once(&self, part: &'static str) {
        self.faults.lock().unwrap().empty_once.push(part);
    }

    pub(crate) fn slow_listings(&self, time: Duration) {
        self.faults.lock().unwrap().listing_takes = Some(time);
    }

    pub(crate) fn sweeps(&self) -> usize {
        self.sweeps.count.load(SeqCst)
    }

    pub(crate) fn most_sweeps_at_once(&self) -> usize {
        self.sweeps.most_at_once.load(SeqCst)
    }

    pub(crate) fn writes(&self) -> usize {
        self.writes.load(SeqCst)
    }

    fn running(&self) -> Result<()> {
        let is_over = self.faults.lock().unwrap().changes == Some(0);
        if is_over { Err(failure(std::io::ErrorKind::BrokenPipe)) } else { Ok(()) }
    }

    fn change(&self) -> Result<()> {
        self.running()?;
        let mut faults = self.faults.lock().unwrap();
        faults.changes = faults.changes.map(|changes| changes - 1);
        Ok(())
    }

    fn take_room(&self) -> Result<()> {
        let mut faults = self.faults.lock().unwrap();
        if faults.room == Some(0) {
            return Err(failure(std::io::ErrorKind::QuotaExceeded));
        }
        faults.room = faults.room.map(|room| room - 1);
        Ok(())
    }

    fn make_room(&self) {
        let mut faults = self.faults.lock().unwrap();
        if !faults.is_contended {
            faults.room = faults.room.map(|room| room + 1);
        }
    }
}

fn failure(kind: std::io::ErrorKind) -> Error {
    Error::Generic { store: "faulty", source: Box::new(std::io::Error::from(kind)) }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.writes.fetch_add(1, SeqCst);
        self.running()?;
        self.take_room()?;
        self.change()?;
        let put = self.objects.put_opts(location, payload, options).await;
        if put.is_err() {
            let mut faults = self.faults.lock().unwrap();
            faults.room = faults.room.map(|room| room + 1);
        }
        put
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.writes.fetch_add(1, SeqCst);
        self.change()?;
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.running()?;
        self.objects.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (store, is_backwards) = (self.clone(), self.faults.lock().unwrap().is_backwards);
        let locations = match is_backwards {
            true => stream::once(locations.collect::<Vec<_>>())
                .flat_map(|all| stream::iter(all.into_iter().rev()))
                .boxed(),
            false => locations,
        };
        let deletions = locations.then(move |location| {
            let store = store.clone();
            async move {
                let location = location?;
                store.running()?;
                let stuck = store.faults.lock().unwrap().stuck.clone();
                if stuck.is_some_and(|part| location.as_ref().contains(&part)) {
                    return Err(failure(std::io::ErrorKind::PermissionDenied));
                }
                // In memory, a removal of nothing is no error.
                store.objects.get_opts(&location, GetOptions { head: true, ..GetOptions::default() }).await?;
                store.change()?;
                let one = stream::iter([Ok(location)]).boxed();
                let removed = store.objects.delete_stream(one).try_next().await?;
                store.make_room();
                Ok(removed.unwrap())
            }
        });
        deletions.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let hidden = self.faults.lock().unwrap().unlistable;
        let is_hidden =
            hidden.is_some_and(|part| prefix.is_some_and(|prefix| prefix.as_ref().contains(part)));
        if is_hidden || self.running().is_err() {
            return stream::once(async { Err(failure(std::io::ErrorKind::PermissionDenied)) }).boxed();
        }
        let parts = &mut self.faults.lock().unwrap().empty_once;
        let has = |part: &&str| prefix.is_some_and(|prefix| prefix.as_ref().contains(*part));
        if let Some(found) = parts.iter().position(has) {
            parts.remove(found);
            return stream::empty().boxed();
        }
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.running()?;
        if prefix.is_some_and(|prefix| prefix.as_ref() == "tenants") {
            self.sweeps.count.fetch_add(1, SeqCst);
            let listing = self.sweeps.listing.fetch_add(1, SeqCst) + 1;
            self.sweeps.most_at_once.fetch_max(listing, SeqCst);
            let takes = self.faults.lock().unwrap().listing_takes;
            if let Some(time) = takes {
                tokio::time::sleep(time).await;
            }
            self.sweeps.listing.fetch_sub(1, SeqCst);
        }
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

impl std::fmt::Display for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("faulty")
    }
}
