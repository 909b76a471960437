//! Targets of every kind behind one type.

use std::{fmt, fs::File, io, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use partwise_net::blocking::Blocking;

use super::{FileTarget, Target};

/// A target of a download that is written asynchronously, such as an object in another store.
///
/// Several ranges are written at the same time, unless it [is sequential](Self::is_sequential), and of each range one piece while the
/// next one comes. A piece has at most 512 KiB, so the client holds 1 MiB for each range in flight, besides the pieces that the target
/// keeps. [`Writing`](crate::Writing) does not concern it: nothing here may block.
///
/// A call whose future is dropped must write nothing afterwards: the same bytes may come again.
///
/// ```
/// use std::{io, sync::Mutex};
///
/// use bytes::Bytes;
/// use partwise::{AnyTarget, AsyncTarget};
///
/// /// Content in memory.
/// #[derive(Default)]
/// struct Memory(Mutex<Vec<u8>>);
///
/// impl AsyncTarget for Memory {
///     async fn length(&self) -> io::Result<u64> {
///         Ok(self.0.lock().unwrap().len() as u64)
///     }
///
///     async fn set_length(&self, length: u64) -> io::Result<()> {
///         self.0.lock().unwrap().resize(length as usize, 0);
///         Ok(())
///     }
///
///     async fn write(&self, offset: u64, bytes: Bytes) -> io::Result<()> {
///         let (mut content, start) = (self.0.lock().unwrap(), offset as usize);
///         if content.len() < start + bytes.len() {
///             content.resize(start + bytes.len(), 0);
///         }
///         content[start..][..bytes.len()].copy_from_slice(&bytes);
///         Ok(())
///     }
///
///     async fn sync(&self) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// # async fn example(client: partwise::Client) -> Result<(), partwise::Error> {
/// let target = AnyTarget::from_async(Memory::default());
/// let length = client.download_to("file-abc123", target).await?;
/// # Ok(())
/// # }
/// ```
pub trait AsyncTarget: Send + Sync + 'static {
    /// Returns how many bytes it has now, those that were never written included.
    ///
    /// # Errors
    /// When the target cannot be asked.
    fn length(&self) -> impl Future<Output = io::Result<u64>> + Send;

    /// Gives it this length, before the first byte is written, when the service says how many there will be.
    ///
    /// # Errors
    /// When it cannot have that length.
    fn set_length(&self, length: u64) -> impl Future<Output = io::Result<()>> + Send;

    /// Writes all of `bytes`, at `offset`. It is never called for two places that overlap at the same time.
    ///
    /// # Errors
    /// When they cannot be written, which ends the download.
    fn write(&self, offset: u64, bytes: Bytes) -> impl Future<Output = io::Result<()>> + Send;

    /// Makes everything durable that was written before, and its length. It may be called while other bytes are written, before each
    /// checkpoint and at the end.
    ///
    /// # Errors
    /// When that cannot be promised.
    fn sync(&self) -> impl Future<Output = io::Result<()>> + Send;

    /// Ends the content, all of which was written: it has this length. By default the length is [set](Self::set_length), and
    /// everything [synced](Self::sync).
    ///
    /// # Errors
    /// When that cannot be promised.
    fn finish(&self, length: u64) -> impl Future<Output = io::Result<()>> + Send {
        async move {
            self.set_length(length).await?;
            self.sync().await
        }
    }

    /// The download has ended without the whole content. A target that cannot be resumed removes here what it has; by default
    /// nothing happens. It is not called when the future of the download is dropped.
    ///
    /// # Errors
    /// When something could not be removed. It is logged; the error that ended the download stays.
    fn abort(&self) -> impl Future<Output = io::Result<()>> + Send {
        async { Ok(()) }
    }

    /// Returns `true` if bytes have to come in their order. Then one range is asked for at a time, whatever
    /// [`DownloadPlan::parallel`](partwise_protocol::download::DownloadPlan::parallel) says. What failed comes again, from any byte
    /// that was written before up to the one behind the last.
    fn is_sequential(&self) -> bool {
        false
    }
}

/// A target whose type is forgotten. Cheap to clone.
///
/// ```
/// use partwise::{AnyTarget, FileTarget, IntoTarget as _};
///
/// # fn example(path: Option<&str>) -> std::io::Result<AnyTarget> {
/// // One type, wherever the content goes.
/// let target: AnyTarget = match path {
///     Some(path) => FileTarget::open(path)?.into_target(),
///     None => tempfile::tempfile()?.into_target(),
/// };
/// # Ok(target)
/// # }
/// ```
#[derive(Clone)]
pub struct AnyTarget(pub(crate) TargetKind);

#[derive(Clone)]
pub(crate) enum TargetKind {
    Blocking(Arc<dyn Target>),
    Async(Arc<dyn WriteAsync>),
}

/// An [`AsyncTarget`] of any type.
pub(crate) trait WriteAsync: Send + Sync {
    fn length(&self) -> BoxFuture<'_, io::Result<u64>>;

    fn set_length(&self, length: u64) -> BoxFuture<'_, io::Result<()>>;

    fn write(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, io::Result<()>>;

    fn sync(&self) -> BoxFuture<'_, io::Result<()>>;

    fn finish(&self, length: u64) -> BoxFuture<'_, io::Result<()>>;

    fn abort(&self) -> BoxFuture<'_, io::Result<()>>;

    fn is_sequential(&self) -> bool;
}

impl<T: AsyncTarget> WriteAsync for T {
    fn length(&self) -> BoxFuture<'_, io::Result<u64>> {
        Box::pin(AsyncTarget::length(self))
    }

    fn set_length(&self, length: u64) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(AsyncTarget::set_length(self, length))
    }

    fn write(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(AsyncTarget::write(self, offset, bytes))
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(AsyncTarget::sync(self))
    }

    fn finish(&self, length: u64) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(AsyncTarget::finish(self, length))
    }

    fn abort(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(AsyncTarget::abort(self))
    }

    fn is_sequential(&self) -> bool {
        AsyncTarget::is_sequential(self)
    }
}

impl AnyTarget {
    /// Makes a target of one that is written asynchronously.
    pub fn from_async(target: impl AsyncTarget) -> Self {
        Self(TargetKind::Async(Arc::new(target)))
    }

    pub(crate) fn is_sequential(&self) -> bool {
        matches!(&self.0, TargetKind::Async(target) if target.is_sequential())
    }

    pub(crate) async fn length(&self) -> io::Result<u64> {
        match &self.0 {
            TargetKind::Async(target) => target.length().await,
            TargetKind::Blocking(target) => {
                let target = target.clone();
                Blocking::start(move || target.length()).await
            }
        }
    }

    pub(crate) async fn sync(&self) -> io::Result<()> {
        match &self.0 {
            TargetKind::Async(target) => target.sync().await,
            TargetKind::Blocking(target) => {
                let target = target.clone();
                Blocking::start(move || target.sync()).await
            }
        }
    }

    pub(crate) async fn finish(&self, length: u64) -> io::Result<()> {
        match &self.0 {
            TargetKind::Async(target) => target.finish(length).await,
            TargetKind::Blocking(target) => {
                let target = target.clone();
                let finish = move || {
                    target.set_length(length)?;
                    target.sync()
                };
                Blocking::start(finish).await
            }
        }
    }

    pub(crate) async fn abort(&self) {
        let TargetKind::Async(target) = &self.0 else { return };
        if let Err(error) = target.abort().await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "the target of a download that ended early cannot be aborted");
        }
    }
}

/// Where a download can go: any [`Target`], and with [`AnyTarget::from_async`] any [`AsyncTarget`].
///
/// ```
/// use partwise::{Client, Error, IntoTarget};
///
/// /// Downloads a result to an open file, or to any target; returns its length.
/// async fn download_result(client: &Client, id: &str, target: impl IntoTarget) -> Result<u64, Error> {
///     client.download_to(id, target).parallel(8).await
/// }
/// ```
pub trait IntoTarget {
    /// Returns the target.
    fn into_target(self) -> AnyTarget;
}

impl IntoTarget for AnyTarget {
    fn into_target(self) -> AnyTarget {
        self
    }
}

impl<T: Target> IntoTarget for T {
    fn into_target(self) -> AnyTarget {
        AnyTarget(TargetKind::Blocking(Arc::new(self)))
    }
}

/// The file must be a regular one that is open for writing.
impl IntoTarget for File {
    fn into_target(self) -> AnyTarget {
        FileTarget::of(self).into_target()
    }
}

impl fmt::Debug for AnyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            TargetKind::Blocking(_) => "AnyTarget::Blocking",
            TargetKind::Async(_) => "AnyTarget::Async",
        })
    }
}
