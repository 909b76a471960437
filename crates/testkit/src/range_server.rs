//! A service that has one file, serves ranges of it, counts what it is asked for, and can be slow to death.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use crate::content::noise;

/// It serves until the test's process ends.
pub struct RangeServer {
    /// The origin that it listens at.
    pub origin: String,
    shared: Arc<Shared>,
}

struct Shared {
    content: Vec<u8>,
    etag: Mutex<&'static str>,
    asked: Mutex<Vec<Range<usize>>>,
    /// Whether every answer has an `ETag` of its own.
    etags_differ: AtomicBool,
    is_gone: AtomicBool,
    /// How many bytes may still be sent before nothing moves any more.
    budget: AtomicUsize,
}

impl RangeServer {
    /// Starts one whose file has so many bytes.
    pub fn new(length: usize) -> Self {
        let shared = Arc::new(Shared {
            content: noise(length),
            etag: Mutex::new("\"1\""),
            asked: Mutex::default(),
            etags_differ: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
            budget: AtomicUsize::new(usize::MAX),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = serving.clone();
                // A client that is killed ends its connection in whatever way.
                std::thread::spawn(move || shared.serve(&mut stream.unwrap()));
            }
        });
        Self { origin, shared }
    }

    /// Returns the file.
    pub fn content(&self) -> &[u8] {
        &self.shared.content
    }

    /// From now on only so many bytes more come.
    pub fn allow(&self, bytes: usize) {
        self.shared.budget.store(bytes, SeqCst);
    }

    /// From now on the file seems to be another.
    pub fn change_etag(&self) {
        *self.shared.etag.lock().unwrap() = "\"2\"";
    }

    /// From now on no two ranges seem to be of the same file.
    pub fn let_etags_differ(&self) {
        self.shared.etags_differ.store(true, SeqCst);
    }

    /// From now on it has no such file, or has it again.
    pub fn set_gone(&self, is_gone: bool) {
        self.shared.is_gone.store(is_gone, SeqCst);
    }

    /// How many bytes were asked for since this was asked last.
    pub fn asked(&self) -> usize {
        self.shared.asked.lock().unwrap().drain(..).map(|range| range.len()).sum()
    }
}

impl Shared {
    fn serve(&self, stream: &mut TcpStream) -> Option<()> {
        loop {
            let head = read_head(stream)?;
            let field = |name| head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            if self.is_gone.load(SeqCst) {
                let body = r#"{"error":{"message":"No such File object","type":"invalid_request_error"}}"#;
                let head = format!(
                    "HTTP/1.1 404 None\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(head.as_bytes()).ok()?;
                continue;
            }
            if !head.split(' ').nth(1).is_some_and(|path| path.ends_with("/content")) {
                let body = format!(r#"{{"id":"file-1","object":"file","bytes":{}}}"#, self.content.len());
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
                );
                stream.write_all(head.as_bytes()).ok()?;
                continue;
            }
            let mut etag = (*self.etag.lock().unwrap()).to_owned();
            if self.etags_differ.load(SeqCst) {
                etag = format!("W/\"{}\"", self.asked.lock().unwrap().len());
            }
            let is_same = field("if-range: ").is_none_or(|known| known == etag);
            let range = field("range: bytes=").filter(|_| is_same);
            let range = range.map(|range| within(&range, self.content.len()));
            let (status, part) = match &range {
                Some(range) => (
                    "206 Part",
                    format!(
                        "Content-Range: bytes {}-{}/{}\r\n",
                        range.start,
                        range.end - 1,
                        self.content.len()
                    ),
                ),
                None => ("200 Whole", String::new()),
            };
            let range = range.unwrap_or(0..self.content.len());
            let head =
                format!("HTTP/1.1 {status}\r\nETag: {etag}\r\nContent-Length: {}\r\n{part}\r\n", range.len());
            self.asked.lock().unwrap().push(range.clone());
            stream.write_all(head.as_bytes()).ok()?;
            for piece in self.content[range].chunks(64 * 1024) {
                self.wait_for(piece.len());
                stream.write_all(piece).ok()?;
            }
        }
    }

    fn wait_for(&self, bytes: usize) {
        while self.budget.fetch_update(SeqCst, SeqCst, |budget| budget.checked_sub(bytes)).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn within(range: &str, length: usize) -> Range<usize> {
    let (first, last) = range.split_once('-').unwrap();
    let last: usize = last.parse().unwrap();
    first.parse().unwrap()..length.min(last + 1)
}

/// The head of a request, in lower case.
fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0].to_ascii_lowercase());
    }
    String::from_utf8(head).ok()
}
