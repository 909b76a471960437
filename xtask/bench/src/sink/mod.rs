//! A service that takes uploads and throws them away: the neutral side of every comparison.
//!
//! It speaks just enough of the API for every client. Bodies over plain HTTP are discarded in the kernel, without a copy; each
//! connection has a thread of its own.

mod answers;
mod connection;
mod content;
mod files;
mod head;
mod pace;
mod report;
mod stream;
mod tls;

use std::io::{BufRead as _, stdin};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use anyhow::{Context, Result};
use clap::Args;

pub(crate) use content::Framing;
use files::Files;
pub(crate) use head::Head;
use pace::Pace;
use report::Report;
pub(crate) use report::Told;
use stream::Stream;

use crate::noise::Noise;

/// How it takes what comes.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// Speak TLS, with a certificate that is written to this file.
    #[arg(long)]
    certificate: Option<std::path::PathBuf>,
    /// At most so many bits a second on each connection.
    #[arg(long)]
    rate: Option<u64>,
    /// One connection at a time has this rate instead.
    #[arg(long)]
    slow_rate: Option<u64>,
    /// So many bits a second for all connections together.
    #[arg(long)]
    shared_rate: Option<u64>,
    /// Answers come so many milliseconds after the request.
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// The length of every file that is downloaded without having been uploaded.
    #[arg(long, default_value_t = 0)]
    length: u64,
}

/// What all connections share.
struct Service {
    options: Options,
    report: Report,
    files: Files,
    /// What every file consists of.
    noise: Noise,
    shared: Option<Pace>,
    /// Whether a connection has the slow rate.
    is_one_slow: AtomicBool,
}

impl Service {
    fn new(options: Options) -> Self {
        let shared = options.shared_rate.map(Pace::of_rate);
        let files = Files::of_length(options.length);
        Self {
            options,
            report: Report::default(),
            files,
            noise: Noise::new(),
            shared,
            is_one_slow: AtomicBool::new(false),
        }
    }
}

/// Serves until standard input ends. The first line of standard output says where; each line of input is answered by one that
/// says what came since the one before.
pub(crate) fn run(options: &Options) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let tls = options.certificate.as_deref().map(tls::config).transpose()?;
    println!("{}", listener.local_addr()?);
    let service = Arc::new(Service::new(options.clone()));
    let accepting = service.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            if let Err(error) =
                stream.context("accept").and_then(|stream| begin(&accepting, stream, tls.clone()))
            {
                eprintln!("sink: {error:#}");
            }
        }
    });
    for line in stdin().lock().lines() {
        line?;
        println!("{}", serde_json::to_string(&service.report.tell())?);
    }
    Ok(())
}

/// Serves one client on a thread of its own.
fn begin(service: &Arc<Service>, stream: TcpStream, tls: Option<Arc<rustls::ServerConfig>>) -> Result<()> {
    let service = service.clone();
    thread::Builder::new().stack_size(256 * 1024).spawn(move || {
        let link = Link::of(&service);
        let served =
            Stream::new(stream, tls, link.pace.is_some()).and_then(|stream| connection::serve(stream, &link));
        if let Err(error) = served {
            eprintln!("sink: {error:#}");
        }
    })?;
    Ok(())
}

/// What a connection runs over.
struct Link<'a> {
    service: &'a Service,
    pace: Option<Pace>,
    /// Whether it is the one with the slow rate.
    is_slow: bool,
}

impl<'a> Link<'a> {
    fn of(service: &'a Service) -> Self {
        let slow = service.options.slow_rate.filter(|_| !service.is_one_slow.swap(true, Relaxed));
        let rate = slow.or(service.options.rate);
        service.report.open();
        let pace = service.shared.clone().or_else(|| rate.map(Pace::of_rate));
        Self { service, pace, is_slow: slow.is_some() }
    }
}

impl Drop for Link<'_> {
    fn drop(&mut self) {
        if self.is_slow {
            self.service.is_one_slow.store(false, Relaxed);
        }
        self.service.report.close();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    /// A sink with a file of that length.
    fn service(options: Options) -> Arc<Service> {
        Arc::new(Service::new(options))
    }

    /// What it answers to these requests, on one connection.
    fn answered(service: &Arc<Service>, requests: &str) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut client =
            TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        begin(service, listener.accept().expect("a client").0, None).expect("a thread");
        client.write_all(requests.as_bytes()).expect("it reads");
        client.shutdown(std::net::Shutdown::Write).expect("it is open");
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).expect("it answers");
        bytes
    }

    /// The same of a new one, where all of it is text.
    fn answers(requests: &str) -> String {
        String::from_utf8(answered(&service(Options::default()), requests)).expect("text")
    }

    fn post(path: &str, body: &str) -> String {
        format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn a_completed_upload_has_the_length_that_was_announced() {
        let requests = [
            post("/v1/uploads", r#"{"bytes": 10}"#),
            post("/v1/uploads", r#"{"bytes": 7}"#),
            post("/v1/uploads/upload_2/parts", "0123456"),
            post("/v1/uploads/upload_2/complete", "{}"),
        ];
        let answers = answers(&requests.concat());
        let last = answers.rsplit("\r\n\r\n").next().expect("an answer");
        let upload: serde_json::Value = serde_json::from_str(last).expect("JSON");
        assert_eq!((&upload["bytes"], &upload["file"]["bytes"]), (&7.into(), &7.into()));
        assert_eq!((&upload["status"], &upload["file"]["id"]), (&"completed".into(), &"file-2".into()));
    }

    #[test]
    fn a_range_of_a_file_is_answered_alone() {
        let service = service(Options { length: 10, ..Options::default() });
        let noise = &service.noise.at(0)[..10];
        let get = |range: &str| {
            let bytes = answered(&service, &format!("GET /v1/files/file-1/content HTTP/1.1\r\n{range}\r\n"));
            let end = memchr::memmem::find(&bytes, b"\r\n\r\n").expect("a head") + 4;
            (String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes[end..].to_vec())
        };
        let (head, whole) = get("");
        assert!(head.contains("200 OK\r\n") && whole == noise, "{head}");
        let (head, some) = get("Range: bytes=2-4\r\n");
        assert!(head.contains("206 Partial Content\r\n"), "{head}");
        assert!(
            head.contains("Content-Range: bytes 2-4/10\r\n") && head.contains("Content-Length: 3\r\n"),
            "{head}"
        );
        assert_eq!(some, noise[2..5]);
        assert!(get("Range: bytes=8-\r\n").0.contains("Content-Range: bytes 8-9/10\r\n"));
        assert!(get("Range: bytes=8-99\r\n").0.contains("Content-Range: bytes 8-9/10\r\n"));
        assert!(get("Range: bytes=10-\r\n").0.contains("416 Range Not Satisfiable\r\n"));
    }

    #[test]
    fn a_range_goes_on_from_one_piece_of_noise_to_the_next() {
        let service = service(Options { length: 3 << 20, ..Options::default() });
        let request = "GET /v1/files/file-1/content HTTP/1.1\r\nRange: bytes=1048570-2097160\r\n\r\n";
        let bytes = answered(&service, request);
        let expected = [(1048570, 6), (1 << 20, 1 << 20), (2 << 20, 9)]
            .map(|(offset, length)| service.noise.at(offset)[..length].to_vec());
        assert!(bytes.ends_with(&expected.concat()));
    }

    #[test]
    fn what_came_in_vain_is_told_and_so_is_how_many_came_at_once() {
        let options = Options { rate: Some(1 << 30), slow_rate: Some(1 << 29), ..Options::default() };
        let service = service(options);
        answered(&service, &post("/v1/uploads/upload_1/parts", "0123456"));
        let told = service.report.tell();
        assert_eq!((told.bytes, told.parts, told.came, told.connections), (7, 1, 7, 1));
        let breaks_off = "POST /v1/uploads/upload_1/parts HTTP/1.1\r\nContent-Length: 9\r\n\r\n0123";
        answered(&service, breaks_off);
        let told = service.report.tell();
        // One connection after the other is the slow one.
        assert_eq!((told.bytes, told.came, told.came_slowly, told.connections), (0, 4, 4, 1));
    }

    #[test]
    fn a_chunked_body_and_what_follows_it_are_told_apart() {
        let chunked = "POST /v1/uploads/upload_1/parts HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let both = answers(&[chunked, "GET /v1/files/file-1 HTTP/1.1\r\n\r\n"].concat());
        assert_eq!(both.matches("HTTP/1.1 200 OK").count(), 2, "{both}");
    }
}
