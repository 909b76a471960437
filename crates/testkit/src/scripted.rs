//! A service whose answers a test writes.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// It answers until the test's process ends.
pub struct Scripted {
    /// The origin that it listens at.
    pub origin: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// A request whose head and body came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Such as `POST /v1/files`.
    pub line: String,
    /// The body, as it came.
    pub body: Vec<u8>,
    /// How many came before it.
    pub number: usize,
}

/// What goes over the wire, and whether the connection is closed behind it.
pub struct Answer {
    bytes: Vec<u8>,
    closes: bool,
}

impl Scripted {
    /// Starts one that answers so.
    pub fn new(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (log, answer) = (requests.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (log.clone(), answer.clone());
                // A client that is killed ends its connection in whatever way.
                thread::spawn(move || serve(stream.unwrap(), &log, &*answer));
            }
        });
        Self { origin, requests }
    }

    /// What was asked for so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The lines of what was asked for so far, such as `POST /v1/files`.
    pub fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.line).collect()
    }
}

impl Answer {
    /// These bytes, head included, and then the end of the connection.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), closes: true }
    }

    /// A whole answer; the headers are lines that end with CRLF.
    pub fn with(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        Self { bytes: [head.as_bytes(), body].concat(), closes: false }
    }

    /// A whole answer with JSON.
    pub fn json(status: &str, body: &str) -> Self {
        Self::with(status, "Content-Type: application/json\r\n", body)
    }

    /// A whole answer with a page of this title, as a gateway sends it.
    pub fn page(status: &str, title: &str) -> Self {
        let page = format!("<html><title>{title}</title></html>");
        Self::with(status, "Content-Type: text/html\r\n", page)
    }
}

fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request) -> Answer,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let line = head.split(" HTTP/").next()?.to_owned();
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let request = {
            let mut log = log.lock().unwrap();
            let request = Request { line, body, number: log.len() };
            log.push(request.clone());
            request
        };
        let Answer { bytes, closes } = answer(&request);
        stream.write_all(&bytes).ok()?;
        if closes {
            return None;
        }
    }
}
