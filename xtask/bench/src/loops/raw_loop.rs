//! Positioned reads and writes, a thread a connection: the limit of what this machine can do through sockets.

use std::io::{IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::{BOUNDARY, Options, Parts, around, authority};

const PIECE: usize = 1024 * 1024;

pub(super) fn run(options: &Options) -> Result<()> {
    let (authority, is_tls) = authority(&options.origin)?;
    ensure!(!is_tls, "this loop speaks plain HTTP");
    let parts = Parts::of(options)?;
    thread::scope(|scope| {
        let senders: Vec<_> =
            (0..options.parallel).map(|_| scope.spawn(|| send(authority, &parts))).collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| anyhow!("a sender panicked"))?)
    })
}

fn send(authority: &str, parts: &Parts) -> Result<()> {
    let mut stream = TcpStream::connect(authority)?;
    stream.set_nodelay(true)?;
    let mut piece = vec![0; PIECE];
    let (head, tail) = around();
    while let Some(range) = parts.next() {
        let length = head.len() as u64 + (range.end - range.start) + tail.len() as u64;
        let request = format!(
            "POST /v1/uploads/upload_1/parts HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer key\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n\r\n{head}"
        );
        let mut before = request.as_bytes();
        let mut at = range.start;
        while at < range.end {
            let wanted = PIECE.min(usize::try_from(range.end - at).unwrap_or(PIECE));
            let read = parts.file.read_at(&mut piece[..wanted], at)?;
            ensure!(read > 0, "the file became shorter");
            at += read as u64;
            write_both(&mut stream, std::mem::take(&mut before), &piece[..read])?;
        }
        stream.write_all(tail.as_bytes())?;
        read_answer(&mut stream)?;
    }
    Ok(())
}

fn write_both(stream: &mut TcpStream, mut first: &[u8], second: &[u8]) -> Result<()> {
    while !first.is_empty() {
        let written = stream.write_vectored(&[IoSlice::new(first), IoSlice::new(second)])?;
        if written > first.len() {
            return Ok(stream.write_all(&second[written - first.len()..])?);
        }
        first = &first[written..];
    }
    Ok(stream.write_all(second)?)
}

/// The sink's answers are small and come in one piece.
fn read_answer(stream: &mut TcpStream) -> Result<()> {
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let read = stream.read(&mut buffer)?;
        ensure!(read > 0, "the sink went away");
        answer.extend_from_slice(&buffer[..read]);
        let text = std::str::from_utf8(&answer)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if !head.starts_with("HTTP/1.1 200 ") {
            bail!("the sink answered {head}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.context("the sink gave no length")?.parse()?;
        if body.len() >= length {
            return Ok(());
        }
    }
}
