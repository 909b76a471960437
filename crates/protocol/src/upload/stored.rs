//! The parts that the service has acknowledged, in the order of the file, with the identifiers that it gave them.

mod ranges;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, cmp::Ordering, fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use ranges::Ranges;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, SeqAccess, Visitor},
};
use serde_json::Value;

/// Copies share blocks of at most this many, so a copy costs a part in this many; a change makes one block anew.
const BLOCK: usize = 256;

/// One acknowledged part, as a checkpoint writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredPart<'a> {
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) id: Cow<'a, str>,
}

/// Acknowledged parts by where they begin. No two of them overlap.
///
/// A checkpoint is asked for after every part and names them all: copying each name each time would cost the square of
/// their number. The request that completes the upload names them all too, and shares the bytes that they are kept in.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    /// None of them is empty.
    blocks: Vec<Arc<Block>>,
    count: usize,
    bytes: u64,
}

impl Stored {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where the last part ends.
    pub(super) fn end(&self) -> u64 {
        self.blocks.last().map_or(0, |block| block.end())
    }

    /// Puts a part in its place; whether there was room for it.
    #[must_use]
    pub(super) fn insert(&mut self, start: u64, length: u64, id: &str) -> bool {
        let Some(end) = start.checked_add(length).filter(|_| length > 0) else { return false };
        let behind = self.blocks.partition_point(|block| block.start() <= start);
        let (position, index) = match behind.checked_sub(1) {
            None => (0, 0),
            Some(position) => (position, self.blocks[position].ranges.before(start)),
        };
        if !self.is_free(position, index, start, end) {
            return false;
        }
        let (range, id) = ((start, length), json_of(id));
        match self.blocks.get(position) {
            None => self.blocks.push(Arc::new(Block::of([(range, id)]))),
            Some(block) if index == BLOCK && block.len() == BLOCK => {
                self.blocks.insert(position + 1, Arc::new(Block::of([(range, id)])));
            }
            Some(block) => {
                let grown = block.with(index, range, &id);
                let halves = if grown.len() > BLOCK { grown.halves() } else { vec![grown] };
                self.blocks.splice(position..=position, halves.into_iter().map(Arc::new));
            }
        }
        self.count += 1;
        self.bytes += length;
        true
    }

    /// Whether nothing lies between these bounds, where a part would come to this place.
    fn is_free(&self, position: usize, index: usize, start: u64, end: u64) -> bool {
        let Some(block) = self.blocks.get(position) else { return true };
        let before = index.checked_sub(1).and_then(|index| block.ranges.get(index));
        let next = self.blocks.get(position + 1).map(|block| block.start());
        let after = block.ranges.get(index).map(|range| range.0).or(next);
        before.is_none_or(|(from, length)| from + length <= start) && after.is_none_or(|from| end <= from)
    }

    /// All of them, in the order of the file.
    pub(super) fn iter(&self) -> impl Iterator<Item = StoredPart<'_>> {
        self.blocks.iter().flat_map(|block| block.iter()).map(Part::stored)
    }

    /// What stands between the brackets of the JSON list of their identifiers, in pieces to be joined by commas.
    pub(super) fn json(&self) -> impl Iterator<Item = &Bytes> {
        self.blocks.iter().map(|block| &block.json)
    }

    /// Where none of them lies in a file of this length.
    pub(super) fn gaps(&self, length: u64) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut end = 0;
        let ranges = self.blocks.iter().flat_map(|block| block.ranges.iter());
        for (start, length) in ranges.chain([(length, 0)]) {
            if start > end {
                gaps.push(end..start);
            }
            end = start + length;
        }
        gaps
    }

    /// What is new since `earlier`; `None` when something else has changed too. Blocks that both share are not looked at.
    pub(super) fn since<'s>(&'s self, earlier: &'s Self) -> Option<Vec<StoredPart<'s>>> {
        let (mut now, mut before) = (Cursor::new(&self.blocks), Cursor::new(&earlier.blocks));
        let mut new = Vec::new();
        loop {
            if let (Some(block), Some(other)) = (now.whole_block(), before.whole_block()) {
                if Arc::ptr_eq(block, other) {
                    now.skip_block();
                    before.skip_block();
                    continue;
                }
            }
            match (now.part(), before.part()) {
                (None, None) => return Some(new),
                (Some(part), other) => {
                    let order = other.map_or(Ordering::Less, |other| part.range.0.cmp(&other.range.0));
                    match order {
                        Ordering::Less => new.push(part.stored()),
                        Ordering::Equal if other == Some(part) => before.skip_part(),
                        _ => return None,
                    }
                    now.skip_part();
                }
                (None, Some(_)) => return None,
            }
        }
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

impl Eq for Stored {}

impl Serialize for Stored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Takes them one by one: a list of all of them first would take as much memory again.
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Stored;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of acknowledged parts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Stored, A::Error> {
                let mut gathered = Gathered::default();
                while let Some(StoredPart { start, length, id }) = list.next_element()? {
                    if !gathered.push(start, length, &id) {
                        return Err(A::Error::custom("parts overlap"));
                    }
                }
                gathered.all().ok_or_else(|| A::Error::custom("parts overlap"))
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// Parts that come in the order of the file mostly: a block of them is made at once.
#[derive(Default)]
pub(super) struct Gathered {
    stored: Stored,
    next: Vec<((u64, u64), String)>,
}

impl Gathered {
    /// Whether there was room for it, as far as is known yet.
    #[must_use]
    pub(super) fn push(&mut self, start: u64, length: u64, id: &str) -> bool {
        let last = self.next.last().map_or(self.stored.end(), |((start, length), _)| start + length);
        if start < last || start.checked_add(length).is_none() || length == 0 {
            return self.flush() && self.stored.insert(start, length, id);
        }
        self.next.push(((start, length), json_of(id)));
        self.next.len() < BLOCK || self.flush()
    }

    fn flush(&mut self) -> bool {
        let parts = std::mem::take(&mut self.next);
        let Some(((start, _), _)) = parts.first() else { return true };
        if *start < self.stored.end() {
            return false;
        }
        self.stored.count += parts.len();
        self.stored.bytes += parts.iter().map(|((_, length), _)| length).sum::<u64>();
        self.stored.blocks.push(Arc::new(Block::of(parts)));
        true
    }

    /// `None` when some of them overlap.
    pub(super) fn all(mut self) -> Option<Stored> {
        self.flush().then_some(self.stored)
    }
}

/// Parts that follow each other, at least one.
#[derive(Debug)]
struct Block {
    ranges: Ranges,
    /// The JSON of each one's identifier, joined by commas.
    json: Bytes,
    /// Where the JSON of each one ends, without the comma.
    ends: Box<[u32]>,
}

/// One of a block.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Part<'a> {
    range: (u64, u64),
    json: &'a [u8],
}

impl<'a> Part<'a> {
    fn stored(self) -> StoredPart<'a> {
        StoredPart { start: self.range.0, length: self.range.1, id: id_of(self.json).unwrap_or_default() }
    }
}

impl Block {
    fn of<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = ((u64, u64), T)>) -> Self {
        let (mut ranges, mut json, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (range, id) in parts {
            if !ends.is_empty() {
                json.push(b',');
            }
            json.extend_from_slice(id.as_ref());
            ranges.push(range);
            ends.push(u32::try_from(json.len()).unwrap_or(u32::MAX));
        }
        // Without what the text has grown ahead.
        Self { ranges: Ranges::of(ranges), json: json.into_boxed_slice().into(), ends: ends.into() }
    }

    fn len(&self) -> usize {
        self.ranges.len()
    }

    fn start(&self) -> u64 {
        self.ranges.get(0).map_or(0, |range| range.0)
    }

    fn end(&self) -> u64 {
        let last = self.len().checked_sub(1).and_then(|index| self.ranges.get(index));
        last.map_or(0, |(start, length)| start + length)
    }

    fn part(&self, index: usize) -> Option<Part<'_>> {
        let (range, end) = (self.ranges.get(index)?, *self.ends.get(index)? as usize);
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize + ",".len());
        Some(Part { range, json: &self.json[start..end] })
    }

    fn iter(&self) -> impl Iterator<Item = Part<'_>> {
        (0..self.len()).filter_map(|index| self.part(index))
    }

    /// The same with this part before `index`.
    fn with(&self, index: usize, range: (u64, u64), id: &str) -> Self {
        // As few copies as can be: it is done for every part.
        let (before, after) = self.ends.split_at(index);
        // What comes before keeps its place; with a comma on one side, the part takes its room in between.
        let start = before.last().map_or(0, |end| *end as usize);
        let (head, tail) = self.json.split_at(start);
        let comma: &[u8] = b",";
        let json = match before.is_empty() {
            true => [id.as_bytes(), comma, tail].concat(),
            false => [head, comma, id.as_bytes(), tail].concat(),
        };
        let longer = u32::try_from(id.len() + comma.len()).unwrap_or(u32::MAX);
        let end = if before.is_empty() { longer - 1 } else { before[index - 1] + longer };
        let mut ends = [before, &[end], after].concat();
        for end in &mut ends[index + 1..] {
            *end += longer;
        }
        Self { ranges: self.ranges.with(index, range), json: json.into(), ends: ends.into() }
    }

    fn halves(&self) -> Vec<Self> {
        let middle = self.len() / 2;
        let half = |parts: Range<usize>| {
            Self::of(parts.filter_map(|index| self.part(index)).map(|part| (part.range, part.json)))
        };
        vec![half(0..middle), half(middle..self.len())]
    }
}

/// Goes through blocks part by part, or past a whole one.
struct Cursor<'a> {
    blocks: std::slice::Iter<'a, Arc<Block>>,
    index: usize,
}

impl<'a> Cursor<'a> {
    fn new(blocks: &'a [Arc<Block>]) -> Self {
        Self { blocks: blocks.iter(), index: 0 }
    }

    /// The block that is about to begin.
    fn whole_block(&self) -> Option<&'a Arc<Block>> {
        self.blocks.as_slice().first().filter(|_| self.index == 0)
    }

    fn skip_block(&mut self) {
        self.blocks.next();
        self.index = 0;
    }

    fn part(&self) -> Option<Part<'a>> {
        self.blocks.as_slice().first()?.part(self.index)
    }

    fn skip_part(&mut self) {
        self.index += 1;
        if self.blocks.as_slice().first().is_some_and(|block| self.index == block.len()) {
            self.skip_block();
        }
    }
}

fn json_of(id: impl Into<Value>) -> String {
    id.into().to_string()
}

/// The identifier whose JSON this is.
fn id_of(json: &[u8]) -> Option<Cow<'_, str>> {
    let text = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if text.contains(&b'\\') {
        return serde_json::from_slice(json).ok().map(Cow::Owned);
    }
    std::str::from_utf8(text).ok().map(Cow::Borrowed)
}
