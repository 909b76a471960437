//! Requests that pass through a gateway from OpenAI's dialect to Azure's, and their answers on the way back.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use partwise_protocol::{
    Api, Dialect, Operation as _,
    error::{ApiError, EncodeError},
    multipart::{Boundary, FormError, decode_whole},
    operations::{AnyOperation, CreateFile, OperationId, TranslateError, Translation, TranslationStep},
    transport::Body,
};

const MIB: usize = 1 << 20;

fn gateway() -> Api {
    Api::with_base("https://gateway.example/v1", Dialect::OpenAi).unwrap()
}

fn dated() -> Api {
    Api::azure("https://r.example", "2025-04-01-preview").unwrap()
}

const ENTROPY: [u8; 16] = [0xab; 16];

fn translation(method: &str, path: &str, content_type: Option<&str>, to: Api) -> Translation {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    Translation::new(gateway(), to, request.body(()).unwrap().into_parts().0, ENTROPY).unwrap()
}

/// What was sent to the service: the request, and its body in the pieces in which it left.
type Sent = (Request<()>, Vec<Bytes>);

/// Pushes a body in pieces of this length, and does what the translation says until there is nothing to do.
fn pass(translation: &mut Translation, body: &[u8], piece: usize) -> Result<Sent, TranslateError> {
    let mut pieces = body.chunks(piece);
    let (mut request, mut sent) = (None, Vec::new());
    loop {
        match translation.poll()? {
            TranslationStep::NeedInput => match pieces.next() {
                Some(bytes) => translation.push(Bytes::copy_from_slice(bytes)),
                None => translation.finish_input(),
            },
            TranslationStep::Request(head) => assert!(request.replace(head).is_none(), "a second request"),
            TranslationStep::Body(bytes) => {
                assert!(request.is_some() && !bytes.is_empty());
                sent.push(bytes);
            }
            TranslationStep::Done => return Ok((request.unwrap(), sent)),
        }
    }
}

/// Fields of a form with the boundary `b`: a name and a value, or a file's name and its content.
fn form(fields: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, filename, value) in fields {
        body.extend(format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"").bytes());
        body.extend(filename.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default().bytes());
        body.extend(b"\r\n\r\n");
        body.extend(*value);
        body.extend(b"\r\n");
    }
    body.extend(b"--b--\r\n");
    body
}

fn create(to: Api) -> Translation {
    translation("POST", "/v1/files", Some("multipart/form-data; boundary=b"), to)
}

fn shown((request, pieces): &Sent) -> String {
    let headers =
        request.headers().iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
    let body = String::from_utf8(pieces.concat()).unwrap().replace('\r', "␍");
    format!("{} {}\n{}\n{body}", request.method(), request.uri(), headers.collect::<String>())
}

fn text_of(response: Response<Body>) -> String {
    let (head, body) = response.into_parts();
    let text = String::from_utf8(body.into_bytes().unwrap().to_vec()).unwrap();
    format!("{} {text}", head.status.as_u16())
}

fn answer(status: u16, body: &'static str) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap()
}

fn rejection(translation: &Translation, error: TranslateError) -> String {
    text_of(translation.rejection(error))
}

#[test]
fn fields_go_on_the_side_of_the_content_on_which_they_came() {
    let (purpose, anchor, seconds) = (
        ("purpose", None, &b"batch"[..]),
        ("expires_after[anchor]", None, &b"created_at"[..]),
        ("expires_after[seconds]", None, &b"1209600"[..]),
    );
    let content = ("file", Some("lines.jsonl"), &b"{}\n"[..]);
    let mut shapes = Vec::new();
    for fields in [
        [purpose, anchor, seconds, content],
        [content, purpose, anchor, seconds],
        [purpose, content, anchor, seconds],
        [anchor, purpose, content, seconds],
    ] {
        let body = form(&fields);
        let whole = shown(&pass(&mut create(dated()), &body, body.len()).unwrap());
        let bytewise = shown(&pass(&mut create(dated()), &body, 1).unwrap());
        assert_eq!(whole, bytewise, "it depends on nothing but the bytes");
        shapes.push(whole);
    }
    insta::assert_snapshot!(shapes.join("\n"));
}

#[test]
fn content_passes_while_it_comes_and_is_the_same() {
    let content: Vec<u8> = (0..3 * MIB).map(|at| (at % 251) as u8).collect();
    let body = form(&[("purpose", None, b"assistants"), ("file", Some("a.bin"), &content)]);
    let mut translation = create(dated());
    translation.push(Bytes::copy_from_slice(&body[..MIB]));
    let mut passed = 0;
    loop {
        match translation.poll().unwrap() {
            TranslationStep::NeedInput => break,
            TranslationStep::Body(bytes) => passed += bytes.len(),
            _ => {}
        }
    }
    assert!(passed > MIB - 1000, "no more than a boundary is held back: {passed}");

    let (request, pieces) = pass(&mut create(dated()), &body, 8192).unwrap();
    assert!(!request.headers().contains_key("content-length"));
    let (fields, came) =
        decode_whole(&request.headers()["content-type"], pieces.concat().into(), "file").unwrap();
    assert_eq!(fields.text("purpose"), Some("assistants"));
    assert_eq!(fields.content().content_type.as_deref(), Some("application/octet-stream"), "Azure needs one");
    assert!(came == content);
}

#[test]
fn a_part_passes_with_its_name_as_clients_send_it() {
    let body = form(&[("data", Some("blob"), b"some bytes")]);
    let form = Some("multipart/form-data; boundary=b");
    let azure = Api::azure_v1("https://r.example").unwrap();
    let mut part = translation("POST", "/v1/uploads/upload_1/parts", form, azure);
    insta::assert_snapshot!(shown(&pass(&mut part, &body, 7).unwrap()));
}

#[test]
fn azures_block_stays_on_its_side_of_the_gateway() {
    let form = Some("multipart/form-data; boundary=b");
    let part = translation("POST", "/v1/uploads/upload_1/parts", form, dated());
    let answer = answer(
        200,
        r#"{"id":"part_1","object":"upload.part","upload_id":"upload_1","azure_block_id":"YQ=="}"#,
    );
    assert_eq!(
        text_of(part.answer(answer)),
        r#"200 {"id":"part_1","object":"upload.part","upload_id":"upload_1"}"#
    );
}

#[test]
fn requests_without_content_pass_as_a_whole() {
    let completion = br#"{"part_ids":["a","b"],"md5":"0123"}"#;
    let path = "/v1/uploads/upload_1/complete";
    let mut complete = translation("POST", path, Some("application/json"), dated());
    assert_eq!(complete.operation(), OperationId::CompleteUpload);
    let sent = shown(&pass(&mut complete, completion, 5).unwrap());
    let mut list = translation("GET", "/v1/files?purpose=batch&limit=7", None, dated());
    insta::assert_snapshot!(format!("{sent}\n\n{}", shown(&pass(&mut list, b"", 1).unwrap())));
}

fn assert_says_so_again(translation: &mut Translation, said: Option<&String>) {
    for _ in 0..2 {
        translation.push(Bytes::from_static(b"more"));
        translation.finish_input();
        let error = translation.poll().unwrap_err();
        assert_eq!(Some(&rejection(translation, error)), said);
    }
}

#[test]
fn what_cannot_pass_is_never_done_and_says_why() {
    let content = ("file", Some("a.jsonl"), &b"{}"[..]);
    let bracketed = ("expires_after[anchor]", None, &b"created_at"[..]);
    let dotted = ("expires_after.anchor", None, &b"created_at"[..]);
    let mut texts = Vec::new();
    for fields in [
        vec![content],
        vec![("purpose", None, &b"batch"[..]), ("file", None, b"{}")],
        vec![("purpose", None, b"batch"), content, bracketed],
        vec![
            ("purpose", None, b"batch"),
            dotted,
            ("expires_after.seconds", None, b"3600"),
            content,
            bracketed,
            ("expires_after[seconds]", None, b"7200"),
        ],
    ] {
        let mut create = create(dated());
        let error = pass(&mut create, &form(&fields), 1000).unwrap_err();
        texts.push(rejection(&create, error));
        assert_says_so_again(&mut create, texts.last());
    }
    let mut cut = create(dated());
    let body = form(&[("purpose", None, b"batch"), content]);
    let error = pass(&mut cut, &body[..body.len() - 6], 1000).unwrap_err();
    texts.push(rejection(&cut, error));
    assert_says_so_again(&mut cut, texts.last());

    let old = Api::azure("https://r.example", "2024-06-01").unwrap();
    let mut upload = translation("POST", "/v1/uploads", Some("application/json"), old);
    let error = pass(&mut upload, br#"{"filename":"a","purpose":"batch","bytes":1,"mime_type":"a/b"}"#, 9)
        .unwrap_err();
    texts.push(rejection(&upload, error));
    assert_says_so_again(&mut upload, texts.last());

    let mut long = translation("POST", "/v1/uploads", Some("application/json"), dated());
    let error = pass(&mut long, &vec![b' '; 33 * MIB], MIB).unwrap_err();
    texts.push(rejection(&long, error));
    assert_says_so_again(&mut long, texts.last());
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_request_of_no_operation_and_one_without_its_form_are_no_translations() {
    let of = |method: &str, path: &str| {
        let head = Request::builder().method(method).uri(path).body(()).unwrap().into_parts().0;
        ApiError::from(Translation::new(gateway(), dated(), head, ENTROPY).unwrap_err()).status
    };
    assert_eq!(of("GET", "/v1/models"), StatusCode::NOT_FOUND);
    assert_eq!(of("PUT", "/v1/files"), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(of("POST", "/v1/files"), StatusCode::BAD_REQUEST);
}

#[test]
fn answers_come_back_in_the_shapes_of_the_callers_dialect() {
    let get = || translation("GET", "/v1/files/file-1", None, dated());
    let delete = translation("DELETE", "/v1/files/file-1", None, dated());
    let azure = r#"{"error":{"code":"resourceNotFound","message":"no such file","target":"file_id"}}"#;
    let moved =
        Response::builder().status(307).header("location", "https://b.example/").body(Bytes::new()).unwrap();
    let page = Response::builder().status(200).header("content-type", "text/html");
    let page = page.body(Bytes::from_static(b"<html><title>Sign in</title></html>")).unwrap();
    let texts = [
        get().answer(answer(200, r#"{"id":"file-1","bytes":5,"status":"processed"}"#)),
        get().answer(answer(404, azure)),
        get().answer(answer(503, "")),
        get().answer(moved),
        get().answer(page),
        delete.answer(answer(204, "")),
        delete.answer(answer(200, r#"{"id":"file-1","object":"file","deleted":false}"#)),
    ];
    insta::assert_snapshot!(texts.map(text_of).join("\n"));
}

#[test]
fn an_answer_keeps_the_name_of_its_request_and_when_to_come_again() {
    let get = translation("GET", "/v1/files/file-1", None, dated());
    let ok =
        Response::builder().header("apim-request-id", "r-1").body(Bytes::from_static(br#"{"id":"file-1"}"#));
    assert_eq!(get.answer(ok.unwrap()).headers()["x-request-id"], "r-1");
    let busy = Response::builder().status(429).header("retry-after", "7").header("apim-request-id", "r-2");
    let busy = get.answer(busy.body(Bytes::new()).unwrap());
    assert_eq!(
        (&busy.headers()["x-request-id"], &busy.headers()["retry-after"]),
        (&"r-2".parse().unwrap(), &"7".parse().unwrap())
    );
}

#[test]
fn of_a_download_the_head_is_translated_and_its_content_passes() {
    let download = translation("GET", "/v1/files/file-1/content", None, dated());
    assert!(download.is_content(StatusCode::OK) && download.is_content(StatusCode::PARTIAL_CONTENT));
    assert!(!download.is_content(StatusCode::NOT_FOUND));
    assert!(!translation("GET", "/v1/files/file-1", None, dated()).is_content(StatusCode::OK));
    let head =
        Response::builder().status(206).header("content-range", "bytes 2-4/9").header("content-length", 3);
    let head = download.answer(head.body(Bytes::new()).unwrap());
    assert_eq!(head.status(), 206);
    assert_eq!(head.headers()["content-range"], "bytes 2-4/9");
    assert_eq!(head.headers()["content-length"], "3");
}

/// A whole form with another file and the boundary `b`, as the value of a field.
const SMUGGLED: &str = "created_at\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"evil.jsonl\"\r\n    Content-Type: application/jsonl\r\n\r\n{}\r\n--b--\r\n";

fn smuggling_form(boundary: &str) -> Vec<u8> {
    let value =
        serde_json::json!({ "anchor": SMUGGLED.replace("--b", &format!("--{boundary}")), "seconds": 3600 });
    let body = form(&[
        ("purpose", None, b"batch"),
        ("expires_after", None, value.to_string().as_bytes()),
        ("file", Some("good.jsonl"), b"{}"),
    ]);
    let name = "filename=\"good.jsonl\"";
    String::from_utf8(body).unwrap().replace(name, &format!("{name}\r\nContent-Type: text/plain")).into()
}

#[test]
fn no_value_becomes_another_field_on_its_way() {
    let check = |content_type: &http::HeaderValue, body: Bytes| {
        let (fields, content) = decode_whole(content_type, body, "file").unwrap();
        assert_eq!(fields.content().filename.as_deref(), Some("good.jsonl"));
        assert_eq!(content, "{}");
        let anchor = fields.text("expires_after.anchor").or(fields.text("expires_after[anchor]"));
        assert_eq!(anchor, Some(SMUGGLED));
    };
    let (request, pieces) = pass(&mut create(dated()), &smuggling_form("b"), 1000).unwrap();
    check(&request.headers()["content-type"], pieces.concat().into());

    let came = || {
        let request = Request::post("/v1/files").header("content-type", "multipart/form-data; boundary=b");
        request.body(Bytes::from(smuggling_form("b"))).unwrap()
    };
    let route = gateway().route(came().method(), came().uri()).unwrap();
    let request = AnyOperation::decode(&route, came()).unwrap().encode_request(&dated(), ENTROPY).unwrap();
    let (head, body) = request.into_parts();
    check(&head.headers["content-type"], body.into_bytes().unwrap());

    // With a boundary that the caller knows, it does not pass at all.
    let known = "ab".repeat(16);
    let mut create = create(dated());
    let error = pass(&mut create, &smuggling_form(&known), 1000).unwrap_err();
    insta::assert_snapshot!(rejection(&create, error));
    let operation = CreateFile::decode_request(&route, came()).unwrap();
    assert!(matches!(
        operation.encode_request(&dated()),
        Err(EncodeError::Form(FormError::BoundaryInText { .. }))
    ));
}

#[test]
fn a_part_goes_on_with_a_boundary_of_its_own() {
    let body = form(&[("data", Some("blob"), b"x")]);
    let request = || {
        let request = Request::post("/v1/uploads/upload_1/parts");
        let request = request.header("content-type", "multipart/form-data; boundary=b");
        request.body(Bytes::from(body.clone())).unwrap()
    };
    let route = gateway().route(request().method(), request().uri()).unwrap();
    let part = AnyOperation::decode(&route, request()).unwrap().encode_request(&dated(), ENTROPY).unwrap();
    let own = Boundary::from_entropy(ENTROPY);
    assert_eq!(part.headers()["content-type"], own.content_type());
    let form = Some("multipart/form-data; boundary=b");
    let mut translation = translation("POST", "/v1/uploads/upload_1/parts", form, dated());
    let (request, _) = pass(&mut translation, &body, 100).unwrap();
    assert_eq!(request.headers()["content-type"], own.content_type());
}

#[test]
fn only_a_completion_keeps_much_of_a_body() {
    let of = |method: &str, path: &str, length: usize| {
        let mut translation = translation(method, path, Some("application/json"), dated());
        let error = pass(&mut translation, &vec![b' '; length], MIB).err();
        error.is_some_and(|error| matches!(error, TranslateError::TooLong { .. }))
    };
    for (method, path, limit) in [
        ("GET", "/v1/files", 64 << 10),
        ("DELETE", "/v1/files/file-1", 64 << 10),
        ("POST", "/v1/uploads/upload_1/cancel", 64 << 10),
        ("POST", "/v1/uploads", MIB),
        ("POST", "/v1/uploads/upload_1/complete", 32 * MIB),
    ] {
        assert!(!of(method, path, limit) && of(method, path, limit + 1), "{path}");
    }
}

#[test]
fn pages_come_from_the_whole_list_of_a_service_without_pages() {
    let unpaged = || Api::azure("https://r.example", "2024-10-21").unwrap();
    let list = r#"{"object":"list","data":[{"id":"file-2","created_at":2,"purpose":"evals"},{"id":"file-1","created_at":1,"purpose":"batch"},
        {"id":"file-4","created_at":3,"purpose":"batch"},{"id":"file-3","created_at":3,"purpose":"evals"}]}"#;
    let page = |query: &str| {
        let mut listing = translation("GET", &format!("/v1/files{query}"), None, unpaged());
        let (request, _) = pass(&mut listing, b"", 1).unwrap();
        let sent = request.uri().query().unwrap().replace("api-version=2024-10-21", "");
        format!("{query} {sent} → {}", text_of(listing.answer(answer(200, list))))
    };
    let pages = [
        "",
        "?limit=2",
        "?limit=2&after=file-3",
        "?limit=1&after=file-2",
        "?after=file-1",
        "?order=asc&limit=3",
        "?order=asc&after=file-2",
        "?purpose=evals&limit=1",
        "?purpose=evals&limit=1&after=file-3",
        "?after=file-9",
    ]
    .map(page);
    insta::assert_snapshot!(pages.join("\n"));

    let mut listing = translation("GET", "/v1/files?limit=1", None, dated());
    pass(&mut listing, b"", 1).unwrap();
    let whole = text_of(listing.answer(answer(200, list)));
    assert_eq!(whole.matches("file-").count(), 4, "a service with pages has chosen them: {whole}");
}
