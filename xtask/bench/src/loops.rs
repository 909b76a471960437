//! What a transfer costs without a client: a loop over hyper's connections, and two over bare sockets.

mod get_loop;
mod hyper_loop;
mod plain;
mod raw_loop;

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};

/// What is sent where, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    origin: String,
    /// The file.
    file: PathBuf,
    /// The size of a part in bytes.
    #[arg(long, default_value_t = 64 << 20)]
    part_size: u64,
    /// How many connections there are.
    #[arg(long, default_value_t = 4)]
    parallel: u16,
    /// Trust this certificate.
    #[arg(long)]
    ca_cert: Option<PathBuf>,
}

/// What the loop over bare sockets can do besides.
#[derive(Args, Clone, Debug)]
pub(crate) struct RawOptions {
    #[command(flatten)]
    common: Options,
    /// How each part is sent.
    #[arg(long, value_enum, default_value_t = Form::Multipart)]
    form: Form,
    /// Where parts are sent; the part's number follows it if they are put.
    #[arg(long, default_value = "/v1/uploads/upload_1/parts")]
    path: String,
}

/// How a part is sent.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// `POST` with a form.
    Multipart,
    /// `PUT` of the bytes alone.
    Put,
}

/// What is asked for.
#[derive(Args, Clone, Debug)]
pub(crate) struct GetOptions {
    /// `http://HOST:PORT`.
    origin: String,
    /// The file's path.
    path: String,
    /// How often it is asked for.
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// How many connections there are.
    #[arg(long, default_value_t = 4)]
    parallel: u16,
}

/// Uploads over hyper.
pub(crate) fn hyper(options: &Options) -> Result<()> {
    hyper_loop::run(options)
}

/// Uploads over sockets.
pub(crate) fn raw(options: &RawOptions) -> Result<()> {
    raw_loop::run(options)
}

/// Downloads over sockets.
pub(crate) fn get(options: &GetOptions) -> Result<()> {
    get_loop::run(options)
}

const BOUNDARY: &str = "partwise-bench-7f3a91c4d2e85b60";

/// The file's parts, of which each is handed out once.
struct Parts {
    file: File,
    length: u64,
    part_size: u64,
    next: AtomicU64,
}

impl Parts {
    fn of(options: &Options) -> Result<Self> {
        let file =
            File::open(&options.file).with_context(|| format!("cannot read {}", options.file.display()))?;
        let length = file.metadata()?.len();
        Ok(Self { file, length, part_size: options.part_size, next: AtomicU64::new(0) })
    }

    /// The next part's range.
    fn next(&self) -> Option<std::ops::Range<u64>> {
        let start = self.next.fetch_add(1, Relaxed).checked_mul(self.part_size)?;
        (start < self.length).then(|| start..(start + self.part_size).min(self.length))
    }
}

/// What stands around a part's bytes in its form.
fn around() -> (String, String) {
    (
        format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"data\"; filename=\"part\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        ),
        format!("\r\n--{BOUNDARY}--\r\n"),
    )
}

/// Has a connection send at once what it is given: nothing waits for more, and BBR paces nothing.
fn hurry(socket: &impl AsFd) -> nix::Result<()> {
    setsockopt(socket, sockopt::TcpNoDelay, &true)?;
    let is_paced = getsockopt(socket, sockopt::TcpCongestion)?.as_bytes().starts_with(b"bbr");
    if is_paced { setsockopt(socket, sockopt::TcpCongestion, &OsString::from("reno")) } else { Ok(()) }
}

/// `HOST:PORT` of an origin, and whether it is TLS.
fn authority(origin: &str) -> Result<(&str, bool)> {
    let (scheme, authority) = origin.split_once("://").context("an origin is http://HOST:PORT")?;
    Ok((authority, scheme == "https"))
}
