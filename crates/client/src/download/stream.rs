//! Downloads: a head that was checked, and bytes as they come.

use std::{
    collections::VecDeque,
    fmt,
    future::{Future as _, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use http::{Response, StatusCode};
use http_body::Body as _;
use partwise_net::{
    answer::DirectRead,
    coding::{self, Coding},
};
use partwise_protocol::{
    Operation,
    download::DownloadWarning,
    error::ResponseError,
    operations::{ContentRange, DownloadFile, DownloadHead, OperationId},
};
use tokio::time::{Sleep, sleep_until};

use super::check::{Check, Object};
use crate::{
    Client, Error, RequestBody,
    attempt::read_whole,
    deadline::{Deadline, within},
    decoded::DecodedBody,
    failure::classify,
    redirects::{self, Redirects},
    retries::{FailedAttempt, Retries},
    service::AnyBody,
    trace::{self, attempt_span},
};

const ID: OperationId = DownloadFile::ID;

impl Client {
    pub(super) async fn open(
        &self,
        operation: &DownloadFile,
        deadline: Option<Deadline>,
    ) -> Result<Download, Error> {
        // Of a range it is not known before the answer whether there is anything to compare.
        let object = operation.range.is_none().then(|| Object::ask(self, operation));
        let mut retries = Retries::new(self, ID);
        let opened = within(deadline, self.open_download(operation, &mut retries)).await;
        let mut download = opened.map_err(|error| retries.explained(error))?;
        download.check = Check::new(self, operation, &download.head, object).map(Box::new);
        Ok(download)
    }

    /// Downloads content whose length the caller knows, for a task of a machine: nothing compares it with the file's object.
    pub(crate) async fn download_unchecked(&self, operation: &DownloadFile) -> Result<Download, Error> {
        self.open_download(operation, &mut Retries::of_machine(self, ID)).await
    }

    async fn open_download(
        &self,
        operation: &DownloadFile,
        retries: &mut Retries<'_>,
    ) -> Result<Download, Error> {
        loop {
            let call = retries.start().await?;
            match self.download_once(operation, retries.attempt()).await {
                Ok(download) => {
                    // Another host's answer says nothing of the service.
                    retries.succeeded(call.filter(|_| download.host.is_none()));
                    operation.check(&download.head)?;
                    return Ok(download);
                }
                Err(error) => retries.after(call, error).await?,
            }
        }
    }

    pub(super) async fn download_once(
        &self,
        operation: &DownloadFile,
        attempt: u64,
    ) -> Result<Download, FailedAttempt> {
        let request = operation.encode_request(&self.api).map_err(Error::from)?;
        let request = request.map(|body| RequestBody::new(body, None));
        let sending = self.send(request, Redirects::OfContent);
        let response = trace::attempt(attempt_span(ID, None, attempt), sending).await.map_err(Error::from)?;
        let host = redirects::host_of(response.extensions());
        match Download::begin(response).await {
            Ok(download) => Ok(Download { host, ..download }),
            Err(error) => Err(FailedAttempt::at(host.as_deref(), error)),
        }
    }
}

impl Download {
    /// Reads the head of an answer, and all of one that is a rejection.
    async fn begin(response: Response<AnyBody>) -> Result<Self, Error> {
        if !response.status().is_success() {
            let extensions = response.extensions().clone();
            let refusal = read_whole(response, ID.answer_limit()).await?;
            let mut decoded = DownloadFile::decode_response(refusal);
            if let Err(ResponseError::Rejected(refusal)) = &mut decoded {
                redirects::name_host(refusal, &extensions);
            }
            return Ok(Self::new(decoded?, None));
        }
        let (mut head, mut body) = response.into_parts();
        // A part of a coded content cannot be decoded alone: it stays as it is, and is refused.
        if let Some(coding) = Coding::of(&head.headers).filter(|_| head.status != StatusCode::PARTIAL_CONTENT)
        {
            coding::strip(&mut head.headers);
            body = AnyBody::Decoded(Box::new(DecodedBody::new(coding, body)));
        }
        let head = DownloadFile::decode_response(Response::from_parts(head, Bytes::new()))?;
        Ok(Self::new(head, Some(body)))
    }
}

/// The content of a file, or of a range of it, as it comes.
///
/// It is a [`Stream`] of [`Bytes`]; [`chunk`](Self::chunk) does without one. Its end comes only after as many bytes as the
/// service had announced: a download that is cut short ends with an error. So does one that is not as long as the file's
/// object says, where all of the file was [asked for](Client::download).
///
/// ```no_run
/// # async fn example(client: partwise::Client) -> Result<(), partwise::Error> {
/// let mut download = client.download("file-abc123").await?;
/// println!("{:?} of {:?} bytes", download.head().filename, download.head().length);
/// while let Some(bytes) = download.chunk().await? {
///     println!("{} bytes", bytes.len());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Download {
    head: DownloadHead,
    received: u64,
    body: Option<AnyBody>,
    check: Option<Box<Check>>,
    /// Bytes that came and are not handed out yet.
    held: VecDeque<Bytes>,
    warning: Option<DownloadWarning>,
    /// The end of the caller's time.
    deadline: Option<(Deadline, Pin<Box<Sleep>>)>,
    /// The host that it comes from, when that is not the service.
    host: Option<String>,
}

impl Download {
    fn new(head: DownloadHead, body: Option<AnyBody>) -> Self {
        Self {
            head,
            received: 0,
            body,
            check: None,
            held: VecDeque::new(),
            warning: None,
            deadline: None,
            host: None,
        }
    }

    pub(super) fn until(mut self, deadline: Option<Deadline>) -> Self {
        self.deadline = deadline.and_then(|deadline| Some((deadline, Box::pin(sleep_until(deadline.at?)))));
        self
    }

    /// What the service says about the bytes.
    #[must_use]
    pub fn head(&self) -> &DownloadHead {
        &self.head
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Failed`] when the connection breaks, [`Error::WrongLength`] when bytes are missing or too many,
    /// [`Error::WrongContent`] when what came is not the file, and the errors of [`Client::call`] when its object cannot be
    /// retrieved. After an error there is nothing more.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_chunk(cx)).await.transpose()
    }

    /// What a person should know, once the end has come.
    #[must_use]
    pub fn warning(&self) -> Option<DownloadWarning> {
        self.warning
    }

    /// The host that it comes from, when that is not the service.
    pub(super) fn host_elsewhere(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The same content, to be read without HTTP in between; itself where that cannot be.
    pub(super) async fn direct(mut self) -> Result<Box<dyn DirectRead>, Self> {
        // What else has to be found out about lengths is found out here.
        let is_plain = |body: &AnyBody| announced(&self.head) == body.size_hint().exact();
        if self.received > 0 || self.check.is_some() || !self.body.as_ref().is_some_and(is_plain) {
            return Err(self);
        }
        match self.body.take() {
            Some(body) => body.direct().await.map_err(|body| Self { body: Some(body), ..self }),
            None => Err(self),
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if let Some(deadline) = self.poll_deadline(cx) {
            return self.end(Some(deadline.passed(None)));
        }
        loop {
            if let Err(error) = ready!(self.poll_check(cx)) {
                return self.end(Some(error));
            }
            if !self.is_holding() {
                if let Some(held) = self.held.pop_front() {
                    return Poll::Ready(Some(Ok(held)));
                }
            }
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            let frame = match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    let failed = FailedAttempt::at(self.host.as_deref(), classify(error).into());
                    return self.end(Some(failed.error));
                }
                None => {
                    let wrong = self.wrong_length(|announced, received| received != announced);
                    if wrong.is_some() {
                        return self.end(wrong);
                    }
                    self.body = None;
                    continue;
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            self.received += data.len() as u64;
            if let Some(wrong) = self.wrong_length(|announced, received| received > announced) {
                return self.end(Some(wrong));
            }
            if !data.is_empty() {
                if let Some(check) = &mut self.check {
                    check.read(&data);
                }
                self.held.push_back(data);
            }
        }
    }

    /// The deadline, if it has passed before all was handed out.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Option<Deadline> {
        let has_ended = self.body.is_none() && self.check.is_none() && self.held.is_empty();
        let (deadline, sleep) = self.deadline.as_mut().filter(|_| !has_ended)?;
        let deadline = *deadline;
        sleep.as_mut().poll(cx).is_ready().then_some(deadline)
    }

    /// Compares what came with the file's object, as far as that is to be done by now.
    fn poll_check(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.body.is_some() {
            if self.is_holding() {
                return Poll::Ready(Ok(()));
            }
            let Some(check) = &mut self.check else { return Poll::Ready(Ok(())) };
            return match (announced(&self.head), self.received) {
                (Some(announced), 1..) => check.poll_begun(announced, cx),
                _ => Poll::Ready(Ok(())),
            };
        }
        let Some(check) = &mut self.check else { return Poll::Ready(Ok(())) };
        self.warning = ready!(check.poll_ended(self.received, cx))?;
        self.check = None;
        Poll::Ready(Ok(()))
    }

    /// Whether nothing is handed out before more has come, or the end.
    fn is_holding(&self) -> bool {
        let wants_more = self.check.as_ref().is_some_and(|check| check.wants_more());
        let is_at_end = announced(&self.head).is_some_and(|announced| self.received >= announced);
        wants_more && self.body.is_some() && !is_at_end
    }

    fn end(&mut self, error: Option<Error>) -> Poll<Option<Result<Bytes, Error>>> {
        (self.body, self.check) = (None, None);
        self.held.clear();
        Poll::Ready(error.map(Err))
    }

    fn wrong_length(&self, is_wrong: impl Fn(u64, u64) -> bool) -> Option<Error> {
        let announced = announced(&self.head)?;
        is_wrong(announced, self.received)
            .then_some(Error::WrongLength { announced, received: self.received })
    }
}

fn announced(head: &DownloadHead) -> Option<u64> {
    head.length.or_else(|| head.range.map(ContentRange::len))
}

impl Stream for Download {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_chunk(cx)
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("head", &self.head)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "hyper"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use futures_util::future::BoxFuture;
    use http::Request;
    use http_body_util::BodyExt as _;
    use partwise_protocol::{Api, Credential, Dialect};
    use partwise_transport_hyper::stack::{AnswerBody, Proxy, Stack, StackError, StackOptions};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };
    use tower_service::Service;

    use super::*;

    /// Answers one request with these bytes, and then waits.
    async fn service(answer: Vec<u8>) -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(&answer).await.unwrap();
            std::future::pending::<()>().await;
        });
        Api::with_base(&base, Dialect::OpenAi).unwrap()
    }

    fn stack() -> Stack {
        Stack::new(StackOptions::new().proxy(Proxy::none()))
    }

    fn over(api: Api) -> Client {
        Client::builder(api, Credential::key("key").unwrap()).transport(stack()).build()
    }

    fn noise(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    fn answer(head: &str, body: &[u8]) -> Vec<u8> {
        [head.as_bytes(), b"\r\n\r\n", body].concat()
    }

    fn with_length(content: &[u8]) -> Vec<u8> {
        answer(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}", content.len()), content)
    }

    async fn begin(client: Client) -> Download {
        client.download_once(&DownloadFile::new("file-1"), 0).await.unwrap()
    }

    #[tokio::test]
    async fn a_long_answer_of_our_stack_is_read_without_http_into_rooms_of_any_size() {
        let content = noise(1_000_000);
        for room in [1000, 70_000, 2_000_000] {
            let download = begin(over(service(with_length(&content)).await)).await;
            let Ok(mut body) = download.direct().await else { panic!("it is to be read directly") };
            let (mut room, mut read) = (vec![0; room], Vec::new());
            while let count @ 1.. = poll_fn(|cx| body.poll_read(cx, &mut room)).await.unwrap() {
                read.extend_from_slice(&room[..count]);
            }
            assert!(read == content, "with room for {}", room.len());
        }
    }

    /// Our stack with its bodies in boxes, as layers leave them.
    #[derive(Clone)]
    struct Layered(Stack);

    impl Service<Request<RequestBody>> for Layered {
        type Response = Response<http_body_util::combinators::UnsyncBoxBody<Bytes, StackError>>;
        type Error = StackError;
        type Future = BoxFuture<'static, Result<Self::Response, StackError>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StackError>> {
            Service::<Request<RequestBody>>::poll_ready(&mut self.0, cx)
        }

        fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
            let answer = self.0.call(request);
            Box::pin(async move { Ok(answer.await?.map(AnswerBody::boxed_unsync)) })
        }
    }

    #[tokio::test]
    async fn what_http_is_still_needed_for_is_read_as_ever() {
        let (short, long) = (noise(1000), noise(1_000_000));
        let mut chunks = format!("{:x}\r\n", long.len()).into_bytes();
        chunks.extend(&long);
        chunks.extend(b"\r\n0\r\n\r\n");
        let length = format!("Content-Length: {}", long.len());
        let closing = |head: &str| answer(&format!("{head}\r\n{length}"), &long);
        for (why, sent, content) in [
            ("a short one", with_length(&short), &short),
            ("no length", answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", &chunks), &long),
            ("it closes", closing("HTTP/1.1 200 OK\r\nConnection: x, Close"), &long),
            ("HTTP/1.0", closing("HTTP/1.0 200 OK\r\nConnection: keep-alive"), &long),
        ] {
            let download = begin(over(service(sent).await)).await;
            let Err(download) = download.direct().await else { panic!("{why}: read directly") };
            assert!(whole(download).await == *content, "{why}");
        }
        let api = service(with_length(&long)).await;
        let layered =
            Client::builder(api, Credential::key("key").unwrap()).transport(Layered(stack())).build();
        let Err(download) = begin(layered).await.direct().await else { panic!("through a layer") };
        assert!(whole(download).await == long);
    }

    async fn whole(mut download: Download) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(bytes) = download.chunk().await.unwrap() {
            all.extend_from_slice(&bytes);
        }
        all
    }
}
