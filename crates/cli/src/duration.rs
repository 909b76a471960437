//! Times on the command line.

use std::time::Duration;

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
}
