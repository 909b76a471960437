//! Positioned reads and writes, a thread a connection: the limit of what this machine can do through sockets.

use std::io::{IoSlice, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use anyhow::{Result, ensure};

use super::plain::{self, read_head, skip_body};
use super::{BOUNDARY, Form, Parts, RawOptions, around};

const PIECE: usize = 1024 * 1024;

pub(super) fn run(options: &RawOptions) -> Result<()> {
    let parts = Parts::of(&options.common)?;
    plain::on_threads(&options.common.origin, options.common.parallel, |stream| send(stream, &parts, options))
}

fn send(mut stream: TcpStream, parts: &Parts, options: &RawOptions) -> Result<()> {
    let mut piece = vec![0; PIECE];
    while let Some(range) = parts.next() {
        let (head, tail) = frame(options, &range);
        let mut before = head.as_bytes();
        let mut at = range.start;
        while at < range.end {
            let wanted = PIECE.min(usize::try_from(range.end - at).unwrap_or(PIECE));
            let read = parts.file.read_at(&mut piece[..wanted], at)?;
            ensure!(read > 0, "the file became shorter");
            at += read as u64;
            write_both(&mut stream, std::mem::take(&mut before), &piece[..read])?;
        }
        stream.write_all(tail.as_bytes())?;
        let head = read_head(&mut stream)?;
        skip_body(&mut stream, &head)?;
    }
    Ok(())
}

/// What stands before and behind the bytes of a part.
fn frame(options: &RawOptions, range: &Range<u64>) -> (String, String) {
    let (path, bytes) = (&options.path, range.end - range.start);
    let fields = "Host: localhost\r\nAuthorization: Bearer key";
    match options.form {
        Form::Multipart => {
            let (head, tail) = around();
            let length = head.len() as u64 + bytes + tail.len() as u64;
            let request = format!(
                "POST {path} HTTP/1.1\r\n{fields}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n\r\n{head}"
            );
            (request, tail)
        }
        Form::Put => {
            let number = range.start / options.common.part_size;
            let request =
                format!("PUT {path}{number} HTTP/1.1\r\n{fields}\r\nContent-Length: {bytes}\r\n\r\n");
            (request, String::new())
        }
    }
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
