//! Finds out whether a store can be relied on, before anything is kept in it.
//!
//! Everything here rests on one promise: of several writers who create the same object, one does, and the others are told. Some
//! stores that speak S3's protocol ignore the condition and overwrite, others look first and then write, so that they pass as long
//! as nobody competes. A probe of some twenty requests tells those from the others. Passing is evidence, no proof.

use std::{error::Error, time::Duration};

use futures_util::{TryStreamExt as _, future::join_all};
use object_store::{ObjectStoreExt as _, PutMode, PutOptions, path::Path};
use tokio::time::sleep;

use crate::{
    layout,
    open::OpenError,
    store::{Store, has_no_room, is_lost},
};

/// How often a probe is made of which an answer is lost: a create is never sent again, and says nothing then.
const PROBES: usize = 3;
/// The time from one to the next.
const BETWEEN: Duration = Duration::from_secs(1);

/// Rounds in which several writers create one object.
const ROUNDS: usize = 3;
/// The writers in a round.
const WRITERS: usize = 4;
/// How often a round is run in which nobody creates anything: S3 may reject all of several writers at once.
const TRIES: usize = 3;
/// How long a store may take to list what was written.
const LONGEST_UNLISTED: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Probes a store under names of its own. What a crash leaves of it is removed by the sweeper.
///
/// # Errors
/// [`OpenError`] says what is wrong with the store, or with the way to it.
pub(crate) async fn check(store: &Store) -> Result<(), OpenError> {
    for _ in 1..PROBES {
        match check_once(store).await {
            Err(OpenError::Unreachable { source, .. }) if is_lost(&*source) => {
                log_lost(store, &source);
                sleep(BETWEEN).await;
            }
            checked => return checked,
        }
    }
    check_once(store).await
}

fn log_lost(store: &Store, error: &object_store::Error) {
    let cause = error as &dyn Error;
    tracing::warn!(store = store.name(), cause, "an answer of the store was lost: it is probed again");
}

async fn check_once(store: &Store) -> Result<(), OpenError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| OpenError::Store(error.into()))?;
    let probe = Probe { store, folder: layout::probe(u128::from_be_bytes(random)) };
    let found = match probe.check_create().await {
        Ok(()) => probe.check_more().await,
        Err(error) if is_full(&error) || may_have_left(&error) => Err(error),
        // Nothing is there that is to be removed.
        error => return error,
    };
    // One that is not to be relied on is left clean, too, as far as it lets us. An answer may be lost.
    let mut removed = store.remove(probe.names()).await;
    if removed.is_err() {
        removed = store.remove(probe.names()).await;
    }
    match found {
        // Nothing can be made there, so nothing can be lost; what is there is to be read and deleted.
        Err(error) if is_full(&error) => {
            tracing::warn!(store = store.name(), "the store is full, and was not probed");
            return Ok(());
        }
        found => found?,
    }
    removed
        .map(drop)
        .map_err(|_| probe.unsuited("does not let these credentials delete objects, or does not delete them"))
}

/// Says whether objects of a probe may be there that has ended with this before its first one was created for certain.
fn may_have_left(error: &OpenError) -> bool {
    match error {
        OpenError::Unsuited { .. } => true,
        OpenError::Unreachable { source, .. } => is_lost(&**source),
        _ => false,
    }
}

fn is_full(error: &OpenError) -> bool {
    matches!(error, OpenError::Unreachable { source, .. } if has_no_room(source))
}

struct Probe<'a> {
    store: &'a Store,
    folder: Path,
}

impl Probe<'_> {
    async fn check_more(&self) -> Result<(), OpenError> {
        for round in 0..ROUNDS {
            self.check_race(round).await?;
        }
        self.check_list().await
    }

    fn single(&self) -> Path {
        self.folder.clone().join("single")
    }

    fn raced(&self, round: usize) -> Path {
        self.folder.clone().join(format!("raced-{round}"))
    }

    /// The objects of the probe, in order.
    fn names(&self) -> Vec<Path> {
        let mut names: Vec<Path> = (0..ROUNDS).map(|round| self.raced(round)).collect();
        names.push(self.single());
        names
    }

    /// One writer after the other.
    async fn check_create(&self) -> Result<(), OpenError> {
        let path = self.single();
        if !self.is_created_once(&path, &["first".to_owned()]).await? {
            return Err(self.unsuited("says that an object is there which nobody made"));
        }
        if self.create(&path, "second").await? || self.read(&path).await?.as_deref() != Some("first") {
            return Err(self.unsuited("overwrites objects that are to be created only if they are not there"));
        }
        Ok(())
    }

    /// Several writers at once.
    async fn check_race(&self, round: usize) -> Result<(), OpenError> {
        let writers: Vec<String> = (0..WRITERS).map(|writer| format!("writer {writer}")).collect();
        if !self.is_created_once(&self.raced(round), &writers).await? {
            return Err(self.unsuited("lets several writers create the same object at the same time"));
        }
        Ok(())
    }

    /// Has all writers create an object that has their name in it. Says whether one did, and was told: unless its answer was lost,
    /// or was a failure, so that another attempt has found the object there.
    async fn is_created_once(&self, path: &Path, writers: &[String]) -> Result<bool, OpenError> {
        for _ in 0..TRIES {
            let creates = join_all(writers.iter().map(|writer| self.create(path, writer))).await;
            let created: Vec<bool> = creates.into_iter().collect::<Result<_, _>>()?;
            let winners: Vec<&String> =
                writers.iter().zip(&created).filter_map(|(w, won)| won.then_some(w)).collect();
            match (&winners[..], self.read(path).await?) {
                ([], None) => sleep(LOOK_AGAIN).await,
                ([], Some(found)) => return Ok(writers.contains(&found)),
                ([winner], Some(found)) => return Ok(**winner == found),
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    /// What was written is listed, also by a store whose lists are late.
    async fn check_list(&self) -> Result<(), OpenError> {
        let mut waited = Duration::ZERO;
        loop {
            let listed = self.store.objects.list(Some(&self.folder)).map_ok(|meta| meta.location);
            let mut listed: Vec<Path> = listed.try_collect().await.map_err(|error| self.failed(error))?;
            listed.sort_unstable();
            if listed == self.names() {
                return Ok(());
            }
            if waited >= LONGEST_UNLISTED {
                return Err(self.unsuited("does not list what was written to it"));
            }
            sleep(LOOK_AGAIN).await;
            waited += LOOK_AGAIN;
        }
    }

    /// Says whether the store says that this call created the object.
    async fn create(&self, path: &Path, content: &str) -> Result<bool, OpenError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.objects.put_opts(path, content.to_owned().into(), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => {
                Err(self.unsuited("cannot create an object only if it is not there"))
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn read(&self, path: &Path) -> Result<Option<String>, OpenError> {
        let read = async { self.store.objects.get(path).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn unsuited(&self, problem: &'static str) -> OpenError {
        OpenError::Unsuited { store: self.store.name(), problem }
    }

    fn failed(&self, error: object_store::Error) -> OpenError {
        let store = self.store.name();
        let source = Box::new(error);
        match *source {
            object_store::Error::NotFound { .. } => OpenError::NoBucket { store, source },
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                OpenError::NoAccess { store, source }
            }
            _ => OpenError::Unreachable { store, source },
        }
    }
}
