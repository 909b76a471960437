//! The server and what it is built from.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use partwise_models::UnixSeconds;
use partwise_protocol::Dialect;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::{
    auth::{Keys, Rejections},
    backend::{Backend, Clock, Entropy, system_clock},
    limits::Limits,
    marker,
    memory::MemoryBudget,
    open::OpenError,
    probe,
    rules::Rules,
    service::LogLines,
    store::Store,
    sweeper::Swept,
};

/// The ten operations of the Files and Uploads APIs, as a [`tower_service::Service`] of HTTP requests.
///
/// Which dialect a request speaks is told by its path: `/v1/…` is OpenAI, `/openai/v1/…` is Azure v1, any other
/// `/openai/…` is Azure with a dated `api-version`. Cheap to clone; clones share everything. Must be called within a
/// tokio runtime.
///
/// ```
/// use partwise_server::{Keys, Server, Store, Tenant};
/// use tower_service::Service;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = Keys::new([("secret", Tenant::new("team")?)]);
/// let mut server = Server::builder(Store::memory()).keys(keys).build().await?;
///
/// let request = http::Request::get("/v1/files").header("authorization", "Bearer secret");
/// let response = server.call(request.body(http_body_util::Empty::new())?).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Server(Arc<Shared>);

struct Shared {
    backend: Backend,
    keys: RwLock<Arc<Keys>>,
    rejections: Rejections,
    log_lines: LogLines,
    limits: Limits,
    loopback_hosts_only: bool,
    in_flight: AtomicUsize,
    json: MemoryBudget,
    is_strict: bool,
}

/// A request that is counted as in flight for as long as this lives.
pub(crate) struct InFlight(Server);

/// Builds a [`Server`].
///
/// ```
/// use partwise_server::{Keys, Limits, Server, Store, Tenant};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = Keys::new([("secret", Tenant::new("team")?), ("another", Tenant::new("other-team")?)]);
/// let server = Server::builder(Store::memory())
///     .keys(keys)
///     .limits(Limits::default())
///     .loopback_hosts_only(true)
///     .strict(true)
///     .build()
///     .await?;
/// assert_eq!(server.requests_in_flight(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Builder {
    store: Store,
    keys: Keys,
    limits: Limits,
    loopback_hosts_only: bool,
    clock: Clock,
    entropy: Entropy,
    json_in_flight: u32,
    parts_in_flight: u32,
    is_strict: bool,
}

/// The memory, in bytes, that JSON bodies in flight may take together: four of the largest that complete an upload.
const JSON_IN_FLIGHT: u32 = 64 * 1024 * 1024;
/// The memory, in bytes, that the parts of files in flight may take together: five files of 400,000.
const PARTS_IN_FLIGHT: u32 = 64 * 1024 * 1024;

/// The time between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);
/// The time from the end of a sweep to one that a full disk asks for.
const SWEEP_AGAIN: Duration = Duration::from_secs(60);

/// A sweep stopped half-way; the next one starts from the beginning.
#[derive(Debug, thiserror::Error)]
#[error("the store cannot be swept")]
#[non_exhaustive]
pub struct SweepError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Server {
    /// A server over this store, which takes no key until [`Builder::keys`] says which.
    pub fn builder(store: impl Into<Store>) -> Builder {
        Builder {
            store: store.into(),
            keys: Keys::new([]),
            limits: Limits::default(),
            loopback_hosts_only: false,
            clock: Arc::new(system_clock),
            entropy: Entropy::System,
            json_in_flight: JSON_IN_FLIGHT,
            parts_in_flight: PARTS_IN_FLIGHT,
            is_strict: false,
        }
    }

    /// Removes the bytes of what was deleted, expired, cancelled or left behind, some time after that happened, and its
    /// records some time later; also ends uploads whose time is over, and makes files whole whose creation was interrupted. Takes
    /// back room on a full disk, too, and writes nothing when nothing has changed. [`serve`](Self::serve) and
    /// [`serve_on_threads`](Self::serve_on_threads) do so by themselves; who mounts the server elsewhere calls this now and then. Several servers may sweep one store;
    /// sweeps of one [`Store`] and its clones wait for each other.
    ///
    /// # Errors
    /// [`SweepError`] when the store fails, or is not there. One file, upload or tenant that cannot be read is counted instead
    /// ([`Swept::skipped`]).
    pub async fn sweep(&self) -> Result<Swept, SweepError> {
        self.0.backend.sweep().await.map_err(|error| SweepError(error.into()))
    }

    /// Sweeps now, every hour, and within a minute after a full disk refused something. Never ends; to be dropped when the server
    /// is not used any more. [`serve`](Self::serve) and [`serve_on_threads`](Self::serve_on_threads) do this by themselves; who mounts the server
    /// elsewhere runs it in a task, or calls [`sweep`](Self::sweep) now and then.
    pub async fn sweep_regularly(self) {
        let mut hourly = interval(SWEEP_EVERY);
        hourly.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = Instant::now();
        loop {
            let wanted = async {
                sleep_until(next).await;
                self.0.backend.store.full_disk.sweep_wanted().await;
            };
            let is_hourly = tokio::select! {
                _ = hourly.tick() => true,
                () = wanted => false,
            };
            match self.sweep().await {
                Ok(swept) => tracing::debug!(?swept, "swept"),
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the sweeper failed"),
            }
            if !is_hourly {
                next = Instant::now() + SWEEP_AGAIN;
            }
        }
    }

    /// Takes these keys from now on, in this server and all its clones. Requests in flight go on with the key that they came with.
    pub fn set_keys(&self, keys: Keys) {
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// The number of requests that the server's own sockets are serving, each up to the last byte of its answer.
    #[must_use]
    pub fn requests_in_flight(&self) -> usize {
        self.0.in_flight.load(Relaxed)
    }

    pub(crate) fn begin_request(&self) -> InFlight {
        self.0.in_flight.fetch_add(1, Relaxed);
        InFlight(self.clone())
    }

    pub(crate) fn rejections(&self) -> &Rejections {
        &self.0.rejections
    }

    pub(crate) fn log_lines(&self) -> &LogLines {
        &self.0.log_lines
    }

    pub(crate) fn takes_loopback_hosts_only(&self) -> bool {
        self.0.loopback_hosts_only
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.0.backend
    }

    pub(crate) fn keys(&self) -> Arc<Keys> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn json(&self) -> &MemoryBudget {
        &self.0.json
    }

    /// The rules for requests of a dialect.
    pub(crate) fn rules<'a>(&self, dialect: &'a Dialect) -> Rules<'a> {
        Rules { dialect, is_strict: self.0.is_strict }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Builder {
    /// Takes these keys.
    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    /// Keeps to these limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Takes requests for loopback names alone, wherever it is mounted: `localhost`, names below it, `127.0.0.0/8` and `[::1]`, at any
    /// port. Any other `Host` is answered with 403; a request without one is taken, since no browser sends it.
    ///
    /// [`Server::serve`] does so without being told to when there are [no keys](Keys::any) and the address is a loopback one. Whoever
    /// mounts a server without keys where browsers of the machine can reach it needs this: a page can have its own name
    /// point to this machine.
    pub fn loopback_hosts_only(mut self, only: bool) -> Self {
        self.loopback_hosts_only = only;
        self
    }

    /// Takes the time from here instead of the system, for tests.
    pub fn clock(mut self, clock: impl Fn() -> UnixSeconds + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(move || clock().into());
        self
    }

    /// Takes random numbers from here instead of the system, for tests; no number may come twice.
    pub fn entropy(mut self, random: impl Fn() -> u128 + Send + Sync + 'static) -> Self {
        self.entropy = Entropy::Given(Arc::new(random));
        self
    }

    /// Rejects what the documents reject, also where a live service was seen to accept it: at OpenAI, content for a batch
    /// whose name does not end with `.jsonl`. Off by default.
    pub fn strict(mut self, is_strict: bool) -> Self {
        self.is_strict = is_strict;
        self
    }

    /// Sets the memory, in bytes, that the JSON bodies in flight may take together, 64 MiB by default, of which one tenant
    /// has at most half. A request that finds no room is answered with 503 and `Retry-After`. The first 16 KiB of each
    /// body are not counted, so that ordinary requests always find room; a body that completes an upload may have up to
    /// 16 MiB.
    pub fn json_in_flight(mut self, bytes: u32) -> Self {
        self.json_in_flight = bytes;
        self
    }

    /// Sets the memory, in bytes, that the lists of parts of the files in flight may take together, 64 MiB by default, of which one
    /// tenant has at most half. A part takes 32 bytes for as long as a download of it, or a completion that names it, lasts; the
    /// first 512 parts of each request are not counted. A request that finds no room is answered with 503 and `Retry-After`.
    pub fn parts_in_flight(mut self, bytes: u32) -> Self {
        self.parts_in_flight = bytes;
        self
    }

    /// Opens the store, and marks one that is new with the format that this release writes. One elsewhere is
    /// [probed](Store::without_probe) first, by about twenty requests.
    ///
    /// # Errors
    /// [`OpenError`] when the store fails, or has a format of a later release. A full disk is no failure, unless the store
    /// is new.
    pub async fn build(self) -> Result<Server, OpenError> {
        let Self { store, keys, limits, loopback_hosts_only, clock, entropy, .. } = self;
        let (json, parts) = (MemoryBudget::new(self.json_in_flight), MemoryBudget::new(self.parts_in_flight));
        if store.is_probed() {
            probe::check(&store).await?;
        }
        marker::check(&store).await?;
        if let Some(folder) = &store.folder {
            folder.remember().await.map_err(|error| OpenError::Store(error.into()))?;
            folder.fill_reserve().await;
        }
        Ok(Server(Arc::new(Shared {
            backend: Backend::new(store, clock, entropy, parts),
            keys: RwLock::new(Arc::new(keys)),
            rejections: Rejections::new(),
            log_lines: LogLines::new(),
            limits,
            loopback_hosts_only,
            in_flight: AtomicUsize::new(0),
            json,
            is_strict: self.is_strict,
        })))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("store", &self.0.backend.store).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("store", &self.store).finish_non_exhaustive()
    }
}
