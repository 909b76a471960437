//! Large uploads beside many slow ones, and the memory of the server that takes both.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use crate::content::Content;
use crate::findings::Findings;
use crate::http::{Connection, Request, Response};
use crate::samples::peak_memory_kib;
use crate::server::{Server, Setting};
use crate::tether::tethered;
use crate::wire::{Asker, Family};

const KEY: &str = "soak-key";
const ASKER: Asker<'static> = Asker { family: Family::OpenAi, key: KEY };
const MIB: u64 = 1 << 20;
/// The time that the slow clients have to themselves first.
const ALONE: Duration = Duration::from_secs(5);
/// A slow client sends so often.
const STEP: Duration = Duration::from_millis(250);
/// The shortest time that a slow part takes, and the longest.
const SLOW: [u64; 2] = [30, 60];
/// The time limit of an answer to a slow client: the server itself waits for two minutes.
const ANSWER: Duration = Duration::from_secs(150);
/// An answer that comes later than this after the last byte means that a slow client is starved.
const LATE: Duration = Duration::from_secs(20);

/// The load.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// The server to load, which is also the client of large uploads.
    #[arg(long)]
    partwise: PathBuf,
    /// A folder for the source, checkpoints and the log.
    #[arg(long)]
    dir: PathBuf,
    /// The store, as `partwise serve` takes it: an empty place.
    #[arg(long)]
    store: String,
    /// The number of large uploads at once.
    #[arg(long, default_value_t = 4)]
    uploads: usize,
    /// The parts in flight of each of them.
    #[arg(long, default_value_t = 4)]
    parallel: u8,
    /// The size of each of them, in MiB.
    #[arg(long, default_value_t = 512)]
    mib: u64,
    /// The number of slow clients.
    #[arg(long, default_value_t = 50)]
    slow: u64,
    /// The bytes that a slow client sends a second.
    #[arg(long, default_value_t = 4096)]
    rate: u64,
    /// The KiB of each part that a slow client sends at once, before it is slow.
    #[arg(long, default_value_t = 0)]
    ahead: u64,
    /// The most memory that the server may have had, in MiB.
    #[arg(long, default_value_t = 128)]
    most_mib: u64,
    /// Further arguments to `partwise serve`, after `--`.
    #[arg(last = true)]
    serve: Vec<String>,
}

/// The state that all clients share.
struct Load<'o> {
    options: &'o Options,
    address: SocketAddr,
    findings: Findings,
    /// The large uploads have ended.
    is_over: AtomicBool,
    slow_parts: AtomicU64,
    /// The longest time from the last byte of a slow part to its answer.
    longest: Mutex<Duration>,
}

/// Measures, and says whether everything held.
pub(crate) fn run(options: &Options) -> Result<bool> {
    fs::create_dir_all(&options.dir)?;
    let source = options.dir.join("source.bin");
    write_source(&source, options.mib)?;
    let setting = Setting {
        executable: options.partwise.canonicalize().context("--partwise")?,
        store: options.store.clone().into(),
        keys: KEY.to_owned(),
        arguments: options.serve.clone(),
    };
    let server = Server::new("1".to_owned(), setting, options.dir.join("server.log"));
    server.start()?;
    let process = server.process().context("it does not run")?;
    let idle = peak_memory_kib(process).unwrap_or(0);
    let load = Load {
        options,
        address: server.address()?,
        findings: Findings::new(),
        is_over: AtomicBool::new(false),
        slow_parts: AtomicU64::new(0),
        longest: Mutex::default(),
    };
    let took = thread::scope(|scope| {
        for number in 0..options.slow {
            let load = &load;
            scope.spawn(move || load.upload_slowly(number));
        }
        thread::sleep(ALONE);
        let took = load.upload_all(&source);
        load.is_over.store(true, SeqCst);
        took
    })?;
    let peak = peak_memory_kib(process).context("the server has ended")?;
    if peak > options.most_mib * 1024 {
        load.findings.note("the server has too much memory", format!("{peak} KiB"));
    }
    server.stop()?;
    for line in server.panics() {
        load.findings.note("the server has panicked", line);
    }
    let sent = options.mib * options.uploads as u64;
    println!(
        "{} uploads of {} MiB, {} parts at once each: {:.1} s, {:.1} MiB/s together",
        options.uploads,
        options.mib,
        options.parallel,
        took.as_secs_f64(),
        sent as f64 / took.as_secs_f64()
    );
    let (parts, longest) = (load.slow_parts.load(SeqCst), load.longest());
    println!(
        "{} slow clients of {} B/s, the first {} KiB at once: {parts} parts, each answered within {:.1} s of its last byte",
        options.slow,
        options.rate,
        options.ahead,
        longest.as_secs_f64()
    );
    println!("memory of the server: {idle} KiB at the start, {peak} KiB at most");
    match load.findings.report() {
        None => println!("nothing was found"),
        Some(report) => println!("{report}"),
    }
    Ok(load.findings.report().is_none())
}

fn write_source(path: &Path, mib: u64) -> io::Result<()> {
    let (content, mut file) = (Content::new(1, mib * MIB), File::create(path)?);
    for number in 0..mib {
        file.write_all(&content.bytes(number * MIB..(number + 1) * MIB))?;
    }
    file.sync_all()
}

impl Load<'_> {
    fn longest(&self) -> Duration {
        *self.longest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uploads the source as often as is asked for, all at once, and returns the time that it took.
    fn upload_all(&self, source: &Path) -> Result<Duration> {
        let begin = Instant::now();
        let commands: Vec<Child> = (0..self.options.uploads)
            .map(|number| self.start_upload(source, number))
            .collect::<Result<_>>()?;
        for command in commands {
            let output = command.wait_with_output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            if !output.status.success() {
                self.findings.note("a large upload has failed", said);
                continue;
            }
            let statistics: Value = serde_json::from_slice(last_line(&output.stdout)).unwrap_or_default();
            if statistics["retries"]["total"] != 0 {
                self.findings.note("requests of a large upload were sent again", statistics.to_string());
            }
        }
        Ok(begin.elapsed())
    }

    fn start_upload(&self, source: &Path, number: usize) -> Result<Child> {
        let mut command = tethered(&self.options.partwise)?;
        command.arg("upload").arg(source).args(["--purpose", "assistants", "--md5", "--json", "--stats"]);
        command.args(["--no-resume", "--progress", "none", "--parallel", &self.options.parallel.to_string()]);
        command.arg("--state").arg(self.options.dir.join(format!("state-{number}")));
        command.args(["--endpoint", &format!("http://{}/v1", self.address)]).env("OPENAI_API_KEY", KEY);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().context("partwise upload")
    }

    /// Uploads one slow part after the other until the large uploads have ended.
    fn upload_slowly(&self, number: u64) {
        let mut random = fastrand::Rng::with_seed(number);
        let mut round = 0;
        loop {
            let seconds = random.u64(SLOW[0]..=SLOW[1]);
            let content =
                Content::new(number << 32 | round, self.options.ahead * 1024 + self.options.rate * seconds);
            if let Err(error) = self.upload_one(&format!("slow-{number}-{round}.bin"), content) {
                self.findings.note("a slow client was not served", format!("{error:#}"));
            }
            round += 1;
            if self.is_over.load(SeqCst) {
                return;
            }
        }
    }

    fn upload_one(&self, name: &str, content: Content) -> Result<()> {
        let mut connection = Connection::open(self.address)?;
        connection.set_patience(ANSWER)?;
        let upload = ask(&mut connection, &ASKER.create_upload(name, "assistants", content.length()))?;
        let upload = upload["id"].as_str().context("an upload without an id")?.to_owned();
        let part = self.send_slowly(&mut connection, &ASKER.add_part(&upload, &content.all()))?;
        let part = read(&part)?["id"].as_str().context("a part without an id")?.to_owned();
        self.slow_parts.fetch_add(1, SeqCst);
        let complete = ASKER.complete(&upload, &[part], Some(&content.md5()));
        let upload = ask(&mut connection, &complete)?;
        let file = upload["file"]["id"].as_str().context("an upload without a file")?;
        let answer =
            connection.exchange(&ASKER.download(file)).map_err(|failure| failed("download", &failure))?;
        match content.difference(0..content.length(), &answer.body) {
            None => Ok(()),
            Some(difference) => bail!("{name}: {difference}"),
        }
    }

    /// Sends the head and what is to be ahead at once, and the rest at the rate of a slow client.
    fn send_slowly(&self, connection: &mut Connection, request: &Request) -> Result<Response> {
        let bytes = request.bytes();
        let step = (self.options.rate as usize * STEP.as_millis() as usize / 1000).max(1);
        let (first, rest) = bytes.split_at((self.options.ahead as usize * 1024).min(bytes.len()));
        let begin = Instant::now();
        let mut sent = connection.send(first);
        for (number, piece) in rest.chunks(step).enumerate() {
            if sent.is_err() {
                break;
            }
            sent = connection.send(piece);
            thread::sleep((STEP * (number as u32 + 1)).saturating_sub(begin.elapsed()));
        }
        let end = Instant::now();
        let response = connection.response();
        let waited = end.elapsed();
        if waited > LATE {
            self.findings.note("a slow client is starved", format!("{:.1} s", waited.as_secs_f64()));
        }
        let mut longest = self.longest.lock().unwrap_or_else(PoisonError::into_inner);
        *longest = waited.max(*longest);
        response.with_context(|| format!("a slow part after {:.1} s", begin.elapsed().as_secs_f64()))
    }
}

fn ask(connection: &mut Connection, request: &Request) -> Result<Value> {
    let what = request.head.lines().next().unwrap_or_default();
    read(&connection.exchange(request).map_err(|failure| failed(what, &failure))?)
}

fn failed(what: &str, failure: &crate::http::Failure) -> anyhow::Error {
    anyhow::anyhow!("{what}: {}", failure.error())
}

fn read(response: &Response) -> Result<Value> {
    ensure!(response.status() == 200, "{}", response.words());
    Ok(serde_json::from_slice(&response.body)?)
}

fn last_line(output: &[u8]) -> &[u8] {
    output.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default()
}
