//! What passed over the line, and when.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::form::Content;
use super::ranges::Ranges;

/// The rate is what came within so long.
const WINDOW: Duration = Duration::from_secs(12);
/// What was cut and is not acknowledged may be so many seconds of that rate,
const CUT_S: f64 = 12.0;
/// and so many bytes for each connection.
const CUT_PER_CONNECTION: u64 = 1 << 20;
/// Reads so close to each other are one.
const TOGETHER: Duration = Duration::from_millis(10);

/// All that passed so far. Times are since the first connection.
#[derive(Debug, Default)]
pub(super) struct Book {
    told: Told,
    /// Bytes of the file that a request for a part has named.
    cut: Ranges,
    acknowledged: Ranges,
    first_byte: Option<Duration>,
    /// How many bytes had come from the client after so much time with the line.
    recent: VecDeque<(Duration, u64)>,
    /// When the line went away, until something passes again.
    left: Option<Duration>,
    /// When the line was there again, until something passes.
    returned: Option<Duration>,
    /// How long nothing passed because the line was away.
    away: Duration,
}

/// What passed, for whoever asks. Bytes of the file are those of requests that the service has answered with 200, each counted once
/// where the file is a numbered one; bytes on the line are with all heads and forms. A request whose body has no `Content-Length`
/// counts as an attempt, and the bytes of the file in it do not count. Seconds are since the first connection.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Until now.
    pub(crate) seconds: f64,
    /// Bytes that the line took from the client.
    pub(crate) sent: u64,
    /// Bytes that the line gave to the client.
    pub(crate) received: u64,
    /// Bytes of the file.
    pub(crate) acknowledged: u64,
    pub(crate) first_acknowledgement_s: Option<f64>,
    pub(crate) last_acknowledgement_s: Option<f64>,
    /// Requests that began to bring a part or a file, those that are sent again included.
    pub(crate) attempts: u64,
    /// Connections that were accepted, those that were reset at once included.
    pub(crate) connections: u64,
    pub(crate) open: u64,
    pub(crate) most_open: u64,
    /// How often all connections were closed.
    pub(crate) cuts: u64,
    /// From the return of the line to the next byte of the client, for each time that it was away.
    pub(crate) resumed_s: Vec<f64>,
    /// The cut that most exceeded what may be cut and not acknowledged, or came closest to it. Only of numbered files.
    pub(crate) widest_cut: Option<WidestCut>,
    pub(crate) acknowledgements: Vec<Acknowledgement>,
    /// One for each second.
    pub(crate) samples: Vec<Sample>,
}

/// What was cut and not acknowledged when a part was cut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WidestCut {
    pub(crate) at_s: f64,
    pub(crate) bytes: u64,
    /// 12 s of the rate over the last 12 s with a line, or since the first byte, and 1 MiB for each connection.
    pub(crate) limit: f64,
}

impl WidestCut {
    /// Of what may be.
    pub(crate) fn share(self) -> f64 {
        self.bytes as f64 / self.limit
    }
}

/// A request that brought bytes of a file, and was answered with 200.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Acknowledgement {
    pub(crate) at_s: f64,
    pub(crate) offset: Option<u64>,
    pub(crate) bytes: u64,
}

/// How it stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) at_s: u64,
    pub(crate) open: u64,
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    /// Cut and not acknowledged. Only of numbered files.
    pub(crate) waiting: u64,
}

impl Book {
    pub(super) fn tell(&self, now: Duration) -> Told {
        Told { seconds: now.as_secs_f64(), ..self.told.clone() }
    }

    pub(super) fn open(&mut self) {
        let told = &mut self.told;
        told.connections += 1;
        told.open += 1;
        told.most_open = told.most_open.max(told.open);
    }

    pub(super) fn close(&mut self) {
        self.told.open -= 1;
    }

    /// All connections were closed.
    pub(super) fn cut(&mut self) {
        self.told.cuts += 1;
    }

    /// The line is away.
    pub(super) fn left(&mut self, now: Duration) {
        self.left.get_or_insert(now);
    }

    /// The line is there again.
    pub(super) fn returned(&mut self, now: Duration) {
        self.returned = Some(now);
    }

    /// So much has come from the client.
    pub(super) fn sent(&mut self, now: Duration, bytes: u64) {
        self.told.sent += bytes;
        if let Some(returned) = self.returned.take() {
            self.told.resumed_s.push((now - returned).as_secs_f64());
            self.away += self.left.take().map_or(Duration::ZERO, |left| now - left);
        }
        let now = self.with_line(now);
        self.first_byte.get_or_insert(now);
        let sent = self.told.sent;
        match self.recent.back_mut() {
            Some((at, total)) if *at + TOGETHER > now => *total = sent,
            _ => self.recent.push_back((now, sent)),
        }
        // The last one before the window is where it begins.
        while self.recent.get(1).is_some_and(|(at, _)| *at + WINDOW <= now) {
            self.recent.pop_front();
        }
    }

    /// So much has been given to the client.
    pub(super) fn received(&mut self, bytes: u64) {
        self.told.received += bytes;
    }

    /// A request for a part or a file begins.
    pub(super) fn attempt(&mut self) {
        self.told.attempts += 1;
    }

    /// It is known what it brings.
    pub(super) fn brings(&mut self, now: Duration, content: Content) {
        let Some(range) = range(content) else { return };
        // What is sent again is not cut again.
        if self.cut.add(range) == 0 {
            return;
        }
        let limit = CUT_S * self.rate(now) + (self.told.open * CUT_PER_CONNECTION) as f64;
        let cut = WidestCut { at_s: now.as_secs_f64(), bytes: self.waiting(), limit };
        if self.told.widest_cut.is_none_or(|widest| widest.share() < cut.share()) {
            self.told.widest_cut = Some(cut);
        }
    }

    /// The client has an answer with the status 200 to a request that brought this.
    pub(super) fn acknowledged(&mut self, now: Duration, content: Content) {
        let new = match range(content) {
            Some(range) => self.acknowledged.add(range),
            None => content.length,
        };
        let at_s = now.as_secs_f64();
        let told = &mut self.told;
        told.acknowledged += new;
        told.first_acknowledgement_s.get_or_insert(at_s);
        told.last_acknowledgement_s = Some(at_s);
        told.acknowledgements.push(Acknowledgement { at_s, offset: content.offset, bytes: content.length });
    }

    /// A second has passed.
    pub(super) fn sample(&mut self, now: Duration) -> Sample {
        let Told { open, sent, acknowledged, .. } = self.told;
        let sample = Sample { at_s: now.as_secs(), open, sent, acknowledged, waiting: self.waiting() };
        self.told.samples.push(sample);
        sample
    }

    /// Cut and not acknowledged.
    fn waiting(&self) -> u64 {
        self.cut.total().saturating_sub(self.acknowledged.total())
    }

    /// The time for which there was a line.
    fn with_line(&self, now: Duration) -> Duration {
        self.left.unwrap_or(now).saturating_sub(self.away)
    }

    /// Bytes a second from the client, over the window or since the first byte. A time without a line does not count.
    fn rate(&self, now: Duration) -> f64 {
        let (Some(first), now) = (self.first_byte, self.with_line(now)) else { return 0.0 };
        let begin = now.saturating_sub(WINDOW).max(first);
        let before = self.recent.iter().take_while(|(at, _)| *at + WINDOW <= now).last();
        let bytes = self.told.sent - before.map_or(0, |(_, total)| *total);
        let seconds = (now - begin).as_secs_f64();
        if seconds > 0.0 { bytes as f64 / seconds } else { 0.0 }
    }
}

fn range(content: Content) -> Option<Range<u64>> {
    content.offset.map(|offset| offset..offset + content.length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn part(offset: u64, length: u64) -> Content {
        Content { offset: Some(offset), length }
    }

    #[test]
    fn a_part_that_is_sent_or_answered_again_counts_once() {
        let mut book = Book::default();
        book.open();
        for second in [1.0, 2.0] {
            book.attempt();
            book.sent(s(second), 1100);
            book.brings(s(second), part(0, 1000));
        }
        book.acknowledged(s(3.0), part(0, 1000));
        book.acknowledged(s(4.0), part(0, 1000));
        // A half of it, and something else.
        book.acknowledged(s(5.0), part(500, 500));
        book.acknowledged(s(6.0), Content { offset: None, length: 7 });
        let told = book.tell(s(7.0));
        assert_eq!((told.attempts, told.sent, told.acknowledged), (2, 2200, 1007));
        assert_eq!((told.first_acknowledgement_s, told.last_acknowledgement_s), (Some(3.0), Some(6.0)));
        assert_eq!(told.acknowledgements.len(), 4);
        let sample = Sample { at_s: 7, open: 1, sent: 2200, acknowledged: 1007, waiting: 0 };
        assert_eq!(book.sample(s(7.4)), sample);
    }

    #[test]
    fn what_is_cut_and_not_acknowledged_is_held_against_the_rate_of_the_last_seconds() {
        let mut book = Book::default();
        book.open();
        // 1 MiB a second for 20 s, of which nothing counts that is older than 12 s.
        for second in 0..=20_u32 {
            book.sent(s(second.into()), MIB);
        }
        book.brings(s(20.0), part(0, 26 * MIB));
        let widest = book.tell(s(20.0)).widest_cut.expect("one was cut");
        assert_eq!((widest.bytes, widest.limit), (26 * MIB, 13.0 * MIB as f64));
        // Sent again in the same or in smaller parts, nothing is cut.
        book.brings(s(40.0), part(0, 26 * MIB));
        book.brings(s(40.0), part(0, 13 * MIB));
        assert_eq!(book.tell(s(40.0)).widest_cut, Some(widest));
        // What is acknowledged does not count, and a pause is a low rate.
        book.acknowledged(s(40.0), part(0, 26 * MIB));
        book.brings(s(41.0), part(26 * MIB, MIB));
        assert_eq!(book.tell(s(41.0)).widest_cut, Some(widest));
        book.brings(s(41.0), part(27 * MIB, 3 * MIB));
        let widest = book.tell(s(41.0)).widest_cut.expect("one was cut");
        assert_eq!((widest.at_s, widest.bytes, widest.limit), (41.0, 4 * MIB, MIB as f64));
    }

    #[test]
    fn a_young_rate_is_since_the_first_byte() {
        let mut book = Book::default();
        book.sent(s(1.0), MIB);
        book.sent(s(3.0), MIB);
        assert_eq!(book.rate(s(3.0)), MIB as f64);
        assert_eq!(book.rate(s(5.0)), 0.5 * MIB as f64);
    }

    #[test]
    fn a_time_without_a_line_is_no_low_rate() {
        let mut book = Book::default();
        for second in 0..=20_u32 {
            book.sent(s(second.into()), MIB);
        }
        book.left(s(20.0));
        assert_eq!(book.rate(s(50.0)), MIB as f64);
        book.returned(s(80.0));
        book.sent(s(85.0), MIB);
        // 13 MiB in 12 s: what came first has no time of its own.
        assert_eq!(book.rate(s(85.0)) * 12.0, 13.0 * MIB as f64);
        book.sent(s(91.0), 0);
        assert_eq!(book.rate(s(91.0)) * 12.0, 7.0 * MIB as f64);
    }

    #[test]
    fn the_return_of_the_line_is_timed_to_the_next_byte() {
        let mut book = Book::default();
        book.sent(s(1.0), 1);
        book.left(s(10.0));
        book.returned(s(60.0));
        book.sent(s(63.0), 1);
        book.sent(s(64.0), 1);
        assert_eq!(book.tell(s(70.0)).resumed_s, [3.0]);
    }
}
