//! Faults on demand: each kind, in process and over a socket.

use std::{future::Future as _, io, task::Poll, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use partwise_protocol::{error::ApiError, operations::OperationId};
use partwise_server::{
    Keys, Server, Store,
    testing::{Fault, Faults, Schedule},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::timeout,
};
use tower_service::Service as _;

/// For what must not come.
const A_WHILE: Duration = Duration::from_millis(300);

/// A server with faults, in process and over a socket.
struct Faulty {
    faults: Faults,
    server: Server,
    address: std::net::SocketAddr,
    serving: AbortHandle,
}

/// An answer: its status, its head and as many bytes of its body as came, and whether they were all.
type Answer = (StatusCode, HeaderMap, Vec<u8>, bool);

impl Faulty {
    async fn new() -> Self {
        let server = Server::builder(Store::memory()).keys(Keys::any()).build().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, faults) = (listener.local_addr().unwrap(), Faults::new());
        let (serving, served) = (faults.clone(), server.clone());
        let serving = tokio::spawn(async move { serving.serve(served, listener).await }).abort_handle();
        Self { faults, server, address, serving }
    }

    /// Asks for this path in process; a connection that ends is its kind of error.
    async fn in_process(&self, path: &str) -> Result<Answer, io::ErrorKind> {
        let request = Request::get(format!("http://localhost{path}")).header("host", "localhost");
        let request = request.header("authorization", "Bearer key").body(Full::new(Bytes::new())).unwrap();
        let kind = |error: Box<dyn std::error::Error + Send + Sync>| {
            error.downcast_ref().map_or(io::ErrorKind::Other, io::Error::kind)
        };
        let (head, mut body) =
            self.faults.around(self.server.clone()).call(request).await.map_err(kind)?.into_parts();
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend(frame.into_data().unwrap_or_default()),
                Err(error) => {
                    assert_eq!(kind(error), io::ErrorKind::ConnectionReset);
                    return Ok((head.status, head.headers, bytes, false));
                }
            }
        }
        Ok((head.status, head.headers, bytes, true))
    }

    /// Asks for this path over the socket; `None` when the connection ends without an answer.
    async fn over_socket(&self, path: &str) -> Option<Answer> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        stream.write_all(format!("{head}Authorization: Bearer key\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // That it ends with an error is the same.
        let _ = stream.read_to_end(&mut answer).await;
        let at = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
        let body = answer.split_off(at + 4);
        let text = String::from_utf8(answer).unwrap();
        let (line, fields) = text.split_once("\r\n").unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let headers: HeaderMap = fields
            .lines()
            .filter_map(|field| field.split_once(": "))
            .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        let is_whole = headers["content-length"].to_str().unwrap() == body.len().to_string();
        Some((status, headers, body, is_whole))
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

const LIST: &str = "/v1/files";

fn slow_down() -> Fault {
    let rejection = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "slow down");
    Fault::Answer(Box::new(rejection.with_retry_after(Duration::from_secs(2))))
}

#[tokio::test]
async fn a_rejection_is_answered_in_place_of_the_server_to_the_requests_that_it_is_for() {
    let faulty = Faulty::new().await;
    let told = |answer: &Answer| {
        let message = String::from_utf8_lossy(&answer.2).contains("slow down");
        (
            answer.0.as_u16(),
            answer.1.get("retry-after").map(|wait| wait.to_str().unwrap().to_owned()),
            message,
        )
    };
    faulty.faults.on(OperationId::ListFiles).nth(2, slow_down());
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(told(&faulty.in_process(LIST).await.unwrap()));
    }
    let fine = (200, None, false);
    assert_eq!(seen, [fine.clone(), (429, Some("2".to_owned()), true), fine.clone()]);
    assert_eq!(faulty.faults.executed(), 2);

    faulty.faults.clear();
    faulty.faults.on(OperationId::ListFiles).first(1, slow_down());
    assert_eq!(faulty.over_socket("/v1/files/file-1").await.unwrap().0, StatusCode::NOT_FOUND);
    assert_eq!(told(&faulty.over_socket(LIST).await.unwrap()), (429, Some("2".to_owned()), true));
    assert_eq!(told(&faulty.over_socket(LIST).await.unwrap()), fine);
    assert_eq!(faulty.faults.executed(), 4);
}

#[tokio::test]
async fn a_dropped_request_is_not_executed_and_one_whose_answer_is_lost_is() {
    for (fault, executed) in [(Fault::Drop, 0), (Fault::LoseAnswer, 2)] {
        let faulty = Faulty::new().await;
        faulty.faults.on_any().every(fault.clone());
        assert_eq!(faulty.in_process(LIST).await.unwrap_err(), io::ErrorKind::ConnectionReset, "{fault:?}");
        assert_eq!(faulty.over_socket(LIST).await, None, "{fault:?}");
        assert_eq!(faulty.faults.executed(), executed, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delayed_request_is_executed_after_its_delay() {
    let faulty = Faulty::new().await;
    faulty.faults.on_any().first(1, Fault::Delay(Duration::from_secs(60)));
    let began = tokio::time::Instant::now();
    assert_eq!(faulty.in_process(LIST).await.unwrap().0, StatusCode::OK);
    assert_eq!(began.elapsed(), Duration::from_secs(60));
    assert_eq!(faulty.in_process(LIST).await.unwrap().0, StatusCode::OK);
    assert_eq!(began.elapsed(), Duration::from_secs(60));
}

#[tokio::test]
async fn a_delayed_request_over_a_socket_waits_for_its_delay() {
    let faulty = Faulty::new().await;
    let schedule =
        Schedule::new().nth(1, Fault::Delay(Duration::from_secs(3600))).nth(2, Fault::Delay(A_WHILE));
    faulty.faults.on_any().follow(schedule);
    assert!(timeout(A_WHILE, faulty.over_socket(LIST)).await.is_err());
    assert_eq!(faulty.faults.executed(), 0);
    assert_eq!(faulty.over_socket(LIST).await.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn a_truncated_answer_ends_after_so_many_bytes() {
    let faulty = Faulty::new().await;
    let (.., whole, is_whole) = faulty.in_process(LIST).await.unwrap();
    assert!(is_whole && whole.len() > 9);
    faulty.faults.on_any().every(Fault::Truncate(9));
    for (status, _, body, is_whole) in
        [faulty.in_process(LIST).await.unwrap(), faulty.over_socket(LIST).await.unwrap()]
    {
        assert_eq!((status, is_whole), (StatusCode::OK, false));
        assert_eq!(body, whole[..9]);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_longer_than_where_it_is_truncated_comes_whole() {
    let faulty = Faulty::new().await;
    let (.., whole, _) = faulty.in_process(LIST).await.unwrap();
    let length = whole.len() as u64;
    for (bytes, comes_whole) in [(length - 1, false), (length, true), (length + 1, true)] {
        faulty.faults.clear();
        faulty.faults.on_any().every(Fault::Truncate(bytes));
        for (.., body, is_whole) in
            [faulty.in_process(LIST).await.unwrap(), faulty.over_socket(LIST).await.unwrap()]
        {
            assert_eq!(is_whole, comes_whole, "after {bytes} of {length} bytes");
            assert_eq!(body, whole[..whole.len().min(usize::try_from(bytes).unwrap())]);
        }
    }
}

#[tokio::test]
async fn a_stalled_request_has_no_answer_whether_it_is_executed_or_not() {
    for (fault, executed) in [(Fault::Stall, 0), (Fault::StallAnswer, 2)] {
        let faulty = Faulty::new().await;
        faulty.faults.on_any().every(fault.clone());
        assert!(timeout(A_WHILE, faulty.in_process(LIST)).await.is_err(), "{fault:?}");
        assert!(timeout(A_WHILE, faulty.over_socket(LIST)).await.is_err(), "{fault:?}");
        assert_eq!(faulty.faults.executed(), executed, "{fault:?}");
    }
}

#[tokio::test]
async fn a_rule_may_be_for_requests_with_a_certain_head_alone() {
    let faulty = Faulty::new().await;
    let is_limited =
        |head: &http::request::Parts| head.uri.query().is_some_and(|query| query.contains("limit"));
    let schedule = Schedule::new().nth(1, Fault::Drop).nth(2, slow_down());
    faulty.faults.on(OperationId::ListFiles).when(is_limited).follow(schedule);
    let limited = "/v1/files?limit=1";
    assert_eq!(faulty.in_process(LIST).await.unwrap().0, StatusCode::OK);
    assert_eq!(faulty.in_process(limited).await.unwrap_err(), io::ErrorKind::ConnectionReset);
    assert_eq!(faulty.in_process(LIST).await.unwrap().0, StatusCode::OK);
    assert_eq!(faulty.in_process(limited).await.unwrap().0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(faulty.in_process(limited).await.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn a_condition_may_use_the_faults_that_it_belongs_to() {
    let faulty = Faulty::new().await;
    let own = faulty.faults.clone();
    let has_executed = move |_: &http::request::Parts| {
        if own.executed() == 1 {
            own.on(OperationId::RetrieveFile).every(slow_down());
        }
        own.executed() == 1
    };
    faulty.faults.on(OperationId::ListFiles).when(has_executed).first(1, Fault::Drop);
    assert_eq!(faulty.in_process(LIST).await.unwrap().0, StatusCode::OK);
    assert_eq!(faulty.in_process(LIST).await.unwrap_err(), io::ErrorKind::ConnectionReset);
    assert_eq!(faulty.in_process("/v1/files/file-1").await.unwrap().0, StatusCode::TOO_MANY_REQUESTS);
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_socket_that_cannot_be_accepted_is_followed_by_a_pause() {
    let server = Server::builder(Store::memory()).keys(Keys::any()).build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // From now on accept fails at once.
    rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
    let faults = Faults::new();
    let mut serving = Box::pin(faults.serve(server, listener));
    let mut polls = 0;
    let serving = std::future::poll_fn(|cx| {
        polls += 1;
        if polls > 1000 { Poll::Ready(()) } else { serving.as_mut().poll(cx) }
    });
    // The clock moves on only while nothing is to be done.
    timeout(Duration::from_secs(1), serving).await.expect_err("it accepts again and again");
}
