//! Nothing that a service did is lost to a detail of its answer.

use std::fmt::Debug;

use partwise_models::{
    DeletedFile, Error, ErrorCode, ErrorResponse, File, FileList, InnerError, Upload, UploadPartResource,
};
use proptest::prelude::*;
use proptest::sample::Index;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::values;

/// Puts `junk` in place of one optional member of a value: it still reads, and all other members are kept.
fn keeps_the_rest<T>(value: &T, required: &[&str], member: &Index, junk: &Value)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let Value::Object(whole) = serde_json::to_value(value).unwrap() else {
        panic!("not an object: {value:?}")
    };
    let optional: Vec<_> = whole.keys().filter(|name| !required.contains(&name.as_str())).cloned().collect();
    if optional.is_empty() {
        return;
    }
    let name = member.get(&optional);
    let mut rest = whole.clone();
    rest.remove(name);

    let mut odd = rest.clone();
    odd.insert(name.clone(), junk.clone());
    let text = Value::Object(odd).to_string();
    assert_eq!(without(&read::<T>(&text), name), rest, "from {text}");

    // The same member twice: what can be read is kept.
    let good = serde_json::to_string(&whole).unwrap();
    let twice = format!("{},{}:{junk}}}", &good[..good.len() - 1], json!(name));
    assert_eq!(without(&read::<T>(&twice), name), rest, "from {twice}");
}

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn without<T: Serialize>(value: &T, member: &str) -> Map<String, Value> {
    let Value::Object(mut members) = serde_json::to_value(value).unwrap() else { panic!("not an object") };
    members.remove(member);
    members
}

proptest! {
    #[test]
    fn files_take_any_json_in_any_optional_member(
        value: File, member: Index, junk in values::json(),
    ) {
        keeps_the_rest(&value, &["id"], &member, &junk);
    }

    #[test]
    fn file_lists_take_any_json_in_any_optional_member(
        value: FileList, member: Index, junk in values::json(),
    ) {
        keeps_the_rest(&value, &["data"], &member, &junk);
    }

    #[test]
    fn deleted_files_take_any_json_in_any_optional_member(
        value: DeletedFile, member: Index, junk in values::json(),
    ) {
        keeps_the_rest(&value, &["id"], &member, &junk);
    }

    #[test]
    fn uploads_take_any_json_in_any_optional_member(
        value: Upload, member: Index, junk in values::json(),
    ) {
        keeps_the_rest(&value, &["id"], &member, &junk);
    }

    #[test]
    fn parts_take_any_json_in_any_optional_member(
        value: UploadPartResource, member: Index, junk in values::json(),
    ) {
        keeps_the_rest(&value, &["id"], &member, &junk);
    }

    #[test]
    fn errors_take_any_json_in_any_member(
        value: Error, member: Index, junk in values::json(),
    ) {
        keeps_the_rest(&value, &[], &member, &junk);
    }

    #[test]
    fn inner_errors_take_any_json_in_any_member(
        value: InnerError, member: Index, junk in values::json(),
    ) {
        keeps_the_rest(&value, &[], &member, &junk);
    }

    #[test]
    fn unknown_members_are_ignored(value: File, name in "[a-z]{12}", junk in values::json()) {
        let text = serde_json::to_string(&value).unwrap();
        let more = format!("{},{}:{junk}}}", &text[..text.len() - 1], json!(name));
        prop_assert_eq!(read::<File>(&more), value);
    }

    #[test]
    fn odd_items_do_not_fail_a_list(
        files in proptest::collection::vec(any::<File>(), 0..4),
        junk in values::json().prop_filter("no file", |junk| junk.get("id").is_none()),
        place: Index,
    ) {
        let mut items: Vec<Value> = files.iter().map(|file| serde_json::to_value(file).unwrap()).collect();
        items.insert(place.index(items.len() + 1), junk);
        let list: FileList = read(&json!({"data": items}).to_string());
        prop_assert_eq!(list.data, files);
    }
}

#[test]
fn values_of_a_wrong_type_read_as_missing() {
    let odd = [
        r#"{"id":"f","bytes":-1}"#,
        r#"{"id":"f","bytes":12.0}"#,
        r#"{"id":"f","bytes":"12"}"#,
        r#"{"id":"f","bytes":18446744073709551616}"#,
        r#"{"id":"f","created_at":"2024-06-01T00:00:00Z"}"#,
        r#"{"id":"f","expires_at":null}"#,
        r#"{"id":"f","filename":{"name":"x"}}"#,
        r#"{"id":"f","status":["processed"]}"#,
        r#"{"id":"f","purpose":5}"#,
    ];
    for text in odd {
        assert_eq!(read::<File>(text), File::new("f"), "from {text}");
    }
}

#[test]
fn a_file_without_an_id_inside_an_upload_reads_as_missing() {
    for file in ["{}", r#"{"id":5,"bytes":1}"#, "[]", "null", r#""file-1""#] {
        assert_eq!(
            read::<Upload>(&format!(r#"{{"id":"u","file":{file}}}"#)),
            Upload::new("u"),
            "with {file}"
        );
    }
}

#[test]
fn of_a_member_that_stands_twice_the_last_that_can_be_read_counts() {
    assert_eq!(read::<File>(r#"{"id":"a","id":"b"}"#), File::new("b"));
    assert_eq!(read::<File>(r#"{"id":"a","id":null}"#), File::new("a"));
}

#[test]
fn both_spellings_of_an_inner_error_are_read() {
    let dated: Error = read(r#"{"innererror":{"code":"x","innererror":{"code":"y"}}}"#);
    let v1: Error = read(r#"{"inner_error":{"code":"x","inner_error":{"code":"y"}}}"#);
    assert_eq!(dated, v1);
    assert_eq!(dated.innererror.unwrap().innererror.unwrap().code.unwrap().as_str(), "y");
}

#[test]
fn an_error_code_may_be_a_number() {
    let response: ErrorResponse = read(r#"{"error":{"code":401,"message":"no"}}"#);
    assert_eq!(response.error.code, Some(ErrorCode::from("401")));
}

#[test]
fn what_is_required_is_named_when_it_is_missing() {
    let message = |text| serde_json::from_str::<File>(text).unwrap_err().to_string();
    assert_eq!(message("{}"), "expected a File: an object with `id`");
    assert_eq!(message(r#"{"id":5}"#), "expected a File: an object with `id`");
    assert_eq!(message("[]"), "expected a File: an object with `id`");
    assert_eq!(
        serde_json::from_str::<FileList>("{}").unwrap_err().to_string(),
        "expected a FileList: an object with `data`"
    );
    assert_eq!(
        serde_json::from_str::<FileList>(r#"{"data":{}}"#).unwrap_err().to_string(),
        "expected a FileList: an object with `data`"
    );
    assert_eq!(
        serde_json::from_str::<ErrorResponse>(r#"{"error":"no"}"#).unwrap_err().to_string(),
        "expected an ErrorResponse: an object with `error`"
    );
}

#[test]
fn bytes_in_escaped_text_and_readers_read_as_well() {
    let text = r#"{"\u0069d":"\u00e9","filename":"a\nb"}"#;
    let file: File = serde_json::from_reader(text.as_bytes()).unwrap();
    assert_eq!(file.id, "é");
    assert_eq!(file.filename.as_deref(), Some("a\nb"));
}
