//! The store, the time and random numbers that all operations work with.

use std::{fmt, sync::Arc, time::SystemTime};

use object_store::path::Path;
use partwise_models::UnixSeconds;
use tokio::sync::Semaphore;

use crate::{
    blob::{BlobWriter, Budget},
    damage::DamageLog,
    id::Stem,
    listing::LISTS_READING,
    memory::MemoryBudget,
    moment::{Moment, Sequence},
    reading::Reading,
    record::Nonce,
    refusal::Refusal,
    store::{Store, StoreError},
};

/// The operations, without a word of HTTP. Their code is in `files`, `listing`, `uploads`, `removal` and `sweeper`.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) store: Store,
    clock: Clock,
    entropy: Entropy,
    budget: Budget,
    sequence: Arc<Sequence>,
    /// The memory of the lists of parts that requests hold.
    pub(crate) parts: MemoryBudget,
    pub(crate) reading: Reading,
    /// One permit for each list that may be reading records.
    pub(crate) listing: Arc<Semaphore>,
    pub(crate) damage: DamageLog,
}

/// Tells the time; a test's stands still.
pub(crate) type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// Where random numbers come from.
#[derive(Clone)]
pub(crate) enum Entropy {
    System,
    /// A test's, which repeats itself.
    Given(Arc<dyn Fn() -> u128 + Send + Sync>),
}

impl Backend {
    pub(crate) fn new(store: Store, clock: Clock, entropy: Entropy, parts: MemoryBudget) -> Self {
        Self {
            store,
            clock,
            entropy,
            budget: Budget::default(),
            sequence: Arc::default(),
            parts,
            reading: Reading::default(),
            listing: Arc::new(Semaphore::new(LISTS_READING)),
            damage: DamageLog::default(),
        }
    }

    /// This one as a sweeper: what it does is no reason for another sweep.
    pub(crate) fn as_sweeper(&self) -> Self {
        let mut sweeper = self.clone();
        sweeper.store.is_swept = true;
        sweeper
    }

    /// A blob to be written, under the name and at the path that `place` says when its first bytes are.
    pub(crate) fn new_blob<N>(&self, place: impl Fn() -> (N, Path) + Send + 'static) -> BlobWriter<N> {
        BlobWriter::new(self.store.clone(), place, &self.budget)
    }

    pub(crate) fn now(&self) -> UnixSeconds {
        (self.clock)().seconds()
    }

    /// The stem of a file or upload that is made now: behind all that this server has made.
    pub(crate) fn stem(&self, random: u128) -> Stem {
        Stem::new(self.sequence.next((self.clock)()), random)
    }

    /// Says whether so many seconds have passed since then.
    pub(crate) fn is_past(&self, start: UnixSeconds, wait: u64) -> bool {
        start.0.saturating_add(wait) <= self.now().0
    }

    /// The writer of a record that decides something.
    pub(crate) fn nonce(&self) -> Result<Nonce, StoreError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(StoreError::Entropy)?;
        Ok(Nonce(u128::from_be_bytes(bytes)))
    }

    pub(crate) fn random(&self) -> Result<u128, Refusal> {
        match &self.entropy {
            Entropy::Given(random) => Ok(random()),
            Entropy::System => {
                let mut bytes = [0; 16];
                getrandom::fill(&mut bytes)?;
                Ok(u128::from_be_bytes(bytes))
            }
        }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("store", &self.store).finish_non_exhaustive()
    }
}

/// The system's clock.
pub(crate) fn system_clock() -> Moment {
    Moment::of(SystemTime::now())
}
