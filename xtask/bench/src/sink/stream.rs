//! The bytes of one client, plain or through TLS.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use anyhow::Result;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The TLS library asks for 4 KiB at a time, which would be most of what it costs.
const READ_AHEAD: usize = 128 * 1024;
/// What lies in a large buffer of ours would count as sent long before a slow link had taken it.
const PACED_BUFFER: usize = 256 * 1024;

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, Ahead>>),
}

impl Stream {
    pub(super) fn new(stream: TcpStream, tls: Option<Arc<ServerConfig>>, is_paced: bool) -> Result<Self> {
        stream.set_nodelay(true)?;
        if is_paced {
            setsockopt(&stream, sockopt::RcvBuf, &PACED_BUFFER)?;
        }
        Ok(match tls {
            None => Self::Plain(stream),
            Some(config) => {
                let ahead = Ahead(BufReader::with_capacity(READ_AHEAD, stream));
                Self::Tls(Box::new(StreamOwned::new(ServerConnection::new(config)?, ahead)))
            }
        })
    }

    /// Reads what there is; nothing at all once the client has gone, with or without a word.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        };
        or_gone(read)
    }

    /// Reads and throws away: in the kernel where there is nothing to decrypt.
    pub(super) fn discard(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => Ok(recv(stream.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC)?),
            Self::Tls(stream) => or_gone(stream.read(buffer)),
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

/// Clients of all kinds end a connection as they please between two requests; within one, nothing read is an error all the same.
fn or_gone(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) =>
        {
            Ok(0)
        }
        read => read,
    }
}

/// A socket that is read in large pieces.
pub(super) struct Ahead(BufReader<TcpStream>);

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Ahead {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}
