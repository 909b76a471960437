//! Rates and times, as people write them.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, ensure};

/// From one time to another one, as in `30..90`, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

impl FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let seconds = |text: &str| Duration::try_from_secs_f64(text.trim().parse().ok()?).ok();
        let span = text.split_once("..").and_then(|(from, until)| Some((seconds(from)?, seconds(until)?)));
        let (from, until) = span.context("it has to be as in 30..90")?;
        ensure!(from <= until, "it ends before it begins");
        Ok(Self { from, until })
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.from.as_secs_f64(), self.until.as_secs_f64())
    }
}

/// A time that is worth waiting for, in seconds.
pub(super) fn seconds(text: &str) -> Result<f64> {
    let seconds = text.trim().parse().ok().context("it has to be seconds, as in 45")?;
    ensure!((0.001..=1e9).contains(&seconds), "it has to be at least a millisecond");
    Ok(seconds)
}

/// Bytes a second, from bytes (`1MB`, `64KiB`, `1000`) or bits (`8Mbit`).
pub(crate) fn rate(text: &str) -> Result<u64> {
    const UNITS: [(&str, f64); 10] = [
        ("kbit", 1e3 / 8.0),
        ("Mbit", 1e6 / 8.0),
        ("Gbit", 1e9 / 8.0),
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("", 1.0),
    ];
    let text = text.trim();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| text.strip_suffix(name).map(|number| (number, unit)))
        .context("an empty suffix is always there")?;
    let number: f64 = number.trim().parse().ok().context("it has to be as in 1MB, 64KiB or 8Mbit")?;
    let rate = number * unit;
    ensure!((1.0..=1e12).contains(&rate), "it has to be at least one byte a second, and below 1 TB");
    Ok(rate as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_in_bytes_or_bits() {
        let read =
            ["1MB", "8Mbit", "64KiB", "1000", "0.5kB", "1 Gbit"].map(|text| rate(text).expect("a rate"));
        assert_eq!(read, [1_000_000, 1_000_000, 65_536, 1000, 500, 125_000_000]);
        for wrong in ["", "MB", "1mb", "0", "-1MB", "1TB", "nan"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_that_nobody_can_wait_for_is_refused() {
        assert_eq!(seconds("45").expect("a time"), 45.0);
        for wrong in ["", "0", "-1", "nan", "inf", "4s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_have_two_ends_in_order() {
        let span: Span = "30..90.5".parse().expect("a span");
        assert_eq!((span.from, span.until), (Duration::from_secs(30), Duration::from_millis(90_500)));
        assert_eq!(span.to_string(), "30..90.5");
        for wrong in ["", "30", "30..", "90..30", "a..b", "-1..3"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }
}
