//! Schemas of the features `schemars` and `utoipa`: they take the documents' samples and whatever is written.

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use partwise_models::{
    CompleteUploadRequest, CreateUploadRequest, DeletedFile, Error, ErrorCode, ErrorResponse, ExpiresAfter,
    File, FileList, ImportFileRequest, InnerError, Purpose, UnixSeconds, Upload, UploadPartResource,
};
use proptest::arbitrary::Arbitrary;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// A schema and those that it refers to.
struct Document {
    schema: Value,
    /// Where references lead.
    root: Value,
}

impl Document {
    /// The schemas of both crates for what is read, and that of `schemars` for what is written.
    fn all<T: JsonSchema + ToSchema>() -> [(&'static str, Self); 3] {
        [("read", Self::read::<T>()), ("written", Self::written::<T>()), ("OpenAPI", Self::openapi::<T>())]
    }

    fn read<T: JsonSchema>() -> Self {
        let schema = schemars::schema_for!(T).to_value();
        Self { root: schema.clone(), schema }
    }

    fn written<T: JsonSchema>() -> Self {
        let generator = SchemaSettings::default().for_serialize().into_generator();
        let schema = generator.into_root_schema_for::<T>().to_value();
        Self { root: schema.clone(), schema }
    }

    fn openapi<T: ToSchema>() -> Self {
        let mut referenced = Vec::new();
        T::schemas(&mut referenced);
        let schemas: Map<_, _> = referenced
            .into_iter()
            .map(|(name, schema)| (name, serde_json::to_value(schema).unwrap()))
            .collect();
        let schema = serde_json::to_value(T::schema()).unwrap();
        Self { schema, root: json!({"components": {"schemas": schemas}}) }
    }

    fn takes(&self, value: &Value) -> bool {
        self.fits(&self.schema, value)
    }

    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let mut keywords = schema.as_object().unwrap().iter();
        keywords.all(|(keyword, wanted)| self.fulfils(schema, keyword, wanted, value))
    }

    /// Holds a value to one keyword. A keyword that is not known here fails the test.
    fn fulfils(&self, schema: &Value, keyword: &str, wanted: &Value, value: &Value) -> bool {
        match keyword {
            "$schema" | "$defs" | "title" | "description" | "format" => true,
            "$ref" => {
                let pointer = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                let target = self.root.pointer(pointer).unwrap_or_else(|| panic!("{wanted} leads nowhere"));
                self.fits(target, value)
            }
            "anyOf" => wanted.as_array().unwrap().iter().any(|schema| self.fits(schema, value)),
            "type" => match wanted {
                Value::Array(kinds) => kinds.iter().any(|kind| is_of(kind, value)),
                kind => is_of(kind, value),
            },
            "const" => wanted == value,
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|value| value >= wanted.as_f64().unwrap()),
            "items" => value.as_array().is_none_or(|items| items.iter().all(|item| self.fits(wanted, item))),
            "properties" => value.as_object().is_none_or(|members| {
                members.iter().all(|(name, member)| wanted.get(name).is_none_or(|of| self.fits(of, member)))
            }),
            "required" => value.as_object().is_none_or(|members| {
                wanted.as_array().unwrap().iter().all(|name| members.contains_key(name.as_str().unwrap()))
            }),
            other => panic!("{other} is not known to this test: {schema}"),
        }
    }
}

fn is_of(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no kind of value: {other}"),
    }
}

fn assert_takes<T: JsonSchema + ToSchema>(value: &Value) {
    for (which, document) in Document::all::<T>() {
        assert!(
            document.takes(value),
            "the schema of what is {which} does not take {value}: {}",
            document.schema
        );
    }
}

fn assert_refuses<T: JsonSchema + ToSchema>(value: &Value) {
    for (which, document) in Document::all::<T>() {
        assert!(!document.takes(value), "the schema of what is {which} takes {value}");
    }
}

fn assert_takes_whatever_is_written<T: JsonSchema + ToSchema + Serialize + Arbitrary + Debug>() {
    let documents = Document::all::<T>();
    let run = TestRunner::deterministic().run(&any::<T>(), |value| {
        let written = serde_json::to_value(&value).unwrap();
        for (which, document) in &documents {
            prop_assert!(
                document.takes(&written),
                "the schema of what is {} does not take {}",
                which,
                written
            );
        }
        Ok(())
    });
    run.unwrap();
}

#[test]
fn documented_samples_are_taken() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/contract/samples");
    let sample = |name: &str| serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap();
    assert_takes::<File>(&sample("azure-2024-06-01-create-file.response.json"));
    assert_takes::<UploadPartResource>(&sample("azure-2024-10-21-add-part.response.json"));
    assert_takes::<UploadPartResource>(&sample("openai-add-part.response.json"));
}

#[test]
fn whatever_is_written_is_taken() {
    macro_rules! all {
        ($($name:ident),*) => {$(assert_takes_whatever_is_written::<$name>();)*};
    }
    all!(
        CompleteUploadRequest,
        CreateUploadRequest,
        DeletedFile,
        Error,
        ErrorCode,
        ErrorResponse,
        ExpiresAfter,
        File,
        FileList,
        ImportFileRequest,
        InnerError,
        Purpose,
        UnixSeconds,
        Upload,
        UploadPartResource
    );
}

#[test]
fn what_is_missing_or_of_a_wrong_type_is_refused() {
    assert_refuses::<File>(&json!({}));
    assert_refuses::<File>(&json!({"id": 5}));
    assert_refuses::<File>(&json!({"id": "file-1", "bytes": "12"}));
    assert_refuses::<File>(&json!({"id": "file-1", "purpose": 5}));
    assert_refuses::<FileList>(&json!({"data": [{}]}));
    assert_refuses::<Error>(&json!({"innererror": {"innererror": 5}}));
    assert_refuses::<CreateUploadRequest>(&json!({"filename": "a", "purpose": "batch", "bytes": 5}));
    assert_refuses::<UnixSeconds>(&json!(-1));
    assert_refuses::<Purpose>(&json!(null));
}

#[test]
fn null_is_taken_where_a_service_answers_it_and_is_never_written() {
    let null = json!({"id": "file-1", "bytes": null, "purpose": null});
    assert!(Document::read::<File>().takes(&null));
    assert!(Document::openapi::<File>().takes(&null));
    assert!(!Document::written::<File>().takes(&null));
}

#[test]
fn enums_name_their_known_values_and_take_others() {
    assert_takes::<Purpose>(&json!("fine-tune"));
    assert_takes::<Purpose>(&json!("from_the_future"));
    let numeric = json!(401);
    assert!(
        Document::read::<ErrorCode>().takes(&numeric) && !Document::written::<ErrorCode>().takes(&numeric)
    );
    let choices = |schema: &Value| schema["anyOf"].as_array().unwrap().clone();
    let mut known: Vec<_> = choices(&Document::read::<Purpose>().schema);
    assert_eq!(known.pop().unwrap()["description"], "Any other value is kept as it came.");
    let known: Vec<_> = known.iter().map(|choice| Purpose::from(choice["const"].as_str().unwrap())).collect();
    assert_eq!(known, Purpose::KNOWN);
    assert_eq!(choices(&Document::openapi::<Purpose>().schema).len(), Purpose::KNOWN.len() + 1);
}

#[test]
fn schemas_of_types_that_hold_themselves_end() {
    let mut referenced = Vec::new();
    ErrorResponse::schemas(&mut referenced);
    let names: Vec<_> = referenced.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Error", "ErrorCode", "InnerError", "InnerErrorCode"]);
    let definitions = schemars::schema_for!(ErrorResponse).to_value();
    let definitions: Vec<_> = definitions["$defs"].as_object().unwrap().keys().collect();
    assert_eq!(definitions, ["Error", "ErrorCode", "InnerError", "InnerErrorCode"]);
}
