//! Enums keep what they do not know.

use std::fmt::{Debug, Display};

use partwise_models::{
    ErrorCode, ExpiryAnchor, FileState, InnerErrorCode, Purpose, TypeDiscriminator, UploadStatus,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

trait OpenEnum:
    for<'a> From<&'a str> + From<String> + Serialize + DeserializeOwned + Display + PartialEq + Debug
{
}

impl<T> OpenEnum for T where
    T: for<'a> From<&'a str> + From<String> + Serialize + DeserializeOwned + Display + PartialEq + Debug
{
}

fn keeps<T: OpenEnum>(text: &str) {
    let value = T::from(text);
    assert_eq!(value, T::from(text.to_owned()));
    assert_eq!(value.to_string(), text);
    let json = serde_json::to_string(&value).unwrap();
    assert_eq!(json, serde_json::to_string(text).unwrap());
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), value);
}

fn keeps_in_all_enums(text: &str) {
    keeps::<TypeDiscriminator>(text);
    keeps::<Purpose>(text);
    keeps::<FileState>(text);
    keeps::<UploadStatus>(text);
    keeps::<ErrorCode>(text);
    keeps::<InnerErrorCode>(text);
    keeps::<ExpiryAnchor>(text);
}

proptest! {
    #[test]
    fn any_text_is_written_back_as_it_came(text: String) {
        keeps_in_all_enums(&text);
    }

    #[test]
    fn numbers_as_error_codes_read_as_their_digits(code: i64) {
        let read: ErrorCode = serde_json::from_str(&code.to_string()).unwrap();
        prop_assert_eq!(read, ErrorCode::from(code.to_string()));
    }
}

#[test]
fn known_values_have_variants_of_their_own() {
    macro_rules! known {
        ($($name:ident),*) => {$(
            for value in $name::KNOWN {
                assert!(!matches!(value, $name::Other(_)));
                assert_eq!(&$name::from(value.as_str()), value);
                keeps::<$name>(value.as_str());
            }
        )*};
    }
    known!(TypeDiscriminator, Purpose, FileState, UploadStatus, ErrorCode, InnerErrorCode, ExpiryAnchor);
}

#[test]
fn unknown_values_show_what_they_are() {
    assert_eq!(format!("{:?}", FileState::from("notRunning")), r#"Other(Unrecognized("notRunning"))"#);
    assert!(
        matches!(FileState::from("notRunning"), FileState::Other(value) if value.as_str() == "notRunning")
    );
}

#[test]
fn capitals_make_another_value() {
    assert_ne!(Purpose::from("Batch"), Purpose::Batch);
}
