//! Files on the wire.

use bytes::Bytes;
use partwise_models::{
    DeletedFile, ExpiresAfter, ExpiryAnchor, File, FileList, FileState, ImportFileRequest, Purpose,
    TypeDiscriminator, UnixSeconds,
};
use partwise_protocol::{
    multipart::Boundary,
    operations::{
        ByteRange, ContentRange, CreateFile, DeleteFile, DownloadFile, DownloadHead, ImportFile, ListFiles,
        Order, RetrieveFile,
    },
    transport::SourceRange,
};

use super::{Exchange, SOURCE, assert_wire};

pub(super) fn boundary() -> Boundary {
    Boundary::from_entropy(*b"partwise boundry")
}

/// A file with every member that a service knows of it.
pub(super) fn file() -> File {
    File::new("file-abc123")
        .object(TypeDiscriminator::File)
        .bytes(18)
        .created_at(UnixSeconds(1_719_184_911))
        .expires_at(UnixSeconds(1_721_776_911))
        .filename("train.jsonl")
        .purpose(Purpose::FineTune)
        .status(FileState::Processed)
}

#[test]
fn list_files() {
    let mut everything = ListFiles::new();
    everything.purpose = Some(Purpose::Batch);
    everything.limit = Some(2);
    everything.order = Some(Order::Ascending);
    everything.after = Some("file-000".into());

    let page = FileList::new(vec![file(), File::new("file-with-an-id-alone")])
        .object(TypeDiscriminator::List)
        .first_id("file-abc123")
        .last_id("file-with-an-id-alone")
        .has_more(true);

    let whole = FileList::new(vec![file()]).has_more(false);

    assert_wire(
        "list_files",
        &[
            Exchange { about: "one page of many", request: everything, response: page },
            Exchange { about: "no files", request: ListFiles::new(), response: FileList::new(Vec::new()) },
            Exchange { about: "all files", request: ListFiles::new(), response: whole },
        ],
    );
}

#[test]
fn create_file() {
    let create = |filename: &str| {
        let content = SourceRange::new(0, SOURCE.len() as u64);
        CreateFile::new(Purpose::FineTune, filename, "application/jsonl", content, boundary())
    };
    let mut expiring = create("/home/ada/train.jsonl");
    expiring.expires_after = Some(ExpiresAfter::new(ExpiryAnchor::CreatedAt, 2_592_000));
    let mut odd = create("\"你好\"\r\n.jsonl");
    odd.content = Bytes::from_static(b"in memory").into();
    odd.mime_type = "text/plain; charset=utf-8".into();

    assert_wire(
        "create_file",
        &[
            Exchange { about: "a range of a source", request: create("train.jsonl"), response: file() },
            Exchange { about: "a file that expires", request: expiring, response: file() },
            Exchange { about: "bytes under an odd name", request: odd, response: File::new("file-a/b") },
        ],
    );
}

#[test]
fn import_file() {
    let url = "https://account.blob.core.windows.net/container/train.jsonl?sig=abc";
    let request = ImportFile::new(ImportFileRequest::new(Purpose::FineTune, "train.jsonl", url));
    let mut pending = file();
    (pending.bytes, pending.expires_at, pending.status) = (None, None, Some(FileState::Pending));
    assert_wire("import_file", &[Exchange { about: "a file behind a URL", request, response: pending }]);
}

#[test]
fn retrieve_file() {
    let mut failed = file();
    failed.status = Some(FileState::Error);
    failed.status_details = Some("line 1 is no JSON".into());
    assert_wire(
        "retrieve_file",
        &[
            Exchange { about: "a file", request: RetrieveFile::new("file-abc123"), response: file() },
            Exchange {
                about: "an odd identifier",
                request: RetrieveFile::new("a/b ü%2F?#"),
                response: failed,
            },
            Exchange {
                about: "an identifier that would change the path",
                request: RetrieveFile::new(".."),
                response: file(),
            },
        ],
    );
}

#[test]
fn delete_file() {
    let delete = || DeleteFile::new("file-abc123");
    let deleted = DeletedFile::new("file-abc123").object(TypeDiscriminator::File).deleted(true);
    assert_wire(
        "delete_file",
        &[
            Exchange { about: "a service that says what it did", request: delete(), response: Some(deleted) },
            Exchange { about: "a service that says nothing", request: delete(), response: None },
        ],
    );
}

#[test]
fn download_file() {
    let mut whole = DownloadHead::default();
    whole.length = Some(18);
    whole.filename = Some("train.jsonl".into());
    whole.etag = Some("\"file-abc123\"".into());

    let mut ranged = DownloadFile::new("file-abc123");
    ranged.range = Some(ByteRange::From { first: 9, last: None });
    ranged.if_range = Some("\"file-abc123\"".into());
    let mut rest = whole.clone();
    rest.length = Some(9);
    rest.range = Some(ContentRange { first: 9, last: 17, total: Some(18) });
    rest.filename = Some("你好 \"100%\".jsonl".into());

    assert_wire(
        "download_file",
        &[
            Exchange { about: "all of it", request: DownloadFile::new("file-abc123"), response: whole },
            Exchange { about: "the rest of it, if it is still the same", request: ranged, response: rest },
        ],
    );
}
