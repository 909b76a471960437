//! A checkpoint, read off its documented form.

use std::collections::BTreeMap;

/// What a checkpoint says.
#[derive(Default)]
pub(crate) struct Saved {
    pub(crate) upload: Option<String>,
    /// Where the acknowledged parts end, by where they begin.
    pub(crate) acknowledged: BTreeMap<u64, u64>,
    /// The request that makes the file may have been sent.
    pub(crate) is_committing: bool,
}

impl Saved {
    pub(crate) fn read(saved: &str) -> Self {
        let saved: serde_json::Value = serde_json::from_str(saved).expect("a checkpoint is JSON");
        let parts = &saved["route"]["parts"];
        let Some(acknowledged) = parts["acknowledged"].as_array() else {
            return Self { is_committing: true, ..Self::default() };
        };
        let parts_of = acknowledged.iter().map(|part| {
            let [start, length] = ["start", "length"].map(|name| part[name].as_u64().unwrap());
            assert!(part["id"].is_string());
            (start, start + length)
        });
        Self {
            upload: parts["upload_id"].as_str().map(str::to_owned),
            acknowledged: parts_of.collect(),
            is_committing: parts["completing"].as_bool().unwrap(),
        }
    }
}
