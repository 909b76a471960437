//! A checkpoint, read off its documented form.

use std::collections::{BTreeMap, BTreeSet};

/// What a checkpoint says.
#[derive(Default)]
pub(crate) struct Saved {
    pub(crate) upload: Option<String>,
    /// Where parts end, by where they begin.
    pub(crate) parts: BTreeMap<u64, u64>,
    /// Where the acknowledged parts begin.
    pub(crate) acknowledged: BTreeSet<u64>,
    /// The request that makes the file may have been sent.
    pub(crate) is_committing: bool,
}

impl Saved {
    pub(crate) fn read(saved: &str) -> Self {
        let saved: serde_json::Value = serde_json::from_str(saved).expect("a checkpoint is JSON");
        let parts = &saved["route"]["parts"];
        let (Some(size), Some(ids)) = (parts["part_size"].as_u64(), parts["part_ids"].as_array()) else {
            return Self { is_committing: true, ..Self::default() };
        };
        let length = saved["source"]["length"].as_u64().unwrap();
        let tail = parts["tail"].as_array().into_iter().flatten().flat_map(|run| {
            let [size, count] = ["size", "count"].map(|name| run[name].as_u64().unwrap());
            (0..count).map(move |_| size)
        });
        let tail: Vec<u64> = tail.collect();
        let sizes = std::iter::repeat_n(size, ids.len() - tail.len()).chain(tail);
        let mut start = 0;
        let ranges = sizes.map(|size| {
            let range = (start, (start + size).min(length));
            start += size;
            range
        });
        let ranges: Vec<(u64, u64)> = ranges.collect();
        let acknowledged = ranges.iter().zip(ids).filter(|(_, id)| id.is_string());
        Self {
            upload: parts["upload_id"].as_str().map(str::to_owned),
            acknowledged: acknowledged.map(|((start, _), _)| *start).collect(),
            parts: ranges.into_iter().collect(),
            is_committing: parts["completing"].as_bool().unwrap(),
        }
    }
}
