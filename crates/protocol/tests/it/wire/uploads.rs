//! Uploads on the wire.

use partwise_models::{
    CompleteUploadRequest, CreateUploadRequest, ExpiresAfter, ExpiryAnchor, Purpose, TypeDiscriminator,
    UnixSeconds, Upload, UploadPartResource, UploadStatus,
};
use partwise_protocol::{
    operations::{AddUploadPart, CancelUpload, CompleteUpload, CreateUpload},
    transport::SourceRange,
};

use super::{
    Exchange, assert_wire,
    files::{boundary, file},
};

fn upload(status: UploadStatus) -> Upload {
    Upload::new("upload_abc123")
        .object(TypeDiscriminator::Upload)
        .bytes(18)
        .created_at(UnixSeconds(1_719_184_911))
        .expires_at(UnixSeconds(1_719_188_511))
        .filename("train.jsonl")
        .purpose(Purpose::FineTune)
        .status(status)
}

#[test]
fn create_upload() {
    let create = || CreateUploadRequest::new("data/train.jsonl", Purpose::FineTune, 18, "application/jsonl");
    let expiring = create().expires_after(ExpiresAfter::new(ExpiryAnchor::CreatedAt, 3600));
    let mut nameless = create();
    nameless.filename = "data/".into();
    let pending = || upload(UploadStatus::Pending);
    assert_wire(
        "create_upload",
        &[
            Exchange { about: "a file to come", request: CreateUpload::new(create()), response: pending() },
            Exchange {
                about: "a file to come that expires",
                request: CreateUpload::new(expiring),
                response: pending(),
            },
            Exchange {
                about: "a folder in place of a file",
                request: CreateUpload::new(nameless),
                response: pending(),
            },
        ],
    );
}

#[test]
fn add_upload_part() {
    let request = AddUploadPart::new("upload_abc123", SourceRange::new(9, 18), boundary());
    let part = UploadPartResource::new("part_def456")
        .object(TypeDiscriminator::UploadPart)
        .created_at(UnixSeconds(1_719_185_911))
        .upload_id("upload_abc123")
        .azure_block_id("LnmictL3p0u4LH/ko343nw==");
    assert_wire("add_upload_part", &[Exchange { about: "a range of a source", request, response: part }]);
}

#[test]
fn complete_upload() {
    let complete = CompleteUploadRequest::new(vec!["part_def456".into(), "part_ghi789".into()]);
    let checked = complete.clone().md5("d41d8cd98f00b204e9800998ecf8427e");
    let completed = upload(UploadStatus::Completed).file(file());
    let exchange = |about, request| Exchange {
        about,
        request: CompleteUpload::new("upload_abc123", request),
        response: completed.clone(),
    };
    assert_wire(
        "complete_upload",
        &[exchange("two parts", complete), exchange("parts and their MD5", checked)],
    );
}

#[test]
fn cancel_upload() {
    let request = CancelUpload::new("upload_abc123");
    let response = upload(UploadStatus::Cancelled);
    assert_wire("cancel_upload", &[Exchange { about: "an upload", request, response }]);
}
