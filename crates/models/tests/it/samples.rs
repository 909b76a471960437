//! The samples of the documents, read and written again.

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use partwise_models::{File, UploadPartResource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[test]
fn documented_samples_read_and_are_written_as_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/contract/samples");
    let index: Value = serde_json::from_str(&fs::read_to_string(folder.join("index.json")).unwrap()).unwrap();
    let samples = index["samples"].as_array().unwrap().iter().filter(|sample| sample["body"] == "json");
    let mut count = 0;
    for sample in samples {
        let file = sample["file"].as_str().unwrap();
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let seen = match (sample["operation"].as_str().unwrap(), sample["direction"].as_str().unwrap()) {
            ("createFile", "response") => read_and_write::<File>(&text),
            ("addUploadPart", "response") => read_and_write::<UploadPartResource>(&text),
            other => panic!("say here which type the sample {file} of {other:?} has"),
        };
        insta::assert_snapshot!(file.trim_end_matches(".json"), seen);
        count += 1;
    }
    assert_eq!(count, 3, "samples with a JSON body");
}

fn read_and_write<T: DeserializeOwned + Serialize + Debug>(text: &str) -> String {
    let value: T = serde_json::from_str(text).unwrap();
    let written = serde_json::to_string_pretty(&value).unwrap();
    let (before, after): (Value, Value) =
        (serde_json::from_str(text).unwrap(), serde_json::from_str(&written).unwrap());
    assert_eq!(before, after);
    format!("{value:#?}\n\n{written}")
}
