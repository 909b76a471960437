//! Requests that pass through a gateway from OpenAI's dialect to Azure's, and their answers on the way back.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use partwise_protocol::{
    Api, Dialect,
    error::ApiError,
    multipart::decode_whole,
    operations::{OperationId, TranslateError, Translation, TranslationStep},
    transport::Body,
};

const MIB: usize = 1 << 20;

fn gateway() -> Api {
    Api::with_base("https://gateway.example/v1", Dialect::OpenAi).unwrap()
}

fn dated() -> Api {
    Api::azure("https://r.example", "2025-04-01-preview").unwrap()
}

fn translation(method: &str, path: &str, content_type: Option<&str>, to: Api) -> Translation {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    Translation::new(gateway(), to, request.body(()).unwrap().into_parts().0).unwrap()
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
        assert!(!matches!(create.poll(), Ok(TranslationStep::Done)));
    }
    let mut cut = create(dated());
    let body = form(&[("purpose", None, b"batch"), content]);
    let error = pass(&mut cut, &body[..body.len() - 6], 1000).unwrap_err();
    texts.push(rejection(&cut, error));

    let old = Api::azure("https://r.example", "2024-06-01").unwrap();
    let mut upload = translation("POST", "/v1/uploads", Some("application/json"), old);
    let error = pass(&mut upload, br#"{"filename":"a","purpose":"batch","bytes":1,"mime_type":"a/b"}"#, 9)
        .unwrap_err();
    texts.push(rejection(&upload, error));
    assert!(!matches!(upload.poll(), Ok(TranslationStep::Done)));

    let mut long = translation("POST", "/v1/uploads", Some("application/json"), dated());
    let error = pass(&mut long, &vec![b' '; 33 * MIB], MIB).unwrap_err();
    texts.push(rejection(&long, error));
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_request_of_no_operation_and_one_without_its_form_are_no_translations() {
    let of = |method: &str, path: &str| {
        let head = Request::builder().method(method).uri(path).body(()).unwrap().into_parts().0;
        ApiError::from(Translation::new(gateway(), dated(), head).unwrap_err()).status
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
