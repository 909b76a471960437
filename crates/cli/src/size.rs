//! Sizes as people write them, and as people read them.

use std::fmt;

/// What each unit stands for. `MiB` counts by 1024 and `MB` by 1000; a bare letter is the binary unit, as in
/// `dd` and `curl`.
const UNITS: [(&str, u64); 13] = [
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
    ("tib", 1 << 40),
];

/// Reads a size such as `64MiB`, `64MB`, `512k` or `65536`, in any case, with or without a space before the
/// unit.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err("a size is a whole number of bytes, or one with a unit: 64MiB, 64MB, 512k".into());
    }
    let unit = unit.trim_start().to_ascii_lowercase();
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err("unknown unit; write k, M, G (or KiB, MiB, GiB) by 1024, KB, MB, GB by 1000".into());
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .ok_or_else(|| "that is more bytes than any file has".into())
}

/// Shows a number of bytes in the largest binary unit that it fills: `64 MiB`, `1.5 GiB`, `12 bytes`.
pub(crate) struct Human(pub(crate) u64);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        let shown = [("GiB", 30), ("MiB", 20), ("KiB", 10)].into_iter().find(|(_, shift)| bytes >> shift > 0);
        match shown {
            None if bytes == 1 => f.write_str("1 byte"),
            None => write!(f, "{bytes} bytes"),
            Some((unit, shift)) if bytes % (1 << shift) == 0 => write!(f, "{} {unit}", bytes >> shift),
            Some((unit, shift)) => {
                // Tenths, cut and not rounded, so that a size never reads as larger than it is.
                let tenths = (u128::from(bytes) * 10) >> shift;
                write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
            }
        }
    }
}

/// A limit of a service, in the unit that its documents give it in.
pub(crate) fn limit(bytes: u64) -> String {
    match bytes {
        1.. if bytes % 1_000_000_000 == 0 => format!("{} GB", bytes / 1_000_000_000),
        1.. if bytes % 1_000_000 == 0 => format!("{} MB", bytes / 1_000_000),
        _ => Human(bytes).to_string(),
    }
}

/// So many bytes of so many.
pub(crate) fn share((done, all): (u64, u64)) -> String {
    format!("{} of {}", Human(done), Human(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_documented_spelling_is_read() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("512k", 524_288),
            ("512 KiB", 524_288),
            ("64MiB", 67_108_864),
            ("64mib", 67_108_864),
            ("64MB", 64_000_000),
            ("8G", 8 << 30),
            ("9GB", 9_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "whole number"),
            ("MiB", "whole number"),
            ("-1", "whole number"),
            ("1.5MiB", "unknown unit"),
            ("64 megs", "unknown unit"),
            ("99999999999999999999", "more bytes"),
            ("99999999999G", "more bytes"),
        ] {
            let refused = parse(text).expect_err(text);
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }

    #[test]
    fn a_size_is_shown_in_the_largest_unit_that_it_fills() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (67_108_864, "64 MiB"),
            (64_000_000, "61.0 MiB"),
            ((1 << 31) - 1, "1.9 GiB"),
        ] {
            assert_eq!(Human(bytes).to_string(), shown);
        }
    }

    #[test]
    fn a_limit_is_shown_as_it_is_documented() {
        for (bytes, shown) in [(512_000_000, "512 MB"), (8_000_000_000, "8 GB"), (67_108_864, "64 MiB")] {
            assert_eq!(limit(bytes), shown);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_panic(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn plain_bytes_are_read_as_they_are(bytes: u64) {
            prop_assert_eq!(parse(&bytes.to_string()), Ok(bytes));
        }
    }
}
