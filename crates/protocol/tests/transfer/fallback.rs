//! A single request that the line does not last for.

use std::time::Duration;

use partwise_models::Purpose;
use partwise_protocol::{
    Api,
    machine::Machine as _,
    operations::OperationId,
    retry::ServiceState,
    transport::{Failure, FailureKind},
    upload::{Phase, Plan, RouteChoice, SourceStamp, UploadMachine},
};

use crate::bench::{BEGAN, Bench, completed_json, file_json, list_json, part_json, upload_json};

const LENGTH: u64 = 1 << 20;

fn plan() -> Plan {
    let mut plan = Plan::new("train.jsonl", "application/jsonl", Purpose::FineTune);
    plan.parallel = 2.into();
    plan
}

fn single(api: Api, plan: Plan, length: u64) -> Bench {
    let mut bench = Bench::of(UploadMachine::new(api, plan, SourceStamp::new(length), [1; 32]).unwrap());
    bench.run();
    assert!(!bench.machine.is_in_parts());
    bench
}

/// Breaks what is under way when so much of its body had left, and lets the outage that follows pass.
fn cut(bench: &mut Bench, kind: FailureKind, left: Option<u64>) {
    let failure = Failure::new(kind);
    bench.fail_with(0, left.into_iter().fold(failure, Failure::with_left));
}

/// A file of the list as it was made of the source.
fn file(id: &str) -> String {
    file_json(id, BEGAN).replace(r#""bytes":25"#, &format!(r#""bytes":{LENGTH}"#))
}

#[test]
fn a_single_request_that_was_interrupted_twice_goes_in_parts() {
    let mut bench = single(Api::openai(), plan(), LENGTH);
    cut(&mut bench, FailureKind::Interrupted, Some(1000));
    assert!(!bench.machine.is_in_parts(), "once may be chance");
    let before = bench.saved.clone().unwrap();
    cut(&mut bench, FailureKind::Timeout, Some(LENGTH / 2));
    let progress = bench.machine.progress();
    assert!(bench.machine.is_in_parts() && progress.phase == Phase::Creating, "{progress:?}");
    bench.answer(0, 200, &upload_json(3600));
    assert_eq!(bench.flying.len(), 2);
    let progress = bench.machine.progress();
    assert_eq!((progress.parts_acknowledged, progress.bytes_acknowledged), (0, 0));
    assert!(progress.parts_total > 2 && progress.upload_id.is_some(), "{progress:?}");
    let saved = bench.saved.clone().unwrap();
    assert_eq!((before.is_in_parts(), saved.is_in_parts(), saved.line_since(&before)), (false, true, None));
    while bench.machine.progress().phase == Phase::Sending {
        bench.answer(0, 200, &part_json("part_a"));
    }
    assert_eq!(bench.machine.progress().bytes_acknowledged, LENGTH);
    bench.stamp(LENGTH);
    bench.answer(0, 200, &completed_json().replace(":25", &format!(":{LENGTH}")));
    assert_eq!(bench.end.take().unwrap().unwrap().id, "file-1");
    let statistics = bench.machine.progress().statistics;
    let (attempts, retries) = (statistics.attempts, statistics.retries);
    assert_eq!((attempts.create_file, attempts.create_upload, attempts.complete_upload), (2, 1, 1));
    assert_eq!(retries.total, 2);
    insta::assert_snapshot!(bench.log(), @r#"
    save (0, 1048576)
    POST /v1/files 0..1048576
      <- Interrupted
    POST /v1/files 0..1048576
      <- Timeout
    POST /v1/uploads {"filename":"train.jsonl","purpose":"fine-tune","bytes":1048576,"mime_type":"application/jsonl"}
      <- 200 {"id":"upload_1","created_at":1719184911,"expires_at":1719188511,"status":"pending"}
    save (0, 1048576)
    POST /v1/uploads/upload_1/parts 0..262144
    POST /v1/uploads/upload_1/parts 262144..524288
      <- 200 {"id":"part_a","object":"upload.part"}
    save (262144, 1048576)
    POST /v1/uploads/upload_1/parts 524288..1048576
      <- 200 {"id":"part_a","object":"upload.part"}
    save (524288, 1048576)
      <- 200 {"id":"part_a","object":"upload.part"}
    stamp
    save (1048576, 1048576)
    save (1048576, 1048576)
    POST /v1/uploads/upload_1/complete {"part_ids":["part_a","part_a","part_a"]}
      <- 200 {"id":"upload_1","status":"completed","file":{"id":"file-1","bytes":1048576,"filename":"train.jsonl","purpose":"fine-tune","created_at":1719184911}}
    done: file-1
    "#);
}

#[test]
fn parts_wait_for_what_the_interruption_has_to_wait_for() {
    let mut bench = single(Api::openai(), plan(), LENGTH);
    cut(&mut bench, FailureKind::Interrupted, Some(1000));
    bench.machine.handle_failure(
        bench.flying.remove(0),
        Failure::new(FailureKind::Interrupted).with_left(1000),
        bench.now(),
    );
    let wait = bench.machine.progress().latest_retry.unwrap().wait;
    assert!(wait > Duration::from_secs(1), "the service may be away: {wait:?}");
    let at = bench.time + wait;
    bench.run();
    assert_eq!((bench.flying.len(), bench.time), (1, at));
    assert_eq!(bench.attempts.last().unwrap().operation, OperationId::CreateUpload);
}

#[test]
fn nothing_but_interruptions_in_the_middle_of_the_body_is_a_reason_for_parts() {
    for (kind, left) in [
        (FailureKind::Connect, Some(0)),
        (FailureKind::Interrupted, Some(0)),
        (FailureKind::Timeout, Some(0)),
    ] {
        let mut bench = single(Api::openai(), plan(), LENGTH);
        for _ in 0..5 {
            cut(&mut bench, kind, left);
        }
        assert!(!bench.machine.is_in_parts(), "{kind:?}");
    }
    let mut bench = single(Api::openai(), plan(), LENGTH);
    for _ in 0..3 {
        bench.answer(0, 503, "");
        bench.pass(Duration::from_secs(8));
    }
    assert!(!bench.machine.is_in_parts());
}

#[test]
fn a_request_that_may_have_made_a_file_is_looked_for_first() {
    let mut bench = single(Api::openai(), plan(), LENGTH);
    cut(&mut bench, FailureKind::Interrupted, Some(1000));
    cut(&mut bench, FailureKind::Interrupted, None);
    assert!(!bench.machine.is_in_parts());
    assert_eq!(bench.attempts.last().unwrap().operation, OperationId::ListFiles);
    bench.answer(0, 200, &list_json(&[file("file-1")]));
    assert_eq!(bench.attempts.last().unwrap().operation, OperationId::DownloadFile);

    // The list did not have it, but it may lag.
    let mut bench = single(Api::openai(), plan(), LENGTH);
    bench.answer(0, 500, "");
    while bench.attempts.last().unwrap().operation == OperationId::ListFiles {
        bench.answer(0, 200, &list_json(&[]));
        bench.pass(Duration::from_secs(10));
        if bench.flying.is_empty() {
            bench.stamp(LENGTH);
        }
    }
    assert_eq!(bench.attempts.last().unwrap().operation, OperationId::CreateFile);
    for _ in 0..4 {
        cut(&mut bench, FailureKind::Interrupted, Some(1000));
    }
    assert!(!bench.machine.is_in_parts());
}

#[test]
fn a_service_that_opens_no_upload_gets_the_single_request_again() {
    for (status, body) in
        [(404, r#"{"detail":"Not Found"}"#), (400, r#"{"error":{"message":"no"}}"#), (200, "<html>")]
    {
        let mut bench = single(Api::openai(), plan(), LENGTH);
        cut(&mut bench, FailureKind::Interrupted, Some(1000));
        cut(&mut bench, FailureKind::Interrupted, Some(1000));
        bench.answer(0, status, body);
        for _ in 0..3 {
            assert!(!bench.machine.is_in_parts(), "{status}");
            assert_eq!(bench.attempts.last().unwrap().operation, OperationId::CreateFile, "{status}");
            cut(&mut bench, FailureKind::Interrupted, Some(1000));
        }
        bench.answer(0, 200, &file("file-1"));
        bench.stamp(LENGTH);
        assert_eq!(bench.end.take().unwrap().unwrap().id, "file-1", "{status}");
    }
}

#[test]
fn a_sleep_of_the_machine_is_no_reason_for_parts() {
    let service = ServiceState::new();
    let machine = UploadMachine::new(Api::openai(), plan(), SourceStamp::new(LENGTH), [1; 32]).unwrap();
    let mut bench = Bench::of(machine.with_service(&service));
    bench.run();
    for _ in 0..5 {
        bench.pass(Duration::from_secs(1));
        service.woke(bench.time, Duration::from_secs(60));
        cut(&mut bench, FailureKind::Interrupted, Some(1000));
    }
    assert!(!bench.machine.is_in_parts());
}

#[test]
fn what_the_plan_or_the_service_decides_stays_as_it_is() {
    let with = |change: fn(&mut Plan)| {
        let mut plan = plan();
        change(&mut plan);
        plan
    };
    let old = Api::azure("https://r.example", "2024-06-01").unwrap();
    for (case, api, plan, length) in [
        ("the route", Api::openai(), with(|plan| plan.route = RouteChoice::Single), LENGTH),
        ("the size of parts", Api::openai(), with(|plan| plan.part_size = Some(LENGTH)), LENGTH),
        ("the purpose", Api::openai(), with(|plan| plan.purpose = Purpose::UserData), LENGTH),
        ("a service without uploads", old, plan(), LENGTH),
        ("a file as small as a part", Api::openai(), plan(), 64 << 10),
    ] {
        let mut bench = single(api, plan, length);
        for _ in 0..5 {
            cut(&mut bench, FailureKind::Interrupted, Some(1000));
        }
        assert!(!bench.machine.is_in_parts(), "{case}");
    }
}

#[test]
fn an_end_before_the_upload_is_open_leaves_nothing_to_resume() {
    let mut bench = single(Api::openai(), plan(), LENGTH);
    cut(&mut bench, FailureKind::Interrupted, Some(1000));
    cut(&mut bench, FailureKind::Interrupted, Some(1000));
    bench.fail(0, FailureKind::Other);
    let error = bench.end.take().unwrap().unwrap_err();
    assert!(!bench.machine.is_resumable_after(&error), "{error}");
}
