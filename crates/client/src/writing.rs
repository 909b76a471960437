//! From bytes as they come to a target, in large pieces, without blocking whom it must not.

use std::{
    io, mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use partwise_net::blocking::Blocking;
use tokio::{sync::RwLock, time::Instant};

use crate::target::{Target, write_all_at};

/// Bytes are gathered to pieces of this size, which begin at multiples of it: the kernel takes whole large pages for the
/// price of small ones. Each answer that comes holds one piece, or two with [`Writing::Blocking`].
const PIECE: usize = 512 * 1024;

/// What memory and disks are cut in.
const PAGE: usize = 4096;

/// On a slow line a piece is written before it is full, so that a crash costs little.
const LONGEST_KEPT: Duration = Duration::from_secs(1);

/// Where a [`Target`] is written.
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
    target: Arc<dyn Target>,
    writing: Writing,
    free: Arc<Mutex<Vec<PageBuffer>>>,
    /// Held by everyone who writes, so that it can be waited for.
    at_work: Arc<RwLock<()>>,
}

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
    under_way: Option<Blocking<PageBuffer>>,
    /// How many bytes were written.
    written: Arc<AtomicU64>,
}

impl Writer {
    pub(crate) fn new(target: Arc<dyn Target>, writing: Writing) -> Self {
        Self { target, writing, free: Arc::default(), at_work: Arc::default() }
    }

    pub(crate) fn target(&self) -> &Arc<dyn Target> {
        &self.target
    }

    /// Gives the target this length, where it may be written.
    pub(crate) async fn set_length(&self, length: u64) -> io::Result<()> {
        match self.writing {
            Writing::Inline => self.target.set_length(length),
            Writing::Blocking => {
                let target = self.target.clone();
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
            under_way: None,
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

    fn give_back(&self, mut buffer: PageBuffer) {
        buffer.filled = 0;
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
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
        let offset = self.offset;
        match self.writer.writing {
            Writing::Inline => {
                write_all_at(&*self.writer.target, offset, self.buffer.bytes())?;
                self.written.fetch_add(length, Relaxed);
                self.offset += length;
                self.buffer.filled = 0;
                drop(at_work);
            }
            Writing::Blocking => {
                self.land().await?;
                let full = mem::replace(&mut self.buffer, self.writer.take());
                self.offset += length;
                let target = self.writer.target.clone();
                self.under_way = Some(Blocking::start(move || {
                    let written = write_all_at(&*target, offset, full.bytes());
                    drop(at_work);
                    written.map(|()| full)
                }));
            }
        }
        Ok(())
    }

    /// Waits for the piece that is under way.
    async fn land(&mut self) -> io::Result<()> {
        let Some(under_way) = &mut self.under_way else { return Ok(()) };
        let landed = under_way.await;
        self.under_way = None;
        let full = landed?;
        self.written.fetch_add(full.filled as u64, Relaxed);
        self.writer.give_back(full);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let writer = Writer::new(target.clone(), writing);
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
            let mut filling = Writer::new(target.clone(), writing).fill(0, Arc::default());
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
            let writer = Writer::new(Arc::new(Recorded::default()), writing);
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
