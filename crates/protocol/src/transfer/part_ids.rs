//! The identifiers that the service gave to parts, by position.

use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
};
use serde_json::Value;

/// Copies share blocks of this many, so a copy costs a part in this many; a change makes one block anew.
const BLOCK: usize = 256;
/// Stands for a part that has no identifier yet.
const NONE: &str = "null";

/// One identifier a part, or none yet.
///
/// A checkpoint is asked for after every part and names them all: copying each name each time would cost the square of
/// their number. The request that completes the upload names them all too, and shares the bytes that they are kept in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartIds {
    blocks: Vec<Arc<Block>>,
    len: usize,
}

impl PartIds {
    /// So many parts without an identifier.
    pub(super) fn none(len: usize) -> Self {
        std::iter::repeat_n(None, len).collect()
    }

    /// How many parts there are, with and without an identifier.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn has(&self, index: usize) -> bool {
        self.blocks.get(index / BLOCK).is_some_and(|block| block.has(index % BLOCK))
    }

    /// Gives a part its identifier; whether it had none before. Of a part that does not exist nothing is kept.
    pub(super) fn set(&mut self, index: usize, id: &str) -> bool {
        let Some(block) = self.blocks.get_mut(index / BLOCK) else { return false };
        let Some(changed) = block.with(index % BLOCK, id) else { return false };
        let is_new = !block.has(index % BLOCK);
        *block = Arc::new(changed);
        is_new
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<Cow<'_, str>>> {
        self.blocks.iter().flat_map(|block| block.iter()).map(id_of)
    }

    /// What stands between the brackets of their JSON list, in pieces to be joined by commas; `null` is one without.
    pub(super) fn json(&self) -> impl Iterator<Item = &Bytes> {
        self.blocks.iter().map(|block| &block.json)
    }

    /// What is new since `earlier`, by position; `None` when something else has changed too. What both share is not
    /// looked at.
    pub(super) fn since(&self, earlier: &Self) -> Option<Vec<(usize, String)>> {
        if self.len != earlier.len {
            return None;
        }
        let mut new = Vec::new();
        for (position, (block, before)) in self.blocks.iter().zip(&earlier.blocks).enumerate() {
            if Arc::ptr_eq(block, before) {
                continue;
            }
            for (offset, (now, before)) in block.iter().zip(before.iter()).enumerate() {
                if now == before {
                    continue;
                }
                if before != NONE.as_bytes() {
                    return None;
                }
                new.push((position * BLOCK + offset, id_of(now)?.into_owned()));
            }
        }
        Some(new)
    }
}

impl FromIterator<Option<String>> for PartIds {
    fn from_iter<I: IntoIterator<Item = Option<String>>>(ids: I) -> Self {
        // A list that was broken off is not asked again.
        let mut ids = ids.into_iter().fuse();
        let blocks: Vec<_> =
            std::iter::from_fn(|| Block::of(ids.by_ref().take(BLOCK)).map(Arc::new)).collect();
        let len = blocks.iter().map(|block| block.ends.len()).sum();
        Self { blocks, len }
    }
}

impl Serialize for PartIds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for PartIds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Takes them one by one: a list of all of them first would take as much memory again.
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = PartIds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of identifiers of parts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PartIds, A::Error> {
                std::iter::from_fn(|| list.next_element().transpose()).collect()
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// Parts that follow each other, at least one.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// The JSON of each one's identifier, joined by commas.
    json: Bytes,
    /// Where the JSON of each one ends, without the comma.
    ends: Box<[usize]>,
}

impl Block {
    /// `None` of no parts.
    fn of(ids: impl Iterator<Item = Option<String>>) -> Option<Self> {
        let (mut json, mut ends) = (String::new(), Vec::new());
        for id in ids {
            if !ends.is_empty() {
                json.push(',');
            }
            match id {
                Some(id) => json.push_str(&json_of(id)),
                None => json.push_str(NONE),
            }
            ends.push(json.len());
        }
        // Without what the text has grown ahead.
        let json = Bytes::from(json.into_boxed_str().into_boxed_bytes());
        (!ends.is_empty()).then(|| Self { json, ends: ends.into() })
    }

    fn range(&self, index: usize) -> Option<Range<usize>> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] + ",".len());
        Some(start..end)
    }

    fn has(&self, index: usize) -> bool {
        self.range(index).is_some_and(|range| self.json[range] != *NONE.as_bytes())
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let id = &self.json[start..*end];
            start = end + ",".len();
            id
        })
    }

    /// The same with this identifier at `index`; `None` when there is no such part.
    fn with(&self, index: usize, id: &str) -> Option<Self> {
        let replaced = self.range(index)?;
        let id = json_of(id);
        let json = [&self.json[..replaced.start], id.as_bytes(), &self.json[replaced.end..]].concat();
        let mut ends = self.ends.clone();
        for end in &mut ends[index..] {
            *end = *end - replaced.len() + id.len();
        }
        Some(Self { json: json.into(), ends })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(given: &[Option<u8>]) -> PartIds {
        given.iter().map(|id| id.map(|id| format!("part_{id}"))).collect()
    }

    #[test]
    fn what_was_copied_before_a_change_keeps_what_it_had() {
        let mut now = PartIds::none(BLOCK + 2);
        assert!(now.set(BLOCK, "a"));
        let before = now.clone();
        assert!(now.set(BLOCK + 1, "b") && !now.set(BLOCK, "a") && !now.set(BLOCK + 2, "c"));
        assert_eq!(now.since(&before), Some(vec![(BLOCK + 1, "b".into())]));
        assert_eq!((before.has(BLOCK + 1), before.has(BLOCK), before.len()), (false, true, BLOCK + 2));
        assert!(Arc::ptr_eq(&now.blocks[0], &before.blocks[0]));
    }

    #[test]
    fn what_is_more_than_new_identifiers_is_not_taken_for_such() {
        let all = ids(&[Some(1), None, Some(3)]);
        for other in [&[Some(1), Some(2), Some(3)][..], &[Some(1), None], &[Some(2), None, Some(3)]] {
            assert_eq!(all.since(&ids(other)), None);
        }
        assert_eq!(all.since(&all.clone()), Some(Vec::new()));
        assert_eq!(all.since(&ids(&[Some(1), None, Some(3)])), Some(Vec::new()));
    }

    #[test]
    fn giving_the_same_identifier_again_is_nothing_new_and_another_one_is_more_than_that() {
        let before = ids(&[Some(1), None]);
        for (id, new) in [("part_1", Some(Vec::new())), ("part_2", None)] {
            let mut after = before.clone();
            assert!(!after.set(0, id));
            assert_eq!(after.since(&before), new);
        }
    }

    #[test]
    fn a_list_that_breaks_off_is_not_read_on() {
        let broken = serde_json::from_str::<PartIds>(r#"["a",5,"b",tru"#).unwrap_err();
        assert_eq!(broken.to_string(), "invalid type: integer `5`, expected a string at line 1 column 6");
    }

    /// Any text, shorter than `null`, of four bytes as it is, or longer, with what JSON escapes.
    fn id() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter),
            "[\"\\\\,\n]{0,3}",
            Just("null".to_owned()),
            "part_[0-9a-f]{32}",
        ]
    }

    proptest! {
        #[test]
        fn they_are_what_was_set_last(
            len in 1..600_usize,
            sets in prop::collection::vec((any::<prop::sample::Index>(), id()), 0..60),
        ) {
            let (mut there, mut expected) = (PartIds::none(len), vec![None; len]);
            for (index, id) in sets {
                let index = index.index(len);
                let was_none = expected[index].replace(id.clone()).is_none();
                prop_assert_eq!(there.set(index, &id), was_none);
            }
            for (index, id) in expected.iter().enumerate() {
                prop_assert_eq!(there.has(index), id.is_some());
            }
            let all: Vec<_> = there.iter().map(|id| id.map(Cow::into_owned)).collect();
            prop_assert_eq!(&all, &expected);
            let json: Vec<_> = there.json().map(|json| std::str::from_utf8(json).unwrap()).collect();
            prop_assert_eq!(format!("[{}]", json.join(",")), serde_json::to_string(&expected).unwrap());
        }

        #[test]
        fn they_are_a_list_in_json_and_come_back(given in prop::collection::vec(any::<Option<u8>>(), 0..700)) {
            let there = ids(&given);
            prop_assert_eq!(there.len(), given.len());
            let json = serde_json::to_value(&there).unwrap();
            let list: Vec<_> = given.iter().map(|id| id.map(|id| format!("part_{id}"))).collect();
            prop_assert_eq!(&json, &serde_json::to_value(list).unwrap());
            prop_assert_eq!(serde_json::from_value::<PartIds>(json).unwrap(), there);
        }

        #[test]
        fn what_is_new_makes_the_earlier_ones_the_later(
            given in prop::collection::vec(any::<Option<u8>>(), 0..700),
            new in prop::collection::vec((0..700_usize, any::<u8>()), 0..20),
        ) {
            let before = ids(&given);
            let mut after = before.clone();
            for (index, id) in new {
                if index < given.len() && !after.has(index) {
                    after.set(index, &format!("part_{id}"));
                }
            }
            let mut made = before.clone();
            for (index, id) in after.since(&before).unwrap() {
                prop_assert!(made.set(index, &id));
            }
            prop_assert_eq!(made, after);
        }
    }
}
