//! From bytes as they come to a target, in large pieces, without blocking whom it must not.

use std::{
    io, mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use partwise_net::blocking::Blocking;
use tokio::{
    sync::{OwnedRwLockReadGuard, RwLock},
    task::JoinSet,
    time::Instant,
};

use crate::target::{AnyTarget, Target, TargetKind, WriteAsync, write_all_at};

/// Bytes are gathered to pieces of this size, which begin at multiples of it: the kernel takes whole large pages for the
/// price of small ones. Each answer that comes holds one piece, or two unless it is [`Writing::Inline`].
const PIECE: usize = 512 * 1024;

/// What memory and disks are cut in.
const PAGE: usize = 4096;

/// On a slow line a piece is written before it is full, so that a crash costs little.
const LONGEST_KEPT: Duration = Duration::from_secs(1);

/// Where a [`Target`] is written. It does not concern an [`AsyncTarget`](crate::AsyncTarget).
///
/// ```
/// use partwise::{Client, Writing};
///
/// fn example(client: &Client) {
///     // A program that does nothing but one download.
///     let alone = client.to_builder().writing(Writing::Inline).build();
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Writing {
    /// On tokio's threads for blocking work, one piece while the next one comes. Right inside a service that has other
    /// things to do: a slow disk or a network file system holds up nobody else.
    #[default]
    Blocking,
    /// On the thread that receives. Saves a switch between threads for every piece; right when the runtime has nothing to
    /// do but this download.
    Inline,
}

/// A target as answers are written to it: all answers of one download share it, and its buffers with it.
#[derive(Clone)]
pub(crate) struct Writer {
    target: AnyTarget,
    writing: Writing,
    free: FreeBuffers,
    /// Held by everyone who writes, so that it can be waited for.
    at_work: Arc<RwLock<()>>,
}

type FreeBuffers = Arc<Mutex<Vec<PageBuffer>>>;

/// Bytes that are gathered. They begin at a page's beginning, so that a target may hand them to the disk as they are.
struct PageBuffer {
    memory: Vec<u8>,
    start: usize,
    filled: usize,
}

impl PageBuffer {
    fn new() -> Self {
        let memory = vec![0; PAGE + PIECE];
        let start = memory.as_ptr().align_offset(PAGE).min(PAGE);
        Self { memory, start, filled: 0 }
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..][..self.filled]
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][self.filled..PIECE]
    }
}

/// The bytes of one answer on their way to their place.
pub(crate) struct Filling {
    writer: Writer,
    /// Where the buffer's first byte belongs.
    offset: u64,
    buffer: PageBuffer,
    /// When the buffer was last empty.
    since: Instant,
    in_flight: Option<PieceInFlight>,
    /// How many bytes were written.
    written: Arc<AtomicU64>,
}

impl Writer {
    pub(crate) fn new(target: AnyTarget, writing: Writing) -> Self {
        Self { target, writing, free: Arc::default(), at_work: Arc::default() }
    }

    pub(crate) fn target(&self) -> &AnyTarget {
        &self.target
    }

    /// Gives the target this length, where it may be written.
    pub(crate) async fn set_length(&self, length: u64) -> io::Result<()> {
        match (&self.target.0, self.writing) {
            (TargetKind::Async(target), _) => target.set_length(length).await,
            (TargetKind::Blocking(target), Writing::Inline) => target.set_length(length),
            (TargetKind::Blocking(target), Writing::Blocking) => {
                let target = target.clone();
                Blocking::start(move || target.set_length(length)).await
            }
        }
    }

    /// Writes from `offset` on, and counts what was written.
    pub(crate) fn fill(&self, offset: u64, written: Arc<AtomicU64>) -> Filling {
        Filling {
            writer: self.clone(),
            offset,
            buffer: self.take(),
            since: Instant::now(),
            in_flight: None,
            written,
        }
    }

    /// Waits until nobody writes any more, although those who did were stopped.
    pub(crate) async fn settled(&self) {
        drop(self.at_work.write().await);
    }

    fn take(&self) -> PageBuffer {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(PageBuffer::new)
    }

    fn give_back(&self, buffer: PageBuffer) {
        give_back(&self.free, buffer);
    }
}

fn give_back(free: &FreeBuffers, mut buffer: PageBuffer) {
    buffer.filled = 0;
    free.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
}

/// A piece that is being written, while the next one comes. Dropped, it is written no further, but for what has begun on a thread for
/// blocking work.
struct PieceInFlight {
    length: u64,
    written: BoxFuture<'static, io::Result<()>>,
}

impl PieceInFlight {
    fn blocking(
        target: Arc<dyn Target>,
        offset: u64,
        full: PageBuffer,
        free: FreeBuffers,
        at_work: OwnedRwLockReadGuard<()>,
    ) -> Self {
        let length = full.filled as u64;
        let writing = Blocking::start(move || {
            let written = write_all_at(&*target, offset, full.bytes());
            drop(at_work);
            written.map(|()| full)
        });
        let written = async move {
            give_back(&free, writing.await?);
            Ok(())
        };
        Self { length, written: Box::pin(written) }
    }

    fn asynchronous(
        target: Arc<dyn WriteAsync>,
        offset: u64,
        bytes: Bytes,
        at_work: OwnedRwLockReadGuard<()>,
    ) -> Self {
        let length = bytes.len() as u64;
        // A task, so that it is written while nobody waits for it; dropped, the set ends it.
        let mut writing = JoinSet::new();
        writing.spawn(async move {
            let written = target.write(offset, bytes).await;
            drop(at_work);
            written
        });
        let written = async move {
            match writing.join_next().await {
                Some(Ok(written)) => written,
                Some(Err(broken)) => Err(broken.into()),
                None => Ok(()),
            }
        };
        Self { length, written: Box::pin(written) }
    }
}

/// A full buffer that an asynchronous target has. It goes back when the last [`Bytes`] of it is dropped.
struct LentBuffer {
    buffer: Option<PageBuffer>,
    home: FreeBuffers,
}

impl AsRef<[u8]> for LentBuffer {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], PageBuffer::bytes)
    }
}

impl Drop for LentBuffer {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            give_back(&self.home, buffer);
        }
    }
}

impl Filling {
    /// Takes the next bytes.
    pub(crate) async fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = self.room();
            let (now, later) = bytes.split_at(room.len().min(bytes.len()));
            room[..now.len()].copy_from_slice(now);
            self.filled(now.len()).await?;
            bytes = later;
        }
        Ok(())
    }

    /// Where the next bytes are to be put; there is always room for some.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        // The first piece is shorter when the answer begins in the midst of one.
        let begun = (self.offset % PIECE as u64) as usize;
        let room = self.buffer.room();
        let end = room.len() - begun;
        &mut room[..end]
    }

    /// So many bytes were put at the beginning of the room.
    pub(crate) async fn filled(&mut self, count: usize) -> io::Result<()> {
        self.buffer.filled += count;
        let is_full = self.room().is_empty();
        if is_full || self.since.elapsed() >= LONGEST_KEPT { self.flush().await } else { Ok(()) }
    }

    /// Writes what there is, and waits until everything was written.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        let flushed = self.flush().await;
        let landed = self.land().await;
        self.writer.give_back(self.buffer);
        flushed.and(landed)
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.since = Instant::now();
        let length = self.buffer.filled as u64;
        if length == 0 {
            return Ok(());
        }
        let at_work = self.writer.at_work.clone().read_owned().await;
        let (offset, target) = (self.offset, self.writer.target.0.clone());
        match (target, self.writer.writing) {
            (TargetKind::Blocking(target), Writing::Inline) => {
                write_all_at(&*target, offset, self.buffer.bytes())?;
                self.written.fetch_add(length, Relaxed);
                self.buffer.filled = 0;
                drop(at_work);
            }
            (TargetKind::Blocking(target), Writing::Blocking) => {
                self.land().await?;
                let full = mem::replace(&mut self.buffer, self.writer.take());
                let free = self.writer.free.clone();
                self.in_flight = Some(PieceInFlight::blocking(target, offset, full, free, at_work));
            }
            (TargetKind::Async(target), _) => {
                self.land().await?;
                let bytes = self.take_bytes();
                self.in_flight = Some(PieceInFlight::asynchronous(target, offset, bytes, at_work));
            }
        }
        self.offset += length;
        Ok(())
    }

    /// The bytes that were gathered, for a target that may keep them.
    fn take_bytes(&mut self) -> Bytes {
        if self.buffer.filled < PIECE {
            // So that many small pieces of a slow line do not hold a whole buffer each.
            let bytes = Bytes::copy_from_slice(self.buffer.bytes());
            self.buffer.filled = 0;
            return bytes;
        }
        let buffer = Some(mem::replace(&mut self.buffer, self.writer.take()));
        Bytes::from_owner(LentBuffer { buffer, home: self.writer.free.clone() })
    }

    /// Waits for the piece that is being written.
    async fn land(&mut self) -> io::Result<()> {
        let Some(in_flight) = &mut self.in_flight else { return Ok(()) };
        let (landed, length) = ((&mut in_flight.written).await, in_flight.length);
        self.in_flight = None;
        landed?;
        self.written.fetch_add(length, Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::IntoTarget as _;

    /// Remembers what was written where.
    #[derive(Default)]
    struct Recorded(Mutex<Vec<(u64, Vec<u8>)>>);

    impl Target for Recorded {
        fn length(&self) -> io::Result<u64> {
            Ok(0)
        }

        fn set_length(&self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push((offset, bytes.to_vec()));
            Ok(bytes.len())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    const WAYS: [Writing; 2] = [Writing::Blocking, Writing::Inline];

    #[tokio::test]
    async fn what_comes_in_crumbs_is_written_in_pieces_that_begin_at_multiples_of_their_size() {
        let bytes: Vec<u8> = (0..3 * PIECE).map(|at| (at % 251) as u8).collect();
        for writing in WAYS {
            let target = Arc::new(Recorded::default());
            let writer = Writer::new(target.clone().into_target(), writing);
            let written = Arc::<AtomicU64>::default();
            let mut filling = writer.fill(1000, written.clone());
            for crumb in bytes.chunks(70_000) {
                filling.push(crumb).await.unwrap();
            }
            filling.finish().await.unwrap();
            let pieces = target.0.lock().unwrap().clone();
            let places: Vec<_> = pieces.iter().map(|(offset, _)| *offset).collect();
            let piece = PIECE as u64;
            assert_eq!(places, [1000, piece, 2 * piece, 3 * piece]);
            assert!(pieces.into_iter().flat_map(|(_, bytes)| bytes).eq(bytes.iter().copied()));
            assert_eq!(written.load(Relaxed), bytes.len() as u64);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn on_a_slow_line_a_piece_is_written_before_it_is_full() {
        for writing in WAYS {
            let target = Arc::new(Recorded::default());
            let mut filling = Writer::new(target.clone().into_target(), writing).fill(0, Arc::default());
            filling.push(b"ab").await.unwrap();
            assert!(target.0.lock().unwrap().is_empty());
            tokio::time::advance(LONGEST_KEPT).await;
            filling.push(b"c").await.unwrap();
            filling.push(b"d").await.unwrap();
            filling.finish().await.unwrap();
            assert_eq!(*target.0.lock().unwrap(), [(0, b"abc".to_vec()), (3, b"d".to_vec())]);
        }
    }

    #[tokio::test]
    async fn buffers_are_used_again() {
        for writing in WAYS {
            let writer = Writer::new(Recorded::default().into_target(), writing);
            for _ in 0..3 {
                let mut filling = writer.fill(0, Arc::default());
                filling.push(&vec![0; 2 * PIECE]).await.unwrap();
                filling.finish().await.unwrap();
            }
            let most = if writing == Writing::Inline { 1 } else { 2 };
            assert_eq!(writer.free.lock().unwrap().len(), most);
        }
    }
}
