//! Files that are no UTF-8 text as a whole, by their first bytes.

use std::fmt;

/// What a file is that should be JSON Lines and is none, whatever its lines say.
///
/// ```
/// use partwise_protocol::jsonl::ForeignFormat;
///
/// assert_eq!(ForeignFormat::of(&[0x1f, 0x8b, 8, 0]), Some(ForeignFormat::Gzip));
/// assert_eq!(ForeignFormat::of(br#"{"id": 1}"#), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignFormat {
    /// UTF-16, least significant byte first: what PowerShell's `>` writes.
    Utf16LittleEndian {
        /// Whether it begins with a byte order mark.
        has_mark: bool,
    },
    /// UTF-16, most significant byte first.
    Utf16BigEndian {
        /// Whether it begins with a byte order mark.
        has_mark: bool,
    },
    /// UTF-32.
    Utf32,
    /// Compressed by gzip.
    Gzip,
    /// Compressed by zstd.
    Zstd,
    /// A ZIP archive.
    Zip,
}

impl ForeignFormat {
    /// The most bytes that [`of`](Self::of) looks at.
    pub const BEGINNING: usize = 4;

    /// The format of a file that begins with these bytes; `None` when it may be JSON Lines. A file of JSON begins with an
    /// ASCII character, so a zero byte beside it is half of a wider one.
    #[must_use]
    pub fn of(beginning: &[u8]) -> Option<Self> {
        match beginning {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            [0xff, 0xfe, 0, 0, ..]
            | [0, 0, 0xfe, 0xff, ..]
            | [1..=0xff, 0, 0, 0, ..]
            | [0, 0, 0, 1..=0xff, ..] => Some(Self::Utf32),
            [0xff, 0xfe, ..] => Some(Self::Utf16LittleEndian { has_mark: true }),
            [0xfe, 0xff, ..] => Some(Self::Utf16BigEndian { has_mark: true }),
            [1..=0xff, 0, ..] => Some(Self::Utf16LittleEndian { has_mark: false }),
            [0, 1..=0xff, ..] => Some(Self::Utf16BigEndian { has_mark: false }),
            _ => None,
        }
    }
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf16LittleEndian { .. } | Self::Utf16BigEndian { .. } => {
                "UTF-16, and a service takes UTF-8"
            }
            Self::Utf32 => "UTF-32, and a service takes UTF-8",
            Self::Gzip => "compressed by gzip, and a service takes plain text",
            Self::Zstd => "compressed by zstd, and a service takes plain text",
            Self::Zip => "a ZIP archive, and a service takes plain text",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_utf_8_is_known_by_its_first_bytes() {
        let wide =
            |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<_>>();
        for (mark, has_mark) in [("", false), ("\u{feff}", true)] {
            let text = format!("{mark}{{\"custom_id\": 1}}\n");
            let little = ForeignFormat::of(&wide(&text, u16::to_le_bytes));
            assert_eq!(little, Some(ForeignFormat::Utf16LittleEndian { has_mark }));
            let big = ForeignFormat::of(&wide(&text, u16::to_be_bytes));
            assert_eq!(big, Some(ForeignFormat::Utf16BigEndian { has_mark }));
            let widest: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
            assert_eq!(ForeignFormat::of(&widest), Some(ForeignFormat::Utf32));
        }
        assert_eq!(ForeignFormat::of(&[0x1f, 0x8b, 8, 0]), Some(ForeignFormat::Gzip));
        assert_eq!(ForeignFormat::of(b"PK\x03\x04"), Some(ForeignFormat::Zip));
    }

    #[test]
    fn what_may_be_json_lines_is_of_no_other_format() {
        for text in ["", "{", "{}\n", "\u{feff}{}", "[1]", "\n", "üöä", "PK", "\0\0"] {
            assert_eq!(ForeignFormat::of(text.as_bytes()), None, "{text:?}");
        }
    }
}
