//! One connection: requests in, answers out.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::socket::{MsgFlags, recv};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::answers::{Answer, answer};
use super::content::{self, Framing};
use super::pace::Pace;
use super::{Options, report::Report};

const PIECE: usize = 1024 * 1024;

/// A client, plain or through TLS.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    pub(super) fn tls(stream: TcpStream, config: Arc<ServerConfig>) -> Result<Self> {
        Ok(Self::Tls(Box::new(StreamOwned::new(ServerConnection::new(config)?, stream))))
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Reads and throws away: in the kernel where there is nothing to decrypt.
    fn discard(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => Ok(recv(stream.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC)?),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

/// A client with what was read of it too early.
pub(super) struct Connection {
    stream: Stream,
    pace: Option<Pace>,
    buffer: Vec<u8>,
    read: std::ops::Range<usize>,
}

/// Serves one client until it goes away.
pub(super) fn serve(stream: Stream, pace: Option<Pace>, options: &Options, report: &Report) -> Result<()> {
    let buffer = vec![0; PIECE];
    let mut connection = Connection { stream, pace, buffer, read: 0..0 };
    while let Some(head) = connection.head()? {
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_part = method == "POST" && path.ends_with("/parts");
        if is_part {
            report.begin();
        }
        if head.to_ascii_lowercase().contains("expect: 100-continue") {
            connection.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length = content::discard(&mut connection, &Framing::of(&head)?)?;
        thread::sleep(Duration::from_millis(options.latency));
        match answer(method, path, options.length, report)? {
            Answer::Json(json) => connection.answer(&json)?,
            Answer::Content(length) => connection.content(length)?,
        }
        if is_part {
            report.end(length);
        }
    }
    Ok(())
}

impl Connection {
    /// The next request's head; `None` when the client has gone.
    fn head(&mut self) -> Result<Option<String>> {
        let mut head = Vec::new();
        loop {
            if self.read.is_empty() && !self.fill()? {
                return if head.is_empty() { Ok(None) } else { bail!("a head breaks off") };
            }
            let fresh = &self.buffer[self.read.clone()];
            let before = head.len().saturating_sub(3);
            head.extend_from_slice(fresh);
            if let Some(at) = memchr::memmem::find(&head[before..], b"\r\n\r\n") {
                let behind = head.len() - (before + at + 4);
                self.read.start = self.read.end - behind;
                head.truncate(before + at);
                return Ok(Some(String::from_utf8(head).context("a head is text")?));
            }
            self.read.start = self.read.end;
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        // Heads are small; a large read would take half a body's pace with it.
        let read = self.stream.read(&mut self.buffer[..16 * 1024])?;
        self.took(read);
        self.read = 0..read;
        Ok(read > 0)
    }

    fn took(&self, bytes: usize) {
        if let Some(pace) = &self.pace {
            pace.took(bytes);
        }
    }

    /// One line of a chunked body.
    pub(super) fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        loop {
            if self.read.is_empty() && !self.fill()? {
                bail!("a chunk breaks off");
            }
            let byte = self.buffer[self.read.start];
            self.read.start += 1;
            match byte {
                b'\n' => return Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
                _ => line.push(byte),
            }
        }
    }

    /// Throws so many bytes of a body away.
    pub(super) fn discard(&mut self, length: u64) -> Result<()> {
        let early = length.min(self.read.len() as u64);
        self.read.start += early as usize;
        let mut left = length - early;
        let piece = self.pace.as_ref().map_or(PIECE, Pace::piece);
        while left > 0 {
            let wanted = piece.min(usize::try_from(left).unwrap_or(piece));
            let read = self.stream.discard(&mut self.buffer[..wanted])?;
            if read == 0 {
                bail!("a body breaks off");
            }
            self.took(read);
            left -= read as u64;
        }
        Ok(())
    }

    fn answer(&mut self, json: &str) -> io::Result<()> {
        let length = json.len();
        self.stream.write_all(
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"
            )
            .as_bytes(),
        )
    }

    /// A file's content: nothing but zeros.
    fn content(&mut self, length: u64) -> io::Result<()> {
        self.stream.write_all(
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n").as_bytes(),
        )?;
        let mut left = length;
        while left > 0 {
            let piece = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
            self.stream.write_all(&self.buffer[..piece])?;
            left -= piece as u64;
        }
        Ok(())
    }
}
