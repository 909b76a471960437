//! Requests: what a client means is what a service reads.

use std::fmt::Debug;

use bytes::Bytes;
use partwise_models::{CompleteUploadRequest, CreateUploadRequest, ImportFileRequest};
use partwise_protocol::{
    Api, Dialect, Operation,
    error::EncodeError,
    operations::{
        AddUploadPart, ByteRange, CancelUpload, CompleteUpload, CreateFile, CreateUpload, DeleteFile,
        DownloadFile, ImportFile, ListFiles, Order, RetrieveFile,
    },
    transport::{Segment, SourceRange},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::values::{boundary, content, expiry, filename, header_text, id, mime_type, purpose, text};
use crate::sides::{apis_with, arrived, received, route, stated_length};

/// Sends `sent` in every dialect that has it, and compares what arrives with what `expected` makes of it there.
fn assert_round_trip<O>(sent: &O, source: &[u8], expected: impl Fn(&Api) -> O)
where
    O: Operation + Debug + PartialEq,
{
    for api in apis_with(O::ID) {
        let request = sent.encode_request(&api).unwrap();
        let length = request.body().content_length();
        let request = arrived(request, source);
        assert_eq!(request.body().len() as u64, length);
        assert!(stated_length(request.headers()).is_none_or(|stated| stated == length));
        assert_eq!(route(&request).unwrap().0.dialect(), api.dialect());
        assert_eq!(received::<O>(request).unwrap(), expected(&api), "{}", api.dialect());
    }
}

/// The same, for what arrives as it is in every dialect.
fn assert_arrives<O: Operation + Debug + PartialEq + Clone>(sent: &O) {
    assert_round_trip(sent, b"", |_| sent.clone());
}

fn range() -> impl Strategy<Value = ByteRange> {
    let from = (any::<u64>(), option::of(any::<u64>())).prop_map(|(first, more)| ByteRange::From {
        first,
        last: more.map(|more| first.saturating_add(more)),
    });
    prop_oneof![from, any::<u64>().prop_map(ByteRange::Suffix)]
}

fn is_dated_before(api: &Api, version: &str) -> bool {
    matches!(api.dialect(), Dialect::AzureDated { api_version } if api_version.as_str() < version)
}

/// Arrives where all of it is taken; elsewhere it is refused before it is sent, not ignored after.
fn assert_arrives_where<O: Operation + Debug + PartialEq>(sent: &O, is_taken: impl Fn(&Api) -> bool) {
    for api in apis_with(O::ID) {
        match sent.encode_request(&api) {
            Ok(request) => {
                assert!(is_taken(&api), "{} does not take {sent:?}", api.dialect());
                assert_eq!(received::<O>(arrived(request, b"")).unwrap(), *sent, "{}", api.dialect());
            }
            Err(EncodeError::UnavailableField { field, dialect }) => {
                assert!(!is_taken(&api), "{dialect} takes {sent:?}");
                assert_eq!(field, "expires_after");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn a_list_is_asked_for_with_what_the_dialect_knows(
        purpose in option::of(purpose()),
        limit in option::of(1u32..=10_000),
        order in option::of(select(vec![Order::Ascending, Order::Descending])),
        after in option::of(text()),
    ) {
        let mut list = ListFiles::new();
        (list.purpose, list.limit, list.order, list.after) = (purpose, limit, order, after);
        assert_round_trip(&list, b"", |api| {
            let mut arriving = list.clone();
            if is_dated_before(api, "2025-04-01") {
                (arriving.limit, arriving.order, arriving.after) = (None, None, None);
            }
            // What is empty counts as absent.
            arriving.after.take_if(|after| after.is_empty());
            arriving.purpose.take_if(|purpose| purpose.as_str().is_empty());
            arriving
        });
    }

    #[test]
    fn a_file_arrives_with_its_names_and_bytes(
        purpose in purpose(),
        filename in filename(),
        mime_type in mime_type(),
        content in content(),
        boundary in boundary(),
        expiry in option::of(expiry()),
    ) {
        let mut file = CreateFile::new(purpose, filename, mime_type, Bytes::from(content), boundary);
        file.expires_after = expiry;
        let expires = file.expires_after.is_some();
        assert_arrives_where(&file, |api| !expires || !is_dated_before(api, "2025-03-01"));
    }

    #[test]
    fn a_range_of_a_source_arrives_as_its_bytes(
        before in vec(any::<u8>(), 0..8),
        content in content(),
        after in vec(any::<u8>(), 0..8),
        boundary in boundary(),
        upload_id in id(),
    ) {
        let source = [&before[..], &content, &after].concat();
        let range = SourceRange::new(before.len() as u64, (before.len() + content.len()) as u64);
        let bytes = Segment::Bytes(content.into());

        let part = AddUploadPart::new(upload_id.clone(), range, boundary.clone());
        assert_round_trip(&part, &source, |_| AddUploadPart::new(upload_id.clone(), bytes.clone(), boundary.clone()));

        let whole = |content: Segment| {
            CreateFile::new("assistants".into(), "a.txt", "text/plain", content, boundary.clone())
        };
        assert_round_trip(&whole(range.into()), &source, |_| whole(bytes.clone()));
    }

    #[test]
    fn of_a_path_the_last_component_arrives(folders in vec("[a-z.]{0,4}[/\\\\]", 1..4), name in filename(), boundary in boundary()) {
        let path = format!("{}{name}", folders.concat());
        let file = |name: &str| CreateFile::new("batch".into(), name, "text/plain", Bytes::new(), boundary.clone());
        assert_round_trip(&file(&path), b"", |_| file(&name));
        let upload = |name: &str| CreateUpload::new(CreateUploadRequest::new(name, "batch".into(), 1, "text/plain"));
        assert_round_trip(&upload(&path), b"", |_| upload(&name));
        let import = |name: &str| ImportFile::new(ImportFileRequest::new("batch".into(), name, "https://h/x"));
        assert_round_trip(&import(&path), b"", |_| import(&name));
    }

    #[test]
    fn an_import_arrives(purpose in purpose(), filename in filename(), url in "(?s).{1,20}") {
        assert_arrives(&ImportFile::new(ImportFileRequest::new(purpose, filename, url)));
    }

    #[test]
    fn an_identifier_arrives_whatever_is_in_it(id in id()) {
        assert_arrives(&RetrieveFile::new(id.clone()));
        assert_arrives(&DeleteFile::new(id.clone()));
        assert_arrives(&DownloadFile::new(id.clone()));
        assert_arrives(&CancelUpload::new(id));
    }

    #[test]
    fn a_range_to_download_arrives(
        file_id in id(),
        range in range(),
        etag in option::of(header_text()),
    ) {
        let mut download = DownloadFile::new(file_id);
        download.range = Some(range);
        download.if_range = etag;
        assert_arrives(&download);
    }

    #[test]
    fn an_announcement_arrives(
        filename in filename(),
        purpose in purpose(),
        bytes in any::<u64>(),
        mime_type in "(?s).{1,12}",
        expiry in option::of(expiry()),
    ) {
        let mut request = CreateUploadRequest::new(filename, purpose, bytes, mime_type);
        request.expires_after = expiry;
        let expires = request.expires_after.is_some();
        let is_dated = |api: &Api| matches!(api.dialect(), Dialect::AzureDated { .. });
        assert_arrives_where(&CreateUpload::new(request), |api| !expires || !is_dated(api));
    }

    #[test]
    fn a_completion_arrives(upload_id in id(), part_ids in vec(text(), 0..5), md5 in option::of(text())) {
        let mut request = CompleteUploadRequest::new(part_ids);
        request.md5 = md5;
        assert_arrives(&CompleteUpload::new(upload_id, request));
    }
}

/// The bytes that a form cannot carry: see `FormWriter`.
#[test]
fn a_name_that_has_the_text_of_an_escape_arrives_unescaped() {
    let boundary = partwise_protocol::multipart::Boundary::from_entropy([7; 16]);
    let file =
        |name: &str| CreateFile::new("batch".into(), name, "text/plain", Bytes::new(), boundary.clone());
    assert_round_trip(&file("a%22%0D%0Ab.jsonl"), b"", |_| file("a\"\r\nb.jsonl"));
}
