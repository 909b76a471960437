//! Refusals of every shape, and what a service answers with.

use super::*;

fn read(status: u16, headers: &[(&str, &str)], body: &'static str) -> String {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    let error = ApiError::decode_response(&response.body(Bytes::from_static(body.as_bytes())).unwrap());
    format!("{:?}: {error}", error.kind())
}

#[test]
fn every_known_shape_of_a_refusal_is_read() {
    insta::assert_snapshot!(read(400, &[("x-request-id", "req_1")], r#"{"error":{"message":"'x' is not one of ['fine-tune'] - 'purpose'","type":"invalid_request_error","param":"purpose","code":null}}"#), @"Invalid: 400 Bad Request: 'x' is not one of ['fine-tune'] - 'purpose' (about purpose, request req_1)");
    insta::assert_snapshot!(read(400, &[("apim-request-id", "a-1")], r#"{"error":{"code":"invalidPayload","message":"The file has no or an empty content type specified."}}"#), @"Invalid: 400 Bad Request: The file has no or an empty content type specified. (code invalidPayload, request a-1)");
    insta::assert_snapshot!(read(401, &[], r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key"}}"#), @"Unauthorized: 401 Unauthorized: Access denied due to invalid subscription key (code 401)");
    insta::assert_snapshot!(read(401, &[], r#"{"error":{"code":401,"message":"a code that is a number"}}"#), @"Unauthorized: 401 Unauthorized: a code that is a number (code 401)");
    insta::assert_snapshot!(read(401, &[], r#"{"statusCode":401,"message":"Unauthorized. Access token is missing."}"#), @"Unauthorized: 401 Unauthorized: Unauthorized. Access token is missing.");
    insta::assert_snapshot!(read(401, &[], ""), @"Unauthorized: 401 Unauthorized");
    insta::assert_snapshot!(read(404, &[], r#"{"error":"no such route"}"#), @"NotFound: 404 Not Found: no such route");
    insta::assert_snapshot!(read(413, &[("content-type", "text/html")], "<html>\n<head><title>413 Request Entity\n Too Large</title></head></html>"), @"TooLarge: 413 Payload Too Large: a page with the title “413 Request Entity Too Large”");
    insta::assert_snapshot!(read(502, &[("content-type", "text/html")], "<html><body>bad</body></html>"), @"Failed: 502 Bad Gateway: an HTML page without a title");
    insta::assert_snapshot!(read(503, &[], "upstream connect error"), @"Failed: 503 Service Unavailable: upstream connect error");
    insta::assert_snapshot!(read(429, &[], r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"You exceeded your current quota"}}"#), @"QuotaExhausted: 429 Too Many Requests: You exceeded your current quota (code insufficient_quota)");
    insta::assert_snapshot!(read(500, &[], r#"{"unexpected":[1,2]}"#), @r#"Failed: 500 Internal Server Error: {"unexpected":[1,2]}"#);
    insta::assert_snapshot!(read(400, &[], r#"{"error":{"message":{"odd":1}},"detail":{"message":"sibling"}}"#), @"Invalid: 400 Bad Request");
}

#[test]
fn a_redirect_says_where_it_leads() {
    let redirect = |status, location| read(status, &[("location", location)], "<title>Moved</title>");
    insta::assert_snapshot!(redirect(301, "https://gateway.example/v1/files?x=1"), @"Other: redirected to https://gateway.example/v1/files (301 Moved Permanently)");
    insta::assert_snapshot!(redirect(307, " "), @"Other: 307 Temporary Redirect: a page with the title “Moved”");
    insta::assert_snapshot!(redirect(400, "/elsewhere"), @"Invalid: 400 Bad Request: a page with the title “Moved”");
}

#[test]
fn a_rejection_of_another_host_names_it() {
    let mut error = ApiError::new(StatusCode::FORBIDDEN, "the link has expired");
    error.answered_by = Some("blob.example".into());
    insta::assert_snapshot!(error, @"blob.example answered 403 Forbidden: the link has expired");
}

#[test]
fn a_page_is_told_from_an_answer_of_the_service() {
    let is_page = |content_type: &str, body: &'static str| {
        let response = Response::builder().status(403).header("content-type", content_type);
        ApiError::decode_response(&response.body(Bytes::from_static(body.as_bytes())).unwrap()).is_page
    };
    assert!(is_page("text/html; charset=utf-8", "<html></html>"));
    assert!(is_page("", "<title>Just a moment...</title>"));
    assert!(!is_page("application/json", r#"{"error":{"message":"no <title>page</title>"}}"#));
    assert!(!is_page("text/html", r#"{"error":{"message":"no"}}"#));
    assert!(!is_page("", ""));
}

#[test]
fn a_refusal_is_one_line_whatever_the_service_says() {
    insta::assert_snapshot!(read(400, &[], r#"{"error":{"code":"a\nb","param":"c\u001b[2Jd","message":"line\r\nline\ttab"}}"#), @"Invalid: 400 Bad Request: line line tab (code a b, about c [2Jd)");
    insta::assert_snapshot!(read(502, &[("content-type", "Text/HTML")], "<title> </title>"), @"Failed: 502 Bad Gateway: an HTML page without a title");
    let long: &'static str = format!(r#"{{"error":"{}"}}"#, "long ".repeat(200)).leak();
    assert_eq!(
        read(500, &[], long).chars().count(),
        "Failed: 500 Internal Server Error: …".chars().count() + 512
    );
}

#[test]
fn a_refusal_is_written_in_each_dialects_shape() {
    let refusal = ApiError::new(StatusCode::NOT_FOUND, "No such File object: file-1").with_param("id");
    let write = |api: &Api| {
        let body = refusal.encode_response(api).unwrap().into_body().into_bytes().unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    };
    insta::assert_snapshot!(write(&Api::openai()), @r#"{"error":{"message":"No such File object: file-1","type":"invalid_request_error","param":"id","code":null}}"#);
    insta::assert_snapshot!(write(&Api::azure("https://r.example", "2024-10-21").unwrap()), @r#"{"error":{"code":"notFound","message":"No such File object: file-1","target":"id"}}"#);
}

#[test]
fn a_refusal_that_says_nothing_is_written_with_what_its_status_says() {
    let mut refusal = ApiError::new(StatusCode::REQUEST_TIMEOUT, "");
    refusal.error.message = None;
    let write = |api: &Api| {
        let body = refusal.encode_response(api).unwrap().into_body().into_bytes().unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    };
    insta::assert_snapshot!(write(&Api::openai()), @r#"{"error":{"message":"Request Timeout","type":"invalid_request_error","param":null,"code":null}}"#);
    insta::assert_snapshot!(write(&Api::azure("https://r.example", "2024-10-21").unwrap()), @r#"{"error":{"code":"408","message":"Request Timeout"}}"#);
}

#[test]
fn what_was_written_is_read_again() {
    for api in [Api::openai(), Api::azure("https://r.example", "2024-10-21").unwrap()] {
        let mut refusal = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "slow down");
        refusal.request_id = Some("req_7".into());
        refusal.retry = RetryHint { should_retry: Some(true), ..RetryHint::after(Duration::from_secs(3)) };
        let response = refusal.encode_response(&api).unwrap().map(|body| body.into_bytes().unwrap());
        let read = ApiError::decode_response(&response);
        assert_eq!(
            (read.status, read.request_id, read.retry),
            (refusal.status, refusal.request_id, refusal.retry)
        );
        assert_eq!(read.error.message, refusal.error.message);
    }
}

fn decoded(status: u16, headers: &[(&str, &str)], body: &'static str) -> ApiError {
    let start = Response::builder().status(status);
    let response = headers.iter().fold(start, |response, (name, value)| response.header(*name, *value));
    ApiError::decode_response(&response.body(Bytes::from_static(body.as_bytes())).unwrap())
}

#[test]
fn a_wait_in_the_message_of_an_overloaded_service_is_a_hint_unless_a_header_says_another() {
    let body = r#"{"error":{"code":"429","message":"Rate limit is exceeded. Try again in 60 seconds."}}"#;
    let hint = |status, headers: &[(&str, &str)]| decoded(status, headers, body).retry;
    let seconds = |seconds| RetryHint::after(Duration::from_secs(seconds));
    assert_eq!(hint(429, &[]), seconds(60));
    assert_eq!(hint(503, &[]), seconds(60));
    assert_eq!(hint(500, &[]), RetryHint::default());
    assert_eq!(hint(429, &[("retry-after", "7")]), seconds(7));
    assert_eq!(hint(429, &[("retry-after", "soon")]), seconds(60));
    assert_eq!(hint(429, &[("x-should-retry", "false")]).should_retry, Some(false));
}

#[test]
fn a_wait_is_read_only_from_a_message_of_the_api() {
    for body in [
        "Too many requests. Try again in 60 seconds.",
        "<html><title>Busy: try again in 60 seconds</title></html>",
        r#"["try again in 60 seconds"]"#,
    ] {
        assert_eq!(decoded(429, &[], body).retry, RetryHint::default(), "{body}");
    }
    let bare = r#"{"statusCode":429,"message":"Rate limit is exceeded. Try again in 60 seconds."}"#;
    assert_eq!(decoded(429, &[], bare).retry, RetryHint::after(Duration::from_secs(60)));
}

#[test]
fn only_the_apis_own_error_shapes_come_from_the_api() {
    for body in [
        r#"{"error":{"message":"no"}}"#,
        r#"{"error":{"code":"429"}}"#,
        r#"{"error":"no such route"}"#,
        r#"{"statusCode":401,"message":"Unauthorized."}"#,
    ] {
        assert!(decoded(429, &[], body).is_of_the_api(), "{body}");
    }
    for body in ["", "{", "[]", "{}", r#"{"error":{}}"#, r#"{"error":7}"#, "no", "<title>No</title>"] {
        assert!(!decoded(429, &[], body).is_of_the_api(), "{body}");
    }
}

#[test]
fn a_page_is_known_with_and_without_a_title() {
    for body in ["<!DOCTYPE HTML>", " <HTML><body>", "<!-- x --><meta a>", "<script>location=1</script>"] {
        assert_eq!(page(body.as_bytes()).as_deref(), Some(UNTITLED), "{body}");
    }
    assert_eq!(page(b"<title>A</title>").as_deref(), Some("a page with the title “A”"));
    for body in ["", "{\"a\":\"<title>A</title>\"}", "<?xml version='1.0'?><Error/>", "no <html>", "[]"] {
        assert_eq!(page(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn no_body_makes_reading_a_refusal_panic() {
    for body in ["\u{0}", "[]", "\"text\"", "<TITLE>", "<title>İ</title>", "{\"error\":[]}", "{"] {
        read(500, &[("content-type", "text/html")], body);
    }
}
