//! An identity for content that has nothing but a length: a digest, by which another run knows it again.

use std::{fs::File, future::poll_fn, io, sync::Arc};

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use partwise_protocol::{
    transport::{SourceError, SourceRange},
    upload::SourceStamp,
};

use crate::{
    AnySource, Client, Source,
    digest::Digester,
    reading::Reader,
    source::{Kind, ReadAsync},
};

/// The source with the digest of its content as its identity, in place of a file's time and inode where `is_temporary`. Content that
/// has a time or an identity of its own stays as it is.
pub(super) async fn identified(
    source: AnySource,
    is_temporary: bool,
    client: &Client,
) -> Result<AnySource, SourceError> {
    let reader = Reader::new(source.clone(), client.reading);
    let stamp = reader.clone().stamp().await?;
    if !is_temporary && (stamp.modified.is_some() || stamp.identity.is_some()) {
        return Ok(source);
    }
    let (mut pieces, mut digester) = (reader.read(SourceRange::new(0, stamp.length)), Digester::new());
    while let Some(piece) = poll_fn(|cx| pieces.poll_next(cx)).await {
        digester.update(&piece.map_err(SourceError::new)?);
        // A source that is read on this thread would hold up all else.
        tokio::task::yield_now().await;
    }
    let identity = format!("xxh3:{:032x}", digester.digest());
    Ok(AnySource(match source.0 {
        Kind::Blocking(source) => Kind::Blocking(Arc::new(Identified { source, identity, is_temporary })),
        Kind::Async(source) => Kind::Async(Arc::new(Identified { source, identity, is_temporary })),
        // It is read once, so it cannot be resumed.
        once @ Kind::Once(_) => once,
    }))
}

/// A source whose content has this identity.
struct Identified<S> {
    source: S,
    identity: String,
    is_temporary: bool,
}

impl<S> Identified<S> {
    /// The stamp with the identity, without what another run would find different: the times of a temporary file.
    fn stamped(&self, stamp: SourceStamp) -> SourceStamp {
        let stamp = if self.is_temporary { SourceStamp::new(stamp.length) } else { stamp };
        stamp.identity(self.identity.clone())
    }
}

impl Source for Identified<Arc<dyn Source>> {
    fn stamp(&self) -> io::Result<SourceStamp> {
        Ok(self.stamped(self.source.stamp()?))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read_at(offset, buffer)
    }

    fn in_memory(&self, range: SourceRange) -> Option<Bytes> {
        self.source.in_memory(range)
    }

    fn file(&self) -> Option<Arc<File>> {
        self.source.file()
    }
}

impl ReadAsync for Identified<Arc<dyn ReadAsync>> {
    fn stamp(&self) -> BoxFuture<'_, io::Result<SourceStamp>> {
        Box::pin(async move { Ok(self.stamped(self.source.stamp().await?)) })
    }

    fn read(&self, range: SourceRange) -> BoxStream<'static, io::Result<Bytes>> {
        self.source.read(range)
    }
}
