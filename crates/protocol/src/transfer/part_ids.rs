//! The identifiers that the service gave to parts, by position.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Copies share blocks of this many, so a copy costs a part in this many, and a change copies one block.
const BLOCK: usize = 256;

/// One identifier a part, or none yet.
///
/// A checkpoint is asked for after every part and names them all: copying each name each time would cost the square of
/// their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartIds {
    blocks: Vec<Arc<[Option<Arc<str>>]>>,
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

    pub(super) fn get(&self, index: usize) -> Option<&Arc<str>> {
        self.blocks.get(index / BLOCK)?.get(index % BLOCK)?.as_ref()
    }

    pub(super) fn has(&self, index: usize) -> bool {
        self.get(index).is_some()
    }

    /// Gives a part its identifier; whether it had none before. Of a part that does not exist nothing is kept.
    pub(super) fn set(&mut self, index: usize, id: &str) -> bool {
        let Some(block) = self.blocks.get_mut(index / BLOCK) else { return false };
        let Some(slot) = Arc::make_mut(block).get_mut(index % BLOCK) else { return false };
        slot.replace(id.into()).is_none()
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&Arc<str>>> {
        self.blocks.iter().flat_map(|block| block.iter()).map(Option::as_ref)
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
            for (offset, pair) in block.iter().zip(before.iter()).enumerate() {
                match pair {
                    (Some(id), None) => new.push((position * BLOCK + offset, id.to_string())),
                    (now, before) if now == before => {}
                    _ => return None,
                }
            }
        }
        Some(new)
    }
}

impl FromIterator<Option<Arc<str>>> for PartIds {
    fn from_iter<I: IntoIterator<Item = Option<Arc<str>>>>(ids: I) -> Self {
        let mut ids = ids.into_iter();
        let blocks = std::iter::from_fn(|| {
            let block: Arc<[_]> = ids.by_ref().take(BLOCK).collect();
            (!block.is_empty()).then_some(block)
        });
        let blocks: Vec<_> = blocks.collect();
        let len = blocks.iter().map(|block| block.len()).sum();
        Self { blocks, len }
    }
}

impl Serialize for PartIds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|id| id.map(AsRef::<str>::as_ref)))
    }
}

impl<'de> Deserialize<'de> for PartIds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ids = Vec::<Option<String>>::deserialize(deserializer)?;
        Ok(ids.into_iter().map(|id| id.map(Arc::from)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(given: &[Option<u8>]) -> PartIds {
        given.iter().map(|id| id.map(|id| Arc::from(format!("part_{id}")))).collect()
    }

    #[test]
    fn what_was_copied_before_a_change_keeps_what_it_had() {
        let mut now = PartIds::none(BLOCK + 2);
        assert!(now.set(BLOCK, "a"));
        let before = now.clone();
        assert!(now.set(BLOCK + 1, "b") && !now.set(BLOCK, "a") && !now.set(BLOCK + 2, "c"));
        assert_eq!(now.since(&before), Some(vec![(BLOCK + 1, "b".into())]));
        assert_eq!((before.get(BLOCK + 1), before.has(BLOCK), before.len()), (None, true, BLOCK + 2));
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

    proptest! {
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
