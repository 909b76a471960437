//! From a URL to an open stream: name, socket, proxy, TLS.

use std::{error::Error, io, sync::Arc, task::Context, task::Poll, time::Duration};

use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{
    HttpConnector,
    dns::{GaiResolver, Name},
};
use partwise_protocol::error::ApiError;
use tower_service::Service;

#[cfg(feature = "__tls")]
use super::tls::{self, TlsError};
use super::{
    options::Timeouts,
    proxy::{InvalidProxy, Proxy, Server},
    silence::{Traffic, within},
    stream::Stream,
    tunnel::tunnel,
    wire::Wire,
};
use partwise_net::sleep::SleepClock;

/// Well below the four minutes after which Azure's load balancers drop a connection, which are among the shortest.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Not where the kernel goes by `TCP_USER_TIMEOUT`.
const KEEPALIVE_RETRIES: u32 = 2;
/// The kernel knows nothing of other connections, which this one may have to wait for: it gives up so many times later.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
const LATER: u32 = 3;

/// Opens streams. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector<Resolver>,
    proxy: Arc<Proxy>,
    timeout: Duration,
    traffic: Arc<Traffic>,
    #[cfg(feature = "__tls")]
    tls: Arc<Tls>,
}

/// The system's roots are read at the first connection that needs them: a command that only talks to this machine
/// should not wait for that.
#[cfg(feature = "__tls")]
struct Tls {
    provider: tls::CryptoProvider,
    extra: Vec<rustls::pki_types::CertificateDer<'static>>,
    ready: tokio::sync::OnceCell<tokio_rustls::TlsConnector>,
}

/// An open stream, and how requests must look on it.
pub(super) struct Opened {
    pub(super) stream: Stream,
    /// Requests go to this proxy, which forwards each of them, so they name the whole URL.
    pub(super) forwarded: Option<Server>,
}

/// No connection came about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one that can be connected to.
    #[error("`{uri}` is not a URL with a host and the scheme http or https")]
    Uri {
        /// The URL.
        uri: Uri,
    },
    /// The host's name is not known.
    #[error("the host `{host}` is not known")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The host does not take connections.
    #[error("cannot connect to {to}")]
    Tcp {
        /// Host and port.
        to: String,
        /// What the system said, or else the connector.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Name, socket, proxy and TLS together took too long.
    #[error("no connection to {to} within {} s", after.as_secs_f32())]
    TimedOut {
        /// Host and port.
        to: String,
        /// The time that was given.
        after: Duration,
    },
    /// The proxy cannot be reached.
    #[error("the proxy at {proxy} cannot be reached")]
    ProxyUnreachable {
        /// Host and port of the proxy.
        proxy: String,
        /// The variable that names it, when the environment does.
        variable: Option<&'static str>,
        /// Why.
        source: Box<ConnectError>,
    },
    /// The proxy does not let requests to the host through, and says so.
    #[error("the proxy at {proxy} refused the way to {to}")]
    ProxyRejected {
        /// Host and port of the proxy.
        proxy: String,
        /// The variable that names it, when the environment does.
        variable: Option<&'static str>,
        /// Whether it was told a name and a password.
        has_login: bool,
        /// The schemes of the logins that it takes, such as `Basic`, as far as it says them.
        schemes: Vec<String>,
        /// Host and port behind it.
        to: String,
        /// What it said.
        source: Box<ApiError>,
    },
    /// The proxy did not open a way to the host, and did not say why.
    #[error("the proxy at {proxy} opens no way to {to}")]
    Proxy {
        /// Host and port of the proxy.
        proxy: String,
        /// Host and port behind it.
        to: String,
        /// How the connection to it ended.
        source: hyper::Error,
    },
    /// The proxy sent more than its answer before anything was sent to the host.
    #[error("the proxy at {proxy} sends something of its own on the way to {to}")]
    ProxyGarbled {
        /// Host and port of the proxy.
        proxy: String,
        /// Host and port behind it.
        to: String,
    },
    /// The environment names a proxy that cannot be used.
    #[error(transparent)]
    InvalidProxy(#[from] InvalidProxy),
    /// TLS did not come about.
    #[cfg(feature = "__tls")]
    #[error("no TLS with {host}")]
    Tls {
        /// The host.
        host: String,
        /// Why.
        source: TlsError,
    },
    /// The trusted certificates cannot be had.
    #[cfg(feature = "__tls")]
    #[error(transparent)]
    Certificates(#[from] tls::CertificateError),
    /// An https URL in a build without TLS.
    #[cfg(not(feature = "__tls"))]
    #[error("https needs the feature `ring` or `aws-lc-rs` of partwise-transport-hyper")]
    NoTls,
}

impl ConnectError {
    /// Whether the same may work a moment later. A certificate or a tunnel that is refused now is refused then.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Tcp { .. } | Self::TimedOut { .. } => true,
            Self::ProxyUnreachable { source, .. } => source.is_transient(),
            Self::Proxy { source, .. } => !source.is_parse(),
            #[cfg(feature = "__tls")]
            Self::Tls { source: TlsError::Broken(_), .. } => true,
            _ => false,
        }
    }
}

impl Connector {
    pub(super) fn new(
        proxy: Proxy,
        timeouts: &Timeouts,
        sleep: SleepClock,
        #[cfg(feature = "__tls")] provider: tls::CryptoProvider,
        #[cfg(feature = "__tls")] extra: Vec<rustls::pki_types::CertificateDer<'static>>,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // A service may be silent for minutes before it answers, and what lies between forgets silent connections.
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        // The kernel sees what nobody above can: whether the peer still acknowledges what lies in the send buffer.
        // Elsewhere only writes that find no room are watched.
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
        tcp.set_tcp_user_timeout(Some(timeouts.stall_unseen().saturating_mul(LATER)));
        Self {
            tcp,
            proxy: Arc::new(proxy),
            timeout: timeouts.connect,
            traffic: Arc::new(Traffic::new(sleep)),
            #[cfg(feature = "__tls")]
            tls: Arc::new(Tls { provider, extra, ready: tokio::sync::OnceCell::new() }),
        }
    }

    /// What all streams move.
    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Opens a stream for requests to `uri`.
    pub(super) async fn open(&self, uri: &Uri) -> Result<Opened, ConnectError> {
        let to = host_and_port(uri)?;
        match within(self.timeout, self.open_untimed(uri, &to)).await {
            Some(opened) => opened,
            None => Err(ConnectError::TimedOut { to, after: self.timeout }),
        }
    }

    async fn open_untimed(&self, uri: &Uri, to: &str) -> Result<Opened, ConnectError> {
        let secure = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let Some(proxy) = self.proxy.for_uri(uri)? else {
            let stream = self.tcp(uri).await?;
            let stream = if secure { self.secure(uri, stream).await? } else { stream };
            return Ok(Opened { stream, forwarded: None });
        };
        if secure {
            let stream = tunnel(self.to_proxy(proxy).await?, proxy, to).await?;
            return Ok(Opened { stream: self.secure(uri, stream).await?, forwarded: None });
        }
        Ok(Opened { stream: self.to_proxy(proxy).await?, forwarded: Some(proxy.clone()) })
    }

    async fn tcp(&self, uri: &Uri) -> Result<Stream, ConnectError> {
        match self.tcp.clone().call(uri.clone()).await {
            Ok(tcp) => Ok(Stream::Plain(Wire::new(tcp.into_inner(), self.traffic.clone()))),
            Err(error) => Err(no_socket(uri, error)),
        }
    }

    async fn to_proxy(&self, proxy: &Server) -> Result<Stream, ConnectError> {
        let opened = async {
            let uri = proxy.uri();
            let stream = self.tcp(&uri).await?;
            match uri.scheme() == Some(&http::uri::Scheme::HTTPS) {
                true => self.secure(&uri, stream).await,
                false => Ok(stream),
            }
        };
        opened.await.map_err(|source| ConnectError::ProxyUnreachable {
            proxy: proxy.to_string(),
            variable: proxy.variable,
            source: Box::new(source),
        })
    }

    #[cfg(feature = "__tls")]
    async fn secure(&self, uri: &Uri, stream: Stream) -> Result<Stream, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let connector = self.tls.ready.get_or_try_init(|| self.load_roots(host)).await?;
        let stream = tls::handshake(connector, host, stream).await?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    #[cfg(not(feature = "__tls"))]
    async fn secure(&self, _: &Uri, _: Stream) -> Result<Stream, ConnectError> {
        Err(ConnectError::NoTls)
    }

    #[cfg(feature = "__tls")]
    async fn load_roots(&self, host: &str) -> Result<tokio_rustls::TlsConnector, ConnectError> {
        let tls = self.tls.clone();
        let loading = tokio::task::spawn_blocking(move || tls::connector(tls.provider, &tls.extra));
        match loading.await {
            Ok(connector) => Ok(connector?),
            Err(stopped) => {
                let source = TlsError::Broken(stopped.into());
                Err(ConnectError::Tls { host: host.to_owned(), source })
            }
        }
    }
}

/// `host:port` for people, with the scheme's port when the URL names none.
pub(super) fn host_and_port(uri: &Uri) -> Result<String, ConnectError> {
    let default = match uri.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return Err(ConnectError::Uri { uri: uri.clone() }),
    };
    match uri.host() {
        Some(host) if !host.is_empty() => Ok(format!("{host}:{}", uri.port_u16().unwrap_or(default))),
        _ => Err(ConnectError::Uri { uri: uri.clone() }),
    }
}

/// The error that matters lies below those of the connector, whose words are for its own developers.
fn no_socket(uri: &Uri, error: impl Error + Send + Sync + 'static) -> ConnectError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(NameError(source)) = inner.downcast_ref() {
            return ConnectError::Resolve {
                host: uri.host().unwrap_or_default().to_owned(),
                source: copy(source),
            };
        }
        if let Some(source) = inner.downcast_ref::<io::Error>() {
            let to = host_and_port(uri).unwrap_or_default();
            return ConnectError::Tcp { to, source: copy(source).into() };
        }
        cause = inner.source();
    }
    ConnectError::Tcp { to: host_and_port(uri).unwrap_or_default(), source: error.into() }
}

/// An error that lies inside another cannot be taken out of it.
fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// The system's resolver, with its errors marked, since the connector does not tell them from others.
#[derive(Clone, Debug)]
struct Resolver(GaiResolver);

#[derive(Debug, thiserror::Error)]
#[error("the name cannot be resolved")]
struct NameError(#[source] io::Error);

impl Service<Name> for Resolver {
    type Response = <GaiResolver as Service<Name>>::Response;
    type Error = NameError;
    type Future = BoxFuture<'static, Result<Self::Response, NameError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NameError>> {
        self.0.poll_ready(cx).map_err(NameError)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolving = self.0.call(name);
        Box::pin(async move { resolving.await.map_err(NameError) })
    }
}
