//! Content that comes once, as a stream.

use std::{
    fs::File,
    io::{self, Seek as _, Write as _},
    pin::Pin,
};

use bytes::{Bytes, BytesMut};
use partwise_net::blocking::Blocking;
use tokio::io::{AsyncRead, ReadBuf};

use super::FileSource;

/// So much is read at a time.
pub(super) const PIECE: usize = 256 * 1024;

pub(crate) type AnyReader = Pin<Box<dyn AsyncRead + Send>>;

/// Reads at most `most` bytes; none at the end. May be dropped and called again.
pub(super) async fn read_some(reader: &mut AnyReader, most: usize) -> io::Result<Bytes> {
    let mut room = BytesMut::zeroed(most);
    let count = std::future::poll_fn(|cx| {
        let mut room = ReadBuf::new(&mut room);
        reader.as_mut().poll_read(cx, &mut room).map_ok(|()| room.filled().len())
    })
    .await?;
    room.truncate(count);
    Ok(room.freeze())
}

/// The whole stream in a temporary file, which has no name, or goes with this process at the latest.
pub(crate) async fn spool(mut reader: AnyReader) -> io::Result<FileSource> {
    let mut file: File = Blocking::start(tempfile::tempfile).await?;
    loop {
        let bytes = read_some(&mut reader, PIECE).await?;
        if bytes.is_empty() {
            break;
        }
        file = Blocking::start(move || {
            file.write_all(&bytes)?;
            Ok(file)
        })
        .await?;
    }
    file.rewind()?;
    Ok(FileSource::of(file))
}

/// The whole stream in memory, which holds at most `length` bytes and one more that shows that the stream is longer.
pub(crate) async fn collect(mut reader: AnyReader, length: u64) -> io::Result<Bytes> {
    let mut all = BytesMut::new();
    loop {
        let most = (length + 1).saturating_sub(all.len() as u64).min(PIECE as u64);
        let bytes = read_some(&mut reader, usize::try_from(most).unwrap_or(PIECE)).await?;
        if bytes.is_empty() {
            return Ok(all.freeze());
        }
        all.extend_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Vec<u8> {
        (0..1_000_000_u32).map(|at| (at % 251) as u8).collect()
    }

    #[tokio::test]
    async fn what_is_spooled_is_what_came() {
        let content = content();
        let source = spool(Box::pin(io::Cursor::new(content.clone()))).await.unwrap();
        let mut read = vec![0; content.len()];
        crate::source::read_exact_at(&source, 0, &mut read).unwrap();
        assert!(read == content);
    }
}
