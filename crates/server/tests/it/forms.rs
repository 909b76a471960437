//! Forms as clients send them, and as they arrive when the network fails.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use partwise_models::File;
use partwise_protocol::{
    Operation,
    operations::{AddUploadPart, CreateFile},
};
use proptest::prelude::*;
use tower_service::Service;

use crate::world::{Caller, World, azure, new_file, openai};

async fn post(caller: &Caller, path: &str, form: &str) -> Response<Bytes> {
    let request = caller.plain("POST", path).header("content-type", "multipart/form-data; boundary=b");
    caller.send(request.body(Bytes::from(form.replace('\n', "\r\n"))).unwrap()).await
}

fn message(response: &Response<Bytes>) -> String {
    let refusal = partwise_protocol::error::ApiError::decode_response(response);
    crate::world::told(&refusal)
}

const PURPOSE: &str = "--b\nContent-Disposition: form-data; name=\"purpose\"\n\nassistants\n";
const FILE: &str = "--b\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\nContent-Type: text/plain\n\nabc\n";
const EXPIRY: &str = "--b\nContent-Disposition: form-data; name=\"expires_after[anchor]\"\n\ncreated_at\n\
    --b\nContent-Disposition: form-data; name=\"expires_after[seconds]\"\n\n3600\n";

#[tokio::test]
async fn fields_come_in_any_order() {
    let world = World::new().await;
    let caller = world.caller();
    for form in [[PURPOSE, EXPIRY, FILE], [FILE, PURPOSE, EXPIRY], [EXPIRY, FILE, PURPOSE]] {
        let response = post(&caller, "/files", &format!("{}--b--\n", form.concat())).await;
        assert_eq!(response.status(), StatusCode::OK, "{form:?}");
        let file: File = CreateFile::decode_response(response).unwrap();
        assert_eq!(file.expires_at.unwrap().0, world.now() + 3600);
        assert_eq!(caller.download(&file.id).await.unwrap(), "abc");
    }
}

#[tokio::test]
async fn a_part_may_come_as_a_text_field_and_is_taken_as_it_is() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 4).await;
    let form = "--b\nContent-Disposition: form-data; name=\"data\"\n\nYWJj\n--b--\n";
    let response = post(&caller, &format!("/uploads/{}/parts", upload.id), form).await;
    let part = AddUploadPart::decode_response(response).unwrap();
    let file = caller.complete(&upload, &[part.id]).await;
    assert_eq!(caller.download(&file.id).await.unwrap(), "YWJj", "not decoded from base64");
}

#[tokio::test]
async fn forms_that_lack_something_say_what() {
    let world = World::new().await;
    let caller = world.caller();
    let nameless = FILE.replace("; filename=\"a.txt\"", "");
    let unnamed = FILE.replace("a.txt", "");
    let empty = FILE.replace("abc", "");
    for (form, expected) in [
        (
            format!("{PURPOSE}--b--\n"),
            "400: the multipart form cannot be read: the form has no field \"file\"",
        ),
        (format!("{FILE}--b--\n"), "400: `purpose` is missing"),
        (format!("{PURPOSE}{nameless}--b--\n"), "400: `filename` is missing"),
        (format!("{PURPOSE}{unnamed}--b--\n"), "400: `filename` is empty"),
        (format!("{PURPOSE}{empty}--b--\n"), "400: `file` is empty"),
        (
            format!("{PURPOSE}{FILE}"),
            "400: the multipart form cannot be read: the form ended after 168 bytes, before its closing boundary",
        ),
        (
            format!("{PURPOSE}{FILE}{FILE}--b--\n"),
            "400: the multipart form cannot be read: the form has a second field \"file\"",
        ),
        (
            String::new(),
            "400: the multipart form cannot be read: the form's boundary does not occur in its body of 0 bytes",
        ),
    ] {
        assert_eq!(message(&post(&caller, "/files", &form).await), expected);
    }
    let upload = caller.create_upload("a.txt", 1).await;
    let path = format!("/uploads/{}/parts", upload.id);
    let no_data = format!("{FILE}--b--\n");
    assert_eq!(
        message(&post(&caller, &path, &no_data).await),
        "400: the multipart form cannot be read: the form has no field \"data\""
    );
    let empty = "--b\nContent-Disposition: form-data; name=\"data\"\n\n\n--b--\n";
    assert_eq!(message(&post(&caller, &path, empty).await), "400: `data` is empty");
    assert!(world.objects_in("blobs").await.is_empty());
}

#[tokio::test]
async fn azure_wants_a_content_type_on_the_file_and_openai_does_not() {
    let world = World::new().await;
    let form = format!("{}{}--b--\n", PURPOSE, FILE.replace("Content-Type: text/plain\n", ""));
    let response = post(&world.caller_of(azure("2024-10-21")), "/files?api-version=2024-10-21", &form).await;
    assert_eq!(message(&response), "400: the file has no content type: send one with its form field");
    assert_eq!(post(&world.caller_of(openai()), "/files", &form).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_header_of_a_form_has_at_most_32_parameters_and_8_kib() {
    let world = World::new().await;
    let caller = world.caller();
    let parameters = |count: usize| (0..count).map(|number| format!("; p{number}=x")).collect::<String>();
    let form_of = |disposition: &str| {
        format!("{PURPOSE}--b\nContent-Disposition: form-data; name=file; {disposition}\n\nabc\n--b--\n")
    };
    let mut said = String::new();
    for (content_type, disposition) in [
        (format!("boundary=b{}", parameters(31)), "filename=a.txt".to_owned()),
        (format!("boundary=b{}", parameters(32)), "filename=a.txt".to_owned()),
        (format!("boundary=b; x=\"{}\"", "x".repeat(8 << 10)), "filename=a.txt".to_owned()),
        ("boundary=b".to_owned(), format!("filename=a.txt{}", parameters(30))),
        ("boundary=b".to_owned(), format!("filename=a.txt{}", parameters(31))),
        ("boundary=b".to_owned(), format!("filename=\"{}\"", "x".repeat(8 << 10))),
    ] {
        let request = caller.plain("POST", "/files");
        let request = request.header("content-type", format!("multipart/form-data; {content_type}"));
        let body = Bytes::from(form_of(&disposition).replace('\n', "\r\n"));
        let response = caller.send(request.body(body).unwrap()).await;
        let told = if response.status().is_success() { "taken".to_owned() } else { message(&response) };
        said += &format!("{told}\n");
    }
    insta::assert_snapshot!(said, @r#"
    taken
    400: the multipart form cannot be read: `Content-Type` has more than 32 parameters
    400: the multipart form cannot be read: `Content-Type` is longer than 8192 bytes
    taken
    400: the multipart form cannot be read: `Content-Disposition` has more than 32 parameters
    400: the multipart form cannot be read: `Content-Disposition` is longer than 8192 bytes
    "#);
}

#[tokio::test]
async fn a_filename_has_at_most_512_bytes_and_a_media_type_255() {
    let world = World::new().await;
    let caller = world.caller();
    let form_of = |filename: &str, media_type: &str| {
        let file = FILE.replace("a.txt", filename).replace("text/plain", media_type);
        format!("{PURPOSE}{file}--b--\n")
    };
    // Bytes count, as they are after decoding.
    let longest = ["ü".repeat(255), "%22".to_owned()].concat() + "x";
    let taken = post(&caller, "/files", &form_of(&longest, &"t".repeat(255))).await;
    assert_eq!(taken.status(), StatusCode::OK);
    for (filename, media_type, field) in
        [(longest + "x", "t".repeat(255), "filename"), ("a.txt".to_owned(), "t".repeat(256), "mime_type")]
    {
        let refused = post(&caller, "/files", &form_of(&filename, &media_type)).await;
        let refused = partwise_protocol::error::ApiError::decode_response(&refused);
        assert_eq!(refused.error.param.as_deref(), Some(field));
        let (bytes, limit) = if field == "filename" { (513, 512) } else { (256, 255) };
        let told = format!("400: `{field}` has {bytes} bytes: the longest has {limit}");
        assert_eq!(crate::world::told(&refused), told);
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_is_refused_for_its_name_before_its_content_has_come() {
    let world = World::new().await;
    let caller = world.caller();
    let form = format!("{PURPOSE}{}", FILE.replace("a.txt", &"x".repeat(513))).replace('\n', "\r\n");
    let request = caller.plain("POST", "/files").header("content-type", "multipart/form-data; boundary=b");
    let request = request.body(Bytes::from(form + &"x".repeat(1 << 20))).unwrap();
    assert_eq!(send_pieces(&world, request, 65_536, End::Never).await, StatusCode::BAD_REQUEST);
    assert_eq!(world.objects().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_lifetime_may_come_as_one_json_field() {
    let world = World::new().await;
    let caller = world.caller();
    let form = |value: &str| {
        let expiry = format!("--b\nContent-Disposition: form-data; name=expires_after\n\n{value}\n");
        format!("{PURPOSE}{expiry}{FILE}--b--\n")
    };
    let json = "{\"anchor\":\"created_at\",\"seconds\":3600}";
    let file: File = CreateFile::decode_response(post(&caller, "/files", &form(json)).await).unwrap();
    assert_eq!(file.expires_at.unwrap().0, world.now() + 3600);
    let file: File = CreateFile::decode_response(post(&caller, "/files", &form("null")).await).unwrap();
    assert_eq!(file.expires_at, None);
    let mut said = String::new();
    for value in ["3600", "{\"seconds\":3600}", "{\"anchor\":\"created_at\",\"seconds\":1}"] {
        let refused =
            partwise_protocol::error::ApiError::decode_response(&post(&caller, "/files", &form(value)).await);
        assert_eq!(refused.error.param.as_deref(), Some("expires_after"), "{value}");
        said += &format!("{}\n", crate::world::told(&refused));
    }
    insta::assert_snapshot!(said, @r"
    400: `expires_after` must be an object with an anchor and seconds: invalid type: integer `3600`, expected an ExpiresAfter: an object with `anchor` and `seconds` at line 1 column 4
    400: `expires_after` must be an object with an anchor and seconds: missing field `anchor` at line 1 column 16
    400: a file can live for 3600 to 2592000 seconds, and 1 were asked for
    ");
}

#[tokio::test]
async fn an_empty_lifetime_counts_as_absent() {
    let world = World::new().await;
    for fields in [
        &["expires_after"][..],
        &["expires_after[anchor]", "expires_after[seconds]"],
        &["expires_after.anchor", "expires_after.seconds"],
        &["expires_after[seconds]"],
        &["expires_after", "expires_after.anchor"],
    ] {
        let empty = |name: &&str| format!("--b\nContent-Disposition: form-data; name=\"{name}\"\n\n\n");
        let form = format!("{PURPOSE}{}{FILE}--b--\n", fields.iter().map(empty).collect::<String>());
        for version in ["", "?api-version=2024-10-21", "?api-version=2025-04-01-preview"] {
            let api = match version.split_once('=') {
                Some((_, version)) => azure(version),
                None => openai(),
            };
            let response = post(&world.caller_of(api), &format!("/files{version}"), &form).await;
            assert!(response.status().is_success(), "{fields:?} {version}: {}", message(&response));
            assert_eq!(CreateFile::decode_response(response).unwrap().expires_at, None);
        }
        let whole = form.replace(PURPOSE, &format!("{PURPOSE}{EXPIRY}"));
        if !fields.iter().any(|field| field.contains('[')) {
            let file = CreateFile::decode_response(post(&world.caller(), "/files", &whole).await).unwrap();
            assert_eq!(file.expires_at.unwrap().0, world.now() + 3600, "{fields:?}");
        }
    }
}

#[tokio::test]
async fn a_lifetime_is_not_read_where_the_dialect_has_none() {
    let world = World::new().await;
    let field = |name: &str| format!("--b\nContent-Disposition: form-data; name=\"{name}\"\n\nzz\n");
    for name in ["expires_after", "expires_after[seconds]", "expires_after.anchor"] {
        let form = format!("{PURPOSE}{}{FILE}--b--\n", field(name));
        let path = "/files?api-version=2024-10-21";
        let response = post(&world.caller_of(azure("2024-10-21")), path, &form).await;
        assert_eq!(CreateFile::decode_response(response).unwrap().expires_at, None, "{name}");
        assert_eq!(post(&world.caller(), "/files", &form).await.status(), StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_header_of_a_field_that_cannot_be_read_is_named() {
    let world = World::new().await;
    let caller = world.caller();
    let mut said = String::new();
    for header in [
        "no colon".to_owned(),
        "Content-Disposition: form-data; name=\"a".to_owned(),
        "Content-Disposition: form-data".to_owned(),
        "Content-Type: text/plain".to_owned(),
        "Content-Type: text/plain\nContent-Type: text/plain".to_owned(),
        format!("Content-Disposition: form-data; name=a; filename=\"{}\"", "x".repeat(1 << 20)),
    ] {
        let response = post(&caller, "/files", &format!("--b\n{header}\n\na\n--b--\n")).await;
        let refused = partwise_protocol::error::ApiError::decode_response(&response);
        said += &format!("{} ({:?})\n", crate::world::told(&refused), refused.error.param);
    }
    let request = caller.plain("POST", "/files").header("content-type", "multipart/form-data; boundary=b");
    let body = b"--b\r\nContent-Disposition: form-data; name=\xff\r\n\r\na\r\n--b--".as_slice();
    let refused = partwise_protocol::error::ApiError::decode_response(
        &caller.send(request.body(body.into()).unwrap()).await,
    );
    said += &format!("{} ({:?})\n", crate::world::told(&refused), refused.error.param);
    insta::assert_snapshot!(said, @r#"
    400: the multipart form cannot be read: "no colon" in the header of a field cannot be read (Some("Content-Disposition"))
    400: the multipart form cannot be read: "form-data; name=\"a" in the header of a field cannot be read (Some("Content-Disposition"))
    400: the multipart form cannot be read: a field has no name: its header needs `Content-Disposition: form-data; name="…"` (Some("Content-Disposition"))
    400: the multipart form cannot be read: a field has no name: its header needs `Content-Disposition: form-data; name="…"` (Some("Content-Disposition"))
    400: the multipart form cannot be read: "Content-Type: text/plain" in the header of a field cannot be read (Some("Content-Type"))
    400: the multipart form cannot be read: the header of a field is longer than 16384 bytes (Some("Content-Disposition"))
    400: the multipart form cannot be read: the header of a field is not UTF-8 (Some("Content-Disposition"))
    "#);
}

#[tokio::test]
async fn the_text_of_a_form_is_bounded_as_a_whole() {
    let world = World::new().await;
    let caller = world.caller();
    let note = |number: usize, length: usize| {
        format!("--b\nContent-Disposition: form-data; name=note{number}\n\n{}\n", "x".repeat(length))
    };
    let form = |count: usize| {
        let notes: String = (0..count).map(|number| note(number, 10_000)).collect();
        format!("{PURPOSE}{notes}{FILE}--b--\n")
    };
    assert_eq!(post(&caller, "/files", &form(6)).await.status(), StatusCode::OK);
    assert_eq!(
        message(&post(&caller, "/files", &form(7)).await),
        "400: the multipart form cannot be read: its text fields are longer than 65536 bytes together"
    );
}

/// A body that comes in pieces.
pub(crate) struct Pieces {
    pub(crate) pieces: std::vec::IntoIter<Bytes>,
    pub(crate) end: End,
}

/// The end of a body.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Well,
    Reset,
    Never,
}

#[derive(Debug, thiserror::Error)]
#[error("the connection was reset")]
pub(crate) struct Reset;

impl Body for Pieces {
    type Data = Bytes;
    type Error = Reset;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Reset>>> {
        match (self.pieces.next(), self.end) {
            (Some(bytes), _) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            (None, End::Well) => Poll::Ready(None),
            (None, End::Reset) => Poll::Ready(Some(Err(Reset))),
            (None, End::Never) => Poll::Pending,
        }
    }
}

pub(crate) async fn send_pieces(
    world: &World,
    request: Request<Bytes>,
    piece: usize,
    end: End,
) -> StatusCode {
    let (parts, body) = request.into_parts();
    let pieces: Vec<Bytes> = body.chunks(piece).map(Bytes::copy_from_slice).collect();
    let body = Pieces { pieces: pieces.into_iter(), end };
    let response: Result<_, Infallible> = world.server.clone().call(Request::from_parts(parts, body)).await;
    let response = response.unwrap();
    let status = response.status();
    response.into_body().collect().await.unwrap();
    status
}

#[tokio::test]
async fn a_body_that_is_interrupted_anywhere_leaves_nothing() {
    for on_disk in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let world = if on_disk { World::in_folder(folder.path()).await } else { World::new().await };
        let caller = world.caller();
        let content = vec![b'x'; 2_600_000];
        let request = caller.request(&new_file(partwise_models::Purpose::Assistants, "a.txt", &content));
        let length = request.body().len();
        for cut in [0, 1, 50, 200, 600_000, 1_200_000, 2_599_999, length - 60, length - 3, length - 1] {
            let begun = request.clone().map(|body| body.slice(..cut));
            let status = send_pieces(&world, begun, 65_536, End::Reset).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "cut at {cut} of {length}");
        }
        assert_eq!(world.objects().await, Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up_and_leaves_nothing() {
    let world = World::new().await;
    let request =
        world.caller().request(&new_file(partwise_models::Purpose::Assistants, "a.txt", &[b'x'; 2_600_000]));
    let begun = request.map(|body| body.slice(..2_500_000));
    assert_eq!(send_pieces(&world, begun, 65_536, End::Never).await, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(world.objects().await, Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn a_form_may_arrive_in_pieces_of_any_size(
        piece in prop_oneof![1usize..100, 1usize..20_000], length in 1usize..2_600_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let content: Vec<u8> = (0..length).map(|index| [13, 10, 45, 7][index % 4]).collect();
            let request = world.caller().request(&new_file(partwise_models::Purpose::Vision, "a.png", &content));
            assert_eq!(send_pieces(&world, request, piece, End::Well).await, StatusCode::OK);
            let [blob] = &world.objects_in("blobs").await[..] else { panic!("one blob") };
            let stored = world.objects.get_opts(&blob.as_str().into(), object_store::GetOptions::default()).await.unwrap();
            assert_eq!(stored.bytes().await.unwrap(), content);
        });
    }
}
