//! A checkpoint, read off its documented form.

use std::collections::BTreeSet;

/// What a checkpoint says.
#[derive(Default)]
pub(crate) struct Saved {
    pub(crate) upload: Option<String>,
    pub(crate) part_size: Option<u64>,
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
        let acknowledged = (0..).zip(ids).filter(|(_, id)| id.is_string()).map(|(index, _)| index * size);
        Self {
            upload: parts["upload_id"].as_str().map(str::to_owned),
            part_size: Some(size),
            acknowledged: acknowledged.collect(),
            is_committing: parts["completing"].as_bool().unwrap(),
        }
    }
}
