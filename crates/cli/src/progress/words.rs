//! Amounts and states in words.

use std::time::Duration;

use super::view::{Direction, Situation, View};
use crate::{duration, size::Human};

/// A time left beyond this is no forecast.
const FORESEEABLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A wait in whole seconds, of which the last one counts until it is over.
fn rest(time: Duration) -> duration::Human {
    duration::Human(time.saturating_add(Duration::from_nanos(999_999_999)))
}

impl View<'_> {
    /// The part of the total that is there or on its way to it, cut and not rounded; 100 only when all is there, and `None`
    /// without a total, or when it would say nothing.
    pub(super) fn percent(&self) -> Option<u64> {
        let total = self.total.filter(|total| *total > 0 && !self.is_assembled_whole())?;
        let percent =
            u64::try_from(u128::from(self.moved().min(total)) * 100 / u128::from(total)).unwrap_or(100);
        Some(if self.there < total { percent.min(99) } else { 100 })
    }

    /// The amount that is there or on its way to it, and the part of it that is certain.
    pub(super) fn amount(&self) -> Amount {
        let (moved, word) = (self.moved(), self.direction.there());
        let Some(total) = self.total else {
            let short = if moved == 0 { String::new() } else { Human(moved).to_string() };
            let long = if moved == 0 { String::new() } else { format!("{short} {word}") };
            return Amount { short, long, widest: 0 };
        };
        let unit = Unit::of(total);
        let [moved_in, there_in, total_in] = [moved, self.there, total].map(|bytes| unit.count(bytes));
        let short = format!("{moved_in}/{total_in} {}", unit.name);
        let long = match moved {
            _ if self.is_assembled_whole() || (moved == self.there && moved == total) => short.clone(),
            _ if moved == self.there => format!("{short} {word}"),
            _ => format!("{short} ({there_in} {word})"),
        };
        let widest = match self.direction {
            Direction::Upload => 3 * total_in.len() + "/ MiB ( stored)".len(),
            Direction::Download => 2 * total_in.len() + "/ MiB written".len(),
        };
        Amount { short, long, widest }
    }

    /// The words for its state, in several lengths: the first are for a wide line, the last are the shortest.
    pub(super) fn activity(&self) -> Vec<String> {
        let kept = |words: &str| {
            self.is_kept.then(|| format!("{words} (Ctrl-C keeps what is {})", self.direction.there()))
        };
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        match self.situation {
            Situation::Connecting => words(&["connecting"]),
            Situation::Sending | Situation::Receiving => match (self.rate(), self.time_left()) {
                (Some(rate), Some(left)) => vec![format!("{rate}  {left}"), left, String::new()],
                (rate, left) => rate.or(left).into_iter().chain([String::new()]).collect(),
            },
            Situation::Stalled { lasting } => {
                let time = duration::Human(lasting);
                let since = format!("nothing has moved for {time}");
                kept(&since).into_iter().chain([since, format!("stalled for {time}")]).collect()
            }
            Situation::Offline { lasting, next_attempt } => {
                let since = format!("offline for {}", duration::Human(lasting));
                let next = match next_attempt {
                    Some(wait) => format!("{since}: next attempt in {}", rest(wait)),
                    None => format!("{since}: trying now"),
                };
                kept(&next).into_iter().chain([next, since, "offline".to_owned()]).collect()
            }
            Situation::RateLimited { rest: wait } => {
                let wait = rest(wait);
                vec![format!("rate limited: continuing in {wait}"), format!("rate limited: {wait}")]
            }
            Situation::Checking => words(&["checking the content", "checking"]),
            Situation::Assembling { lasting } => {
                let time = duration::Human(lasting);
                vec![
                    format!("the service is assembling the file ({time})"),
                    format!("assembling ({time})"),
                    "assembling".to_owned(),
                ]
            }
            Situation::Reconciling => {
                words(&["looking for the file in the service's list", "looking for the file"])
            }
            Situation::Cancelling => words(&["cancelling on the service", "cancelling"]),
            Situation::Stopping => words(&["stopping"]),
            Situation::Done => vec![String::new()],
        }
    }

    pub(super) fn rate(&self) -> Option<String> {
        self.rate.filter(|rate| *rate > 0).map(|rate| format!("{}/s", Human(rate)))
    }

    pub(super) fn time_left(&self) -> Option<String> {
        self.time_left
            .filter(|left| !left.is_zero() && *left < FORESEEABLE)
            .map(|left| format!("{} left", rest(left)))
    }
}

/// An amount of bytes, with more and with fewer words.
pub(super) struct Amount {
    pub(super) long: String,
    pub(super) short: String,
    /// The columns that the longest words of this transfer take.
    pub(super) widest: usize,
}

/// The unit in which a total and its share are counted: the largest of which there are ten.
struct Unit {
    shift: u32,
    name: &'static str,
    has_tenths: bool,
}

impl Unit {
    fn of(total: u64) -> Self {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let (shift, name) = units.into_iter().find(|(shift, _)| total >> shift >= 10).unwrap_or((0, "bytes"));
        Self { shift, name, has_tenths: shift > 0 && total >> shift < 100 }
    }

    /// Cut and not rounded, so that nothing seems to be there that is not.
    fn count(&self, bytes: u64) -> String {
        if self.has_tenths {
            let tenths = (u128::from(bytes) * 10) >> self.shift;
            format!("{}.{}", tenths / 10, tenths % 10)
        } else {
            (bytes >> self.shift).to_string()
        }
    }
}
