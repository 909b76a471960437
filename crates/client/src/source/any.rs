//! Sources of every kind behind one type.

use std::{fmt, fs::File, io, sync::Arc};

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use partwise_protocol::{transport::SourceRange, upload::SourceStamp};

use super::{FileSource, Source, once::OnceSource};

/// Content to upload that is read asynchronously, such as an object in another store. Several parts of it are read at the same
/// time, and one that fails is read again.
///
/// ```
/// use std::io;
///
/// use bytes::Bytes;
/// use futures_util::stream::{self, BoxStream, StreamExt as _};
/// use partwise::{
///     AnySource, AsyncSource,
///     protocol::{transport::SourceRange, upload::SourceStamp},
/// };
///
/// /// So many zeros, from nowhere.
/// struct Zeros(u64);
///
/// impl AsyncSource for Zeros {
///     async fn stamp(&self) -> io::Result<SourceStamp> {
///         Ok(SourceStamp::new(self.0))
///     }
///
///     fn read(&self, range: SourceRange) -> BoxStream<'static, io::Result<Bytes>> {
///         let zeros = vec![0; usize::try_from(range.len()).unwrap_or(usize::MAX)];
///         stream::iter([Ok(Bytes::from(zeros))]).boxed()
///     }
/// }
///
/// # async fn example(client: partwise::Client) -> Result<(), partwise::Error> {
/// # use partwise::Purpose;
/// let file = client.upload("zeros", AnySource::from_async(Zeros(1000)), Purpose::UserData).await?;
/// # Ok(())
/// # }
/// ```
pub trait AsyncSource: Send + Sync + 'static {
    /// What the source looks like now: length, time and identity. It is compared later with another stamp, and any
    /// difference means that the content may have changed.
    ///
    /// # Errors
    /// When the source cannot be asked.
    fn stamp(&self) -> impl Future<Output = io::Result<SourceStamp>> + Send;

    /// The bytes of this range in their order, in pieces of any size. They are taken as fast as they can be sent. A stream that
    /// ends before the range does is an error of the source; what comes behind the range is not looked at.
    fn read(&self, range: SourceRange) -> BoxStream<'static, io::Result<Bytes>>;
}

/// A source whose type is forgotten. Cheap to clone.
///
/// ```
/// use partwise::{AnySource, FileSource, IntoSource as _};
///
/// # fn example(path: Option<&str>) -> std::io::Result<AnySource> {
/// // One type, wherever the content comes from.
/// let source: AnySource = match path {
///     Some(path) => FileSource::open(path)?.into_source(),
///     None => "some text".into_source(),
/// };
/// # Ok(source)
/// # }
/// ```
#[derive(Clone)]
pub struct AnySource(pub(crate) Kind);

impl AnySource {
    /// Makes a source of one that is read asynchronously.
    pub fn from_async(source: impl AsyncSource) -> Self {
        Self(Kind::Async(Arc::new(source)))
    }
}

#[derive(Clone)]
pub(crate) enum Kind {
    Blocking(Arc<dyn Source>),
    Async(Arc<dyn ReadAsync>),
    /// Read in its order alone.
    Once(Arc<OnceSource>),
}

/// An [`AsyncSource`] of any type.
pub(crate) trait ReadAsync: Send + Sync {
    fn stamp(&self) -> BoxFuture<'_, io::Result<SourceStamp>>;

    fn read(&self, range: SourceRange) -> BoxStream<'static, io::Result<Bytes>>;
}

impl<S: AsyncSource> ReadAsync for S {
    fn stamp(&self) -> BoxFuture<'_, io::Result<SourceStamp>> {
        Box::pin(AsyncSource::stamp(self))
    }

    fn read(&self, range: SourceRange) -> BoxStream<'static, io::Result<Bytes>> {
        AsyncSource::read(self, range)
    }
}

/// Content that can be uploaded: any [`Source`], what becomes one without a copy, and with [`AnySource::from_async`] any [`AsyncSource`].
///
/// ```
/// use partwise::{Client, Error, File, IntoSource, Purpose};
///
/// /// Uploads requests, whatever holds them: text, bytes, an open file, a source.
/// async fn upload_requests(client: &Client, requests: impl IntoSource) -> Result<File, Error> {
///     client.upload("requests.jsonl", requests, Purpose::Batch).await
/// }
/// ```
pub trait IntoSource {
    /// The source.
    fn into_source(self) -> AnySource;
}

impl IntoSource for AnySource {
    fn into_source(self) -> AnySource {
        self
    }
}

impl<S: Source> IntoSource for S {
    fn into_source(self) -> AnySource {
        AnySource(Kind::Blocking(Arc::new(self)))
    }
}

impl IntoSource for Vec<u8> {
    fn into_source(self) -> AnySource {
        Bytes::from(self).into_source()
    }
}

impl IntoSource for String {
    fn into_source(self) -> AnySource {
        Bytes::from(self).into_source()
    }
}

/// The file must be a regular one, which stays open until the upload ends.
impl IntoSource for File {
    fn into_source(self) -> AnySource {
        FileSource::of(self).into_source()
    }
}

impl IntoSource for &'static [u8] {
    fn into_source(self) -> AnySource {
        Bytes::from_static(self).into_source()
    }
}

impl IntoSource for &'static str {
    fn into_source(self) -> AnySource {
        Bytes::from_static(self.as_bytes()).into_source()
    }
}

impl fmt::Debug for AnySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Blocking(_) => "AnySource::Blocking",
            Kind::Async(_) => "AnySource::Async",
            Kind::Once(_) => "AnySource::Once",
        })
    }
}
