//! Settings of a client.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use partwise_models::UnixSeconds;
use partwise_net::{
    BoxError,
    loopback::in_the_clear,
    sleep::{SleepClock, SleepWatch},
};
use partwise_protocol::{
    Api,
    retry::{RetryPolicy, ServiceState},
    upload::Retry,
};
use tokio::time::Instant;
use tower_service::Service;

use crate::{
    Client, CredentialSource, Reading, RequestBody, Writing, client::OnRetry, credentials::AnyCredentials,
    service::AnyService, system::System,
};

/// Settings of a [`Client`], made by [`Client::builder`]. The defaults suit both services.
///
/// ```
/// use partwise::{
///     Client, Credential,
///     protocol::Api,
///     stack::{Stack, StackOptions},
/// };
///
/// # fn example() -> Result<Client, Box<dyn std::error::Error>> {
/// let client = Client::builder(Api::openai(), Credential::key("sk-…")?)
///     .transport(Stack::new(StackOptions::new().connections(8)))
///     .header("x-team", "search")?
///     .build();
/// # Ok(client)
/// # }
/// ```
#[must_use = "a client is built by `build`"]
pub struct ClientBuilder<T = DefaultTransport> {
    transport: T,
    api: Api,
    credentials: Arc<dyn AnyCredentials>,
    headers: HeaderMap,
    reading: Reading,
    writing: Writing,
    plain_http: bool,
    retry: RetryPolicy,
    on_retry: Option<OnRetry>,
    timeout: Option<Duration>,
    system: System,
    sleep: Arc<SleepWatch>,
    began: Instant,
    state: ServiceState,
}

/// The transport of a [`ClientBuilder`] that was given none: a [`Stack`](crate::stack::Stack) with the default settings.
#[derive(Debug)]
#[non_exhaustive]
pub struct DefaultTransport;

/// The transport that a [`ClientBuilder`] was given.
pub struct GivenTransport(AnyService);

impl std::fmt::Debug for GivenTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GivenTransport")
    }
}

/// A name or value that cannot be that of a header.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct HeaderError(http::Error);

impl ClientBuilder {
    pub(crate) fn new(api: Api, credentials: impl CredentialSource) -> Self {
        Self {
            transport: DefaultTransport,
            api,
            credentials: Arc::new(credentials),
            headers: HeaderMap::new(),
            reading: Reading::default(),
            writing: Writing::default(),
            plain_http: false,
            retry: RetryPolicy::default(),
            on_retry: None,
            timeout: None,
            system: System::default(),
            sleep: Arc::new(SleepWatch::new(SleepClock::default())),
            began: Instant::now(),
            state: ServiceState::new(),
        }
    }

    /// Builds the client. Nothing is opened yet.
    #[cfg(feature = "hyper")]
    #[must_use]
    pub fn build(self) -> Client {
        self.transport(crate::stack::Stack::default()).build()
    }
}

impl ClientBuilder<GivenTransport> {
    pub(crate) fn of(client: Client) -> Self {
        Self {
            transport: GivenTransport(client.service),
            api: (*client.api).clone(),
            credentials: client.credentials,
            headers: (*client.headers).clone(),
            reading: client.reading,
            writing: client.writing,
            plain_http: client.plain_http,
            retry: client.retry,
            on_retry: client.on_retry,
            timeout: client.timeout,
            system: client.system,
            sleep: client.sleep,
            began: client.began,
            state: client.state,
        }
    }

    /// Builds the client. Nothing is opened yet.
    #[must_use]
    pub fn build(self) -> Client {
        Client {
            api: Arc::new(self.api),
            credentials: self.credentials,
            headers: Arc::new(self.headers),
            service: self.transport.0,
            reading: self.reading,
            writing: self.writing,
            plain_http: self.plain_http,
            retry: self.retry,
            on_retry: self.on_retry,
            timeout: self.timeout,
            system: self.system,
            sleep: self.sleep,
            began: self.began,
            state: self.state,
        }
    }
}

impl<T> ClientBuilder<T> {
    /// Sends requests through this tower service: a [`Stack`](crate::stack::Stack) of other settings, hyper-util's pooled client, your own.
    ///
    /// The client retries what may be retried, so do not put a layer that does the same around the service. Timeouts
    /// are the service's: `Stack` has them.
    ///
    /// # Which errors are retried
    ///
    /// Errors of the service and of its answers' bodies are told apart by looking through their causes:
    ///
    /// - A [`Failure`](partwise_protocol::transport::Failure) anywhere among them is believed.
    /// - Those of [`Stack`](crate::stack::Stack), hyper, hyper-util's pooled client, rustls and [`std::io::Error`] are known, whatever wraps them; without the feature `hyper`
    ///   the last alone.
    /// - All others are final: [`FailureKind::Other`](partwise_protocol::transport::FailureKind::Other).
    ///
    /// So a service with errors of its own says what they mean. A timeout of tower is final unless it does:
    ///
    /// ```
    /// use std::{error::Error, time::Duration};
    ///
    /// use partwise_protocol::{Api, Credential, transport::{Failure, FailureKind}};
    /// use partwise::{Client, stack::Stack};
    /// use tower::{ServiceBuilder, timeout::error::Elapsed};
    ///
    /// # fn client() -> Result<Client, Box<dyn Error>> {
    /// let service = ServiceBuilder::new()
    ///     .map_err(|error: Box<dyn Error + Send + Sync>| match error.is::<Elapsed>() {
    ///         true => Failure::with_cause(FailureKind::Timeout, error).into(),
    ///         false => error,
    ///     })
    ///     .timeout(Duration::from_secs(600))
    ///     .service(Stack::default());
    /// let client = Client::builder(Api::openai(), Credential::key("sk-…")?).transport(service).build();
    /// # Ok(client)
    /// # }
    /// ```
    ///
    /// For reqwest the errors of an answer's body need the same, since its timeout ends those too:
    ///
    /// ```
    /// use std::error::Error;
    ///
    /// use http::{Request, Response};
    /// use http_body_util::BodyExt as _;
    /// use partwise_protocol::{Api, Credential, transport::{Failure, FailureKind}};
    /// use partwise::{Client, RequestBody};
    ///
    /// fn failure(error: reqwest::Error) -> Box<dyn Error + Send + Sync> {
    ///     // A connection that took too long to open is both, and has sent nothing.
    ///     let kind = match () {
    ///         () if error.is_connect() => FailureKind::Connect,
    ///         () if error.is_timeout() => FailureKind::Timeout,
    ///         // Its causes are hyper's and the system's, and those are known.
    ///         () => return error.into(),
    ///     };
    ///     Failure::with_cause(kind, error).into()
    /// }
    ///
    /// # fn client(http: reqwest::Client) -> Result<Client, Box<dyn Error>> {
    /// let service = tower::service_fn(move |request: Request<RequestBody>| {
    ///     let http = http.clone();
    ///     async move {
    ///         let request = request.map(reqwest::Body::wrap).try_into().map_err(failure)?;
    ///         let answer: Response<reqwest::Body> = http.execute(request).await.map_err(failure)?.into();
    ///         Ok::<_, Box<dyn Error + Send + Sync>>(answer.map(|body| body.map_err(failure)))
    ///     }
    /// });
    /// let client = Client::builder(Api::openai(), Credential::key("sk-…")?).transport(service).build();
    /// # Ok(client)
    /// # }
    /// ```
    ///
    /// Say [`FailureKind::Connect`](partwise_protocol::transport::FailureKind::Connect) only where the service has certainly not seen
    /// the request: it is then sent again even where a second one could make a second file.
    pub fn transport<S, B>(self, service: S) -> ClientBuilder<GivenTransport>
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        ClientBuilder {
            transport: GivenTransport(AnyService::new(service)),
            api: self.api,
            credentials: self.credentials,
            headers: self.headers,
            reading: self.reading,
            writing: self.writing,
            plain_http: self.plain_http,
            retry: self.retry,
            on_retry: self.on_retry,
            timeout: self.timeout,
            system: self.system,
            sleep: self.sleep,
            began: self.began,
            state: self.state,
        }
    }

    /// Sends this header with every request that carries the key, and with no other: on whose behalf it is used, such as
    /// `openai-organization`, or what a gateway wants to know. A download that is redirected to another host goes without.
    ///
    /// # Errors
    /// [`HeaderError`] when the name or the value cannot be that of a header.
    pub fn header<N, V>(mut self, name: N, value: V) -> Result<Self, HeaderError>
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let name = name.try_into().map_err(|error| HeaderError(error.into()))?;
        let value = value.try_into().map_err(|error| HeaderError(error.into()))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// The service that the client will talk to.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The host and port to which the key goes over plain http, where anyone on the way can read it; `None` over https and
    /// for this machine. Without [`allow_plain_http`](Self::allow_plain_http) it goes nowhere then.
    #[must_use]
    pub fn plain_http_to(&self) -> Option<String> {
        in_the_clear(&self.api.base().parse().ok()?).map(str::to_owned)
    }

    /// Where sources are read; on threads for blocking work by default.
    pub fn reading(mut self, reading: Reading) -> Self {
        self.reading = reading;
        self
    }

    /// Where targets of downloads are written; on threads for blocking work by default.
    pub fn writing(mut self, writing: Writing) -> Self {
        self.writing = writing;
        self
    }

    /// Sets the policy by which requests are retried: those of single operations, uploads and downloads. A single upload or download
    /// can have another one ([`UploadBuilder::retry`](crate::UploadBuilder::retry), [`PathDownload::retry`](crate::PathDownload::retry),
    /// and in a [`Plan`](partwise_protocol::upload::Plan) or [`DownloadPlan`](partwise_protocol::download::DownloadPlan)). It is
    /// [`RetryPolicy::DEFAULT`] by default.
    ///
    /// ```
    /// use partwise::{Client, Credential, protocol::{Api, retry::RetryPolicy}};
    ///
    /// # fn client() -> Result<Client, Box<dyn std::error::Error>> {
    /// let policy = RetryPolicy::default().max_failures(3);
    /// let client = Client::builder(Api::openai(), Credential::key("sk-…")?).retry(policy).build();
    /// # Ok(client)
    /// # }
    /// ```
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Calls `told` whenever an attempt of a single operation has failed and another one follows, before the wait for it; and
    /// when an attempt cannot leave because other requests have found the service away, once until it leaves.
    /// Uploads and downloads to a target show it in their progress instead. [`Retry::number`] is always 1 here.
    pub fn on_retry(mut self, told: impl Fn(&Retry) + Send + Sync + 'static) -> Self {
        self.on_retry = Some(Arc::new(told));
        self
    }

    /// Sends the key over plain http to hosts other than this machine too, where anyone on the way can read it. By
    /// default such requests are refused before they leave.
    pub fn allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Takes the time of day from here instead of the system, for tests; how long something lasts is always measured on
    /// tokio's clock.
    pub fn clock(mut self, clock: impl Fn() -> UnixSeconds + Send + Sync + 'static) -> Self {
        self.system.set_time_of_day(clock);
        self
    }

    /// Takes from here for how long the machine has slept since it was started, instead of from the system, for tests.
    pub fn sleep_clock(mut self, slept: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.sleep = Arc::new(SleepWatch::new(SleepClock::of(slept)));
        self
    }

    /// Takes random numbers from here instead of the system, for tests; none may come twice.
    pub fn entropy(mut self, random: impl Fn() -> [u8; 32] + Send + Sync + 'static) -> Self {
        self.system.set_entropy(random);
        self
    }
}

impl<T> std::fmt::Debug for ClientBuilder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder").field("api", &self.api).finish_non_exhaustive()
    }
}
