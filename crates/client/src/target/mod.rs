//! Where a download goes: something that is written at any place.

mod any;
mod direct;
mod file;
#[cfg(target_os = "linux")]
mod preallocate;

use std::{io, sync::Arc};

pub(crate) use self::any::{TargetKind, WriteAsync};
pub use self::{
    any::{AnyTarget, AsyncTarget, IntoTarget},
    file::FileTarget,
};

/// Where a download's bytes go. Several ranges of them come at the same time, so they are written at places.
///
/// A file is one ([`FileTarget`]). For your own, implement four functions; all may block, and run where
/// [`Writing`](crate::Writing) says, or on threads for blocking work.
///
/// ```
/// use std::{io, sync::Mutex};
///
/// use partwise::Target;
///
/// /// Content in memory.
/// #[derive(Default)]
/// struct Memory(Mutex<Vec<u8>>);
///
/// impl Target for Memory {
///     fn length(&self) -> io::Result<u64> {
///         Ok(self.0.lock().unwrap().len() as u64)
///     }
///
///     fn set_length(&self, length: u64) -> io::Result<()> {
///         self.0.lock().unwrap().resize(length as usize, 0);
///         Ok(())
///     }
///
///     fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
///         let (mut content, start) = (self.0.lock().unwrap(), offset as usize);
///         if content.len() < start + bytes.len() {
///             content.resize(start + bytes.len(), 0);
///         }
///         content[start..][..bytes.len()].copy_from_slice(bytes);
///         Ok(bytes.len())
///     }
///
///     fn sync(&self) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// # async fn example(client: partwise::Client) -> Result<(), partwise::Error> {
/// let memory = std::sync::Arc::new(Memory::default());
/// client.download_to("file-abc123", memory.clone()).await?;
/// println!("{} bytes", memory.0.lock().unwrap().len());
/// # Ok(())
/// # }
/// ```
pub trait Target: Send + Sync + 'static {
    /// How many bytes it has now, those that were never written included.
    ///
    /// # Errors
    /// When the target cannot be asked.
    fn length(&self) -> io::Result<u64>;

    /// Gives it this length: before the first byte is written when the service says how many there will be, and at the
    /// end. What was never written in between may take no room.
    ///
    /// # Errors
    /// When it cannot have that length.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Writes the beginning of `bytes` at `offset` and says how many that were: at least one, unless there are none.
    /// It is never called for two places that overlap at the same time.
    ///
    /// # Errors
    /// When nothing can be written. [`io::ErrorKind::Interrupted`] is tried again.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Makes everything durable that was written before, and its length. It may be called while other bytes are written.
    ///
    /// # Errors
    /// When that cannot be promised.
    fn sync(&self) -> io::Result<()>;
}

impl<T: Target + ?Sized> Target for Arc<T> {
    fn length(&self) -> io::Result<u64> {
        (**self).length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        (**self).set_length(length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        (**self).write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        (**self).sync()
    }
}

/// Writes all of `bytes` from `offset` on.
pub(crate) fn write_all_at(target: &dyn Target, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        match target.write_at(offset + written as u64, &bytes[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => written += more.min(bytes.len() - written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod testing {
    use std::fs::File;

    /// A file in the folder of the tests themselves, which is on a disk more often than the one for temporary files.
    pub(super) fn file_beside_the_tests() -> File {
        let tests = std::env::current_exe().expect("it runs");
        tempfile::tempfile_in(tests.parent().expect("a file is in a folder")).expect("it was built there")
    }
}
