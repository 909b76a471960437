//! Whatever comes, nothing panics, and what is said about it fits on one line.

use std::error::Error;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use partwise_protocol::{
    Api, Operation,
    error::{ApiError, DecodeError, ResponseError},
    operations::{
        AddUploadPart, CancelUpload, CompleteUpload, CreateFile, CreateUpload, DeleteFile, DownloadFile,
        ImportFile, ListFiles, RetrieveFile, Route,
    },
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::Value;

use crate::sides::apis;

fn assert_one_line(text: &str) {
    let breaks = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    assert!(!text.contains(breaks), "{text:?}");
}

/// What a service says of a request, whichever operation it is taken for.
fn refusals(route: &Route, request: &Request<Bytes>) -> Vec<DecodeError> {
    fn refusal<O: Operation>(route: &Route, request: &Request<Bytes>) -> Option<DecodeError> {
        O::decode_request(route, request.clone()).err()
    }
    let refusals = [
        refusal::<ListFiles>(route, request),
        refusal::<CreateFile>(route, request),
        refusal::<ImportFile>(route, request),
        refusal::<RetrieveFile>(route, request),
        refusal::<DeleteFile>(route, request),
        refusal::<DownloadFile>(route, request),
        refusal::<CreateUpload>(route, request),
        refusal::<AddUploadPart>(route, request),
        refusal::<CompleteUpload>(route, request),
        refusal::<CancelUpload>(route, request),
    ];
    refusals.into_iter().flatten().collect()
}

/// What a client says of an answer, whatever it asked for.
fn complaints(response: &Response<Bytes>) -> Vec<ResponseError> {
    fn complaint<O: Operation>(response: &Response<Bytes>) -> Option<ResponseError> {
        O::decode_response(response.clone()).err()
    }
    let complaints = [
        complaint::<ListFiles>(response),
        complaint::<CreateFile>(response),
        complaint::<ImportFile>(response),
        complaint::<RetrieveFile>(response),
        complaint::<DeleteFile>(response),
        complaint::<DownloadFile>(response),
        complaint::<CreateUpload>(response),
        complaint::<AddUploadPart>(response),
        complaint::<CompleteUpload>(response),
        complaint::<CancelUpload>(response),
    ];
    complaints.into_iter().flatten().collect()
}

/// A service answers a request that it cannot read in whatever dialect it speaks.
fn assert_refused(error: DecodeError) {
    assert_one_line(&error.to_string());
    let refusal = ApiError::from(error);
    assert!(refusal.status.is_client_error());
    for api in apis() {
        let response = refusal.encode_response(&api).unwrap().map(|body| body.into_bytes().unwrap());
        let read = ApiError::decode_response(&response);
        assert_eq!((read.status, &read.error.message), (refusal.status, &refusal.error.message));
    }
}

fn assert_request_is_survived(method: &Method, uri: Uri, headers: &[(HeaderName, HeaderValue)], body: Bytes) {
    let mut request = Request::new(body);
    *request.uri_mut() = uri;
    request.headers_mut().extend(headers.iter().cloned());
    let api = match Api::of_request("http://h", request.uri()) {
        Ok(api) => api,
        Err(error) => return assert_refused(error.into()),
    };
    match api.route(method, request.uri()) {
        Ok(route) => refusals(&route, &request).into_iter().for_each(assert_refused),
        Err(error) => assert_refused(error.into()),
    }
}

fn assert_answer_is_survived(response: &Response<Bytes>) {
    for complaint in complaints(response) {
        assert_one_line(&complaint.to_string());
        match complaint {
            ResponseError::Rejected(error) => {
                assert!(!response.status().is_success());
                assert_eq!(error.status, response.status());
            }
            ResponseError::Garbled(garbled) => {
                assert!(response.status().is_success());
                assert_one_line(&garbled.excerpt);
                // A page says itself what it is.
                assert_eq!(garbled.source().is_none(), garbled.is_page);
                if let Some(source) = garbled.source() {
                    assert_one_line(&source.to_string());
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn json() -> impl Strategy<Value = Value> {
    let texts = select(vec!["", "file", "one\ntwo", "\u{1b}[2J", "\u{2028}", "insufficient_quota", "12"]);
    let leaves = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts.prop_map(Value::from),
        "(?s).{0,8}".prop_map(Value::from),
    ];
    let names = select(vec![
        "error",
        "message",
        "code",
        "type",
        "param",
        "details",
        "innererror",
        "inner_error",
        "statusCode",
        "id",
        "object",
        "data",
        "file",
        "bytes",
        "purpose",
        "filename",
        "mime_type",
        "part_ids",
        "content_url",
        "expires_after",
        "anchor",
        "seconds",
        "has_more",
        "x\ny",
    ]);
    leaves.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((names.clone().prop_map(str::to_owned), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let pieces = select(vec![
        "--b\r\n",
        "--b--\r\n",
        "\r\n",
        "\n",
        "Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n",
        "Content-Disposition: form-data; name=\"purpose\"\r\n\r\n",
        "Content-Type: x\r\n",
        "<html>",
        "<title>",
        "</title>",
        "{\"error\":",
        "\"",
        "}",
        "[",
        "\\",
        "\u{1b}",
        "\u{2028}",
        "İ",
    ]);
    let text = vec(pieces, 0..12).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![json().prop_map(|value| value.to_string().into_bytes()), text, vec(any::<u8>(), 0..64)]
}

fn headers() -> impl Strategy<Value = Vec<(HeaderName, HeaderValue)>> {
    let names = select(vec![
        "content-type",
        "content-length",
        "content-range",
        "content-disposition",
        "range",
        "if-range",
        "etag",
        "date",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "x-request-id",
        "location",
    ])
    .prop_map(HeaderName::from_static);
    let texts = select(vec![
        "multipart/form-data; boundary=b",
        "multipart/form-data",
        "text/html",
        "bytes 0-1/2",
        "bytes=0-1",
        "bytes 18446744073709551615-18446744073709551615/*",
        "bytes=18446744073709551615-",
        "-1",
        "1e400",
        "true",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 1601 00:00:00 GMT",
        "attachment; filename=\"a",
        "a; filename*=UTF-8''%ff",
    ])
    .prop_map(HeaderValue::from_static);
    let bytes = vec(prop_oneof![Just(b'\t'), 0x20..=0x7e_u8, 0x80..=0xff_u8], 0..16)
        .prop_map(|bytes| HeaderValue::from_bytes(&bytes).unwrap());
    vec((names, prop_oneof![texts, bytes]), 0..5)
}

/// Half of them lead somewhere.
fn uri() -> impl Strategy<Value = Uri> {
    let known = select(vec![
        "/v1/files",
        "/v1/files/a",
        "/openai/v1/files/%2F/content",
        "/openai/v1/uploads",
        "/v1/uploads/a/parts",
        "/openai/uploads/a/complete?api-version=2024-10-21",
        "/openai/files/import?api-version=2024-06-01",
    ]);
    let pieces = select(vec![
        "v1/",
        "openai/",
        "files/",
        "uploads/",
        "import",
        "content",
        "parts",
        "a",
        "%ff",
        "%",
        "%2F%00%0A",
        "/",
        "?",
        "api-version=2024-10-21",
        "api-version=\u{85}",
        "limit=",
        "limit=99999999999",
        "order=x",
        "after=%0A",
        "&",
        "=",
        "é",
        "\u{2028}",
    ]);
    let odd = vec(pieces, 0..10).prop_map(|pieces| pieces.concat());
    (prop_oneof![Just("/"), known], prop_oneof![Just(String::new()), odd])
        .prop_filter_map("is a URI", |(known, odd)| format!("{known}{odd}").parse().ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_request_is_read_or_refused(
        method in select(vec![Method::GET, Method::POST, Method::DELETE, Method::PUT, Method::from_bytes(b"X").unwrap()]),
        uri in uri(),
        headers in headers(),
        body in body(),
    ) {
        assert_request_is_survived(&method, uri, &headers, body.into());
    }

    #[test]
    fn any_answer_is_read_or_complained_of(
        status in prop_oneof![Just(200), Just(206), Just(400), 100u16..=999],
        headers in headers(),
        body in body(),
    ) {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.headers_mut().extend(headers);
        assert_answer_is_survived(&response);
    }
}

#[test]
fn json_without_end_is_no_way_to_exhaust_the_stack() {
    for text in [
        "[",
        "{\"error\":",
        "{\"error\":{\"innererror\":",
        "{\"details\":[",
        "{\"file\":",
        "{\"data\":[{\"a\":",
    ] {
        let body = Bytes::from(text.repeat(10_000));
        for status in [StatusCode::OK, StatusCode::BAD_REQUEST] {
            let mut response = Response::new(body.clone());
            *response.status_mut() = status;
            assert_answer_is_survived(&response);
        }
        assert_request_is_survived(&Method::POST, "/v1/uploads".parse().unwrap(), &[], body);
    }
}

#[test]
fn an_identifier_too_long_for_a_uri_is_refused_in_few_words() {
    for api in apis() {
        let error = RetrieveFile::new("x".repeat(100_000)).encode_request(&api).unwrap_err();
        assert!(error.to_string().len() < 1000);
    }
}

#[test]
fn bytes_that_are_no_text_hurt_only_what_they_stand_in() {
    let read = |body: &'static [u8]| RetrieveFile::decode_response(Response::new(Bytes::from_static(body)));
    let file = read(b"{\"id\":\"file-1\",\"note\":\"caf\xe9\",\"bytes\":3}").unwrap();
    assert_eq!((file.id.as_str(), file.bytes), ("file-1", Some(3)));
    assert!(matches!(read(b"{\"id\":\"caf\xe9\"}"), Err(ResponseError::Garbled(_))));
}
