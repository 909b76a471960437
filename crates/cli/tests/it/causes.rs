//! Messages that point at the cause: what an answer that says no is about, and what came last before a stop.

use std::time::Duration;

use http::StatusCode;
use insta::assert_snapshot;
use partwise_protocol::{error::ApiError, operations::OperationId};
use partwise_server::testing::Fault;
use partwise_testkit::{
    content::noise,
    scripted::{Answer, Request, Scripted},
    service::FaultyService,
};

use crate::{
    sandbox::{Ran, Sandbox, signal},
    scene::{line_of, stderr_of},
};

const KEY: (&str, &str) = ("OPENAI_API_KEY", "k-0123456789");
const AZURE: [(&str, &str); 1] = [("AZURE_OPENAI_API_KEY", "az-0123456789")];

/// What is said of an upload that a service answers so, without its address.
fn upload(more: &[&str], environment: &[(&str, &str)], answer: fn(&Request) -> Answer) -> String {
    let (sandbox, service) = (Sandbox::new(), Scripted::new(answer));
    sandbox.write("a.jsonl", noise(3 << 20));
    let upload = ["upload", "a.jsonl", "--purpose", "assistants", "--endpoint", &service.origin];
    let ran = sandbox.run_with(&[&upload[..], more].concat(), environment);
    ran.refused(1).replace(&service.origin, "ORIGIN")
}

#[test]
fn a_service_without_uploads_is_told_of_the_other_route() {
    let parts = ["--route", "parts"];
    let without = |_: &Request| Answer::json("404 Not Found", r#"{"detail": "Not Found"}"#);
    assert_snapshot!(upload(&parts, &[KEY], without), @r#"
    error: cannot upload a.jsonl at ORIGIN/v1: POST /uploads was refused: 404 Not Found: {"detail": "Not Found"}
    hint: this service may have no uploads of parts: --route single sends the file as one request (up to 512 MB)
    "#);
    let gateway = |_: &Request| {
        Answer::json("404 Not Found", r#"{"error": {"code": "404", "message": "Resource not found"}}"#)
    };
    assert_snapshot!(upload(&[&parts[..], &["--provider", "azure-v1"]].concat(), &AZURE, gateway), @"
    error: cannot upload a.jsonl at ORIGIN/openai/v1: POST /uploads was refused: 404 Not Found: Resource not found (code 404)
    hint: this service may have no uploads of parts: --route single sends the file as one request (up to 512 MB); on Azure the endpoint may be a project's: --provider azure with the resource's endpoint has them
    ");
}

#[test]
fn a_page_that_turns_a_request_away_says_nothing_about_the_key() {
    for page in
        [(|_: &Request| Answer::page("403 Forbidden", "Just a moment...")) as fn(&Request) -> Answer, |_| {
            Answer::page("401 Unauthorized", "Just a moment...")
        }]
    {
        let said = upload(&[], &[KEY], page);
        insta::allow_duplicates! {
            assert_snapshot!(said.lines().nth(1).unwrap(), @"hint: something in front of the service turned the request away: a firewall, a proxy, a sign-in page, or a block of this network or country");
        }
    }
}

#[test]
fn a_network_rule_of_azure_points_at_the_networking_page() {
    let rule = |_: &Request| {
        Answer::json(
            "403 Forbidden",
            r#"{"error": {"code": "403", "message": "Access denied due to Virtual Network/Firewall rules."}}"#,
        )
    };
    assert_snapshot!(upload(&["--provider", "azure"], &AZURE, rule), @"
    error: cannot upload a.jsonl at ORIGIN/openai: POST /files was refused: 403 Forbidden: Access denied due to Virtual Network/Firewall rules. (code 403)
    hint: this network is not allowed to reach the resource: see its Networking page in the Azure portal
    ");
    let role = |_: &Request| {
        Answer::json(
            "401 Unauthorized",
            r#"{"error": {"code": "PermissionDenied", "message": "The principal `x` lacks the required data action `Microsoft.CognitiveServices/accounts/OpenAI/files/write` to perform `POST /openai/files` operation."}}"#,
        )
    };
    assert_snapshot!(upload(&["--provider", "azure"], &AZURE, role).lines().nth(1).unwrap(), @"hint: give this identity a role on the resource that has the data action, in the resource's Access control page");
}

#[test]
fn a_body_that_is_too_large_is_told_how_to_become_smaller() {
    let too_large = |request: &Request| match &*request.line {
        "POST /v1/uploads" => Answer::json("200 OK", r#"{"id": "upload_1", "status": "pending"}"#),
        _ => Answer::page("413 Request Entity Too Large", "413 Request Entity Too Large"),
    };
    assert_snapshot!(upload(&["--route", "parts"], &[KEY], too_large), @"
    error: cannot upload a.jsonl at ORIGIN/v1: sending a part was refused: 413 Payload Too Large: a page with the title “413 Request Entity Too Large”
    hint: send smaller parts, from the beginning: --no-resume and a smaller --part-size
    ");
    assert_snapshot!(upload(&[], &[KEY], too_large), @"
    error: cannot upload a.jsonl at ORIGIN/v1: POST /files was refused: 413 Payload Too Large: a page with the title “413 Request Entity Too Large”
    hint: the service, or a gateway in front of it, takes no request of this size: raise its limit, or send smaller requests with --route parts and a small --part-size
    ");
}

fn unauthorized(_: &Request) -> Answer {
    Answer::json("401 Unauthorized", r#"{"error": {"message": "no", "type": "invalid_request_error"}}"#)
}

#[test]
fn a_key_that_is_rejected_is_named_with_what_may_be_wrong_with_it() {
    let hint = |more: &[&str], variable: &str, value: &str| {
        upload(more, &[(variable, value)], unauthorized).lines().nth(1).unwrap().to_owned()
    };
    let azure = ["--provider", "azure"];
    assert_snapshot!(hint(&[], "OPENAI_API_KEY", "sk-field"), @"hint: the service rejected the key in OPENAI_API_KEY (401): check which key it is, and of which service");
    assert_snapshot!(hint(&[], "OPENAI_API_KEY", "\"sk-field\""), @"hint: OPENAI_API_KEY has quotes around the key, and they are sent with it: leave them out");
    assert_snapshot!(hint(&azure, "AZURE_OPENAI_API_KEY", "'az-field'"), @"hint: AZURE_OPENAI_API_KEY has quotes around the key, and they are sent with it: leave them out");
    assert_snapshot!(hint(&azure, "AZURE_OPENAI_AD_TOKEN", "ey-field"), @"hint: the service rejected the token in AZURE_OPENAI_AD_TOKEN (401): it may have expired");
    let forbidden = |_: &Request| Answer::json("403 Forbidden", r#"{"error": {"message": "no"}}"#);
    assert_snapshot!(upload(&[], &[KEY], forbidden).lines().nth(1).unwrap(), @"hint: the service does not allow this with the key in OPENAI_API_KEY (403)");
}

#[test]
fn a_key_that_cannot_be_sent_is_told_what_to_leave_out() {
    let list = |provider: &str, variable: &str, value: &str| {
        let list = ["files", "list", "--endpoint", "http://127.0.0.1:9", "--provider", provider];
        Sandbox::new().run_with(&list, &[(variable, value)]).refused(1)
    };
    assert_snapshot!(list("openai", "OPENAI_API_KEY", "Bearer sk-field"), @"
    error: OPENAI_API_KEY: the key begins with `Bearer `, which is not part of it
    hint: set OPENAI_API_KEY to the key alone
    ");
    assert_snapshot!(list("azure", "AZURE_OPENAI_API_KEY", "az field"), @"
    error: AZURE_OPENAI_API_KEY: the key has a space in it
    hint: set AZURE_OPENAI_API_KEY to the key alone
    ");
    assert_snapshot!(list("azure-v1", "AZURE_OPENAI_AD_TOKEN", "bearer ey-field"), @"
    error: AZURE_OPENAI_AD_TOKEN: the token begins with `Bearer `, which is not part of it
    hint: set AZURE_OPENAI_AD_TOKEN to the token alone
    ");
    assert_snapshot!(list("openai", "OPENAI_API_KEY", "“sk-field”"), @"
    error: OPENAI_API_KEY: the key has a character in it that is not ASCII
    hint: set OPENAI_API_KEY to the key alone
    ");
    assert_snapshot!(list("openai", "OPENAI_API_KEY", "sk\nfield"), @"
    error: OPENAI_API_KEY: the key has a line break or another control character in it
    hint: set OPENAI_API_KEY to the key alone
    ");
}

#[test]
fn a_stop_after_a_failure_says_how_that_was() {
    let (sandbox, service) = (Sandbox::new(), FaultyService::start());
    let busy =
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy").with_retry_after(Duration::from_secs(60));
    for operation in [OperationId::AddUploadPart, OperationId::DownloadFile] {
        service.faults.on(operation).every(Fault::Answer(Box::new(busy.clone())));
    }
    sandbox.write("a.jsonl", noise(3 << 20));
    let upload =
        ["upload", "a.jsonl", "--purpose", "assistants", "--route", "parts", "--endpoint", &service.origin()];
    let download = ["files", "download", "file-1", "-o", "out", "--endpoint", &service.origin()];
    for (arguments, failed) in [
        (&upload[..], "the last attempt failed: 503 Service Unavailable: busy"),
        (&download, "the last attempt failed: 503 Service Unavailable: busy"),
    ] {
        let mut command = sandbox.command(arguments);
        command.envs([KEY]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = stderr_of(&mut child);
        assert_eq!(line_of(&mut stderr), "the service asks to wait 60 s (503 Service Unavailable)\n");
        signal(&child, &["INT"]);
        let mut said = String::new();
        std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
        assert_eq!(Ran::of(child.wait_with_output().unwrap()).status, 75);
        assert!(said.contains(failed), "{said}");
    }
}

#[test]
fn a_wait_is_told_only_where_waiting_helps() {
    let hint =
        |answer: fn(&Request) -> Answer| upload(&[], &[KEY], answer).lines().nth(1).unwrap().to_owned();
    let unauthorized = |_: &Request| {
        Answer::with("401 Unauthorized", "Retry-After: 5\r\n", r#"{"error": {"message": "no"}}"#)
    };
    assert_snapshot!(hint(unauthorized), @"hint: the service rejected the key in OPENAI_API_KEY (401): check which key it is, and of which service");
    let forbidden =
        |_: &Request| Answer::with("403 Forbidden", "Retry-After: 5\r\n", r#"{"error": {"message": "no"}}"#);
    assert_snapshot!(hint(forbidden), @"hint: the service does not allow this with the key in OPENAI_API_KEY (403)");
    let too_large = |_: &Request| Answer::with("413 X", "Retry-After: 5\r\n", "");
    assert_snapshot!(hint(too_large), @"hint: the service, or a gateway in front of it, takes no request of this size: raise its limit, or send smaller requests with --route parts and a small --part-size");
    let quota = |_: &Request| {
        let body = r#"{"error": {"message": "no", "code": "insufficient_quota"}}"#;
        Answer::with("429 Too Many Requests", "Retry-After: 5\r\n", body)
    };
    let said = upload(&[], &[KEY], quota);
    assert!(!said.contains("asks to wait"), "{said}");
}

#[test]
fn a_key_is_blamed_only_by_an_answer_of_the_api() {
    for answer in [
        (|_: &Request| Answer::with("401 Unauthorized", "", "")) as fn(&Request) -> Answer,
        |_| Answer::with("403 Forbidden", "Content-Type: text/plain\r\n", "Access denied"),
        |_| Answer::json("403 Forbidden", "{}"),
    ] {
        let said = upload(&[], &[KEY], answer);
        insta::allow_duplicates! {
            assert_snapshot!(said.lines().nth(1).unwrap(), @"hint: this may be no answer of the service: look at the proxy, firewall or gateway on the way, and whether ORIGIN/v1 is the right endpoint");
        }
    }
    let empty = |_: &Request| Answer::with("401 Unauthorized", "", "");
    let said = upload(&[], &[("OPENAI_API_KEY", "\"sk-field\"")], empty);
    assert!(said.contains("hint: OPENAI_API_KEY has quotes around the key"), "{said}");
    let region = |_: &Request| {
        let body = r#"{"error": {"code": "unsupported_country_region_territory", "message": "Country, region, or territory not supported"}}"#;
        Answer::json("403 Forbidden", body)
    };
    assert_snapshot!(upload(&[], &[KEY], region).lines().nth(1).unwrap(), @"hint: the service does not serve the country or region that this request came from: a proxy or VPN may be what places it there");
}

#[test]
fn a_question_in_a_hint_is_a_sentence() {
    let lists = |request: &Request| match &*request.line {
        "POST /v1/uploads" => Answer::json("200 OK", r#"{"id": "upload_1", "status": "pending"}"#),
        _ => Answer::json("404 Not Found", "{}"),
    };
    let said = upload(&["--route", "parts"], &[KEY], lists);
    assert_snapshot!(said.lines().nth(1).unwrap(), @"hint: something else may be answering: is ORIGIN/v1 the right endpoint? The same command goes on from where it was; --no-resume starts over");
}

#[test]
fn a_redirect_names_the_request_in_words_and_promises_nothing_about_another_endpoint() {
    let elsewhere = |request: &Request| match &*request.line {
        "POST /v1/uploads" => Answer::json("200 OK", r#"{"id": "upload_1", "status": "pending"}"#),
        _ => Answer::with(
            "301 Moved Permanently",
            "Location: https://g.example/v1/uploads/upload_1/parts\r\n",
            "",
        ),
    };
    assert_snapshot!(upload(&["--route", "parts"], &[KEY], elsewhere), @"
    error: cannot upload a.jsonl at ORIGIN/v1: sending a part was redirected to https://g.example/v1/uploads/upload_1/parts (301 Moved Permanently)
    hint: set the endpoint to https://g.example/v1 (--endpoint)
    ");
}

#[test]
fn what_a_header_has_around_a_key_is_told() {
    let list = |value: &str| {
        let list = ["files", "list", "--endpoint", "http://127.0.0.1:9"];
        Sandbox::new().run_with(&list, &[("OPENAI_API_KEY", value)]).refused(1)
    };
    assert_snapshot!(list("\"Bearer sk-field\""), @"
    error: OPENAI_API_KEY: the key has quotes around it and begins with `Bearer `, which are not part of it
    hint: set OPENAI_API_KEY to the key alone
    ");
    assert_snapshot!(list("Authorization: Bearer sk-field"), @"
    error: OPENAI_API_KEY: the key begins with `Authorization: `, which is not part of it
    hint: set OPENAI_API_KEY to the key alone
    ");
}

#[test]
fn a_body_that_is_too_large_is_not_sent_to_a_route_that_is_not_there() {
    let too_large = |_: &Request| Answer::with("413 X", "", "");
    let old = ["--provider", "azure", "--api-version", "2024-06-01"];
    assert_snapshot!(upload(&old, &AZURE, too_large).lines().nth(1).unwrap(), @"hint: the service, or a gateway in front of it, takes no request of this size: raise its limit");
    assert_snapshot!(upload(&["--route", "parts"], &[KEY], too_large).lines().nth(1).unwrap(), @"hint: the service, or a gateway in front of it, takes no file of this size: raise its limit, or split the file");
}
