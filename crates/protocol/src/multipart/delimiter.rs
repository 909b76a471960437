//! Finding the delimiter in a body that arrives in pieces.

use bytes::{Buf, Bytes};
use memchr::memmem::Finder;
use memchr::memrchr;

use super::Boundary;

/// Searches for CRLF, `--` and the boundary.
///
/// Since a CR stands nowhere in this but at its start, what is held back at the end of a piece is always a
/// beginning of the delimiter itself. So only its length is kept, and on a mismatch it is data as a whole.
#[derive(Debug)]
pub(super) struct DelimiterSearch {
    delimiter: Bytes,
    finder: Finder<'static>,
    /// How many bytes of the delimiter were the last ones taken from the input.
    matched: usize,
}

/// What stands next in the input.
#[derive(Debug)]
pub(super) enum Scan {
    /// Bytes that belong to no delimiter, never empty.
    Data(Bytes),
    /// The delimiter.
    Delimiter,
    /// Nothing that can be told yet: the input is used up.
    NeedInput,
}

impl DelimiterSearch {
    /// A search from the start of a body, where the delimiter may stand without its CRLF.
    pub(super) fn from_start(boundary: &Boundary) -> Self {
        let delimiter = boundary.delimiter();
        Self { finder: Finder::new(&delimiter).into_owned(), delimiter, matched: "\r\n".len() }
    }

    /// Takes the next stretch from the front of `input`.
    pub(super) fn scan(&mut self, input: &mut Bytes) -> Scan {
        if self.matched == 0 {
            let (data, matched) = match self.finder.find(input) {
                Some(at) => (at, self.delimiter.len()),
                None => {
                    let matched = self.beginning_at_end_of(input);
                    (input.len() - matched, matched)
                }
            };
            let data = input.split_to(data);
            input.advance(matched);
            self.matched = matched;
            if !data.is_empty() {
                return Scan::Data(data);
            }
        }
        self.go_on_matching(input)
    }

    /// How many of the last bytes of `input` may be the first ones of a delimiter.
    fn beginning_at_end_of(&self, input: &[u8]) -> usize {
        let tail = &input[input.len().saturating_sub(self.delimiter.len() - 1)..];
        memrchr(b'\r', tail)
            .map(|at| &tail[at..])
            .filter(|end| self.delimiter.starts_with(end))
            .map_or(0, <[u8]>::len)
    }

    fn go_on_matching(&mut self, input: &mut Bytes) -> Scan {
        let expected = &self.delimiter[self.matched..];
        let length = expected.len().min(input.len());
        if input[..length] != expected[..length] {
            return Scan::Data(self.delimiter.slice(..std::mem::take(&mut self.matched)));
        }
        input.advance(length);
        self.matched += length;
        if self.matched < self.delimiter.len() {
            return Scan::NeedInput;
        }
        self.matched = 0;
        Scan::Delimiter
    }
}
