//! The memory of those who write to a store that takes large blobs in pieces of 8 MiB.
//!
//! A store elsewhere takes a piece in one request and wants to know its length, so it is gathered first. All writers gather within
//! one budget, and take of it what has come, no more: a hundred slow ones hold little. Where it is used up they wait for each
//! other, and so that they do not wait for ever, each with half a piece, the last 8 MiB are left to one of them at a time, the
//! *leader*, who can complete its piece with them and then gives all back. One that leads for some seconds without that hands over.
//! When a writer has waited for a minute, the slowest of the others who hold memory goes; time spent waiting makes nobody slow.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use super::gathered::Blocks;
use crate::store::StoreError;

/// The size of a piece. S3 wants at least 5 MiB, and at most 10,000 of them.
pub(super) const PIECE: usize = 8 * 1024 * 1024;
/// What all writers gather together at most.
const TOGETHER: usize = 64 * 1024 * 1024;
/// What is left to the leader.
const RESERVE: usize = PIECE;
/// A leader that took nothing for so long hands over.
const LONGEST_IDLE: Duration = Duration::from_secs(1);
/// The same for one whose piece is not complete by then.
const LONGEST_LEAD: Duration = Duration::from_secs(5);
/// The wait, for one piece, after which the slowest other writer goes.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The time from one that goes to the next: its memory may be what everybody waits for.
const BETWEEN: Duration = Duration::from_secs(5);
/// A writer that waits longer for one piece goes itself.
const LONGEST_IN_ALL: Duration = Duration::from_secs(120);

/// The memory of all who write pieces. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PieceMemory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    budget: Mutex<Budget>,
    /// Something has changed for those who wait.
    changed: Notify,
}

#[derive(Debug)]
struct Budget {
    free: usize,
    writers: HashMap<u64, Writer>,
    leader: Option<Leader>,
    last_revoked: Option<Instant>,
    next_id: u64,
    /// There as long as anybody writes.
    blocks: Weak<Blocks>,
}

/// Who may use the last piece, and since when.
#[derive(Clone, Copy, Debug)]
struct Leader {
    id: u64,
    since: Instant,
    /// When it last took something.
    last: Instant,
}

/// A writer and the piece that it gathers.
#[derive(Clone, Copy, Debug, Default)]
struct Writer {
    held: usize,
    /// When the first byte of the piece came.
    since: Option<Instant>,
    /// How long it has waited for memory, all in all, and since when it does now.
    waited: Duration,
    waiting_since: Option<Instant>,
    is_revoked: bool,
}

/// The answer to a writer that wants memory.
enum Taken {
    Yes,
    /// It waits, and has waited for so long.
    Wait(Duration),
    /// It is to go.
    Gone,
}

/// What one writer holds, until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    memory: PieceMemory,
    id: u64,
    blocks: Arc<Blocks>,
}

impl Default for Shared {
    fn default() -> Self {
        let (writers, leader, last_revoked, blocks) = Default::default();
        let budget = Budget { free: TOGETHER, writers, leader, last_revoked, next_id: 0, blocks };
        Self { budget: Mutex::new(budget), changed: Notify::new() }
    }
}

impl PieceMemory {
    pub(super) fn join(&self) -> Held {
        let mut budget = self.budget();
        let id = budget.next_id;
        budget.next_id += 1;
        budget.writers.insert(id, Writer::default());
        let blocks = budget.blocks.upgrade().unwrap_or_default();
        budget.blocks = Arc::downgrade(&blocks);
        drop(budget);
        Held { memory: self.clone(), id, blocks }
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        // Nothing that holds it panics.
        self.0.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    fn waited(&self, now: Instant) -> Duration {
        self.waited + self.waiting_since.map_or(Duration::ZERO, |since| now - since)
    }

    /// The bytes that came in a second, while there was room for them.
    fn pace(&self, now: Instant) -> f64 {
        let gathering = self.since.map_or(Duration::ZERO, |since| now - since);
        self.held as f64 / gathering.saturating_sub(self.waited(now)).as_secs_f64().max(0.001)
    }
}

impl Budget {
    fn take(&mut self, id: u64, bytes: usize, now: Instant) -> Taken {
        let is_free = bytes.saturating_add(RESERVE) <= self.free;
        let may_lead =
            bytes <= self.free && self.leader.is_none_or(|leader| leader.id == id || leader.is_over(now));
        let Some(writer) = self.writers.get_mut(&id).filter(|writer| !writer.is_revoked) else {
            return Taken::Gone;
        };
        if !is_free && !may_lead {
            writer.waiting_since.get_or_insert(now);
            return Taken::Wait(writer.waited(now));
        }
        writer.waited = writer.waited(now);
        writer.waiting_since = None;
        writer.since.get_or_insert(now);
        writer.held += bytes;
        self.free -= bytes;
        if !is_free {
            let since = self.leader.filter(|leader| leader.id == id).map_or(now, |leader| leader.since);
            self.leader = Some(Leader { id, since, last: now });
        }
        Taken::Yes
    }

    /// The piece of a writer is stored, and it begins another.
    fn give_back(&mut self, id: u64) {
        if let Some(writer) = self.writers.get_mut(&id) {
            self.free += std::mem::take(writer).held;
        }
        self.leader = self.leader.filter(|leader| leader.id != id);
    }

    /// Has the slowest of the others go who hold something, one at a time; says whether one has to go now.
    fn revoke_slowest(&mut self, but: u64, now: Instant) -> bool {
        let is_soon = self.last_revoked.is_some_and(|last| now - last < BETWEEN);
        if is_soon || self.writers.values().any(|writer| writer.is_revoked && writer.held > 0) {
            return false;
        }
        let others = self.writers.iter_mut().filter(|(id, writer)| **id != but && writer.held > 0);
        let Some((_, slowest)) = others.min_by(|(_, a), (_, b)| a.pace(now).total_cmp(&b.pace(now))) else {
            return false;
        };
        slowest.is_revoked = true;
        self.last_revoked = Some(now);
        true
    }
}

impl Leader {
    fn is_over(&self, now: Instant) -> bool {
        now - self.last >= LONGEST_IDLE || now - self.since >= LONGEST_LEAD
    }
}

impl Held {
    /// Takes memory for bytes that have come, and waits for it where others hold too much.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when none comes free, or this is the slowest of those who hold some.
    pub(super) async fn take(&self, bytes: usize) -> Result<(), StoreError> {
        loop {
            let changed = self.memory.0.changed.notified();
            let now = Instant::now();
            let taken = self.memory.budget().take(self.id, bytes, now);
            match taken {
                Taken::Yes => return Ok(()),
                Taken::Wait(waited) if waited < LONGEST_WAIT => {}
                Taken::Wait(waited) if waited < LONGEST_IN_ALL => {
                    // Waking all, this one too, for nothing would go on without end.
                    if self.memory.budget().revoke_slowest(self.id, now) {
                        self.memory.0.changed.notify_waiters();
                    }
                }
                Taken::Wait(_) | Taken::Gone => return Err(StoreError::Busy),
            }
            // A leader's time passes without a word.
            let _ = timeout(LONGEST_IDLE, changed).await;
        }
    }

    /// The blocks that all writers share.
    pub(super) fn blocks(&self) -> Arc<Blocks> {
        self.blocks.clone()
    }

    /// Gives all back: the piece is stored.
    pub(super) fn give_back(&self) {
        self.memory.budget().give_back(self.id);
        self.memory.0.changed.notify_waiters();
    }

    /// Waits until this writer is to go because others wait for what it holds.
    pub(super) fn revoked(&self) -> impl Future<Output = ()> + Send + use<> {
        let (memory, id) = (self.memory.clone(), self.id);
        async move {
            loop {
                let changed = memory.0.changed.notified();
                if memory.budget().writers.get(&id).is_none_or(|writer| writer.is_revoked) {
                    return;
                }
                changed.await;
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut budget = self.memory.budget();
        budget.give_back(self.id);
        budget.writers.remove(&self.id);
        drop(budget);
        self.memory.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use proptest::prelude::*;
    use tokio::time::sleep;

    use super::*;

    const MIB: usize = 1024 * 1024;

    async fn hold(memory: &PieceMemory, bytes: usize) -> Held {
        let held = memory.join();
        held.take(bytes).await.unwrap();
        held
    }

    fn free(memory: &PieceMemory) -> usize {
        memory.budget().free
    }

    /// The pieces of a writer: their size, what comes of them at once, and the milliseconds to the next.
    type Pieces = (usize, usize, u64);

    /// What the store takes to store a piece.
    const STORING: Duration = Duration::from_millis(50);

    /// Writes three pieces, and says whether it was let.
    async fn write(memory: PieceMemory, (piece, chunk, pause): Pieces) -> Result<(), StoreError> {
        let held = memory.join();
        for _ in 0..3 {
            let mut left = piece;
            while left > 0 {
                let now = left.min(chunk);
                held.take(now).await?;
                assert!(free(&memory) <= TOGETHER);
                left -= now;
                sleep(Duration::from_millis(pause)).await;
            }
            sleep(STORING).await;
            held.give_back();
        }
        Ok(())
    }

    /// Has all write side by side, and says how each fared and how long all took.
    fn write_all(writers: Vec<Pieces>) -> (Vec<Result<(), StoreError>>, Duration) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let memory = PieceMemory::default();
        let written = runtime.block_on(async {
            let began = Instant::now();
            let written = join_all(writers.into_iter().map(|pieces| write(memory.clone(), pieces))).await;
            (written, began.elapsed())
        });
        assert_eq!(free(&memory), TOGETHER);
        assert!(memory.budget().writers.is_empty() && memory.budget().leader.is_none());
        written
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// All of them one after the other would be done within a minute, so that none waits for so long.
        #[test]
        fn writers_of_which_much_comes_all_write_their_pieces(
            writers in prop::collection::vec((1usize..=PIECE, 100_000usize..300_000, 0u64..5), 1..40),
        ) {
            let (written, _) = write_all(writers);
            prop_assert!(written.iter().all(Result::is_ok), "{written:?}");
        }

        /// Where little comes of too many, those who are in the way of others go, and none waits without end.
        #[test]
        fn of_writers_of_which_little_comes_some_go_after_a_minute_and_the_others_write(
            writers in prop::collection::vec((1usize..=PIECE, 4096usize..300_000, 0u64..20), 1..60),
        ) {
            let (written, took) = write_all(writers);
            prop_assert!(written.iter().any(Result::is_ok));
            prop_assert!(written.iter().all(Result::is_ok) || took >= LONGEST_WAIT);
            prop_assert!(took < 60 * LONGEST_IN_ALL, "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_piece_is_left_to_one_writer_that_completes_its_own_with_it() {
        let memory = PieceMemory::default();
        let mut others = Vec::new();
        for _ in 0..7 {
            others.push(hold(&memory, 8 * MIB).await);
        }
        let (first, second) = (memory.join(), memory.join());
        first.take(MIB).await.unwrap();
        let waiting = tokio::spawn(async move { second.take(MIB).await.map(|()| second) });
        for _ in 0..7 {
            sleep(LONGEST_IDLE / 2).await;
            first.take(MIB).await.unwrap();
        }
        assert!(!waiting.is_finished());
        first.give_back();
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_of_which_nothing_comes_hands_over() {
        let memory = PieceMemory::default();
        let _others = hold(&memory, 56 * MIB).await;
        let leader = hold(&memory, MIB).await;
        let second = memory.join();
        let began = Instant::now();
        second.take(MIB).await.unwrap();
        assert!(began.elapsed() <= 2 * LONGEST_IDLE);
        assert!(!memory.budget().writers[&leader.id].is_revoked);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_dribbles_hands_over() {
        let memory = PieceMemory::default();
        let _others = hold(&memory, 56 * MIB).await;
        let leader = memory.join();
        let second = memory.join();
        let began = Instant::now();
        let waiting = tokio::spawn(async move { second.take(MIB).await.map(|()| second) });
        tokio::task::yield_now().await;
        let mut waiting = waiting;
        loop {
            if timeout(LONGEST_IDLE / 2, &mut waiting).await.is_ok() {
                break;
            }
            if timeout(Duration::ZERO, leader.take(1)).await.is_err() {
                continue;
            }
        }
        assert!(began.elapsed() <= LONGEST_LEAD + 2 * LONGEST_IDLE, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_that_wait_one_has_another_go_and_none_goes_for_having_waited() {
        let memory = PieceMemory::default();
        let dribbling = hold(&memory, MIB).await;
        let began = Instant::now();
        sleep(Duration::from_secs(100)).await;
        // Eight that are stuck with the whole of the rest, all of which came at once.
        let mut stuck = Vec::new();
        for _ in 0..7 {
            stuck.push(hold(&memory, 8 * MIB).await);
        }
        let waiting: Vec<_> = (0..20).map(|_| memory.join()).collect();
        let takes =
            waiting.iter().map(|held| timeout(LONGEST_WAIT + Duration::from_secs(3), held.take(8 * MIB)));
        let (_, ()) = tokio::join!(join_all(takes), dribbling.revoked());
        let budget = memory.budget();
        let revoked: Vec<u64> =
            budget.writers.iter().filter(|(_, writer)| writer.is_revoked).map(|(id, _)| *id).collect();
        assert_eq!(revoked, [dribbling.id], "after {:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_goes_when_others_have_waited_for_a_minute() {
        let memory = PieceMemory::default();
        let slow = hold(&memory, 30 * MIB).await;
        sleep(Duration::from_secs(10)).await;
        let faster = hold(&memory, 34 * MIB).await;
        let waiting = memory.join();
        let began = Instant::now();
        let taken = tokio::spawn(async move { waiting.take(MIB).await.map(|()| waiting) });
        slow.revoked().await;
        assert_eq!(began.elapsed(), LONGEST_WAIT);
        assert!(matches!(slow.take(1).await, Err(StoreError::Busy)));
        drop(slow);
        taken.await.unwrap().unwrap();
        assert!(!memory.budget().writers[&faster.id].is_revoked);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_too_long_is_refused() {
        let memory = PieceMemory::default();
        let waiting = memory.join();
        let began = Instant::now();
        let error = waiting.take(TOGETHER + 1).await.unwrap_err();
        assert!(matches!(error, StoreError::Busy));
        assert_eq!(began.elapsed(), LONGEST_IN_ALL);
        assert_eq!(free(&memory), TOGETHER);
    }
}
