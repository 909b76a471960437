//! What a service answers to a request that it cannot read, and how each dialect words a refusal.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use partwise_models::{
    Error, ErrorCode, ExpiresAfter, ExpiryAnchor, InnerError, InnerErrorCode, Purpose, UnixSeconds,
};
use partwise_protocol::{
    Api, Operation,
    error::{ApiError, DecodeError},
    multipart::Boundary,
    operations::{
        AddUploadPart, CompleteUpload, CreateFile, CreateUpload, ImportFile, ListFiles, OperationId, Route,
    },
    retry::{RetryAfter, RetryHint},
};

use crate::{
    page::assert_page,
    sides::{apis, route},
};

/// The refusal in every dialect that words it in a way of its own.
fn in_each_dialect(refusal: &ApiError) -> String {
    let mut text = String::new();
    let mut shown: Vec<(String, String)> = Vec::new();
    for api in apis() {
        let name = api.dialect().to_string();
        let answer = written(refusal, &api);
        if !shown.iter().any(|(_, other)| *other == answer) {
            shown.push((name, answer));
        }
    }
    for (name, answer) in shown {
        let _ = writeln!(text, "    {name} and its like: {answer}");
    }
    text
}

/// Status, body, and the headers that say more than what the body is.
fn written(refusal: &ApiError, api: &Api) -> String {
    let response = refusal.encode_response(api).unwrap().map(|body| body.into_bytes().unwrap());
    let mut text =
        format!("{} {}", response.status().as_u16(), std::str::from_utf8(response.body()).unwrap());
    for (name, value) in response.headers() {
        if !["content-type", "content-length"].contains(&name.as_str()) {
            let _ = write!(text, "\n        {name}: {}", value.to_str().unwrap());
        }
    }
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["content-length"], response.body().len().to_string());
    text
}

/// A request without headers but a Content-Type.
fn request(method: &Method, uri: &str, content_type: Option<&str>, body: &'static str) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(uri);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    request.body(Bytes::from_static(body.as_bytes())).unwrap()
}

fn refuse(request: Request<Bytes>) -> DecodeError {
    fn read<O: Operation>(route: &Route, request: Request<Bytes>) -> DecodeError {
        O::decode_request(route, request).err().unwrap()
    }
    let route = match route(&request) {
        Ok((_, route)) => route,
        Err(error) => return error,
    };
    match route.operation {
        OperationId::ListFiles => read::<ListFiles>(&route, request),
        OperationId::CreateFile => read::<CreateFile>(&route, request),
        OperationId::ImportFile => read::<ImportFile>(&route, request),
        OperationId::CreateUpload => read::<CreateUpload>(&route, request),
        OperationId::AddUploadPart => read::<AddUploadPart>(&route, request),
        OperationId::CompleteUpload => read::<CompleteUpload>(&route, request),
        other => panic!("{other} takes whatever comes"),
    }
}

fn page(requests: impl IntoIterator<Item = Request<Bytes>>) -> String {
    let mut page = String::new();
    for request in requests {
        let line = format!("{} {} {:?}", request.method(), request.uri(), request.body());
        let error = refuse(request);
        let _ = writeln!(page, "{line}\n    {error:?}");
        let _ = writeln!(page, "{}", in_each_dialect(&error.into()));
    }
    page
}

#[test]
fn a_request_that_leads_nowhere_is_answered_in_every_shape() {
    let bare = |method, uri| request(&method, uri, None, "");
    let page = page([
        bare(Method::GET, "/"),
        bare(Method::GET, "/v1/batches"),
        bare(Method::PUT, "/v1/files"),
        bare(Method::GET, "/v1/uploads/upload_abc123"),
        bare(Method::GET, "/openai/files"),
        bare(Method::GET, "/openai/files?api-version=v1"),
    ]);
    assert_page("refusals", "routes", &page);

    let elsewhere = Api::of_request("http://a b", &"/v1/files".parse().unwrap()).unwrap_err();
    let refusal = ApiError::from(DecodeError::from(elsewhere));
    assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
    insta::assert_snapshot!(refusal.error.message.unwrap(), @"`http://a b` is not where a service can be: check the request's Host");
}

#[test]
fn a_query_or_json_body_that_cannot_be_read_is_answered_in_every_shape() {
    let get = |uri| request(&Method::GET, uri, None, "");
    let post = |uri, body| request(&Method::POST, uri, Some("application/json"), body);
    let page = page([
        get("/v1/files?limit=0"),
        get("/v1/files?order=newest"),
        post("/v1/uploads", ""),
        post("/v1/uploads", "[]"),
        post("/v1/uploads", r#"{"filename":"a","purpose":"batch","bytes":"18","mime_type":"text/plain"}"#),
        post("/v1/uploads", r#"{"filename":"a","purpose":"batch","bytes":-1,"mime_type":"text/plain"}"#),
        post("/v1/uploads", r#"{"filename":"","purpose":"batch","bytes":1,"mime_type":"text/plain"}"#),
        post("/v1/uploads", r#"{"filename":"a","purpose":"batch","bytes":1}"#),
        post("/v1/uploads/u/complete", r#"{"part_ids":"a"}"#),
        post(
            "/openai/files/import?api-version=2024-10-21",
            r#"{"purpose":"batch","filename":"a","content_url":""}"#,
        ),
    ]);
    assert_page("refusals", "queries_and_json", &page);
}

#[test]
fn a_form_that_cannot_be_read_is_answered_in_every_shape() {
    const FORM: Option<&str> = Some("multipart/form-data; boundary=b");
    const FILE: &str = "--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nx\r\n";
    let form = |uri, fields: &str| request(&Method::POST, uri, FORM, format!("{fields}--b--\r\n").leak());
    let with_text = |name: &str, value: &str| {
        format!("{FILE}--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let page = page([
        request(&Method::POST, "/v1/files", None, ""),
        request(&Method::POST, "/v1/files", Some("application/json"), "{}"),
        request(&Method::POST, "/v1/files", FORM, ""),
        request(&Method::POST, "/v1/files", FORM, FILE),
        form("/v1/files", FILE),
        form("/v1/files", &with_text("purpose", "")),
        form("/v1/files", "--b\r\nContent-Disposition: form-data; name=purpose\r\n\r\nbatch\r\n"),
        form("/v1/files", &with_text("purpose", "batch").replace("; filename=a", "")),
        form("/v1/files", &with_text("purpose", "batch").replace("filename=a", "filename=\"\"")),
        form("/v1/files", &(with_text("purpose", "batch") + FILE)),
        form("/v1/uploads/u/parts", FILE),
    ]);
    assert_page("refusals", "forms", &page);
}

#[test]
fn an_expiry_comes_with_both_its_members_in_either_spelling() {
    let read = |expiry: &str| {
        let fields = ["--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nx".to_owned()]
            .into_iter()
            .chain(expiry.split(' ').chain(["purpose=batch"]).map(|field| {
                let (name, value) = field.split_once('=').unwrap();
                format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}")
            }))
            .collect::<Vec<_>>();
        let body = format!("{}\r\n--b--\r\n", fields.join("\r\n")).leak();
        let request = request(&Method::POST, "/v1/files", Some("multipart/form-data; boundary=b"), body);
        let (_, route) = route(&request).unwrap();
        match CreateFile::decode_request(&route, request) {
            Ok(file) => format!("{:?}", file.expires_after),
            Err(error) => error.to_string(),
        }
    };
    insta::assert_snapshot!(read("expires_after[anchor]=created_at expires_after[seconds]=3600"), @"Some(ExpiresAfter { anchor: CreatedAt, seconds: 3600 })");
    insta::assert_snapshot!(read("expires_after.seconds=3600 expires_after.anchor=created_at"), @"Some(ExpiresAfter { anchor: CreatedAt, seconds: 3600 })");
    insta::assert_snapshot!(read("expires_after.seconds=3600"), @"`expires_after` must have both an anchor and seconds");
    insta::assert_snapshot!(read("expires_after[anchor]=created_at"), @"`expires_after` must have both an anchor and seconds");
    insta::assert_snapshot!(read("expires_after.seconds=soon expires_after.anchor=created_at"), @"`expires_after` must have a whole number of seconds, and has `soon`");
    insta::assert_snapshot!(read("expires_after[anchor]= expires_after[seconds]= expires_after="), @"None");
    insta::assert_snapshot!(read("expires_after[anchor]= expires_after[seconds]=3600"), @"`expires_after` must have both an anchor and seconds");
}

#[test]
fn a_lifetime_from_an_empty_anchor_is_not_sent() {
    let mut file =
        CreateFile::new(Purpose::Batch, "a.jsonl", "t", Bytes::from("x"), Boundary::from_entropy([0; 16]));
    file.expires_after = Some(ExpiresAfter::new(ExpiryAnchor::from(""), 3600));
    let error = file.encode_request(&Api::openai()).unwrap_err();
    insta::assert_snapshot!(error, @"`expires_after` is empty");
}

#[test]
fn each_dialect_words_a_refusal_in_its_own_way() {
    let mut page = String::new();
    for status in [400, 401, 403, 404, 405, 408, 409, 413, 415, 416, 422, 429, 500, 503, 507] {
        let refusal = ApiError::new(StatusCode::from_u16(status).unwrap(), "no");
        let _ = writeln!(page, "{}\n{}", refusal.status, in_each_dialect(&refusal));
    }

    let mut slow_down =
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "slow down").with_code(ErrorCode::RateLimitExceeded);
    slow_down.request_id = Some("req_1".into());
    slow_down.retry = RetryHint::after(Duration::from_millis(1500));
    slow_down.retry.should_retry = Some(true);
    let _ = writeln!(page, "with a wait\n{}", in_each_dialect(&slow_down));
    slow_down.retry.after = Some(RetryAfter::Until(UnixSeconds(1_719_184_911)));
    let _ = writeln!(page, "with a moment\n{}", in_each_dialect(&slow_down));

    let inner = InnerError::new().code(InnerErrorCode::InvalidPayload);
    let detail = Error::message("line 3");
    let mut full = ApiError::new(StatusCode::BAD_REQUEST, "not JSONL").with_param("file");
    full.error = full
        .error
        .code(ErrorCode::JsonlValidationFailed)
        .kind("invalid_request_error")
        .details(vec![detail])
        .innererror(inner);
    let _ = writeln!(page, "with all that an error can have\n{}", in_each_dialect(&full));
    assert_page("refusals", "statuses", &page);
}

#[test]
fn a_request_id_that_no_header_can_carry_is_an_error_and_no_panic() {
    let mut refusal = ApiError::new(StatusCode::NOT_FOUND, "no");
    refusal.request_id = Some("a\nb".into());
    let error = refusal.encode_response(&Api::openai()).unwrap_err();
    insta::assert_snapshot!(error, @"the value of `x-request-id` cannot stand in a header");
}
