//! The client: operations in, answers out.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use partwise_models::UnixSeconds;
use partwise_net::{
    BoxError,
    loopback::in_the_clear,
    sleep::{SleepClock, SleepWatch},
};
use partwise_protocol::{
    Api, Operation,
    error::Garbled,
    retry::{RetryPolicy, ServiceState},
    transport::{Failure, FailureKind, Segment},
    upload::Retry,
};
#[cfg(feature = "hyper")]
use partwise_transport_hyper::stack::Stack;
use tokio::time::Instant;
use tower_service::Service;

use crate::{
    CredentialSource, Error, Reading, RequestBody, Source, Writing,
    credentials::AnyCredentials,
    reading::Reader,
    retries::{FailedAttempt, Retries},
    service::AnyService,
    system::{Alarm, Clock, System},
    trace::{self, attempt_span},
};

/// Who is told of a failed attempt that another one follows.
pub(crate) type OnRetry = Arc<dyn Fn(&Retry) + Send + Sync>;

/// Executes operations against one service, and drives uploads and downloads. Cheap to clone; clones share their connections.
///
/// ```no_run
/// use partwise_protocol::{Api, Credential, operations::ListFiles};
/// use partwise::{Client, stack::Stack};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(Api::openai(), Credential::key("sk-…")?, Stack::default());
/// for file in client.call(&ListFiles::new()).await?.data {
///     println!("{} {:?}", file.id, file.bytes);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) api: Arc<Api>,
    pub(crate) credentials: Arc<dyn AnyCredentials>,
    pub(crate) account_headers: Arc<HeaderMap>,
    pub(crate) service: AnyService,
    pub(crate) reading: Reading,
    pub(crate) writing: Writing,
    pub(crate) plain_http: bool,
    pub(crate) retry: RetryPolicy,
    pub(crate) on_retry: Option<OnRetry>,
    pub(crate) system: System,
    /// Sees that the machine has slept, once for all of them.
    sleep: Arc<SleepWatch>,
    /// The time on this client's clocks, which all its uploads and downloads share.
    began: Instant,
    /// What its requests know of the service together.
    pub(crate) state: ServiceState,
}

impl Client {
    /// A client of the service at `api`, over any tower service: [`Stack`], hyper-util's pooled client, your own.
    ///
    /// The client retries what may be retried, so do not put a layer that does the same around the service. Timeouts
    /// are the service's: `Stack` has them.
    ///
    /// # Which errors are retried
    ///
    /// Errors of the service and of its answers' bodies are told apart by looking through their causes:
    ///
    /// - A [`Failure`](partwise_protocol::transport::Failure) anywhere among them is believed.
    /// - Those of [`Stack`], hyper, hyper-util's pooled client, rustls and [`std::io::Error`] are known, whatever wraps them.
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
    /// let client = Client::new(Api::openai(), Credential::key("sk-…")?, service);
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
    /// let client = Client::new(Api::openai(), Credential::key("sk-…")?, service);
    /// # Ok(client)
    /// # }
    /// ```
    ///
    /// Say [`FailureKind::Connect`](partwise_protocol::transport::FailureKind::Connect) only where the service has certainly not seen
    /// the request: it is then sent again even where a second one could make a second file.
    pub fn new<S, B>(api: Api, credentials: impl CredentialSource, service: S) -> Self
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self {
            api: Arc::new(api),
            credentials: Arc::new(credentials),
            account_headers: Arc::default(),
            service: AnyService::new(service),
            reading: Reading::default(),
            writing: Writing::default(),
            plain_http: false,
            retry: RetryPolicy::default(),
            on_retry: None,
            system: System::default(),
            sleep: Arc::new(SleepWatch::new(SleepClock::default())),
            began: Instant::now(),
            state: ServiceState::new(),
        }
    }

    /// A client over the default [`Stack`].
    #[cfg(feature = "hyper")]
    pub fn with_defaults(api: Api, credentials: impl CredentialSource) -> Self {
        Self::new(api, credentials, Stack::default())
    }

    /// Where sources are read; on threads for blocking work by default.
    #[must_use]
    pub fn reading(mut self, reading: Reading) -> Self {
        self.reading = reading;
        self
    }

    /// Where targets of downloads are written; on threads for blocking work by default.
    #[must_use]
    pub fn writing(mut self, writing: Writing) -> Self {
        self.writing = writing;
        self
    }

    /// Sends these headers with every request that carries the key, and with no other: on whose behalf it is used, such as
    /// `openai-organization`. A download that is redirected to another host goes without both.
    #[must_use]
    pub fn account_headers(mut self, headers: HeaderMap) -> Self {
        self.account_headers = Arc::new(headers);
        self
    }

    /// How patiently single operations are repeated; uploads have their policy in their plan.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Calls `told` whenever an attempt of a single operation has failed and another one follows, before the wait for it; and
    /// when an attempt cannot leave because other requests have found the service away, once until it leaves.
    /// Uploads and downloads to a target show it in their progress instead. [`Retry::number`] is always 1 here.
    #[must_use]
    pub fn on_retry(mut self, told: impl Fn(&Retry) + Send + Sync + 'static) -> Self {
        self.on_retry = Some(Arc::new(told));
        self
    }

    /// Sends the key over plain http to hosts other than this machine too, where anyone on the way can read it. By
    /// default such requests are refused before they leave.
    #[must_use]
    pub fn allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// The host and port to which the key goes over plain http, where anyone on the way can read it; `None` over https and
    /// for this machine. Without [`allow_plain_http`](Self::allow_plain_http) it goes nowhere then.
    #[must_use]
    pub fn plain_http_to(&self) -> Option<String> {
        in_the_clear(&self.api.base().parse().ok()?).map(str::to_owned)
    }

    /// Takes the time of day from here instead of the system, for tests; how long something lasts is always measured on
    /// tokio's clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> UnixSeconds + Send + Sync + 'static) -> Self {
        self.system.set_time_of_day(clock);
        self
    }

    /// Takes from here for how long the machine has slept since it was started, instead of from the system, for tests.
    #[must_use]
    pub fn sleep_clock(mut self, slept: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.sleep = Arc::new(SleepWatch::new(SleepClock::of(slept)));
        self
    }

    /// Takes random numbers from here instead of the system, for tests; none may come twice.
    #[must_use]
    pub fn entropy(mut self, random: impl Fn() -> [u8; 32] + Send + Sync + 'static) -> Self {
        self.system.set_entropy(random);
        self
    }

    /// The clocks of its uploads and downloads.
    pub(crate) fn clocks(&self) -> Clock {
        let alarm = Alarm { watch: self.sleep.clone(), state: self.state.clone() };
        self.system.clock_since(self.began, alarm)
    }

    /// The service that this client talks to.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Executes an operation whose body, if any, is in memory. Repeats it as the retry policy and the operation allow:
    /// what could make a second file is repeated only when the first try has certainly not arrived.
    ///
    /// While this client cannot reach the service, one of its requests at a time finds out whether it is back, uploads and
    /// downloads included, and an answer to any of them is for all. An attempt that is due by the policy in between counts as
    /// failed without being sent, so that the operation ends as soon as if it were alone. One that is alone with the outage
    /// (nothing but single operations, one after the other, has met it) sends all its attempts, as does one whose policy has zero
    /// for [`give_up_after`](RetryPolicy::give_up_after).
    ///
    /// # Errors
    /// [`Error::Encode`] before anything is sent, [`Error::Refused`] and [`Error::Garbled`] for answers,
    /// [`Error::Failed`] when there is none.
    pub async fn call<O: Operation>(&self, operation: &O) -> Result<O::Response, Error> {
        self.execute(operation, None).await
    }

    /// Executes an operation whose content is a range of `source`; every try reads it again.
    ///
    /// # Errors
    /// As for [`call`](Self::call); a source that cannot be read or ends early is an [`Error::Failed`].
    pub async fn call_with<O: Operation>(
        &self,
        operation: &O,
        source: impl Source,
    ) -> Result<O::Response, Error> {
        self.execute(operation, Some(Reader::new(Arc::new(source), self.reading))).await
    }

    async fn execute<O: Operation>(
        &self,
        operation: &O,
        reader: Option<Reader>,
    ) -> Result<O::Response, Error> {
        let mut retries = Retries::new(self, O::ID);
        loop {
            let call = retries.start().await?;
            match self.execute_once(operation, reader.clone(), retries.attempt()).await {
                Ok(response) => {
                    retries.succeeded(call);
                    return Ok(response);
                }
                Err(failed) => retries.after(call, failed).await?,
            }
        }
    }

    pub(crate) async fn execute_once<O: Operation>(
        &self,
        operation: &O,
        reader: Option<Reader>,
        attempt: u64,
    ) -> Result<O::Response, FailedAttempt> {
        let request = operation.encode_request(&self.api).map_err(Error::from)?;
        let has_content = request.body().segments().iter().any(|part| matches!(part, Segment::Source(_)));
        let mut request = request.map(|body| RequestBody::new(body, reader));
        request.extensions_mut().insert(O::ID.repeat());
        let handoff = request.body().handoff();
        let sending = self.exchange(request, O::ID.answer_limit());
        let response = trace::attempt(attempt_span(O::ID, None, attempt), sending).await;
        let may_have_arrived = handoff.left() >= handoff.len();
        let failed = |error: Error| FailedAttempt { may_have_arrived, ..error.into() };
        let response = response.map_err(|failure| failed(failure.into()))?;
        if response.status().is_success() && has_content && !may_have_arrived {
            // The service cannot have what it answers for, and may have made something of what it has.
            let failure = Failure::with_cause(FailureKind::Interrupted, AnsweredEarly);
            return Err(FailedAttempt { error: failure.into(), may_have_arrived: true, was_answered: true });
        }
        let (status, body) = (response.status(), response.body().clone());
        let answer = O::decode_response(response).map_err(|error| failed(error.into()))?;
        match operation.contradiction(&answer) {
            None => Ok(answer),
            Some(contradiction) => {
                let garbled = Garbled::contradictory(status, &body, contradiction);
                Err(failed(Error::Garbled(Box::new(garbled))))
            }
        }
    }
}

/// A success that came before the whole content had left.
#[derive(Debug, thiserror::Error)]
#[error("the service answered before it had the whole content")]
struct AnsweredEarly;

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("api", &self.api)
            .field("reading", &self.reading)
            .field("writing", &self.writing)
            .finish_non_exhaustive()
    }
}
