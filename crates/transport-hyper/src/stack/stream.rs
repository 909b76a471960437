//! One byte stream to the service: plain, or inside TLS, or inside TLS inside a proxy's TLS.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use partwise_net::files::Files;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::{Gauge, Wire};

/// An open stream; its [`Gauge`] is that of the socket below.
pub(super) enum Stream {
    Plain(Wire),
    #[cfg(feature = "__tls")]
    Tls(Box<tokio_rustls::client::TlsStream<Stream>>),
}

impl Stream {
    pub(super) fn gauge(&self) -> Arc<Gauge> {
        match self {
            Self::Plain(wire) => wire.gauge(),
            #[cfg(feature = "__tls")]
            Self::Tls(tls) => tls.get_ref().0.gauge(),
        }
    }
}

impl Stream {
    /// Where files go that the system may send by itself: nothing may lie between it and the wire.
    pub(super) fn files(&self) -> Option<Files> {
        match self {
            Self::Plain(wire) => wire.files(),
            #[cfg(feature = "__tls")]
            Self::Tls(_) => None,
        }
    }
}

/// The same call on whatever is inside.
macro_rules! inside {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Plain($inner) => $call,
            #[cfg(feature = "__tls")]
            Stream::Tls($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        inside!(&mut *self, inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        inside!(&mut *self, inner => Pin::new(inner).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        inside!(&mut *self, inner => Pin::new(inner).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        inside!(self, inner => inner.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(&mut *self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(&mut *self, inner => Pin::new(inner).poll_shutdown(cx))
    }
}
