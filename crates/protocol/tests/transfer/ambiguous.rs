//! Requests that may or may not have been executed: what is proven, what is sent again, and what stays unknown.

use std::time::Duration;

use partwise_protocol::{
    Api,
    machine::Machine as _,
    retry::{RetryPolicy, ServiceState},
    transport::{Failure, FailureKind, SourceError},
    upload::{Comparison, Plan, Proof, RouteChoice, SourceStamp, UploadError, UploadMachine},
};

use crate::bench::{BEGAN, Bench, completed_json, file_json, list_json, plan};

/// The service's clock is ours, as the `Date` of its list says.
pub(crate) const DATED: [(&str, &str); 1] = [("date", "Sun, 23 Jun 2024 23:21:51 GMT")];
/// When the list is searched again, counted from the search before.
pub(crate) const PAUSES: [u64; 4] = [2, 4, 8, 16];
/// Longer than any form around 25 bytes.
const EVERYTHING: u64 = 10_000;

pub(crate) fn single() -> Plan {
    let mut plan = plan();
    plan.route = RouteChoice::Single;
    plan
}

pub(crate) fn interrupted(left: Option<u64>) -> Failure {
    let failure = Failure::new(FailureKind::Interrupted);
    left.map_or(failure.clone(), |left| failure.with_left(left))
}

/// A machine whose single request may have arrived, and which searches the list.
pub(crate) fn searching() -> Bench {
    let mut bench = Bench::new(single());
    bench.run();
    bench.fail_with(0, interrupted(None));
    bench.log();
    bench
}

/// A machine whose `complete` was sent twice without an answer, and which searches the list.
pub(crate) fn searching_for_upload(machine: UploadMachine) -> Bench {
    let mut bench = Bench::of(machine);
    bench.run();
    bench.answer(0, 200, &crate::bench::upload_json(3600));
    bench.finish_parts();
    bench.stamp(25);
    for _ in 0..2 {
        bench.fail(0, FailureKind::Interrupted);
        bench.pass(Duration::from_secs(20));
    }
    bench.log();
    bench
}

pub(crate) fn list(bench: &mut Bench, files: &[String]) {
    bench.answer_with(0, 200, &DATED, &list_json(files));
}

/// The searches that remain, each of which finds these files.
pub(crate) fn settle(bench: &mut Bench, files: &[String]) {
    for pause in PAUSES {
        bench.pass(Duration::from_secs(pause));
        list(bench, files);
    }
}

pub(crate) fn in_parts(registry: &ServiceState) -> UploadMachine {
    UploadMachine::new(Api::openai(), plan(), SourceStamp::new(25), [1; 32]).unwrap().with_service(registry)
}

pub(crate) fn in_one(registry: &ServiceState) -> UploadMachine {
    UploadMachine::new(Api::openai(), single(), SourceStamp::new(25), [1; 32]).unwrap().with_service(registry)
}

pub(crate) fn unknown_size(id: &str) -> String {
    file_json(id, BEGAN).replace("\"bytes\":25", "\"bytes\":null")
}

#[test]
fn a_request_of_which_less_than_everything_left_is_sent_again_without_a_look_at_the_list() {
    for failure in [interrupted(Some(0)), interrupted(Some(30)), Failure::new(FailureKind::Connect)] {
        let mut bench = Bench::new(single());
        bench.run();
        bench.log();
        bench.fail_with(0, failure);
        bench.pass(Duration::from_secs(1));
        assert!(bench.log().ends_with("POST /v1/files 0..25"));
    }
}

#[test]
fn a_request_that_may_have_left_whole_is_looked_for() {
    for left in [None, Some(EVERYTHING)] {
        let mut bench = Bench::new(single());
        bench.run();
        bench.log();
        bench.fail_with(0, interrupted(left));
        assert!(bench.log().contains("GET /v1/files?"), "{left:?}");
    }
}

#[test]
fn a_failure_that_was_answered_before_everything_left_is_not_ambiguous() {
    let mut bench = Bench::new(single());
    bench.run();
    bench.log();
    bench.answer_after(0, Some(30), 502, &[], "");
    bench.pass(Duration::from_secs(1));
    insta::assert_snapshot!(bench.log(), @r"
      <- 502 
    POST /v1/files 0..25
    ");
}

#[test]
fn a_success_that_was_answered_before_everything_left_is_none() {
    let mut bench = Bench::new(single());
    bench.run();
    bench.answer_after(0, Some(30), 200, &[], &file_json("file-1", BEGAN));
    insta::assert_snapshot!(bench.error(), @"the service made file-1 before it had the whole request (30 of 302 bytes)");

    let mut bench = Bench::sending(plan());
    bench.log();
    bench.answer_after(0, Some(3), 200, &[], &crate::bench::part_json("part_a"));
    let progress = bench.machine.progress();
    assert_eq!((progress.parts_acknowledged, progress.statistics.retries.interrupted), (0, 1));
}

#[test]
fn equal_content_is_proof() {
    let mut bench = searching();
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::Equal);
    bench.stamp(25);
    insta::assert_snapshot!(bench.log(), @r#"
      <- 200 {"object":"list","data":[{"id":"file-1","bytes":25,"filename":"train.jsonl","purpose":"fine-tune","created_at":1719184911}],"has_more":false}
    compare file-1
      <- Equal
    stamp
    done: file-1
    "#);
    assert_eq!(bench.machine.progress().proof, Some(Proof::Content));
}

#[test]
fn other_content_is_not_ours_and_the_file_is_sent_again_once_the_list_has_settled() {
    let mut bench = searching();
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::Different);
    settle(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.stamp(25);
    bench.pass(Duration::from_secs(1));
    let log = bench.log();
    assert_eq!((log.matches("compare").count(), log.matches("GET /v1/files?").count()), (1, 4));
    assert!(log.ends_with("POST /v1/files 0..25"));
}

#[test]
fn a_file_that_the_list_never_shows_is_sent_again_as_often_as_the_policy_allows() {
    let allowed = RetryPolicy::default().max_failures;
    let mut bench = searching();
    for _ in 0..=allowed {
        list(&mut bench, &[]);
        settle(&mut bench, &[]);
        if bench.end.is_some() {
            break;
        }
        bench.stamp(25);
        bench.pass(Duration::from_secs(60));
        bench.fail_with(0, interrupted(None));
    }
    assert_eq!(bench.log().matches("POST /v1/files 0..25").count(), usize::try_from(allowed).unwrap());
    assert!(matches!(bench.end, Some(Err(UploadError::CompletionUnknown { .. }))), "{:?}", bench.end);
}

#[test]
fn a_source_that_changed_meanwhile_is_not_sent_again() {
    let mut bench = searching();
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::Different);
    settle(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.stamp(26);
    insta::assert_snapshot!(bench.error(), @"it is not known whether the service made a file: one in its list may be it: the source changed while it was uploaded: its length was 25 bytes and is 26");
}

#[test]
fn without_content_a_single_request_stays_unknown_and_names_the_candidate() {
    for rounds in [None, Some(PAUSES)] {
        let mut bench = searching();
        list(&mut bench, &[file_json("file-1", BEGAN)]);
        for pause in rounds.into_iter().flatten() {
            bench.compare(Comparison::Unknown);
            bench.pass(Duration::from_secs(pause));
            list(&mut bench, &[file_json("file-1", BEGAN)]);
        }
        bench.compare(rounds.map_or(Comparison::NotServed, |_| Comparison::Unknown));
        let expected = "it is not known whether the service made a file: one in its list may be it: \
                        POST /files failed: the connection broke";
        assert_eq!(bench.error(), expected);
    }
}

#[test]
fn several_of_which_one_is_equal_are_no_riddle_and_several_equal_ones_are() {
    let three = ["file-1", "file-2", "file-3"].map(|id| file_json(id, BEGAN));
    let mut bench = searching();
    list(&mut bench, &three);
    bench.compare(Comparison::Different);
    bench.compare(Comparison::Equal);
    bench.compare(Comparison::NotServed);
    bench.stamp(25);
    assert_eq!(bench.end.unwrap().unwrap().id, "file-2");

    let mut bench = searching();
    list(&mut bench, &three);
    bench.compare(Comparison::Equal);
    bench.compare(Comparison::Different);
    bench.compare(Comparison::Equal);
    insta::assert_snapshot!(bench.error(), @"it is not known whether the service made a file: 2 in its list may be it: POST /files failed: the connection broke");
}

#[test]
fn a_comparison_that_takes_longer_than_its_limit_is_abandoned() {
    let mut wanted = single();
    wanted.compare_limit = Duration::from_secs(60);
    let mut bench = Bench::new(wanted);
    bench.run();
    bench.fail_with(0, interrupted(None));
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.log();
    let until = bench.time + Duration::from_secs(60);
    assert_eq!(bench.run(), Some(until));
    bench.pass(Duration::from_secs(60));
    insta::assert_snapshot!(bench.log(), @r"
    abandon
    done: it is not known whether the service made a file: one in its list may be it
    ");
}

#[test]
fn a_source_that_cannot_be_compared_ends_the_transfer() {
    let mut bench = searching();
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    let id = bench.flying.remove(0);
    let now = bench.now();
    bench.machine.handle_compared(id, Err(SourceError::new("no such file")), now);
    bench.run();
    insta::assert_snapshot!(bench.error(), @"the source cannot be read: no such file");
}

#[test]
fn a_file_that_another_upload_was_answered_with_is_not_ours() {
    let registry = ServiceState::default();
    let mut other = Bench::of(in_one(&registry));
    other.run();
    other.answer(0, 200, &file_json("file-1", BEGAN));
    other.stamp(25);
    assert_eq!(other.end.unwrap().unwrap().id, "file-1");

    let mut bench = Bench::of(in_one(&registry));
    bench.run();
    bench.fail_with(0, interrupted(None));
    bench.log();
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    settle(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.stamp(25);
    bench.pass(Duration::from_secs(1));
    let log = bench.log();
    assert!(!log.contains("compare") && log.ends_with("POST /v1/files 0..25"), "{log}");
}

#[test]
fn a_file_that_another_upload_in_flight_may_have_made_is_left_to_it() {
    let registry = ServiceState::default();
    let mut other = Bench::of(in_one(&registry));
    other.run();
    let mut bench = Bench::of(in_one(&registry));
    bench.run();
    bench.fail_with(0, interrupted(None));
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::Equal);
    assert!(bench.end.is_none() && bench.flying.is_empty());
    // The other one's answer shows whose it is.
    other.answer(0, 200, &file_json("file-1", BEGAN));
    other.stamp(25);
    bench.pass(Duration::from_secs(5));
    list(&mut bench, &[file_json("file-1", BEGAN), file_json("file-2", BEGAN)]);
    bench.compare(Comparison::Equal);
    bench.stamp(25);
    assert_eq!(bench.end.unwrap().unwrap().id, "file-2");
}

#[test]
fn a_candidate_is_taken_when_the_upload_in_flight_turns_out_to_have_made_another() {
    let registry = ServiceState::default();
    let mut other = Bench::of(in_one(&registry));
    other.run();
    let mut bench = Bench::of(in_one(&registry));
    bench.run();
    bench.fail_with(0, interrupted(None));
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::Equal);
    // It made nothing at first, and then it was rejected.
    other.fail_with(0, interrupted(Some(0)));
    other.answer(0, 400, "{}");
    bench.pass(Duration::from_secs(5));
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.stamp(25);
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
}

#[test]
fn the_time_of_the_upload_proves_a_complete_whose_content_is_not_served() {
    let mut bench = searching_for_upload(in_parts(&ServiceState::default()));
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::NotServed);
    assert_eq!(bench.end.take().unwrap().unwrap().id, "file-1");
    assert_eq!(bench.machine.progress().proof, Some(Proof::UploadTime));
    // A size that is not known is none.
    let mut bench = searching_for_upload(in_parts(&ServiceState::default()));
    for pause in PAUSES {
        list(&mut bench, &[unknown_size("file-1")]);
        bench.answer(0, 200, &unknown_size("file-1"));
        bench.pass(Duration::from_secs(pause));
    }
    list(&mut bench, &[unknown_size("file-1")]);
    bench.answer(0, 200, &unknown_size("file-1"));
    bench.compare(Comparison::NotServed);
    assert!(bench.end.take().unwrap().is_err());
    // Another time is none, and neither is a comparison that failed.
    let mut bench = searching_for_upload(in_parts(&ServiceState::default()));
    list(&mut bench, &[file_json("file-1", BEGAN + 1)]);
    bench.compare(Comparison::NotServed);
    assert!(bench.end.take().unwrap().is_err());
    let mut bench = searching_for_upload(in_parts(&ServiceState::default()));
    for pause in PAUSES {
        list(&mut bench, &[file_json("file-1", BEGAN)]);
        bench.compare(Comparison::Unknown);
        bench.pass(Duration::from_secs(pause));
    }
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::Unknown);
    assert!(bench.end.take().unwrap().is_err());
}

#[test]
fn the_time_of_the_upload_proves_nothing_when_this_client_began_another_like_it_in_that_second() {
    let registry = ServiceState::default();
    let mut other = Bench::of(in_parts(&registry));
    other.run();
    other.answer(0, 200, &crate::bench::upload_json(3600).replace("upload_1", "upload_2"));
    let mut bench = searching_for_upload(in_parts(&registry));
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::NotServed);
    insta::assert_snapshot!(bench.error(), @"it is not known whether the service made a file: one in its list may be it: POST /uploads/{upload_id}/complete failed: the connection broke: no route to host");
}

#[test]
fn an_identifier_derived_from_that_of_the_upload_proves_a_complete_whose_content_is_not_served() {
    let digits = "72a2792ef7d24ba7b82c7fe4a37e379f";
    let mut bench = Bench::of(in_parts(&ServiceState::default()));
    bench.run();
    bench.answer(
        0,
        200,
        &crate::bench::upload_json(3600).replace("upload_1", &format!("fine-tune-{digits}")),
    );
    bench.finish_parts();
    bench.stamp(25);
    for _ in 0..2 {
        bench.fail(0, FailureKind::Interrupted);
        bench.pass(Duration::from_secs(20));
    }
    list(&mut bench, &[file_json("file-x", BEGAN), file_json(&format!("file-{digits}"), BEGAN + 9)]);
    bench.compare(Comparison::NotServed);
    bench.compare(Comparison::NotServed);
    assert_eq!(bench.end.take().unwrap().unwrap().id, format!("file-{digits}"));
    assert_eq!(bench.machine.progress().proof, Some(Proof::DerivedId));
}

#[test]
fn an_answer_with_another_size_is_no_success_on_either_route() {
    for bytes in [0, 3] {
        let other = |json: String| json.replace("\"bytes\":25", &format!("\"bytes\":{bytes}"));
        let mut bench = Bench::new(single());
        bench.run();
        bench.answer(0, 200, &other(file_json("file-1", BEGAN)));
        assert_eq!(bench.error(), format!("the service made file-1 with {bytes} bytes, and 25 were sent"));

        let mut bench = Bench::sending(plan());
        bench.finish_parts();
        bench.stamp(25);
        bench.answer(0, 200, &other(completed_json()));
        assert_eq!(bench.error(), format!("the service made file-1 with {bytes} bytes, and 25 were sent"));
    }
}

#[test]
fn an_answer_with_status_error_is_no_success_on_either_route() {
    let rejected = |json: String| {
        let details = "Validation of jsonl file failed: Deserialization of line #0 failed.";
        json.replace("\"bytes\":25", &format!(r#""bytes":25,"status":"error","status_details":"{details}""#))
    };
    let mut bench = Bench::new(single());
    bench.run();
    bench.answer(0, 200, &rejected(file_json("file-1", BEGAN)));
    insta::assert_snapshot!(bench.error(), @"the service rejected the content: Validation of jsonl file failed: Deserialization of line #0 failed.");
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    bench.answer(0, 200, &rejected(completed_json()));
    insta::assert_snapshot!(bench.error(), @"the service rejected the content: Validation of jsonl file failed: Deserialization of line #0 failed.");
}

#[test]
fn the_time_of_the_upload_proves_nothing_while_another_like_it_is_unresolved() {
    let registry = ServiceState::default();
    // It began in another second; a service that dates files by their completion may give its file ours.
    let earlier = crate::bench::upload_json(3600).replace(&BEGAN.to_string(), &(BEGAN - 7).to_string());
    let mut other = Bench::of(in_parts(&registry));
    other.run();
    other.answer(0, 200, &earlier.replace("upload_1", "upload_2"));
    other.finish_parts();
    other.stamp(25);
    other.fail(0, FailureKind::Interrupted);
    other.answer(0, 500, "");
    // Whether it still runs or has been dropped.
    for other in [Some(other), None] {
        let mut bench = searching_for_upload(in_parts(&registry));
        list(&mut bench, &[file_json("file-1", BEGAN)]);
        bench.compare(Comparison::NotServed);
        assert!(bench.error().starts_with("it is not known"), "running: {}", other.is_some());
    }
}

#[test]
fn a_wait_that_is_asked_for_is_told_before_the_list_is_searched() {
    let mut bench = Bench::new(single());
    bench.run();
    let until = bench.answer_with(0, 503, &[("retry-after", "90")], "");
    assert_eq!((bench.flying.len(), until), (0, Some(Duration::from_secs(90))));
    let retry = bench.machine.progress().latest_retry.unwrap();
    assert_eq!((retry.reconciles, retry.is_asked_for, retry.wait), (true, true, Duration::from_secs(90)));
}

#[test]
fn what_the_service_does_not_want_sent_again_is_looked_for_at_once_and_not_sent_again() {
    for header in [("retry-after", "3600"), ("x-should-retry", "false")] {
        let mut bench = Bench::new(single());
        bench.run();
        bench.answer_with(0, 503, &[header], "");
        bench.pass(Duration::from_secs(1));
        for pause in PAUSES {
            list(&mut bench, &[]);
            bench.pass(Duration::from_secs(pause));
        }
        list(&mut bench, &[]);
        assert_eq!(bench.error(), "POST /files was refused: 503 Service Unavailable", "{header:?}");
    }
}
