//! What is written can be read, and is the same.

use std::fmt::Debug;

use partwise_models::{
    CompleteUploadRequest, CreateUploadRequest, DeletedFile, ErrorCode, ErrorResponse, ExpiresAfter,
    ExpiryAnchor, File, FileList, FileState, ImportFileRequest, InnerError, InnerErrorCode, Purpose,
    TypeDiscriminator, UnixSeconds, Upload, UploadPartResource, UploadStatus,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value, "from {text}");
    let tree = serde_json::to_value(value).unwrap();
    assert_eq!(&serde_json::from_value::<T>(tree).unwrap(), value, "from the tree of {text}");
}

proptest! {
    #[test]
    fn files_survive(value: File) {
        survives(&value);
    }

    #[test]
    fn file_lists_survive(value: FileList) {
        survives(&value);
    }

    #[test]
    fn deleted_files_survive(value: DeletedFile) {
        survives(&value);
    }

    #[test]
    fn uploads_survive(value: Upload) {
        survives(&value);
    }

    #[test]
    fn parts_survive(value: UploadPartResource) {
        survives(&value);
    }

    #[test]
    fn errors_survive(value: ErrorResponse) {
        survives(&value);
    }

    #[test]
    fn inner_errors_survive(value: InnerError) {
        survives(&value);
    }

    #[test]
    fn expiries_survive(value: ExpiresAfter) {
        survives(&value);
    }

    #[test]
    fn values_of_enums_and_times_survive(
        values: (TypeDiscriminator, Purpose, FileState, UploadStatus, ErrorCode, InnerErrorCode, ExpiryAnchor, UnixSeconds),
    ) {
        survives(&values);
    }

    #[test]
    fn requests_to_create_an_upload_survive(value: CreateUploadRequest) {
        survives(&value);
    }

    #[test]
    fn requests_to_complete_an_upload_survive(value: CompleteUploadRequest) {
        survives(&value);
    }

    #[test]
    fn requests_to_import_a_file_survive(value: ImportFileRequest) {
        survives(&value);
    }
}
