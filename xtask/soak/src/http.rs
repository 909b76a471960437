//! As much of an HTTP/1.1 client as is needed to misbehave: every byte and every close is in the caller's hands.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

/// The time limit of an answer; nothing here takes a tenth of it on a machine that is not overloaded.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);
const SMALL_SEGMENT: u32 = 1400;
const MAX_HEAD: usize = 64 << 10;
const MAX_BODY: u64 = 64 << 20;

/// A request, ready to send.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }
}

/// The status line and the header fields of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
}

impl Head {
    fn parse(text: &str) -> io::Result<Self> {
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| garbled("the status line"))?;
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields =
            fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        Ok(Self { status, fields })
    }

    /// The value of a header field, whose name is given in small letters.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find_map(|(field, value)| (field == name).then_some(value.as_str()))
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    /// The status and the beginning of the body, for people.
    pub(crate) fn words(&self) -> String {
        let beginning = &self.body[..self.body.len().min(300)];
        format!("{} {}", self.status(), String::from_utf8_lossy(beginning))
    }
}

/// A request that was begun and has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Not all of the request was taken, so it cannot have been executed.
    Send(io::Error),
    /// All of it was sent: it may have been executed.
    Receive(io::Error),
}

impl Failure {
    pub(crate) fn error(&self) -> &io::Error {
        let (Self::Send(error) | Self::Receive(error)) = self;
        error
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        Self::with_window(address, None)
    }

    /// A connection whose kernel takes no more than about so many bytes that nobody has read.
    pub(crate) fn narrow(address: SocketAddr, window: usize) -> io::Result<Self> {
        Self::with_window(address, Some(window))
    }

    fn with_window(address: SocketAddr, window: Option<usize>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if let Some(window) = window {
            socket.set_recv_buffer_size(window)?;
            // Segments as large as loopback has them would not fit, and be sent again and again.
            socket.set_tcp_mss(SMALL_SEGMENT)?;
        }
        socket.connect_timeout(&address.into(), CONNECT)?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub(crate) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request and reads the answer, also one that comes before the request was taken.
    pub(crate) fn exchange(&mut self, request: &Request) -> Result<Response, Failure> {
        match self.send(&request.bytes()) {
            Ok(()) => self.response().map_err(Failure::Receive),
            Err(error) => self.response().map_err(|_| Failure::Send(error)),
        }
    }

    pub(crate) fn response(&mut self) -> io::Result<Response> {
        let head = self.head()?;
        let body = match (head.field("transfer-encoding"), head.field("content-length")) {
            _ if head.status == 204 => Vec::new(),
            (Some(_), _) => self.chunks()?,
            (None, Some(length)) => {
                let length = length.parse().map_err(|_| garbled("Content-Length"))?;
                self.take(length)?
            }
            (None, None) => self.rest()?,
        };
        Ok(Response { head, body })
    }

    /// Reads the head alone; the body can be read with [`read_some`](Self::read_some).
    pub(crate) fn head(&mut self) -> io::Result<Head> {
        loop {
            let end = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                let text = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 4);
                let head = Head::parse(&text)?;
                if head.status >= 200 {
                    return Ok(head);
                }
                continue;
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(garbled("the length of the head"));
            }
            self.fill()?;
        }
    }

    /// At most `count` bytes of what comes; none at its end.
    pub(crate) fn read_some(&mut self, count: usize) -> io::Result<Vec<u8>> {
        if !self.buffer.is_empty() {
            return Ok(self.buffer.drain(..count.min(self.buffer.len())).collect());
        }
        let mut bytes = vec![0; count];
        let read = self.stream.read(&mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Closes with a reset: what was not sent yet is not sent.
    pub(crate) fn reset(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    fn take(&mut self, length: u64) -> io::Result<Vec<u8>> {
        if length > MAX_BODY {
            return Err(garbled("the length of the body"));
        }
        while (self.buffer.len() as u64) < length {
            self.fill()?;
        }
        Ok(self.buffer.drain(..length as usize).collect())
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| garbled("the size of a chunk"))?;
            body.extend(self.take(size)?);
            if !self.line()?.is_empty() {
                return Err(garbled("the end of a chunk"));
            }
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|bytes| bytes == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return Ok(line);
            }
            self.fill()?;
        }
    }

    fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut body = std::mem::take(&mut self.buffer);
        self.stream.read_to_end(&mut body)?;
        Ok(body)
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.buffer.extend(&bytes[..read]);
                Ok(())
            }
        }
    }
}

fn garbled(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} of an answer is garbled"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn answered(answer: &'static [u8]) -> Result<Response, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(answer).unwrap();
        });
        let request = Request { head: "GET ".into(), body: Vec::new() };
        let response = Connection::open(address).unwrap().exchange(&request);
        server.join().unwrap();
        response
    }

    #[test]
    fn answers_of_every_framing_are_read() {
        for (answer, body) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..], "hello"),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
                "hello",
            ),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello", "hello"),
            (b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 0\r\n\r\n", ""),
        ] {
            let response = answered(answer).unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.body, body.as_bytes());
        }
    }

    #[test]
    fn an_answer_that_ends_early_is_none() {
        let failure = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell").unwrap_err();
        assert!(matches!(&failure, Failure::Receive(_)), "{failure:?}");
        assert_eq!(failure.error().kind(), io::ErrorKind::UnexpectedEof);
    }
}
