//! What all operations work with: the store, the time, and random numbers.

use std::{fmt, sync::Arc, time::SystemTime};

use object_store::path::Path;
use partwise_models::UnixSeconds;

use crate::{
    blob::{BlobWriter, Budget},
    refusal::Refusal,
    store::Store,
};

/// The operations, without a word of HTTP. Their code is in `files`, `listing`, `uploads`, `removal` and `sweeper`.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) store: Store,
    clock: Clock,
    entropy: Entropy,
    budget: Budget,
}

/// Tells the time; a test's stands still.
pub(crate) type Clock = Arc<dyn Fn() -> UnixSeconds + Send + Sync>;

/// Where random numbers come from.
#[derive(Clone)]
pub(crate) enum Entropy {
    System,
    /// A test's, which repeats itself.
    Given(Arc<dyn Fn() -> u128 + Send + Sync>),
}

impl Backend {
    pub(crate) fn new(store: Store, clock: Clock, entropy: Entropy) -> Self {
        Self { store, clock, entropy, budget: Budget::default() }
    }

    /// A blob at `path`, to be written.
    pub(crate) fn new_blob(&self, path: Path) -> BlobWriter {
        BlobWriter::new(self.store.clone(), path, &self.budget)
    }

    pub(crate) fn now(&self) -> UnixSeconds {
        (self.clock)()
    }

    /// Says whether so many seconds have passed since then.
    pub(crate) fn is_past(&self, start: UnixSeconds, wait: u64) -> bool {
        start.0.saturating_add(wait) <= self.now().0
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
pub(crate) fn system_clock() -> UnixSeconds {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixSeconds(since_epoch.as_secs())
}
