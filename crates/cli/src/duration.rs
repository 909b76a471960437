//! Times on the command line, and as people read them.

use std::{fmt, time::Duration};

/// A longer time is more than anybody waits for.
const LONGEST: u64 = 7 * 24 * 60 * 60;

/// Reads a time such as `90s`, `15m`, `2h` or `90`, which is in seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 60 * 60),
        _ => (text, 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match seconds.filter(|seconds| (1..=LONGEST).contains(seconds)) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err("give 1s to 168h: a whole number with s, m or h".into()),
    }
}

/// Shows a time in its two largest units, in whole seconds that are over: `40 s`, `2 min 5 s`, `25 min`, `1 h 20 min`,
/// `2 days 4 h`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Human(pub(crate) Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (minutes, hours) = (seconds / 60, seconds / 3600);
        let (first, rest) = match seconds {
            0..60 => (format!("{seconds} s"), None),
            60..600 => (format!("{minutes} min"), Some((seconds % 60, "s"))),
            600..3600 => (format!("{minutes} min"), None),
            3600..172_800 => (format!("{hours} h"), Some((minutes % 60, "min"))),
            _ => (format!("{} days", hours / 24), Some((hours % 24, "h"))),
        };
        match rest {
            Some((rest, unit)) if rest > 0 => write!(f, "{first} {rest} {unit}"),
            _ => f.write_str(&first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let seconds = |text| parse(text).map(|time| time.as_secs());
        for (text, expected) in [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), (" 168h ", 604_800)] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "0s", "-1", "1.5m", "m", "169h", "18446744073709551615h", "1d", "\u{e9}"] {
            assert_eq!(
                seconds(text).unwrap_err(),
                "give 1s to 168h: a whole number with s, m or h",
                "{text}"
            );
        }
    }

    #[test]
    fn a_time_is_shown_in_its_two_largest_units() {
        for (seconds, shown) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (125, "2 min 5 s"),
            (1525, "25 min"),
            (3600, "1 h"),
            (4830, "1 h 20 min"),
            (172_799, "47 h 59 min"),
            (187_300, "2 days 4 h"),
        ] {
            assert_eq!(Human(Duration::from_secs(seconds)).to_string(), shown);
        }
        assert_eq!(Human(Duration::from_millis(1999)).to_string(), "1 s");
    }
}
