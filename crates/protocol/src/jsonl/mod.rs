//! JSON Lines, checked as they come.

mod format;
mod name;
mod surrogates;

#[cfg(test)]
mod tests;

use memchr::memchr;
use partwise_models::Purpose;
use serde::de::IgnoredAny;

use self::surrogates::{half_pair, may_have_surrogates};
pub use self::{format::ForeignFormat, name::filename_suits};

/// The longest line that is looked into, in bytes: far beyond what a model reads, images in base64 included.
const LONGEST_LINE: usize = 64 << 20;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Finds the lines of a JSON Lines file that a service could not read, while the file comes in pieces of any size.
///
/// A file for fine-tuning, a batch or an evaluation has one JSON object on each line, in UTF-8. A service looks at that
/// when all of the file is there, or the job that needs it does; either is late for a large one. An empty line is no
/// object; one at the end is only a [warning](LineProblem::is_warning). What stands in the objects is not looked at, and how
/// deep they are, how large their numbers and whether names come twice is not judged: readers differ there.
///
/// Pieces are borrowed. Only a line that lies in more than one of them is copied, so the memory that this takes is at
/// most about twice that of the longest such line, and never more than 64 MiB; besides, a byte for each bracket that is
/// open. A line longer than 64 MiB is reported and not looked into.
///
/// ```
/// use partwise_models::Purpose;
/// use partwise_protocol::jsonl::JsonLinesCheck;
///
/// let mut bad = Vec::new();
/// let mut check = JsonLinesCheck::new(&Purpose::FineTune);
/// for piece in ["{\"messages\": []}\n{\"messa", "ges\": []\n", "[]\n"] {
///     check.read(piece.as_bytes(), |line| bad.push(line.to_string()));
/// }
/// assert_eq!(check.finish(|line| bad.push(line.to_string())), 3);
/// assert_eq!(bad, [
///     "line 2, column 15: not JSON: EOF while parsing an object",
///     "line 3, column 1: JSON, but not an object",
/// ]);
/// ```
#[derive(Debug)]
pub struct JsonLinesCheck {
    takes_byte_order_mark: bool,
    /// In bytes.
    longest_line: usize,
    /// How many lines have ended.
    lines: u64,
    /// What is there of the line that has not: of one that is too long, one byte more than is allowed.
    begun: Vec<u8>,
    /// The last line, if it is empty: what follows decides how bad that is.
    empty: Option<BadLine>,
    /// Whether the line that is checked may have escapes of surrogates.
    has_surrogates: bool,
}

impl JsonLinesCheck {
    /// A check of a file for this purpose. JSON begins with no byte order mark (RFC 8259, section 8.1); only in a file for
    /// fine-tuning it is passed over, since Azure OpenAI's guide to fine-tuning asks for one there (its guide to batches
    /// asks for none).
    pub fn new(purpose: &Purpose) -> Self {
        let takes_byte_order_mark = *purpose == Purpose::FineTune;
        Self {
            takes_byte_order_mark,
            longest_line: LONGEST_LINE,
            lines: 0,
            begun: Vec::new(),
            empty: None,
            has_surrogates: false,
        }
    }

    /// Reads the next piece of the file and hands over the bad ones among the lines that end in it, each once, in their
    /// order.
    pub fn read(&mut self, piece: &[u8], mut found: impl FnMut(BadLine)) {
        let mut rest = piece;
        let in_piece = may_have_surrogates(piece);
        while let Some(length) = memchr(b'\n', rest) {
            // One that lies in several pieces may have an escape that does as well.
            self.has_surrogates = in_piece || !self.begun.is_empty();
            self.end_line(&rest[..length], &mut found);
            rest = &rest[length + 1..];
        }
        self.keep(rest);
    }

    /// Says that the file has ended, and hands over its last line if that is bad and no end of line follows it.
    /// Returns the number of lines.
    pub fn finish(mut self, mut found: impl FnMut(BadLine)) -> u64 {
        if !self.begun.is_empty() {
            self.has_surrogates = true;
            self.end_line(&[], &mut found);
        } else if self.lines == 0 {
            found(BadLine { line: 1, column: 1, problem: LineProblem::NoLines });
        }
        if let Some(mut empty) = self.empty.take() {
            if self.lines > 1 {
                empty.problem = LineProblem::EmptyAtEnd;
            }
            found(empty);
        }
        self.lines
    }

    fn end_line(&mut self, rest: &[u8], found: &mut impl FnMut(BadLine)) {
        if let Some(empty) = self.empty.take() {
            found(empty);
        }
        self.lines += 1;
        if self.begun.is_empty() {
            return self.check(rest, found);
        }
        self.keep(rest);
        let line = std::mem::take(&mut self.begun);
        self.check(&line, found);
        // The next one lies in the memory of this one.
        self.begun = line;
        self.begun.clear();
    }

    fn keep(&mut self, bytes: &[u8]) {
        let kept = self.begun.len();
        let bytes = &bytes[..bytes.len().min(self.longest_line + 1 - kept)];
        let needed = kept + bytes.len();
        if needed > self.begun.capacity() {
            // Left to itself, a vector would grow to twice the longest line.
            let capacity = needed.max(2 * self.begun.capacity()).min(self.longest_line + 1);
            self.begun.reserve_exact(capacity - kept);
        }
        self.begun.extend_from_slice(bytes);
    }

    fn check(&mut self, line: &[u8], found: &mut impl FnMut(BadLine)) {
        let Err((index, problem)) = self.object(line) else { return };
        let bad = BadLine { line: self.lines, column: index as u64 + 1, problem };
        if bad.problem == LineProblem::Empty {
            self.empty = Some(bad);
        } else {
            found(bad);
        }
    }

    /// Refuses what is no JSON object: says where, and what is wrong.
    fn object(&self, line: &[u8]) -> Result<(), (usize, LineProblem)> {
        if line.len() > self.longest_line {
            return Err((self.longest_line, LineProblem::TooLong));
        }
        let text = std::str::from_utf8(line).map_err(|wrong| (wrong.valid_up_to(), LineProblem::NotUtf8))?;
        let mark =
            if self.lines == 1 && text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        if mark > 0 && !self.takes_byte_order_mark {
            return Err((0, LineProblem::ByteOrderMark));
        }
        let text = &text[mark..];
        let Some(begin) = text.bytes().position(|byte| !byte.is_ascii_whitespace()) else {
            return Err((0, LineProblem::Empty));
        };
        // Ignored, a value of any depth is read without recursion.
        if let Err(wrong) = serde_json::from_str::<IgnoredAny>(text) {
            return Err((mark + index_of(&wrong), LineProblem::NotJson(without_place(&wrong))));
        }
        if let Some(at) = self.has_surrogates.then(|| half_pair(text)).flatten() {
            let escape = text[at..].chars().take(6).collect();
            return Err((mark + at, LineProblem::HalfPair { escape }));
        }
        if text[begin..].starts_with('{') { Ok(()) } else { Err((mark + begin, LineProblem::NotAnObject)) }
    }
}

/// Where in its text the error is, from 0.
fn index_of(error: &serde_json::Error) -> usize {
    // Columns are counted from 1, but of a control character in a string the one before it is given.
    let is_early = error.to_string().starts_with("control character");
    if is_early { error.column() } else { error.column().saturating_sub(1) }
}

/// What `serde_json` says, without the place: its lines are not the file's.
fn without_place(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said = error.to_string();
    said.strip_suffix(&place).unwrap_or(&said).to_owned()
}

/// A line that a service could not read.
///
/// ```
/// use partwise_models::Purpose;
/// use partwise_protocol::jsonl::{JsonLinesCheck, LineProblem};
///
/// let mut bad = Vec::new();
/// let mut check = JsonLinesCheck::new(&Purpose::FineTune);
/// check.read(b"{\"messages\": []}\n[1, 2]\n", |line| bad.push(line));
/// check.finish(|line| bad.push(line));
/// assert_eq!((bad.len(), bad[0].line), (1, 2));
/// assert_eq!(bad[0].problem, LineProblem::NotAnObject);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
#[non_exhaustive]
pub struct BadLine {
    /// Which line of the file it is, from 1.
    pub line: u64,
    /// The byte of the line at which it is wrong, from 1; its last one where the line ends too early.
    pub column: u64,
    /// What is wrong.
    pub problem: LineProblem,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// The file begins with a byte order mark, and is not for fine-tuning.
    #[error("a byte order mark; only a file for fine-tuning may begin with one")]
    ByteOrderMark,
    /// Nothing stands on it but white space.
    #[error("empty")]
    Empty,
    /// The same, and it is the last line: readers that split a file into lines see it, most others do not.
    #[error("an empty line at the end")]
    EmptyAtEnd,
    /// A string has half of a pair of escapes that make one character: no reader can make UTF-8 of it.
    #[error("half a surrogate pair: {escape} stands without its other half")]
    HalfPair {
        /// The escape, such as `\ud83d`.
        escape: String,
    },
    /// The file has no line at all.
    #[error("the file is empty")]
    NoLines,
    /// It is JSON, but no object.
    #[error("JSON, but not an object")]
    NotAnObject,
    /// It is not JSON; the text says why.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// It is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// It is longer than 64 MiB and was not looked into.
    #[error("longer than 64 MiB, so it was not looked into")]
    TooLong,
}

impl LineProblem {
    /// Whether a service may take the file anyway.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        *self == Self::EmptyAtEnd
    }
}
