//! Answers: what a service means is what a client reads.

use std::fmt::Debug;

use http::StatusCode;
use partwise_models::{DeletedFile, File, FileList, Purpose, TypeDiscriminator, Upload, UploadPartResource};
use partwise_protocol::{
    Api, Dialect, Operation,
    operations::{
        AddUploadPart, CancelUpload, CompleteUpload, ContentRange, CreateFile, CreateUpload, DeleteFile,
        DownloadFile, DownloadHead, FileListEnd, FileListWriter, ImportFile, ListFiles, RetrieveFile,
    },
};
use proptest::{collection::vec, option, prelude::*};

use super::values::{file, header_text, id, text};
use crate::sides::{answered, apis_with, stated_length};

/// Sends `sent` in every dialect that has the operation, and compares what is read with what `expected` makes of it there.
fn assert_round_trip<O: Operation>(sent: &O::Response, expected: impl Fn(&Api) -> O::Response)
where
    O::Response: Debug + PartialEq,
{
    for api in apis_with(O::ID) {
        let response = O::encode_response(sent, &api).unwrap();
        assert_eq!(answered::<O>(response).unwrap(), expected(&api), "{}", api.dialect());
    }
}

/// The same, for what is read as it was sent in every dialect, by a head that is right about its body.
fn assert_read<O: Operation>(sent: &O::Response)
where
    O::Response: Debug + PartialEq + Clone,
{
    assert_round_trip::<O>(sent, |_| sent.clone());
    for api in apis_with(O::ID) {
        let response = O::encode_response(sent, &api).unwrap();
        assert_eq!(response.status(), O::ID.success(api.dialect()));
        assert_eq!(stated_length(response.headers()), Some(response.body().content_length()));
    }
}

/// An upload that a path can name.
fn upload() -> impl Strategy<Value = Upload> {
    (id(), any::<Upload>()).prop_map(|(id, mut upload)| {
        upload.id = id;
        upload
    })
}

proptest! {
    #[test]
    fn a_list_is_read_with_what_the_dialect_has(list: FileList) {
        assert_round_trip::<ListFiles>(&list, |api| {
            let mut read = list.clone();
            read.object.get_or_insert(TypeDiscriminator::List);
            match api.dialect() {
                // What is not said is not written.
                Dialect::AzureDated { api_version } if api_version.as_str() < "2025-04-01" => {}
                _ => {
                    read.has_more.get_or_insert(false);
                }
            }
            read
        });
    }

    #[test]
    fn a_list_that_is_written_file_by_file_is_the_same_list(
        mut list: FileList,
        data in vec(any::<File>(), 0..6),
        taken in vec(any::<bool>(), 6),
    ) {
        (list.object, list.data) = (None, data);
        for api in apis_with(ListFiles::ID) {
            let mut writer = FileListWriter::new(&api).unwrap();
            let mut written = Vec::new();
            for (file, is_taken) in list.data.iter().zip(&taken) {
                writer.push(file).unwrap();
                if *is_taken {
                    prop_assert!(writer.pending() > 0);
                    written.extend_from_slice(&writer.take());
                    prop_assert_eq!(writer.pending(), 0);
                }
            }
            let mut end = FileListEnd::default();
            end.first_id = list.first_id.as_deref();
            end.last_id = list.last_id.as_deref();
            end.has_more = list.has_more;
            written.extend_from_slice(&writer.finish(end).unwrap());
            let mut whole = ListFiles::encode_response(&list, &api).unwrap();
            whole.headers_mut().remove("content-length");
            let (head, body) = whole.into_parts();
            prop_assert_eq!(body.into_bytes().unwrap(), written);
            let begun = FileListWriter::head(&api);
            prop_assert_eq!((begun.status(), begun.headers()), (head.status, &head.headers));
        }
    }

    #[test]
    fn a_file_is_read(file in file()) {
        assert_read::<ImportFile>(&file);
        assert_read::<RetrieveFile>(&file);
    }

    #[test]
    fn a_new_file_is_read_whatever_its_status(file in file()) {
        assert_round_trip::<CreateFile>(&file, |_| file.clone());
        let is_for_assistants = matches!(file.purpose, Some(Purpose::Assistants | Purpose::AssistantsOutput));
        for api in apis_with(CreateFile::ID) {
            let response = CreateFile::encode_response(&file, &api).unwrap();
            let is_created = matches!(api.dialect(), Dialect::AzureDated { .. }) && !is_for_assistants;
            let status = if is_created { StatusCode::CREATED } else { StatusCode::OK };
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().contains_key("location"), is_created);
            assert_eq!(stated_length(response.headers()), Some(response.body().content_length()));
        }
    }

    #[test]
    fn a_deletion_is_read_where_it_has_a_body(gone: DeletedFile) {
        let gone = Some(gone);
        assert_round_trip::<DeleteFile>(&None, |_| None);
        assert_round_trip::<DeleteFile>(&gone, |api| match api.dialect() {
            Dialect::AzureDated { api_version } if api_version == "2024-06-01" => None,
            _ => gone.clone(),
        });
    }

    #[test]
    fn the_head_of_a_download_is_read(
        length in option::of(any::<u64>()),
        (first, more, beyond) in any::<(u64, u64, Option<u64>)>(),
        is_part in any::<bool>(),
        filename in option::of(text()),
        (etag, last_modified) in (option::of(header_text()), option::of(header_text())),
    ) {
        let last = first.saturating_add(more).min(u64::MAX - 1);
        let first = first.min(last);
        let total = beyond.map(|beyond| last.saturating_add(beyond.max(1)));
        let mut head = DownloadHead::default();
        head.range = is_part.then_some(ContentRange { first, last, total });
        (head.length, head.filename, head.etag, head.last_modified) = (length, filename, etag, last_modified);
        assert_round_trip::<DownloadFile>(&head, |_| head.clone());
    }

    #[test]
    fn an_upload_is_read(upload in upload()) {
        assert_read::<CreateUpload>(&upload);
        assert_read::<CompleteUpload>(&upload);
        assert_read::<CancelUpload>(&upload);
    }

    #[test]
    fn a_part_is_read(part: UploadPartResource) {
        assert_round_trip::<AddUploadPart>(&part, |api| {
            let mut read = part.clone();
            if !matches!(api.dialect(), Dialect::AzureDated { .. }) {
                read.azure_block_id = None;
            }
            read
        });
    }
}
