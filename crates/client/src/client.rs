//! The client: operations in, answers out.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, Response};
use partwise_net::sleep::SleepWatch;
use partwise_protocol::{
    Api, Operation,
    error::Garbled,
    retry::{RetryPolicy, ServiceState},
    transport::{Failure, FailureKind, Segment},
    upload::Retry,
};
use tokio::time::Instant;

use crate::{
    ClientBuilder, CredentialSource, Error, GivenTransport, IntoSource, Reading, RequestBody, Writing,
    credentials::AnyCredentials,
    deadline::{Deadline, within},
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
/// let client = Client::builder(Api::openai(), Credential::key("sk-…")?).transport(Stack::default()).build();
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
    pub(crate) headers: Arc<HeaderMap>,
    pub(crate) service: AnyService,
    pub(crate) reading: Reading,
    pub(crate) writing: Writing,
    pub(crate) plain_http: bool,
    pub(crate) retry: RetryPolicy,
    pub(crate) on_retry: Option<OnRetry>,
    /// The time that each call may take.
    pub(crate) timeout: Option<Duration>,
    pub(crate) system: System,
    /// Sees that the machine has slept, once for all of them.
    pub(crate) sleep: Arc<SleepWatch>,
    /// The time on this client's clocks, which all its uploads and downloads share.
    pub(crate) began: Instant,
    /// What its requests know of the service together.
    pub(crate) state: ServiceState,
}

impl Client {
    /// Begins a client of the service at `api`.
    pub fn builder(api: Api, credentials: impl CredentialSource) -> ClientBuilder {
        ClientBuilder::new(api, credentials)
    }

    /// The clocks of its uploads and downloads.
    pub(crate) fn clocks(&self) -> Clock {
        let alarm = Alarm { watch: self.sleep.clone(), state: self.state.clone() };
        self.system.clock_since(self.began, alarm)
    }

    /// Begins a client with the settings of this one, which shares its transport, and what is known of the service.
    ///
    /// ```
    /// use partwise::{Client, protocol::retry::RetryPolicy};
    ///
    /// # fn example(client: &Client) {
    /// let impatient = client.to_builder().retry(RetryPolicy::never()).build();
    /// # }
    /// ```
    pub fn to_builder(&self) -> ClientBuilder<GivenTransport> {
        ClientBuilder::of(self.clone())
    }

    /// Returns this client with a time limit for each of its calls. It is cheap, so one call can have a limit of its own:
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example(client: partwise::Client) -> Result<(), partwise::Error> {
    /// let file = client.with_timeout(Duration::from_secs(5)).file("file-abc123").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The limit covers the whole call, from when it is awaited: waiting for a connection and for a service that is away, every
    /// attempt, the delays between them, and reading the answer. What counts as a call is
    ///
    /// - [`call`](Self::call), [`call_with`](Self::call_with), [`call_with_head`](Self::call_with_head), [`file`](Self::file),
    ///   [`delete_file`](Self::delete_file), [`delete_file_with_answer`](Self::delete_file_with_answer) and
    ///   [`cancel_upload`](Self::cancel_upload);
    /// - each page of a list of [`files`](Self::files);
    /// - [`wait_until_processed`](Self::wait_until_processed) as a whole, in place of its 30 minutes;
    /// - of a [`download`](Self::download), everything until its head has come, and retrieving the file's object. The content
    ///   has no limit, unless [`DownloadRequest::timeout`](crate::DownloadRequest::timeout) sets one.
    ///
    /// Uploads and downloads of files have none: [`UploadBuilder::timeout`](crate::UploadBuilder::timeout) and
    /// [`PathDownload::timeout`](crate::PathDownload::timeout) set one for theirs. A call that runs out of time ends with
    /// [`Error::TimedOut`], and the service may have executed it.
    #[must_use]
    pub fn with_timeout(&self, limit: Duration) -> Self {
        Self { timeout: Some(limit), ..self.clone() }
    }

    /// The client for an upload or a download: both have the policy of the plan, or else that of this client.
    pub(crate) fn with_retry_of(mut self, plan: &mut Option<RetryPolicy>) -> Self {
        self.retry = plan.get_or_insert(self.retry).clone();
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
    /// While this client cannot reach the service, one of its requests at a time finds out whether it is back, uploads and
    /// downloads included, and an answer to any of them is for all. An attempt that is due by the policy in between counts as
    /// failed without being sent, so that the operation ends as soon as if it were alone. One that is alone with the outage
    /// (nothing but single operations, one after the other, has met it) sends all its attempts, as does one whose policy has zero
    /// for [`give_up_after`](RetryPolicy::give_up_after).
    ///
    /// As long as no request of this client was answered in a way that makes sense, the operation is given up sooner
    /// ([`max_failures_before_contact`](RetryPolicy::max_failures_before_contact),
    /// [`give_up_before_contact`](RetryPolicy::give_up_before_contact)): the endpoint may be mistyped.
    ///
    /// # Errors
    /// [`Error::Encode`] before anything is sent, [`Error::Rejected`] and [`Error::Garbled`] for answers,
    /// [`Error::Failed`] when there is none, and [`Error::TimedOut`] after the [limit](Self::with_timeout), if it has one.
    pub async fn call<O: Operation>(&self, operation: &O) -> Result<O::Response, Error> {
        Ok(self.execute(operation, None).await?.into_body())
    }

    /// Executes an operation as [`call`](Self::call) does, and returns the head of the answer too: its status, and headers such as
    /// the service's name for the request and what is left of a rate limit.
    ///
    /// ```no_run
    /// use partwise::{Client, protocol::operations::ListFiles};
    ///
    /// # async fn example(client: Client) -> Result<(), partwise::Error> {
    /// let answer = client.call_with_head(&ListFiles::new()).await?;
    /// println!("{:?}: {} files", answer.headers().get("x-request-id"), answer.body().data.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    pub async fn call_with_head<O: Operation>(&self, operation: &O) -> Result<Response<O::Response>, Error> {
        self.execute(operation, None).await
    }

    /// Executes an operation whose content is a range of `source`; every try reads it again.
    ///
    /// # Errors
    /// As for [`call`](Self::call); a source that cannot be read or ends early is an [`Error::Failed`].
    pub async fn call_with<O: Operation>(
        &self,
        operation: &O,
        source: impl IntoSource,
    ) -> Result<O::Response, Error> {
        Ok(self.execute(operation, Some(Reader::new(source.into_source(), self.reading))).await?.into_body())
    }

    async fn execute<O: Operation>(
        &self,
        operation: &O,
        reader: Option<Reader>,
    ) -> Result<Response<O::Response>, Error> {
        let mut retries = Retries::new(self, O::ID);
        let executed = within(self.deadline(), self.retried(operation, reader, &mut retries)).await;
        executed.map_err(|error| retries.explained(error))
    }

    async fn retried<O: Operation>(
        &self,
        operation: &O,
        reader: Option<Reader>,
        retries: &mut Retries<'_>,
    ) -> Result<Response<O::Response>, Error> {
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

    /// The limit of a call that begins now.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        self.timeout.map(Deadline::begin)
    }

    pub(crate) async fn execute_once<O: Operation>(
        &self,
        operation: &O,
        reader: Option<Reader>,
        attempt: u64,
    ) -> Result<Response<O::Response>, FailedAttempt> {
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
        let (head, _) = response.clone().into_parts();
        let answer = O::decode_response(response).map_err(|error| failed(error.into()))?;
        match operation.contradiction(&answer) {
            None => Ok(Response::from_parts(head, answer)),
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
