//! Checkpoints, to JSON and from it.

use std::hint::black_box;

use partwise_protocol::upload::Checkpoint;

use super::{Amount, Round, Workload};

const PARTS: u64 = 1_000;

pub(super) const WRITE: Workload =
    Workload { name: "checkpoint-write", amount: Amount::Items(PARTS), prepare: write };

pub(super) const READ: Workload =
    Workload { name: "checkpoint-read", amount: Amount::Items(PARTS), prepare: read };

/// A checkpoint in the middle of an upload of so many parts of one byte.
pub(super) fn halfway(parts: u64) -> Checkpoint {
    Checkpoint::from_json(json(parts).as_bytes()).expect("it is a checkpoint")
}

fn json(parts: u64) -> String {
    let there: Vec<_> = (0..parts / 2)
        .map(|part| format!(r#"{{"start":{part},"length":1,"id":"part_{part:024x}"}}"#))
        .collect();
    let there = there.join(",");
    format!(
        r#"{{"version":3,"place":"https://api.openai.com/v1","dialect":{{"provider":"openai"}},"source":{{"length":{parts},"modified":"1700000000.000000000","identity":"1234"}},"filename":"train.jsonl","mime_type":"application/jsonl","purpose":"fine-tune","md5":false,"route":{{"parts":{{"upload_id":"upload_abc123","created_at":1719184911,"expires_at":1719188511,"clock_offset":0,"acknowledged":[{there}],"completing":false}}}}}}"#
    )
}

fn write() -> Round {
    let checkpoint = halfway(PARTS);
    Box::new(move || {
        black_box(serde_json::to_vec(&checkpoint).expect("it can be written"));
    })
}

fn read() -> Round {
    let json = json(PARTS);
    Box::new(move || {
        black_box(Checkpoint::from_json(json.as_bytes()).expect("it is a checkpoint"));
    })
}
