//! What is written can be read, and is the same.

use std::fmt::Debug;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::values;

fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value, "from {text}");
    let tree = serde_json::to_value(value).unwrap();
    assert_eq!(&serde_json::from_value::<T>(tree).unwrap(), value, "from the tree of {text}");
}

proptest! {
    #[test]
    fn files_survive(value in values::file()) {
        survives(&value);
    }

    #[test]
    fn file_lists_survive(value in values::file_list()) {
        survives(&value);
    }

    #[test]
    fn deleted_files_survive(value in values::deleted_file()) {
        survives(&value);
    }

    #[test]
    fn uploads_survive(value in values::upload()) {
        survives(&value);
    }

    #[test]
    fn parts_survive(value in values::upload_part()) {
        survives(&value);
    }

    #[test]
    fn errors_survive(value in values::error_response()) {
        survives(&value);
    }

    #[test]
    fn requests_to_create_an_upload_survive(value in values::create_upload_request()) {
        survives(&value);
    }

    #[test]
    fn requests_to_complete_an_upload_survive(value in values::complete_upload_request()) {
        survives(&value);
    }

    #[test]
    fn requests_to_import_a_file_survive(value in values::import_file_request()) {
        survives(&value);
    }
}
