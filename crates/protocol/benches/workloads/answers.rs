//! Answers, as a client reads them.

use std::hint::black_box;

use bytes::Bytes;
use http::Response;
use partwise_models::FileList;
use partwise_protocol::{
    Operation,
    operations::{AddUploadPart, CompleteUpload, ListFiles},
};

use super::{Amount, Round, Workload};

const ANSWERS: u64 = 100;
const FILES: u64 = 10_000;

pub(super) const PART: Workload =
    Workload { name: "answer-part", amount: Amount::Items(ANSWERS), prepare: part };

/// A completed upload with its file.
pub(super) const UPLOAD: Workload =
    Workload { name: "answer-upload", amount: Amount::Items(ANSWERS), prepare: upload };

/// The longest page that a service gives.
pub(super) const LIST: Workload =
    Workload { name: "answer-list", amount: Amount::Items(FILES), prepare: || read::<ListFiles>(list(), 1) };

/// The same by the types of `models` alone.
pub(super) const LIST_ALONE: Workload =
    Workload { name: "models-list", amount: Amount::Items(FILES), prepare: list_alone };

/// The answer to a part, which the machine's workload gives too.
pub(super) const PART_JSON: &str =
    r#"{"id":"part_def456","object":"upload.part","created_at":1719185911,"upload_id":"upload_abc123"}"#;

fn part() -> Round {
    read::<AddUploadPart>(Bytes::from_static(PART_JSON.as_bytes()), ANSWERS)
}

fn upload() -> Round {
    let json = format!(
        r#"{{"id":"upload_abc123","object":"upload","bytes":2147483648,"created_at":1719184911,"expires_at":1719188511,"filename":"train.jsonl","purpose":"fine-tune","status":"completed","file":{}}}"#,
        file(0)
    );
    read::<CompleteUpload>(json.into(), ANSWERS)
}

fn list_alone() -> Round {
    let json = String::from_utf8(list().into()).expect("it is text");
    Box::new(move || {
        black_box(serde_json::from_str::<FileList>(&json).expect("it is a list"));
    })
}

fn read<O: Operation + 'static>(body: Bytes, times: u64) -> Round {
    Box::new(move || {
        for _ in 0..times {
            let answer = Response::new(body.clone());
            assert!(black_box(O::decode_response(answer)).is_ok(), "it is an answer");
        }
    })
}

fn list() -> Bytes {
    let files: Vec<_> = (0..FILES).map(file).collect();
    let (first, last) = (id(0), id(FILES - 1));
    let files = files.join(",");
    format!(
        r#"{{"object":"list","data":[{files}],"first_id":"{first}","last_id":"{last}","has_more":false}}"#
    )
    .into()
}

fn file(number: u64) -> String {
    let (id, bytes, created) = (id(number), 140 + 7919 * number, 1_719_184_911 + 60 * number);
    format!(
        r#"{{"id":"{id}","object":"file","bytes":{bytes},"created_at":{created},"expires_at":null,"filename":"train-{number}.jsonl","purpose":"fine-tune","status":"processed","status_details":null}}"#
    )
}

fn id(number: u64) -> String {
    format!("file-{:024x}", u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060) >> 32)
}
