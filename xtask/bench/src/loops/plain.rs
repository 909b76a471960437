//! Plain HTTP from the client's side, as little of it as the loops need.

use std::io::Read as _;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sys::socket::{MsgFlags, recv};

use super::{authority, hurry};

/// What a service answered, without the part of the body that is still to come.
pub(super) struct AnswerHead {
    left: u64,
}

/// Opens so many connections and works on each with a thread of its own.
pub(super) fn on_threads(
    origin: &str,
    connections: u16,
    work: impl Fn(TcpStream) -> Result<()> + Sync,
) -> Result<()> {
    let (authority, is_tls) = authority(origin)?;
    ensure!(!is_tls, "this loop speaks plain HTTP");
    let connect = || -> Result<()> {
        let stream = TcpStream::connect(authority)?;
        hurry(&stream)?;
        work(stream)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..connections).map(|_| scope.spawn(connect)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a thread panicked"))?)
    })
}

/// Reads an answer's head, which has to say that all is well and how long the body is.
pub(super) fn read_head(stream: &mut TcpStream) -> Result<AnswerHead> {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer)?;
        ensure!(read > 0, "the service went away");
        answer.extend_from_slice(&buffer[..read]);
        let Some(end) = memchr::memmem::find(&answer, b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
        ensure!(head.starts_with("http/1.1 2"), "the service answered {head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: u64 = length.context("the service gave no length")?.trim().parse()?;
        let early = (answer.len() - (end + 4)) as u64;
        return Ok(AnswerHead { left: length.checked_sub(early).context("the service answered too much")? });
    }
}

/// Throws the rest of an answer away, in the kernel.
pub(super) fn skip_body(stream: &mut TcpStream, head: &AnswerHead) -> Result<()> {
    // Nothing is written here, yet no more than its length is taken at once.
    let mut buffer = vec![0; 1024 * 1024];
    let mut left = head.left;
    while left > 0 {
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(buffer.len()));
        let read = recv(stream.as_raw_fd(), &mut buffer[..wanted], MsgFlags::MSG_TRUNC)?;
        ensure!(read > 0, "the service went away");
        left -= read as u64;
    }
    Ok(())
}
