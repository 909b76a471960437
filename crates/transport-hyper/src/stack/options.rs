//! How the default stack is set up.

use std::time::Duration;

#[cfg(feature = "__tls")]
use super::tls::{self, CertificateError, CryptoProvider};
use super::{connect::Connector, proxy::Proxy};
use partwise_net::sleep::SleepClock;

/// How long nothing may happen. Each counts silence, never the length of a transfer: a part may take hours.
///
/// ```
/// use std::time::Duration;
///
/// use partwise_transport_hyper::stack::{StackOptions, Timeouts};
///
/// let timeouts = Timeouts::default().connect(Duration::from_secs(3)).stall(Duration::from_secs(60));
/// let options = StackOptions::new().timeouts(timeouts);
/// # drop(options);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Until a connection stands: name, socket, proxy and TLS together. 10 s by default.
    pub connect: Duration,
    /// While bytes wait to be sent or acknowledged and none is, and between two pieces of an answer's body that somebody
    /// waits for. 20 s by default.
    ///
    /// A connection that only has to wait for its turn on a slow line is not silent: as long as others of the same stack
    /// move bytes, none is given up before each of them has moved 256 KiB on average. Time during which this process did
    /// not run does not count. On Linux a byte that the peer acknowledges is seen. Elsewhere, and where `/proc` is not to be
    /// had, only writes that find room are, and so they get three times as long. After a sleep of the machine it is 10 s, unless the
    /// request may have made or deleted something.
    pub stall: Duration,
    /// From the last byte of a `POST` to the first of its answer. 600 s by default, since a service may take minutes to
    /// assemble a file of gigabytes before it answers.
    ///
    /// A part is given up sooner when no connection of the stack moves a byte: a proxy may have swallowed it. It is waited for
    /// three times as long as the answer to a part took before, at least for `lookup` and at most for this; for all of this as long
    /// as no part was answered.
    pub answer: Duration,
    /// The same for requests that only look something up or delete it (`GET`, `DELETE`). 60 s by default, and never
    /// more than `answer`.
    pub lookup: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            answer: Duration::from_secs(600),
            lookup: Duration::from_secs(60),
        }
    }
}

impl Timeouts {
    /// What `stall` is where nobody sees what the peer acknowledges.
    pub(super) fn stall_unseen(&self) -> Duration {
        self.stall.saturating_mul(3)
    }

    /// Sets [`connect`](#structfield.connect).
    #[must_use]
    pub fn connect(mut self, connect: Duration) -> Self {
        self.connect = connect;
        self
    }

    /// Sets [`stall`](#structfield.stall).
    #[must_use]
    pub fn stall(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }

    /// Sets [`answer`](#structfield.answer).
    #[must_use]
    pub fn answer(mut self, answer: Duration) -> Self {
        self.answer = answer;
        self
    }

    /// Sets [`lookup`](#structfield.lookup).
    #[must_use]
    pub fn lookup(mut self, lookup: Duration) -> Self {
        self.lookup = lookup;
        self
    }
}

/// The settings of a [`Stack`](super::Stack); the defaults suit both services.
///
/// ```
/// use std::time::Duration;
///
/// use partwise_transport_hyper::stack::{Stack, StackOptions, Timeouts};
///
/// let timeouts = Timeouts::default().stall(Duration::from_secs(20));
/// let stack = Stack::new(StackOptions::new().timeouts(timeouts).connections(8));
/// # drop(stack);
/// ```
#[derive(Debug)]
#[must_use]
pub struct StackOptions {
    pub(super) connections: usize,
    pub(super) timeouts: Timeouts,
    sleep: SleepClock,
    proxy: Proxy,
    #[cfg(feature = "__tls")]
    crypto: CryptoProvider,
    #[cfg(feature = "__tls")]
    extra_ca: Vec<rustls::pki_types::CertificateDer<'static>>,
}

impl StackOptions {
    /// The defaults: up to 32 connections, proxies as the environment says, the system's certificates.
    pub fn new() -> Self {
        Self {
            connections: 32,
            timeouts: Timeouts::default(),
            sleep: SleepClock::default(),
            proxy: Proxy::from_env(),
            #[cfg(feature = "__tls")]
            crypto: CryptoProvider::default(),
            #[cfg(feature = "__tls")]
            extra_ca: Vec::new(),
        }
    }

    /// At most so many connections at a time, in use and idle together; at least one. Requests beyond wait for one, so
    /// there should be as many as parts in flight.
    pub fn connections(mut self, limit: usize) -> Self {
        self.connections = limit.max(1);
        self
    }

    /// How long nothing may happen.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Takes from here for how long the machine has slept since it was started, instead of from the system, for tests.
    pub fn sleep_clock(mut self, slept: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.sleep = SleepClock::of(slept);
        self
    }

    /// Which requests go through a proxy.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// Which implementation of the cryptography TLS uses.
    #[cfg(feature = "__tls")]
    pub fn crypto(mut self, provider: CryptoProvider) -> Self {
        self.crypto = provider;
        self
    }

    /// Trusts these certificates (PEM, one or more) besides those of the system: of CAs, or of the service itself, which is
    /// then known by that very certificate. Its name and its time are checked all the same.
    ///
    /// # Errors
    /// [`CertificateError`] when the text holds no certificate, or one that cannot be used.
    #[cfg(feature = "__tls")]
    pub fn trust_ca_pem(mut self, pem: &[u8]) -> Result<Self, CertificateError> {
        self.extra_ca.extend(tls::read_pem(pem)?);
        Ok(self)
    }

    pub(super) fn connector(self) -> Connector {
        Connector::new(
            self.proxy,
            &self.timeouts,
            self.sleep,
            #[cfg(feature = "__tls")]
            self.crypto,
            #[cfg(feature = "__tls")]
            self.extra_ca,
        )
    }
}

impl Default for StackOptions {
    fn default() -> Self {
        Self::new()
    }
}
