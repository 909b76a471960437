use std::io::ErrorKind;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::*;

/// What nothing on this machine takes.
const PATIENCE: Duration = Duration::from_secs(10);
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

fn options() -> Options {
    Options {
        to: String::new(),
        port: 0,
        rate: None,
        latency: 0,
        cut_every: None,
        away: Vec::new(),
        reset: Vec::new(),
        silent: Vec::new(),
        until_input_ends: true,
    }
}

fn span(from_ms: u64, until_ms: u64) -> Span {
    Span { from: Duration::from_millis(from_ms), until: Duration::from_millis(until_ms) }
}

/// A line with such options in front of a service that answers everything that ends with a full stop or with the last chunk.
fn over(options: &Options, test: impl AsyncFnOnce(&Line)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let service = listener.local_addr().expect("an address");
        spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                spawn_local(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                        let is_whole = [b".", LAST_CHUNK].iter().any(|end| buffer[..read].ends_with(end));
                        if is_whole && stream.write_all(ANSWER).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        test(&Line::open(options, service).expect("a line")).await;
    });
}

fn post(content: &str) -> String {
    format!("POST /v1/uploads/upload_1/parts HTTP/1.1\r\nContent-Length: {}\r\n\r\n{content}", content.len())
}

async fn connect(line: &Line) -> TcpStream {
    TcpStream::connect(line.address).await.expect("it listens")
}

/// Sends, and gives back what is answered.
async fn asked(stream: &mut TcpStream, request: &str) -> std::io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = vec![0; ANSWER.len()];
    timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("something happens")?;
    Ok(answer)
}

fn told(line: &Line) -> Told {
    line.shared.book.borrow().tell(line.shared.now())
}

#[test]
fn requests_and_answers_pass_unchanged_and_are_counted() {
    over(&options(), async |line| {
        let mut stream = connect(line).await;
        let (part, other) = (post("12345."), "GET /v1/files HTTP/1.1\r\nContent-Length: 1\r\n\r\n.");
        assert_eq!(asked(&mut stream, &part).await.expect("an answer"), ANSWER);
        assert_eq!(asked(&mut stream, other).await.expect("an answer"), ANSWER);
        // What never comes whole is not acknowledged.
        let half = post("12345.")[..part.len() - 1].to_owned();
        stream.write_all(half.as_bytes()).await.expect("it is open");
        while told(line).attempts < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        let told = told(line);
        assert_eq!(told.sent, (part.len() + other.len() + half.len()) as u64);
        assert_eq!((told.received, told.acknowledged), (2 * ANSWER.len() as u64, 6));
        assert_eq!((told.connections, told.open, told.acknowledgements.len()), (1, 1, 1));
    });
}

#[test]
fn a_part_in_chunks_is_an_attempt_that_acknowledges_no_bytes() {
    over(&options(), async |line| {
        let content = "x".repeat(100);
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"data\"; filename=\"x\"\r\n\r\n{content}\r\n--b--\r\n"
        );
        let chunked = format!(
            "POST /v1/uploads/upload_1/parts HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{form}\r\n0\r\n\r\n",
            form.len()
        );
        let mut stream = connect(line).await;
        assert_eq!(asked(&mut stream, &chunked).await.expect("an answer"), ANSWER);
        let first = told(line);
        let expected = (1, chunked.len() as u64, 0);
        assert_eq!((first.attempts, first.sent, first.acknowledged), expected);
        // The next part on the same connection counts as ever.
        assert_eq!(asked(&mut stream, &post("12345.")).await.expect("an answer"), ANSWER);
        assert_eq!((told(line).attempts, told(line).acknowledged), (2, 6));
    });
}

#[test]
fn a_cut_resets_what_is_open_and_nothing_else() {
    over(&Options { cut_every: Some(0.6), ..options() }, async |line| {
        let mut streams = [connect(line).await, connect(line).await];
        for stream in &mut streams {
            asked(stream, &post(".")).await.expect("an answer");
        }
        for stream in &mut streams {
            let error = stream.read_u8().await.expect_err("it is reset");
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        asked(&mut connect(line).await, &post(".")).await.expect("an answer");
        assert!(told(line).cuts >= 1);
        assert_eq!((told(line).connections, told(line).most_open), (3, 2));
    });
}

#[test]
fn a_line_that_is_away_refuses_and_comes_back_on_the_same_port() {
    over(&Options { away: vec![span(400, 700)], ..options() }, async |line| {
        let mut stream = connect(line).await;
        asked(&mut stream, &post(".")).await.expect("an answer");
        assert_eq!(stream.read_u8().await.expect_err("it is reset").kind(), ErrorKind::ConnectionReset);
        let mut refused = 0;
        let mut again = loop {
            match TcpStream::connect(line.address).await {
                Ok(stream) => break stream,
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
            }
            if refused == 0 {
                let another = TcpSocket::new_v4().expect("a socket").bind(line.address);
                assert_eq!(another.expect_err("it is taken").kind(), ErrorKind::AddrInUse);
            }
            refused += 1;
            sleep(Duration::from_millis(5)).await;
        };
        assert!(refused > 0, "it was there all the time");
        asked(&mut again, &post(".")).await.expect("an answer");
        assert_eq!(told(line).resumed_s.len(), 1);
    });
}

#[test]
fn connections_that_are_accepted_and_reset_carry_nothing() {
    over(&Options { reset: vec![span(200, 900)], ..options() }, async |line| {
        let mut stream = connect(line).await;
        assert_eq!(stream.read_u8().await.expect_err("it is reset").kind(), ErrorKind::ConnectionReset);
        let mut next = connect(line).await;
        assert_eq!(next.read_u8().await.expect_err("it is reset").kind(), ErrorKind::ConnectionReset);
        while line.shared.is_resetting.get() {
            sleep(Duration::from_millis(5)).await;
        }
        asked(&mut connect(line).await, &post(".")).await.expect("an answer");
        assert_eq!((told(line).connections, told(line).open, told(line).acknowledged), (3, 1, 1));
    });
}

#[test]
fn connections_that_were_open_in_a_silence_stay_silent_and_later_ones_do_not() {
    over(&Options { silent: vec![span(400, 700)], ..options() }, async |line| {
        let mut before = connect(line).await;
        asked(&mut before, &post(".")).await.expect("an answer");
        while !line.shared.is_silent.get() {
            sleep(Duration::from_millis(5)).await;
        }
        let mut within = connect(line).await;
        while line.shared.is_silent.get() {
            sleep(Duration::from_millis(5)).await;
        }
        let sent = told(line).sent;
        for stream in [&mut before, &mut within] {
            stream.write_all(post(".").as_bytes()).await.expect("the kernel takes it");
            assert!(timeout(Duration::from_millis(50), stream.read_u8()).await.is_err(), "it says something");
        }
        assert_eq!(told(line).sent, sent);
        asked(&mut connect(line).await, &post(".")).await.expect("an answer");
        // Whoever leaves is not open any more.
        drop((before, within));
        timeout(PATIENCE, async {
            while told(line).open > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("they have left");
    });
}

#[test]
fn only_services_of_this_machine_get_a_line() {
    assert_eq!(
        address("http://127.0.0.1:8080/").expect("ours"),
        address("http://localhost:8080").expect("ours")
    );
    let said = |to: &str| address(to).expect_err("it is none").to_string();
    assert_eq!(
        said("https://127.0.0.1:80"),
        "--to https://127.0.0.1:80: it has to be as in http://127.0.0.1:8080"
    );
    assert_eq!(
        said("http://192.0.2.1:80"),
        "--to http://192.0.2.1:80: only services on this machine are put behind a line"
    );
}
