//! What a caller asks for is not guessed: bad requests are refused, and the message names the field.

use partwise_models::{CompleteUploadRequest, CreateUploadRequest, ImportFileRequest};
use serde::de::DeserializeOwned;

fn refusal<T: DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
    serde_json::from_str::<T>(text).unwrap_err().to_string()
}

#[test]
fn a_missing_field_is_named() {
    assert_eq!(refusal::<CreateUploadRequest>("{}"), "missing field `filename` at line 1 column 2");
    assert_eq!(
        refusal::<CompleteUploadRequest>(r#"{"md5":"x"}"#),
        "missing field `part_ids` at line 1 column 11"
    );
    assert_eq!(
        refusal::<ImportFileRequest>(r#"{"purpose":"batch","filename":"a"}"#),
        "missing field `content_url` at line 1 column 34"
    );
}

#[test]
fn a_field_of_a_wrong_type_is_named() {
    assert_eq!(
        refusal::<CreateUploadRequest>(r#"{"filename":5}"#),
        "`filename`: invalid type: integer `5`, expected a string at line 1 column 13"
    );
    assert_eq!(
        refusal::<CreateUploadRequest>(r#"{"bytes":-1}"#),
        "`bytes`: invalid value: integer `-1`, expected u64 at line 1 column 11"
    );
    assert_eq!(
        refusal::<CreateUploadRequest>(r#"{"bytes":12.5}"#),
        "`bytes`: invalid type: floating point `12.5`, expected u64 at line 1 column 13"
    );
    assert_eq!(
        refusal::<CreateUploadRequest>(r#"{"purpose":["batch"]}"#),
        "`purpose`: expected a string at line 1 column 21"
    );
    assert_eq!(
        refusal::<CompleteUploadRequest>(r#"{"part_ids":["a",5]}"#),
        "`part_ids`: invalid type: integer `5`, expected a string at line 1 column 18"
    );
    assert_eq!(
        refusal::<CompleteUploadRequest>(r#"{"part_ids":[],"md5":{}}"#),
        "`md5`: invalid type: map, expected a string at line 1 column 21"
    );
}

#[test]
fn a_field_inside_a_field_is_named_with_both() {
    let text = r#"{"expires_after":{"anchor":"created_at","seconds":"soon"}}"#;
    assert_eq!(
        refusal::<CreateUploadRequest>(text),
        "`expires_after`: `seconds`: invalid type: string \"soon\", expected u64 at line 1 column 56"
    );
}

#[test]
fn a_field_that_stands_twice_is_refused() {
    assert_eq!(
        refusal::<CompleteUploadRequest>(r#"{"part_ids":[],"part_ids":["a"]}"#),
        "duplicate field `part_ids` at line 1 column 25"
    );
}

#[test]
fn what_is_no_object_is_refused() {
    assert_eq!(
        refusal::<CompleteUploadRequest>(r#"["a"]"#),
        "invalid type: sequence, expected a CompleteUploadRequest: an object with `part_ids` at line 1 column 1"
    );
}

#[test]
fn null_means_missing_in_an_optional_field_and_unknown_fields_are_ignored() {
    let request: CompleteUploadRequest =
        serde_json::from_str(r#"{"part_ids":["a"],"md5":null,"more":{}}"#).unwrap();
    assert_eq!(request, CompleteUploadRequest::new(vec!["a".to_owned()]));
}

#[test]
fn the_address_of_an_import_is_not_shown() {
    let request = ImportFileRequest::new("batch".into(), "a.jsonl", "https://example.net/a.jsonl?sig=secret");
    assert_eq!(
        format!("{request:?}"),
        r#"ImportFileRequest { purpose: Batch, filename: "a.jsonl", content_url: "…" }"#
    );
}
