//! One connection: requests in, answers out.

use std::io;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::Link;
use super::answers::{Answer, answer, wants_body};
use super::content::{self, Framing};
use super::head::Head;
use super::pace::Pace;
use super::stream::Stream;
use crate::noise::Noise;

const PIECE: usize = 1024 * 1024;

/// A client with what was read of it too early.
pub(super) struct Connection {
    stream: Stream,
    pace: Option<Pace>,
    buffer: Vec<u8>,
    read: Range<usize>,
    /// How many bytes of bodies were thrown away.
    discarded: u64,
}

/// Serves one client until it goes away.
pub(super) fn serve(stream: Stream, link: &Link<'_>) -> Result<()> {
    let (service, pace, buffer) = (link.service, link.pace.clone(), vec![0; PIECE]);
    let mut connection = Connection { stream, pace, buffer, read: 0..0, discarded: 0 };
    while let Some(head) = connection.head()? {
        let is_upload = head.method() == "POST"
            && [Some("parts"), Some("files")].contains(&head.path().split('/').next_back());
        if is_upload {
            service.report.begin();
        }
        if head.expects_continue() {
            connection.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let before = connection.discarded;
        let received = match head.framing()? {
            Framing::Length(length) if wants_body(&head) => {
                connection.body(length).map(|body| (length, body))
            }
            framing => content::discard(&mut connection, &framing).map(|length| (length, Vec::new())),
        };
        if is_upload {
            service.report.came(connection.discarded - before, link.is_slow);
        }
        let (length, body) = received?;
        thread::sleep(Duration::from_millis(service.options.latency));
        let answer = answer(&head, &body, &service.files)?;
        if is_upload {
            // Before the client can know, and whoever waits for the client can ask.
            service.report.end(length);
        }
        connection.answer(&answer, head.method() != "HEAD", &service.noise)?;
    }
    Ok(())
}

impl Connection {
    /// The next request's head; `None` when the client has gone.
    fn head(&mut self) -> Result<Option<Head>> {
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
                return Ok(Some(Head::new(head)?));
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

    /// A small body.
    fn body(&mut self, length: u64) -> Result<Vec<u8>> {
        let length = usize::try_from(length)?;
        ensure!(length <= PIECE, "a body of {length} bytes where some JSON is due");
        let mut body = Vec::new();
        while body.len() < length {
            if self.read.is_empty() && !self.fill()? {
                bail!("a body breaks off");
            }
            let wanted = self.read.len().min(length - body.len());
            body.extend_from_slice(&self.buffer[self.read.start..self.read.start + wanted]);
            self.read.start += wanted;
        }
        Ok(body)
    }

    /// Throws so many bytes of a body away.
    pub(super) fn discard(&mut self, length: u64) -> Result<()> {
        let early = length.min(self.read.len() as u64);
        self.read.start += early as usize;
        self.discarded += early;
        let mut left = length - early;
        let piece = self.piece();
        while left > 0 {
            let wanted = piece.min(usize::try_from(left).unwrap_or(piece));
            let read = self.stream.discard(&mut self.buffer[..wanted])?;
            ensure!(read > 0, "a body breaks off");
            self.took(read);
            self.discarded += read as u64;
            left -= read as u64;
        }
        Ok(())
    }

    fn piece(&self) -> usize {
        self.pace.as_ref().map_or(PIECE, Pace::piece)
    }

    fn answer(&mut self, answer: &Answer, with_body: bool, noise: &Noise) -> io::Result<()> {
        let (status, kind, range, length) = match answer {
            Answer::Json(json) => ("200 OK", "json", String::new(), json.len() as u64),
            Answer::Content { range, of, is_part: true } => {
                let content_range =
                    format!("Content-Range: bytes {}-{}/{of}\r\n", range.start, range.end.saturating_sub(1));
                ("206 Partial Content", "octet-stream", content_range, range.end - range.start)
            }
            Answer::Content { of, .. } => {
                ("200 OK", "octet-stream", "Accept-Ranges: bytes\r\n".to_owned(), *of)
            }
            Answer::NoSuchRange { of } => {
                ("416 Range Not Satisfiable", "octet-stream", format!("Content-Range: bytes */{of}\r\n"), 0)
            }
        };
        let mut message = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/{kind}\r\n{range}Content-Length: {length}\r\n\r\n"
        );
        if let (Answer::Json(json), true) = (answer, with_body) {
            message.push_str(json);
        }
        self.stream.write_all(message.as_bytes())?;
        match answer {
            Answer::Content { range, .. } if with_body => self.content(range.clone(), noise),
            _ => Ok(()),
        }
    }

    /// A range of a file's content.
    fn content(&mut self, mut range: Range<u64>, noise: &Noise) -> io::Result<()> {
        while !range.is_empty() {
            let bytes = noise.at(range.start);
            let wanted = self.piece().min(usize::try_from(range.end - range.start).unwrap_or(PIECE));
            let bytes = &bytes[..wanted.min(bytes.len())];
            self.stream.write_all(bytes)?;
            self.took(bytes.len());
            range.start += bytes.len() as u64;
        }
        Ok(())
    }
}
