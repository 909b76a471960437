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
    let mut upload = Upload::new("upload_abc123");
    upload.object = Some(TypeDiscriminator::Upload);
    upload.bytes = Some(18);
    upload.created_at = Some(UnixSeconds(1_719_184_911));
    upload.expires_at = Some(UnixSeconds(1_719_188_511));
    upload.filename = Some("train.jsonl".into());
    upload.purpose = Some(Purpose::FineTune);
    upload.status = Some(status);
    upload
}

#[test]
fn create_upload() {
    let create = || CreateUploadRequest::new("data/train.jsonl", Purpose::FineTune, 18, "application/jsonl");
    let mut expiring = create();
    expiring.expires_after = Some(ExpiresAfter::new(ExpiryAnchor::CreatedAt, 3600));
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
    let mut part = UploadPartResource::new("part_def456");
    part.object = Some(TypeDiscriminator::UploadPart);
    part.created_at = Some(UnixSeconds(1_719_185_911));
    part.upload_id = Some("upload_abc123".into());
    part.azure_block_id = Some("LnmictL3p0u4LH/ko343nw==".into());
    assert_wire("add_upload_part", &[Exchange { about: "a range of a source", request, response: part }]);
}

#[test]
fn complete_upload() {
    let complete = CompleteUploadRequest::new(vec!["part_def456".into(), "part_ghi789".into()]);
    let mut checked = complete.clone();
    checked.md5 = Some("d41d8cd98f00b204e9800998ecf8427e".into());
    let mut completed = upload(UploadStatus::Completed);
    completed.file = Some(file());
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
