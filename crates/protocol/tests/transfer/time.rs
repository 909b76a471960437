//! Expiry, clocks and warnings.

use std::time::Duration;

use partwise_protocol::Warning;

use crate::bench::{BEGAN, Bench, part_json, plan, upload_json};

#[test]
fn an_upload_that_expired_ends_or_begins_anew_as_the_plan_says() {
    let mut bench = Bench::sending(plan());
    bench.answer(0, 200, &part_json("part_a"));
    bench.pass(Duration::from_secs(3599));
    assert!(bench.end.is_none());
    bench.pass(Duration::from_secs(1));
    insta::assert_snapshot!(bench.error(), @"the upload expired before it was complete");

    let mut wanted = plan();
    wanted.restart_when_expired = true;
    let mut bench = Bench::sending(wanted);
    bench.log();
    bench.pass(Duration::from_secs(3600));
    insta::assert_snapshot!(bench.log(), @r#"
    abandon
    abandon
    POST /v1/uploads {"filename":"train.jsonl","purpose":"fine-tune","bytes":25,"mime_type":"application/jsonl"}
    "#);
}

#[test]
fn expiry_is_read_on_the_services_clock() {
    // Theirs is an hour behind ours, so what looks expired here lives for an hour there.
    let theirs = BEGAN - 3600;
    let upload = format!(r#"{{"id":"upload_1","created_at":{theirs},"expires_at":{}}}"#, theirs + 3600);
    for headers in [vec![("date", "Sun, 23 Jun 2024 22:21:51 GMT")], vec![]] {
        let mut bench = Bench::new(plan());
        bench.run();
        bench.answer_with(0, 200, &headers, &upload);
        bench.pass(Duration::from_secs(3599));
        assert!(bench.end.is_none());
        bench.pass(Duration::from_secs(1));
        assert!(bench.end.is_some());
    }
}

#[test]
fn an_expiry_before_the_beginning_is_ignored_with_a_warning() {
    let mut bench = Bench::new(plan());
    bench.run();
    bench.answer(
        0,
        200,
        &format!(r#"{{"id":"upload_1","created_at":{BEGAN},"expires_at":{}}}"#, BEGAN - 57_615),
    );
    bench.pass(Duration::from_secs(100_000));
    assert!(bench.end.is_none());
    assert_eq!(bench.machine.progress().warning, Some(Warning::ExpiryIgnored));
}

#[test]
fn a_rate_that_cannot_finish_in_time_is_warned_of_early() {
    let mut bench = Bench::new(plan());
    bench.run();
    bench.answer(0, 200, &upload_json(60));
    bench.pass(Duration::from_secs(6));
    bench.machine.handle_sent(bench.flying[0], 1);
    bench.run();
    let Some(Warning::TooSlow { needed, left }) = bench.machine.progress().warning else {
        panic!("no warning")
    };
    assert_eq!((needed, left), (Duration::from_secs(6 * 24), Duration::from_secs(54)));
    // Faster again: the warning goes.
    bench.machine.handle_sent(bench.flying[0], 9);
    bench.answer(0, 200, &part_json("part_a"));
    assert_eq!(bench.machine.progress().warning, None);
}

#[test]
fn the_rate_of_an_upload_that_begins_anew_is_its_own() {
    let mut wanted = plan();
    wanted.restart_when_expired = true;
    let mut bench = Bench::new(wanted);
    bench.run();
    bench.answer(0, 200, &upload_json(60));
    bench.machine.handle_sent(bench.flying[0], 1000);
    bench.pass(Duration::from_secs(60));
    bench.answer(0, 200, &upload_json(120));
    bench.machine.handle_sent(bench.flying[0], 1);
    bench.pass(Duration::from_secs(10));
    assert!(matches!(bench.machine.progress().warning, Some(Warning::TooSlow { .. })));
}

#[test]
fn nothing_is_waited_for_longer_than_until_the_expiry() {
    let mut bench = Bench::sending(plan());
    assert_eq!(bench.run(), Some(Duration::from_secs(3600)));
}
