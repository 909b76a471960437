//! What a transfer counts.

use std::time::Duration;

use partwise_protocol::{
    Api,
    machine::Machine as _,
    operations::OperationId,
    transport::FailureKind,
    upload::{Plan, RetryReason, RouteChoice, SourceStamp, Statistics, UploadMachine},
};

use crate::bench::{BEGAN, Bench, completed_json, file_json, list_json, part_json, plan};

const DATE: (&str, &str) = ("date", "Sun, 23 Jun 2024 23:21:51 GMT");

fn statistics(bench: &Bench) -> Statistics {
    bench.machine.progress().statistics
}

fn single() -> Plan {
    let mut plan = plan();
    plan.route = RouteChoice::Single;
    plan
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_429_with_retry_after_2_is_one_retry_for_that_reason_and_two_seconds_of_waiting() {
    let mut bench = Bench::sending(plan());
    bench.answer_with(0, 429, &[("retry-after", "2")], "");
    assert_eq!((statistics(&bench).retries.total, statistics(&bench).retries.http_429), (1, 1));
    assert_eq!(statistics(&bench).overloads, 1);
    assert_eq!(statistics(&bench).waited(), Duration::ZERO, "nothing was waited yet");
    bench.pass(seconds(1));
    assert_eq!(statistics(&bench).waited(), seconds(1));
    bench.pass(seconds(9));
    assert_eq!(statistics(&bench).waited(), seconds(2));
    assert_eq!((statistics(&bench).held, statistics(&bench).backed_off), (seconds(2), Duration::ZERO));
}

#[test]
fn two_refusals_of_one_moment_hold_everything_once() {
    let mut bench = Bench::sending(plan());
    bench.answer_with(0, 429, &[("retry-after", "2")], "");
    bench.answer_with(0, 503, &[("retry-after", "3")], "");
    bench.pass(seconds(9));
    let counted = statistics(&bench);
    assert_eq!((counted.overloads, counted.held), (2, seconds(3)));
    assert_eq!((counted.retries.total, counted.retries.http_429, counted.retries.http_5xx), (2, 1, 1));
}

#[test]
fn parts_that_are_put_off_at_once_add_up() {
    let mut bench = Bench::sending(plan());
    bench.answer_with(0, 500, &[("retry-after", "4")], "");
    bench.answer_with(1, 408, &[("retry-after-ms", "1500")], "");
    let counted = statistics(&bench);
    assert_eq!((counted.backed_off, counted.held), (Duration::from_millis(5500), Duration::ZERO));
}

#[test]
fn every_retry_is_counted_by_its_reason_and_shown_as_the_latest() {
    let failures = [
        (FailureKind::Connect, RetryReason::Connect),
        (FailureKind::Interrupted, RetryReason::Interrupted),
        (FailureKind::Timeout, RetryReason::Timeout),
    ];
    for (kind, reason) in failures {
        let mut bench = Bench::sending(plan());
        bench.fail(0, kind);
        assert_retried_once(&bench, reason);
    }
    let answers = [
        (408, RetryReason::Http408),
        (409, RetryReason::Http409),
        (429, RetryReason::Http429),
        (500, RetryReason::Http5xx),
        (503, RetryReason::Http5xx),
        (418, RetryReason::Other),
        (200, RetryReason::Garbled),
    ];
    for (status, reason) in answers {
        let mut bench = Bench::sending(plan());
        bench.answer_with(0, status, &[("x-should-retry", "true")], r#"{"id"#);
        assert_retried_once(&bench, reason);
    }
}

fn assert_retried_once(bench: &Bench, reason: RetryReason) {
    let retries = serde_json::to_value(statistics(bench).retries).unwrap();
    let counted: Vec<_> = retries.as_object().unwrap().iter().filter(|(_, count)| **count != 0).collect();
    assert_eq!(retries["total"], 1);
    assert_eq!(retries[reason.as_str()], 1, "{reason:?}");
    assert_eq!(counted.len(), 2, "{counted:?}");
    let latest = bench.machine.progress().latest_retry.unwrap();
    assert_eq!(latest.reason, reason);
    let attempt = latest.attempt;
    assert_eq!((attempt.operation, attempt.part, attempt.number), (OperationId::AddUploadPart, Some(1), 1));
}

#[test]
fn what_is_final_is_no_retry() {
    let mut bench = Bench::sending(plan());
    bench.answer(0, 401, "");
    let counted = statistics(&bench);
    assert_eq!(
        (counted.retries, bench.machine.progress().latest_retry),
        (Statistics::default().retries, None)
    );
    let mut bench = Bench::sending(plan());
    bench.answer_with(0, 429, &[("retry-after", "60")], r#"{"error":{"code":"insufficient_quota"}}"#);
    bench.pass(seconds(60));
    let counted = statistics(&bench);
    assert_eq!((counted.overloads, counted.retries.total), (1, 0));
    assert_eq!(counted.waited(), Duration::ZERO, "an upload that has ended waits for nothing");
}

#[test]
fn a_complete_that_is_repeated_whatever_the_policy_says_is_a_retry_all_the_same() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    bench.answer_with(0, 500, &[("x-should-retry", "false")], "");
    bench.pass(seconds(1));
    bench.answer(0, 200, &completed_json());
    let counted = statistics(&bench);
    assert_eq!((counted.attempts.complete_upload, counted.retries.http_5xx), (2, 1));
    assert_eq!(counted.backed_off, plan().retry_policy().base_wait);
}

#[test]
fn requests_are_counted_by_operation() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    bench.machine.cancel();
    bench.run();
    let attempts = statistics(&bench).attempts;
    assert_eq!(
        (attempts.create_upload, attempts.add_upload_part, attempts.complete_upload, attempts.cancel_upload),
        (1, 3, 1, 1)
    );
    assert_eq!((attempts.total, attempts.create_file, attempts.list_files), (6, 0, 0));
}

#[test]
fn a_file_that_is_looked_for_and_sent_again_counts_the_looks_the_waits_and_the_retry() {
    let mut bench = Bench::new(single());
    bench.run();
    bench.fail(0, FailureKind::Interrupted);
    for wait in [2, 4, 8, 16, 60] {
        bench.answer_with(0, 200, &[DATE], &list_json(&[]));
        if wait == 60 {
            bench.stamped(Ok(SourceStamp::new(25)));
        }
        bench.pass(seconds(wait));
    }
    bench.answer_with(0, 200, &[DATE], &file_json("file-1", BEGAN));
    let counted = statistics(&bench);
    assert_eq!((counted.attempts.create_file, counted.attempts.list_files), (2, 5));
    assert_eq!(counted.settling, seconds(30));
    assert_eq!((counted.retries.total, counted.retries.not_listed), (1, 1));
    assert_eq!(counted.bytes_acknowledged, 25);
}

#[test]
fn bytes_sent_are_those_in_vain_too_and_bytes_acknowledged_are_not() {
    let mut bench = Bench::sending(plan());
    let (first, second) = (bench.flying[0], bench.flying[1]);
    bench.machine.handle_moved(first, 7);
    bench.fail(0, FailureKind::Interrupted);
    bench.machine.handle_moved(second, 12);
    bench.answer(0, 200, &part_json("part_b"));
    assert_eq!((statistics(&bench).bytes_sent, statistics(&bench).bytes_acknowledged), (19, 10));
    let third = bench.flying[0];
    bench.answer(0, 401, "");
    assert!(bench.end.is_some());
    bench.machine.handle_moved(third, 5);
    assert_eq!(statistics(&bench).bytes_sent, 24, "what an abandoned request had sent was sent");
}

#[test]
fn attempts_are_numbered_part_by_part_whatever_refills_their_budget() {
    let mut bench = Bench::sending(plan());
    bench.fail(0, FailureKind::Interrupted);
    bench.pass(seconds(60));
    bench.answer(0, 200, &part_json("part_b"));
    bench.fail(1, FailureKind::Timeout);
    bench.pass(seconds(60));
    let parts: Vec<_> =
        bench.attempts.iter().filter_map(|attempt| Some((attempt.part?, attempt.number))).collect();
    assert_eq!(parts, [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)]);
    assert_eq!(bench.machine.progress().latest_retry.unwrap().attempt.number, 2);
}

#[test]
fn a_resumed_transfer_counts_anew_and_a_checkpoint_knows_nothing_of_it() {
    let mut bench = Bench::sending(plan());
    bench.answer_with(1, 503, &[("retry-after", "1")], "");
    bench.answer(0, 200, &part_json("part_a"));
    assert_ne!(statistics(&bench), Statistics::default());
    let saved = bench.saved.unwrap();
    let machine = UploadMachine::resume(Api::openai(), plan(), saved, SourceStamp::new(25), [1; 32]).unwrap();
    let progress = machine.progress();
    assert_eq!((progress.bytes_acknowledged, progress.statistics), (10, Statistics::default()));
}

#[test]
fn nothing_is_counted_after_the_end() {
    let mut bench = Bench::sending(plan());
    let late = bench.flying[1];
    bench.answer(0, 401, "");
    let at_the_end = statistics(&bench);
    let answer = http::Response::builder().status(429).header("retry-after", "9").body(bytes::Bytes::new());
    bench.machine.handle_response(late, answer.unwrap(), None, bench.now());
    bench.pass(seconds(100));
    assert_eq!(statistics(&bench), at_the_end);
}

#[test]
fn statistics_are_written_under_the_names_of_their_fields() {
    let mut bench = Bench::sending(plan());
    let first = bench.flying[0];
    bench.machine.handle_moved(first, 200);
    bench.answer_with(0, 429, &[("retry-after-ms", "1250")], "");
    bench.answer_with(0, 500, &[("retry-after", "2")], "");
    bench.pass(seconds(60));
    bench.answer(0, 200, &part_json("part_a"));
    insta::assert_json_snapshot!(statistics(&bench));
}

#[test]
fn a_failed_attempt_shows_how_it_failed_and_what_follows() {
    let mut bench = Bench::sending(plan());
    let latest = |bench: &Bench| bench.machine.progress().latest_retry.unwrap();
    bench.answer_with(0, 503, &[("retry-after", "9")], "");
    let first = latest(&bench);
    assert_eq!((first.number, first.status.map(|status| status.as_u16())), (1, Some(503)));
    assert_eq!((first.wait, first.is_asked_for, first.reconciles), (seconds(9), true, false));
    bench.fail(0, FailureKind::Interrupted);
    let second = latest(&bench);
    assert_eq!((second.number, second.status, second.is_asked_for), (2, None, false));
}

#[test]
fn an_attempt_that_may_have_made_a_file_shows_that_it_is_looked_for() {
    let mut bench = Bench::new(single());
    bench.run();
    bench.answer(0, 503, "");
    let retry = bench.machine.progress().latest_retry.unwrap();
    assert!(retry.reconciles && retry.attempt.operation == OperationId::CreateFile);
    assert_eq!((retry.number, retry.reason), (1, RetryReason::Http5xx));
    assert_eq!(statistics(&bench).retries.total, 0, "nothing was sent again yet");
}
