//! Uploads a file over plain TCP connections with nothing but `std` and `partwise-protocol`: no async runtime, no HTTP
//! library, no TLS. For services on this machine. It speaks HTTP/1.0, which needs neither chunks nor kept connections.
//!
//! ```sh
//! cargo run -p partwise-protocol --example blocking -- http://127.0.0.1:8080/v1 KEY FILE PURPOSE
//! ```
#![allow(clippy::print_stdout, reason = "it is what a command does")]

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant, SystemTime};
use std::{fs::File, net::TcpStream, thread};

use bytes::Bytes;
use http::{Request, Response};
use partwise_protocol::{
    Api, Credential, Dialect,
    machine::{Action, Machine as _, Now},
    transport::{Body, Failure, FailureKind, Segment},
    upload::{Comparison, Plan, SourceStamp, UploadMachine, UploadTask},
};

type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, key, path, purpose] = &arguments[..] else { return Err("BASE-URL KEY FILE PURPOSE".into()) };
    let (api, key) = (Api::with_base(base, Dialect::OpenAi)?, Credential::key(key)?);
    let mut file = File::open(path)?;
    let stamp = |file: &File| file.metadata().map(|metadata| SourceStamp::new(metadata.len()));
    let mut plan = Plan::new(path, "application/octet-stream", purpose.as_str().into());
    plan.parallel = 1.into();
    let mut entropy = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut entropy)?;
    let mut transfer = UploadMachine::new(api.clone(), plan, stamp(&file)?, entropy)?;

    let start = Instant::now();
    let sleep_until = |until: Duration| thread::sleep(until.saturating_sub(start.elapsed()));
    let now = || {
        let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Now { monotonic: start.elapsed(), unix: unix.as_secs().into() }
    };
    loop {
        match transfer.poll(now()) {
            Action::Start { id, task: UploadTask::Send { mut request, answer_limit, .. } } => {
                key.apply(&api, &mut request);
                match exchange(&request, &mut file, answer_limit) {
                    Ok(response) => transfer.handle_response(id, response, None, now()),
                    Err(error) => {
                        let failure = Failure::with_cause(FailureKind::Interrupted, error);
                        transfer.handle_failure(id, failure, now());
                    }
                }
            }
            Action::Start { id, task: UploadTask::Stamp } => transfer.handle_stamped(id, Ok(stamp(&file)?)),
            Action::Save(_) => transfer.handle_saved(Ok(())),
            Action::Wait { until } => sleep_until(until.unwrap_or_default()),
            Action::Start { id, task: UploadTask::Compare { .. } } => {
                transfer.handle_compared(id, Ok(Comparison::Unknown), now());
            }
            Action::Abandon(_) | Action::Start { task: UploadTask::Hash(_), .. } => {}
            Action::Done(result) => {
                println!("{}", result?.id);
                return Ok(());
            }
        }
    }
}

/// One request on a connection of its own.
fn exchange(request: &Request<Body>, file: &mut File, limit: u64) -> Result<Response<Bytes>, Error> {
    let host = request.uri().authority().ok_or("no host")?.as_str();
    let path = request.uri().path_and_query().ok_or("no path")?.as_str();
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(600)))?;
    write!(stream, "{} {path} HTTP/1.0\r\nHost: {host}\r\n", request.method())?;
    for (name, value) in request.headers() {
        write!(stream, "{name}: {}\r\n", value.to_str()?)?;
    }
    stream.write_all(b"\r\n")?;
    for segment in request.body().segments() {
        match segment {
            Segment::Bytes(bytes) => stream.write_all(bytes)?,
            Segment::Source(range) => {
                file.seek(SeekFrom::Start(range.start()))?;
                if io::copy(&mut file.take(range.len()), &mut stream)? < range.len() {
                    return Err("the file became shorter".into());
                }
            }
        }
    }
    let mut lines = BufReader::new(stream.take(limit));
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let mut response = Response::builder().status(line.split(' ').nth(1).ok_or("no HTTP")?);
    line.clear();
    while lines.read_line(&mut line)? > 2 {
        let (name, value) = line.split_once(':').ok_or("no header")?;
        response = response.header(name, value.trim());
        line.clear();
    }
    let mut body = Vec::new();
    lines.read_to_end(&mut body)?;
    Ok(response.body(body.into())?)
}
