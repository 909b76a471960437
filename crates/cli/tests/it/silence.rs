//! What is said while nothing seems to happen: the first failed attempt, and each long wait.

use std::time::Duration;

use http::StatusCode;
use insta::assert_snapshot;
use partwise_protocol::{error::ApiError, operations::OperationId};
use partwise_server::testing::Fault;
use partwise_testkit::{content::noise, service::FaultyService};

use crate::sandbox::{Ran, Sandbox};

const KEY: (&str, &str) = ("OPENAI_API_KEY", "k");

fn unavailable() -> Fault {
    Fault::Answer(Box::new(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy")))
}

fn asking_for(seconds: u64) -> Fault {
    let rejection = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "later");
    Fault::Answer(Box::new(rejection.with_retry_after(Duration::from_secs(seconds))))
}

/// A service that has a file already.
struct Stocked {
    sandbox: Sandbox,
    service: FaultyService,
    id: String,
}

impl Stocked {
    fn new() -> Self {
        let (sandbox, service) = (Sandbox::new(), FaultyService::start());
        sandbox.write("a.jsonl", "{}\n");
        sandbox.write("big.bin", noise(3 << 20));
        let upload = ["upload", "a.jsonl", "--purpose", "batch", "--json", "--endpoint", &service.origin()];
        let id = sandbox.run_with(&upload, &[KEY]).json()["id"].as_str().unwrap().to_owned();
        Self { sandbox, service, id }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.sandbox.run_with(&[arguments, &["--endpoint", &self.service.origin()]].concat(), &[KEY])
    }

    /// What standard error has of a command that succeeds once the service does.
    fn said(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.stderr
    }
}

#[test]
fn a_single_operation_says_its_first_failed_attempt() {
    let stocked = Stocked::new();
    for arguments in [&["files", "get", &stocked.id][..], &["files", "list", "--json"]] {
        stocked.service.faults.on_any().first(2, unavailable());
        insta::allow_duplicates! {
            assert_snapshot!(stocked.said(arguments), @"the service answered 503 Service Unavailable: trying again");
        }
    }
}

#[test]
fn a_wait_that_the_service_asks_for_is_told_with_its_status() {
    let stocked = Stocked::new();
    stocked.service.faults.on(OperationId::ListFiles).nth(1, asking_for(6));
    assert_snapshot!(stocked.said(&["files", "list", "--json"]), @"the service asks to wait 6 s (429 Too Many Requests)");
}

#[test]
fn an_upload_says_that_it_looks_for_a_file_that_may_have_been_made() {
    let stocked = Stocked::new();
    stocked.service.faults.on(OperationId::CreateFile).every(unavailable());
    // The list need not be searched for long.
    let unauthorized = ApiError::new(StatusCode::UNAUTHORIZED, "no");
    stocked.service.faults.on(OperationId::ListFiles).every(Fault::Answer(Box::new(unauthorized)));
    let said = stocked.run(&["upload", "a.jsonl", "--purpose", "batch"]).refused(1);
    assert_snapshot!(said.lines().next().unwrap(), @"the service answered 503 Service Unavailable: looking whether it made the file, then trying again");
}

#[test]
fn parts_that_fail_together_are_told_once() {
    let stocked = Stocked::new();
    stocked.service.faults.on(OperationId::AddUploadPart).first(3, unavailable());
    let upload = ["upload", "big.bin", "--purpose", "assistants", "--part-size", "1MiB", "--route", "parts"];
    assert_snapshot!(stocked.said(&upload), @"the service answered 503 Service Unavailable: trying again");
}

#[test]
fn a_download_says_its_first_failed_attempt() {
    let stocked = Stocked::new();
    for to in ["out", "-"] {
        stocked.service.faults.on(OperationId::DownloadFile).first(2, unavailable());
        insta::allow_duplicates! {
            assert_snapshot!(stocked.said(&["files", "download", &stocked.id, "-o", to]), @"the service answered 503 Service Unavailable: trying again");
        }
    }
}

#[test]
fn a_wait_beyond_what_is_waited_for_is_told() {
    let stocked = Stocked::new();
    stocked.service.faults.on_any().every(asking_for(600));
    let said = stocked.run(&["upload", "a.jsonl", "--purpose", "batch"]).refused(1);
    let said = said.replace(&stocked.service.origin(), "ORIGIN");
    assert_snapshot!(said, @"
    error: cannot upload a.jsonl at ORIGIN/v1: POST /files was refused: 429 Too Many Requests: later
    hint: the service asks to wait 600 s before the next attempt
    ");
}
