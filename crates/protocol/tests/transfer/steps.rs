//! The way of a file when nothing or little goes wrong.

use std::time::Duration;

use partwise_models::{CompleteUploadRequest, Purpose};
use partwise_protocol::{
    Api,
    machine::Machine as _,
    transport::FailureKind,
    upload::{Comparison, Phase, Plan, RouteChoice, SourceStamp, UploadMachine},
};

use crate::bench::{BEGAN, Bench, completed_json, file_json, list_json, part_json, plan, upload_json};

#[test]
fn a_file_goes_up_in_parts_and_is_stamped_and_announced_before_complete() {
    let mut bench = Bench::sending(plan());
    bench.answer(1, 200, &part_json("part_b"));
    bench.answer(0, 200, &part_json("part_a"));
    bench.answer(0, 200, &part_json("part_c"));
    bench.stamp(25);
    bench.answer(0, 200, &completed_json());
    insta::assert_snapshot!(bench.log());
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
}

#[test]
fn all_of_many_parts_are_named_in_their_order() {
    const PARTS: usize = 600;
    let mut wanted = plan();
    (wanted.part_size, wanted.parallel) = (Some(1), 1.into());
    let source = SourceStamp::new(PARTS as u64);
    let mut bench = Bench::of(UploadMachine::new(Api::openai(), wanted, source, [1; 32]).unwrap());
    bench.run();
    bench.answer(0, 200, &upload_json(3600));
    let ids: Vec<_> = (0..PARTS).map(|part| format!("part_{part}")).collect();
    for id in &ids {
        bench.answer(0, 200, &part_json(id));
    }
    bench.stamp(PARTS as u64);
    let log = bench.log();
    let (_, request) = log.split_once("/complete ").unwrap();
    let request: CompleteUploadRequest = serde_json::from_str(request.lines().next().unwrap()).unwrap();
    assert_eq!(request.part_ids, ids);
}

#[test]
fn an_md5_is_computed_from_the_start_and_complete_waits_for_it() {
    let mut wanted = plan();
    wanted.md5 = true;
    let mut bench = Bench::sending(wanted);
    bench.finish_parts();
    assert!(bench.flying.is_empty(), "complete must wait for the MD5");
    bench.hashed(Ok(*b"0123456789abcdef"));
    bench.run();
    bench.stamp(25);
    insta::assert_snapshot!(bench.log());
}

#[test]
fn a_small_file_goes_in_one_request_that_is_announced_and_checked_afterwards() {
    let mut wanted = plan();
    wanted.route = RouteChoice::Single;
    let mut bench = Bench::new(wanted);
    bench.run();
    bench.answer(0, 200, &file_json("file-1", BEGAN));
    bench.stamp(25);
    insta::assert_snapshot!(bench.log(), @r#"
    save (0, 25)
    POST /v1/files 0..25
      <- 200 {"id":"file-1","bytes":25,"filename":"train.jsonl","purpose":"fine-tune","created_at":1719184911}
    stamp
    done: file-1
    "#);
}

#[test]
fn a_failed_part_is_read_and_sent_again_with_a_new_boundary() {
    let mut wanted = plan();
    wanted.part_size = Some(13);
    let mut bench = Bench::sending(wanted);
    bench.log();
    bench.fail(0, FailureKind::Interrupted);
    bench.pass(Duration::from_secs(1));
    insta::assert_snapshot!(bench.log(), @"
      <- Interrupted
    POST /v1/uploads/upload_1/parts 0..13
    ");
    assert_eq!(bench.machine.progress().statistics.retries.interrupted, 1);
    bench.forms.sort();
    bench.forms.dedup();
    assert_eq!(bench.forms.len(), 3);
}

#[test]
fn an_overloaded_service_holds_back_everything_and_halves_what_flies() {
    let mut wanted = plan();
    wanted.part_size = Some(1);
    wanted.parallel = 8.into();
    let mut bench = Bench::sending(wanted);
    assert_eq!(bench.flying.len(), 8);
    bench.answer_with(0, 429, &[("retry-after", "7")], "");
    assert_eq!(bench.machine.progress().window, 4);
    bench.answer(0, 200, &part_json("b"));
    assert_eq!(bench.flying.len(), 6, "nothing leaves before the gate opens, not even for a free place");
    bench.pass(Duration::from_secs(7));
    assert_eq!(bench.flying.len(), 6, "more fly than the halved window allows");
    for _ in 0..4 {
        bench.answer(0, 200, &part_json("p"));
    }
    assert_eq!(bench.machine.progress().window, 5);
    assert_eq!(bench.flying.len(), 5);
}

#[test]
fn a_hint_of_no_wait_at_all_leaves_the_drawn_backoff() {
    let [past, now] = ["Sun, 23 Jun 2024 23:21:50 GMT", "Sun, 23 Jun 2024 23:21:51 GMT"];
    for headers in
        [&[("retry-after-ms", "0")][..], &[("retry-after", "0")], &[("retry-after", past), ("date", now)]]
    {
        let mut wanted = plan();
        wanted.part_size = Some(25);
        let mut bench = Bench::sending(wanted);
        for _ in 0..8 {
            let until = bench.answer_with(0, 429, headers, "").expect("it waits");
            assert!(bench.flying.is_empty() && until > bench.time, "{headers:?}");
            bench.pass(until - bench.time);
        }
        assert!(bench.time > Duration::from_secs(10), "{headers:?}: eight waits took {:?}", bench.time);
    }
}

#[test]
fn progress_counts_what_was_acknowledged_and_what_flies() {
    let mut bench = Bench::sending(plan());
    let first = bench.flying[0];
    bench.machine.handle_moved(first, 6);
    bench.machine.handle_moved(first, 3);
    bench.answer(1, 200, &part_json("part_b"));
    let progress = bench.machine.progress();
    assert_eq!((progress.phase, progress.upload_id.as_deref()), (Phase::Sending, Some("upload_1")));
    assert_eq!((progress.bytes_total, progress.bytes_acknowledged, progress.bytes_in_flight), (25, 10, 9));
    assert_eq!((progress.parts_total, progress.parts_acknowledged), (3, 1));
    assert_eq!((progress.statistics.attempts.total, progress.statistics.bytes_sent), (4, 9));
}

#[test]
fn an_ambiguous_complete_is_repeated_once_and_then_looked_for() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    bench.fail(0, FailureKind::Interrupted);
    bench.pass(Duration::from_secs(1));
    bench.answer(0, 409, r#"{"error":{"message":"the upload is completed"}}"#);
    bench.pass(Duration::from_secs(20));
    bench.answer(0, 200, &list_json(&[file_json("file-old", BEGAN - 86_400)]));
    bench.pass(Duration::from_secs(2));
    bench.answer(0, 200, &list_json(&[file_json("file-1", BEGAN), file_json("file-old", BEGAN - 86_400)]));
    bench.compare(Comparison::Equal);
    insta::assert_snapshot!(bench.log());
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
}

#[test]
fn several_matches_are_reported_and_none_is_guessed() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    bench.fail(0, FailureKind::Timeout);
    bench.pass(Duration::from_secs(1));
    bench.fail(0, FailureKind::Timeout);
    bench.answer(0, 200, &list_json(&[file_json("file-1", BEGAN), file_json("file-2", BEGAN)]));
    bench.compare(Comparison::Equal);
    bench.compare(Comparison::Equal);
    insta::assert_snapshot!(bench.error(), @"it is not known whether the service made a file: 2 in its list may be it: POST /uploads/{upload_id}/complete failed: the service did not answer or take anything for too long: no route to host");
}

#[test]
fn an_ambiguous_single_request_is_looked_for_before_it_is_sent_again() {
    let mut wanted = plan();
    wanted.route = RouteChoice::Single;
    let mut bench = Bench::new(wanted);
    bench.run();
    bench.fail(0, FailureKind::Interrupted);
    let date = [("date", "Sun, 23 Jun 2024 23:21:51 GMT")];
    for wait in [2, 4, 8, 16, 30] {
        bench.answer_with(0, 200, &date, &list_json(&[]));
        if wait == 30 {
            bench.stamped(Ok(SourceStamp::new(25)));
        }
        bench.pass(Duration::from_secs(wait));
    }
    bench.answer_with(0, 200, &date, &file_json("file-1", BEGAN));
    bench.stamp(25);
    insta::assert_snapshot!(bench.log());
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
}

#[test]
fn a_dialect_without_uploads_gets_the_file_in_one_request() {
    let api = Api::azure("https://r.example", "2024-06-01").unwrap();
    let plan = Plan::new("train.jsonl", "application/jsonl", Purpose::FineTune);
    let mut bench = Bench::of(UploadMachine::new(api, plan, SourceStamp::new(100_000_000), [1; 32]).unwrap());
    bench.run();
    insta::assert_snapshot!(bench.log(), @"
    save (0, 100000000)
    POST /openai/files?api-version=2024-06-01 0..100000000
    ");
}
