//! Expiry, clocks and warnings.

use std::time::Duration;

use partwise_protocol::{
    Api,
    machine::Machine as _,
    transport::FailureKind,
    upload::{Comparison, Phase, RouteChoice, SourceStamp, UploadMachine, Warning},
};

use crate::bench::{BEGAN, Bench, completed_json, date, file_json, list_json, part_json, plan, upload_json};

/// An upload in a machine that has sent two of three parts, of an upload that lives for an hour.
fn sending() -> Bench {
    let mut bench = Bench::sending(plan());
    bench.log();
    bench
}

/// Rejects everything that is in flight, at this moment of the service's clock.
fn reject(bench: &mut Bench, status: u16, date: Option<&str>, body: &str) {
    let headers: Vec<_> = date.map(|date| ("date", date)).into_iter().collect();
    while !bench.flying.is_empty() {
        bench.answer_with(0, status, &headers, body);
    }
}

#[test]
fn time_alone_ends_nothing_and_is_warned_of() {
    let mut bench = sending();
    assert_eq!(bench.run(), Some(Duration::from_secs(3600)), "it has to be warned of then");
    bench.pass(Duration::from_secs(3599));
    assert_eq!(bench.machine.progress().warning, None);
    assert_eq!(bench.pass(Duration::from_secs(1)), None);
    assert_eq!(bench.machine.progress().warning, Some(Warning::PastExpiry));
    assert!(bench.end.is_none() && bench.log().is_empty());
    // The service decides: it takes the parts anyway.
    bench.finish_parts();
    bench.stamp(25);
    bench.answer(0, 200, &completed_json());
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
}

#[test]
fn a_step_of_our_wall_clock_ends_nothing_and_is_no_reason_to_warn() {
    for step in [3600, 86_400 * 365, -3600] {
        let mut bench = sending();
        bench.step = step;
        bench.pass(Duration::from_secs(10));
        assert!(bench.log().is_empty(), "{step}");
        assert_eq!(bench.machine.progress().warning, None);
        reject(&mut bench, 401, None, "");
        assert!(bench.error().starts_with("POST /uploads/{upload_id}/parts was refused: 401"), "{step}");
    }
}

#[test]
fn a_rejection_after_the_expiry_on_the_clock_of_that_answer_is_the_end_of_the_upload() {
    let mut bench = sending();
    reject(&mut bench, 404, Some(&date(3600)), "");
    assert!(bench.error().starts_with("the upload expired before it was complete"));
    let mut bench = sending();
    reject(&mut bench, 404, Some(&date(3599)), "");
    assert!(bench.error().starts_with("POST /uploads/{upload_id}/parts was refused: 404"));
    // Without a date, the service's clock is the one that it showed last.
    let mut bench = sending();
    bench.answer_with(1, 200, &[("date", &date(100))], &part_json("part_b"));
    bench.pass(Duration::from_secs(3499));
    reject(&mut bench, 404, None, "");
    assert!(bench.error().starts_with("POST /uploads/{upload_id}/parts was refused: 404"));
    let mut bench = sending();
    bench.answer_with(1, 200, &[("date", &date(100))], &part_json("part_b"));
    bench.pass(Duration::from_secs(3500));
    reject(&mut bench, 404, None, "");
    assert!(bench.error().starts_with("the upload expired before it was complete"));
}

#[test]
fn a_rejected_complete_after_the_expiry_is_the_end_of_the_upload_too() {
    for (seconds, expected) in
        [(3600, "the upload expired"), (3599, "POST /uploads/{upload_id}/complete was")]
    {
        let mut bench = sending();
        bench.finish_parts();
        bench.stamp(25);
        reject(&mut bench, 400, Some(&date(seconds)), "");
        assert!(bench.error().starts_with(expected), "{seconds}");
    }
}

#[test]
fn a_service_that_says_that_the_upload_is_completed_has_made_a_file_whatever_the_clock_says() {
    let mut bench = sending();
    bench.finish_parts();
    bench.stamp(25);
    bench.log();
    // A gateway has sent `complete` twice, and rejected one of the two.
    for _ in 0..2 {
        let headers = [("date", &*date(3600))];
        bench.answer_with(0, 400, &headers, r#"{"error":{"message":"the upload `upload_1` is completed"}}"#);
        assert!(bench.end.is_none(), "{}", bench.log());
        bench.pass(Duration::from_secs(20));
    }
    assert_eq!(bench.machine.progress().phase, Phase::Settling);
}

#[test]
fn a_service_that_says_that_the_upload_has_expired_is_believed_whatever_the_clock_says() {
    for body in [
        r#"{"error":{"message":"the upload `upload_1` is expired: nothing can be done with it any more"}}"#,
        r#"{"error":{"message":"Upload has expired."}}"#,
        r#"{"error":{"message":"This upload is gone","code":"upload_expired"}}"#,
    ] {
        let mut bench = sending();
        reject(&mut bench, 400, Some(&date(1)), body);
        assert!(bench.error().starts_with("the upload expired before it was complete"), "{body}");
    }
    // It is not asked again either.
    let mut bench = sending();
    reject(&mut bench, 409, None, r#"{"error":{"message":"the upload is expired"}}"#);
    assert!(bench.error().starts_with("the upload expired before it was complete"));
    // What has expired there is something else.
    for (status, body) in [
        (401, r#"{"error":{"message":"the upload is refused: the access token has expired"}}"#),
        (403, r#"{"error":{"message":"the upload is refused: your subscription has expired"}}"#),
        (400, r#"{"error":{"message":"cannot take the upload: the api key expired"}}"#),
        (400, r#"{"error":{"message":"an expired certificate"}}"#),
        (400, r#"{"error":{"message":"uploads must set expires_after"}}"#),
    ] {
        let mut bench = sending();
        reject(&mut bench, status, Some(&date(1)), body);
        assert!(bench.error().starts_with("POST /uploads/{upload_id}/parts was refused"), "{body}");
    }
}

#[test]
fn of_an_upload_of_an_earlier_run_that_seems_expired_one_part_is_sent_to_find_out() {
    assert_eq!(resumed(false, 3599).flying.len(), 2);
    let mut bench = resumed(false, 3600);
    assert_eq!((bench.flying.len(), bench.machine.progress().warning), (1, Some(Warning::PastExpiry)));
    // Our clock was wrong.
    bench.answer_with(0, 200, &[("date", &date(100))], &part_json("part_a"));
    assert_eq!((bench.flying.len(), bench.machine.progress().warning), (2, None));
}

#[test]
fn a_failure_without_an_answer_is_no_expiry() {
    let mut bench = sending();
    bench.pass(Duration::from_secs(4000));
    bench.fail(0, FailureKind::Other);
    bench.fail(0, FailureKind::Other);
    assert!(bench.error().starts_with("POST /uploads/{upload_id}/parts failed"));
}

#[test]
fn expiry_is_read_on_the_services_clock() {
    // Theirs is an hour behind ours, so what looks expired here lives for an hour there.
    let theirs = BEGAN - 3600;
    let upload = format!(r#"{{"id":"upload_1","created_at":{theirs},"expires_at":{}}}"#, theirs + 3600);
    for headers in [vec![("date", "Sun, 23 Jun 2024 22:21:51 GMT")], vec![]] {
        let begun = || {
            let mut bench = Bench::new(plan());
            bench.run();
            bench.answer_with(0, 200, &headers, &upload);
            bench
        };
        let mut bench = begun();
        bench.pass(Duration::from_secs(3599));
        reject(&mut bench, 404, None, "");
        assert!(bench.error().starts_with("POST /uploads/{upload_id}/parts was refused"));
        let mut bench = begun();
        bench.pass(Duration::from_secs(3600));
        reject(&mut bench, 404, None, "");
        assert!(bench.error().starts_with("the upload expired"));
    }
}

#[test]
fn every_answer_shows_the_services_clock_anew_and_a_checkpoint_keeps_what_is_worth_it() {
    let offset = |bench: &Bench| {
        let saved = serde_json::to_value(bench.saved.as_ref().unwrap()).unwrap();
        saved["route"]["parts"]["clock_offset"].as_i64().unwrap()
    };
    let mut bench = sending();
    assert_eq!(offset(&bench), 0);
    // Seconds are rounded, and an answer takes its time: a new checkpoint for that would be written whole.
    bench.answer_with(0, 200, &[("date", &date(2))], &part_json("part_a"));
    assert_eq!(offset(&bench), 0);
    bench.step = 3600;
    bench.answer_with(0, 200, &[("date", &date(0))], &part_json("part_b"));
    assert_eq!(offset(&bench), -3600);
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
    bench.machine.handle_moved(bench.flying[0], 1);
    bench.run();
    let Some(Warning::TooSlow { needed, left }) = bench.machine.progress().warning else {
        panic!("no warning")
    };
    assert_eq!((needed, left), (Duration::from_secs(6 * 24), Duration::from_secs(54)));
    // Faster again: the warning goes.
    bench.machine.handle_moved(bench.flying[0], 9);
    bench.answer(0, 200, &part_json("part_a"));
    assert_eq!(bench.machine.progress().warning, None);
}

/// The next run of an upload of which nothing was acknowledged, so many seconds after it began.
fn resumed(restart: bool, seconds: u64) -> Bench {
    let mut wanted = plan();
    wanted.restart_when_expired = restart;
    let saved = sending().saved.unwrap();
    let machine = UploadMachine::resume(Api::openai(), wanted, saved, SourceStamp::new(25), [2; 32]).unwrap();
    let mut bench = Bench::of(machine);
    bench.pass(Duration::from_secs(seconds));
    bench.log();
    bench
}

#[test]
fn an_expired_upload_of_an_earlier_run_begins_anew_when_the_plan_allows() {
    let mut bench = resumed(true, 3600);
    bench.answer_with(0, 400, &[("date", &date(3600))], "");
    assert_eq!(bench.machine.progress().warning, None);
    insta::assert_snapshot!(bench.log(), @r#"
      <- 400 
    POST /v1/uploads {"filename":"train.jsonl","purpose":"fine-tune","bytes":25,"mime_type":"application/jsonl"}
    "#);
    let mut bench = resumed(false, 3600);
    reject(&mut bench, 400, Some(&date(3600)), "");
    insta::assert_snapshot!(bench.error(), @"the upload expired before it was complete");
}

#[test]
fn an_upload_that_expires_under_the_run_that_sends_it_is_not_begun_anew_and_says_which_rate_it_takes() {
    // Of an earlier run, but part of it was sent in this one.
    let mut bench = resumed(true, 3000);
    bench.answer(0, 200, &part_json("part_a"));
    bench.pass(Duration::from_secs(600));
    reject(&mut bench, 400, Some(&date(3600)), "");
    insta::assert_snapshot!(bench.error(), @"the upload expired before it was complete: 0 B/s were measured, and 1 B/s are needed");

    let mut wanted = plan();
    (wanted.part_size, wanted.restart_when_expired) = (Some(20_000_000), true);
    let source = SourceStamp::new(204_000_000);
    let mut bench = Bench::of(UploadMachine::new(Api::openai(), wanted, source, [1; 32]).unwrap());
    bench.run();
    bench.answer(0, 200, &upload_json(60));
    bench.pass(Duration::from_secs(30));
    for part in ["part_a", "part_b", "part_c"] {
        bench.answer(0, 200, &part_json(part));
    }
    bench.machine.handle_moved(bench.flying[1], 15_000_000);
    bench.pass(Duration::from_secs(30));
    bench.answer_with(0, 404, &[("date", &date(60))], "");
    insta::assert_snapshot!(bench.error(), @"the upload expired before it was complete: 1.2 MB/s were measured, and 3.4 MB/s are needed");
}

#[test]
fn the_rate_of_an_upload_that_begins_anew_is_its_own() {
    let mut bench = resumed(true, 3600);
    bench.machine.handle_moved(bench.flying[0], 1000);
    bench.pass(Duration::from_secs(60));
    bench.answer_with(0, 404, &[("date", &date(3660))], "");
    let now = BEGAN + 3660;
    let upload = format!(r#"{{"id":"upload_2","created_at":{now},"expires_at":{}}}"#, now + 60);
    bench.answer_with(0, 200, &[("date", &date(3660))], &upload);
    bench.machine.handle_moved(bench.flying[0], 1);
    bench.pass(Duration::from_secs(10));
    assert!(matches!(bench.machine.progress().warning, Some(Warning::TooSlow { .. })));
}

#[test]
fn when_our_clock_was_set_under_a_single_request_the_content_decides() {
    for step in [-30, 3600] {
        let mut wanted = plan();
        wanted.route = RouteChoice::Single;
        let mut bench = Bench::new(wanted);
        bench.run();
        bench.step = step;
        bench.fail(0, FailureKind::Interrupted);
        bench.answer_with(0, 200, &[("date", &date(0))], &list_json(&[file_json("file-1", BEGAN)]));
        bench.compare(Comparison::Equal);
        bench.stamp(25);
        assert_eq!(bench.end.unwrap().unwrap().id, "file-1", "{step}");
    }
}
