//! Any values of the wire types, and any JSON.

use partwise_models::{
    CompleteUploadRequest, CreateUploadRequest, DeletedFile, Error, ErrorCode, ErrorResponse, ExpiresAfter,
    ExpiryAnchor, File, FileList, FileState, ImportFileRequest, InnerError, InnerErrorCode, Purpose,
    TypeDiscriminator, UnixSeconds, Upload, UploadPartResource, UploadStatus,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;

/// Any text that is not too long.
pub(crate) fn string() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

/// A known value or any other text.
macro_rules! open_enum {
    ($function:ident, $name:ident) => {
        pub(crate) fn $function() -> impl Strategy<Value = $name> {
            prop_oneof![
                proptest::sample::select($name::KNOWN.to_vec()),
                string().prop_map(|text| $name::from(text)),
            ]
        }
    };
}

open_enum!(type_discriminator, TypeDiscriminator);
open_enum!(purpose, Purpose);
open_enum!(file_state, FileState);
open_enum!(upload_status, UploadStatus);
open_enum!(error_code, ErrorCode);
open_enum!(inner_error_code, InnerErrorCode);
open_enum!(expiry_anchor, ExpiryAnchor);

fn text() -> impl Strategy<Value = Option<String>> {
    option::of(string())
}

fn time() -> impl Strategy<Value = Option<UnixSeconds>> {
    option::of(any::<u64>().prop_map(UnixSeconds))
}

prop_compose! {
    pub(crate) fn file()(
        id in string(), object in option::of(type_discriminator()), bytes in any::<Option<u64>>(),
        created_at in time(), expires_at in time(), filename in text(), purpose in option::of(purpose()),
        status in option::of(file_state()), status_details in text(),
    ) -> File {
        let mut file = File::new(id);
        file.object = object;
        file.bytes = bytes;
        file.created_at = created_at;
        file.expires_at = expires_at;
        file.filename = filename;
        file.purpose = purpose;
        file.status = status;
        file.status_details = status_details;
        file
    }
}

prop_compose! {
    pub(crate) fn file_list()(
        object in option::of(type_discriminator()), data in vec(file(), 0..4), first_id in text(),
        last_id in text(), has_more in any::<Option<bool>>(),
    ) -> FileList {
        let mut list = FileList::new(data);
        list.object = object;
        list.first_id = first_id;
        list.last_id = last_id;
        list.has_more = has_more;
        list
    }
}

prop_compose! {
    pub(crate) fn deleted_file()(
        id in string(), object in option::of(type_discriminator()), deleted in any::<Option<bool>>(),
    ) -> DeletedFile {
        let mut file = DeletedFile::new(id);
        file.object = object;
        file.deleted = deleted;
        file
    }
}

prop_compose! {
    pub(crate) fn upload()(
        id in string(), object in option::of(type_discriminator()), bytes in any::<Option<u64>>(),
        created_at in time(), expires_at in time(), filename in text(), purpose in option::of(purpose()),
        status in option::of(upload_status()), file in option::of(file()),
    ) -> Upload {
        let mut upload = Upload::new(id);
        upload.object = object;
        upload.bytes = bytes;
        upload.created_at = created_at;
        upload.expires_at = expires_at;
        upload.filename = filename;
        upload.purpose = purpose;
        upload.status = status;
        upload.file = file;
        upload
    }
}

prop_compose! {
    pub(crate) fn upload_part()(
        id in string(), object in option::of(type_discriminator()), created_at in time(),
        upload_id in text(), azure_block_id in text(),
    ) -> UploadPartResource {
        let mut part = UploadPartResource::new(id);
        part.object = object;
        part.created_at = created_at;
        part.upload_id = upload_id;
        part.azure_block_id = azure_block_id;
        part
    }
}

pub(crate) fn inner_error() -> impl Strategy<Value = InnerError> {
    let leaf = option::of(inner_error_code()).prop_map(|code| {
        let mut error = InnerError::new();
        error.code = code;
        error
    });
    leaf.prop_recursive(3, 3, 1, |inner| {
        (option::of(inner_error_code()), inner).prop_map(|(code, inner)| {
            let mut error = InnerError::new();
            error.code = code;
            error.innererror = Some(Box::new(inner));
            error
        })
    })
}

prop_compose! {
    fn plain_error()(
        code in option::of(error_code()), message in text(), kind in text(), param in text(), target in text(),
        innererror in option::of(inner_error()),
    ) -> Error {
        let mut error = Error::new();
        error.code = code;
        error.message = message;
        error.kind = kind;
        error.param = param;
        error.target = target;
        error.innererror = innererror.map(Box::new);
        error
    }
}

pub(crate) fn error() -> impl Strategy<Value = Error> {
    plain_error().prop_recursive(3, 8, 3, |details| {
        (plain_error(), vec(details, 0..3)).prop_map(|(mut error, details)| {
            error.details = details;
            error
        })
    })
}

pub(crate) fn error_response() -> impl Strategy<Value = ErrorResponse> {
    error().prop_map(ErrorResponse::new)
}

prop_compose! {
    pub(crate) fn expires_after()(anchor in expiry_anchor(), seconds in any::<u64>()) -> ExpiresAfter {
        ExpiresAfter::new(anchor, seconds)
    }
}

prop_compose! {
    pub(crate) fn create_upload_request()(
        filename in string(), purpose in purpose(), bytes in any::<u64>(), mime_type in string(),
        expires_after in option::of(expires_after()),
    ) -> CreateUploadRequest {
        let mut request = CreateUploadRequest::new(filename, purpose, bytes, mime_type);
        request.expires_after = expires_after;
        request
    }
}

prop_compose! {
    pub(crate) fn complete_upload_request()(
        part_ids in vec(string(), 0..4), md5 in text(),
    ) -> CompleteUploadRequest {
        let mut request = CompleteUploadRequest::new(part_ids);
        request.md5 = md5;
        request
    }
}

prop_compose! {
    pub(crate) fn import_file_request()(
        purpose in purpose(), filename in string(), content_url in string(),
    ) -> ImportFileRequest {
        ImportFileRequest::new(purpose, filename, content_url)
    }
}

/// Any JSON value that is not too large.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        string().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((string(), inner), 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}
