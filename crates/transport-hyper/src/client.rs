//! The client: operations in, answers out.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use partwise_models::UnixSeconds;
use partwise_protocol::{Api, Operation, Retry, RetryPolicy};
use tower_service::Service;

use crate::{
    CredentialSource, Error, Reading, RequestBody, Source, Writing,
    credentials::AnyCredentials,
    reading::Reader,
    retries::Retries,
    service::{AnyService, BoxError},
    stack::Stack,
    system::System,
    trace::{self, attempt_span},
};

/// Who is told of a failed attempt that another one follows.
pub(crate) type OnRetry = Arc<dyn Fn(&Retry) + Send + Sync>;

/// Executes operations against one service, and drives uploads and downloads. Cheap to clone; clones share their connections.
///
/// ```no_run
/// use partwise_protocol::{Api, Credential, ListFiles};
/// use partwise_transport_hyper::{Client, stack::Stack};
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
    pub(crate) service: AnyService,
    pub(crate) reading: Reading,
    pub(crate) writing: Writing,
    pub(crate) plain_http: bool,
    pub(crate) retry: RetryPolicy,
    pub(crate) on_retry: Option<OnRetry>,
    pub(crate) system: System,
}

impl Client {
    /// A client of the service at `api`, over any tower service: [`Stack`], hyper-util's pooled client, your own.
    ///
    /// The client repeats what may be repeated, so do not put a layer that does the same around the service. Timeouts
    /// are the service's: `Stack` has them.
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
            service: AnyService::new(service),
            reading: Reading::default(),
            writing: Writing::default(),
            plain_http: false,
            retry: RetryPolicy::default(),
            on_retry: None,
            system: System::default(),
        }
    }

    /// A client over the default [`Stack`].
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

    /// How patiently single operations are repeated; uploads have their policy in their plan.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Calls `told` whenever an attempt of a single operation has failed and another one follows, before the wait for it.
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

    /// Takes the time of day from here instead of the system, for tests; how long something lasts is always measured on
    /// tokio's clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> UnixSeconds + Send + Sync + 'static) -> Self {
        self.system.set_time_of_day(clock);
        self
    }

    /// Takes random numbers from here instead of the system, for tests; none may come twice.
    #[must_use]
    pub fn entropy(mut self, random: impl Fn() -> [u8; 32] + Send + Sync + 'static) -> Self {
        self.system.set_entropy(random);
        self
    }

    /// The service that this client talks to.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Executes an operation whose body, if any, is in memory. Repeats it as the retry policy and the operation allow:
    /// what could make a second file is repeated only when the first try has certainly not arrived.
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
            match self.execute_once(operation, reader.clone(), retries.attempt()).await {
                Ok(response) => return Ok(response),
                Err(error) => retries.after(error).await?,
            }
        }
    }

    pub(crate) async fn execute_once<O: Operation>(
        &self,
        operation: &O,
        reader: Option<Reader>,
        attempt: u64,
    ) -> Result<O::Response, Error> {
        let request = operation.encode_request(&self.api)?.map(|body| RequestBody::new(body, reader));
        let sending = self.exchange(request, O::ID.answer_limit());
        let response = trace::attempt(attempt_span(O::ID, None, attempt), sending).await?;
        Ok(O::decode_response(response)?)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("api", &self.api)
            .field("reading", &self.reading)
            .field("writing", &self.writing)
            .finish_non_exhaustive()
    }
}
