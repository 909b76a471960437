//! The ways in which a transfer ends without a file, and what is said about it.

use std::time::Duration;

use partwise_protocol::{
    machine::{Machine as _, SaveError},
    transport::{FailureKind, SourceError},
};

use crate::bench::{Bench, completed_json, date, part_json, plan};

const WRONG_KEY: &str = r#"{"error":{"message":"wrong key","code":"invalid_api_key"}}"#;

#[test]
fn a_final_rejection_of_a_part_gives_what_is_in_flight_its_time_and_saves_it() {
    let mut wanted = plan();
    wanted.part_size = Some(5);
    let mut bench = Bench::sending(wanted);
    bench.log();
    let until = bench.answer_with(0, 401, &[("x-request-id", "req_9")], WRONG_KEY);
    assert_eq!(until, Some(Duration::from_secs(5)));
    bench.answer(0, 200, &part_json("part_b"));
    insta::assert_snapshot!(bench.log(), @r#"
      <- 401 {"error":{"message":"wrong key","code":"invalid_api_key"}}
      <- 200 {"id":"part_b","object":"upload.part"}
    save (5, 25)
    done: POST /uploads/{upload_id}/parts was refused
    "#);
    insta::assert_snapshot!(bench.error(), @"POST /uploads/{upload_id}/parts was refused: 401 Unauthorized: wrong key (code invalid_api_key, request req_9)");
}

#[test]
fn what_is_not_answered_in_time_after_a_final_rejection_is_abandoned() {
    let mut bench = Bench::sending(plan());
    bench.answer(0, 401, WRONG_KEY);
    bench.log();
    assert_eq!(bench.pass(Duration::from_millis(4999)), Some(Duration::from_secs(5)));
    bench.pass(Duration::from_millis(1));
    insta::assert_snapshot!(bench.log(), @"
    abandon
    done: POST /uploads/{upload_id}/parts was refused
    ");
}

#[test]
fn every_final_end_that_can_be_resumed_waits_for_what_is_in_flight_and_is_told_by_its_first_cause() {
    type End = fn(&mut Bench);
    let ends: [(End, &str); 4] = [
        (|bench| _ = bench.answer(0, 403, ""), "POST /uploads/{upload_id}/parts was refused"),
        (|bench| _ = bench.fail(0, FailureKind::Other), "POST /uploads/{upload_id}/parts failed"),
        (|bench| _ = bench.fail(0, FailureKind::Source), "the source cannot be read"),
        (
            |bench| {
                bench.flying.remove(0);
                bench.hashed(Err(SourceError::new("bad sector")));
                bench.run();
            },
            "the source cannot be read: bad sector",
        ),
    ];
    for (end, expected) in ends {
        let mut wanted = plan();
        (wanted.part_size, wanted.parallel, wanted.md5) = (Some(5), 3.into(), true);
        let mut bench = Bench::sending(wanted);
        bench.saves_at_once = false;
        bench.machine.handle_saved(Ok(()));
        end(&mut bench);
        assert!(bench.end.is_none(), "{expected}");
        bench.answer(0, 200, &part_json("part_b"));
        // Neither what fails meanwhile nor the caller who wants it to stop is what ended it.
        bench.machine.stop();
        bench.answer(0, 401, WRONG_KEY);
        bench.pass(Duration::from_secs(5));
        assert!(bench.end.is_none(), "{expected}: the checkpoint is still being saved");
        bench.machine.handle_saved(Ok(()));
        bench.run();
        assert!(bench.error().starts_with(expected));
        assert_eq!(bench.saved.unwrap().acknowledged(), (5, 25));
    }
}

#[test]
fn a_rejection_while_it_stops_is_told_in_place_of_the_stop() {
    let mut bench = Bench::sending(plan());
    bench.machine.stop();
    bench.run();
    bench.answer(0, 401, WRONG_KEY);
    bench.answer(0, 200, &part_json("part_b"));
    assert!(bench.error().starts_with("POST /uploads/{upload_id}/parts was refused: 401"));
}

#[test]
fn a_cancel_may_follow_a_final_rejection() {
    let mut bench = Bench::sending(plan());
    bench.answer(0, 401, WRONG_KEY);
    bench.machine.cancel();
    bench.run();
    bench.answer(0, 200, r#"{"id":"upload_1","status":"cancelled"}"#);
    insta::assert_snapshot!(bench.error(), @"the upload was cancelled");
}

#[test]
fn a_source_that_cannot_be_stamped_ends_it_after_what_was_acknowledged_is_saved() {
    let mut bench = Bench::sending(plan());
    bench.answer(0, 200, &part_json("part_a"));
    bench.saves_at_once = false;
    bench.answer(0, 200, &part_json("part_b"));
    bench.answer(0, 200, &part_json("part_c"));
    bench.stamped(Err(SourceError::new("no such file")));
    bench.run();
    for _ in 0..2 {
        assert!(bench.end.is_none());
        bench.machine.handle_saved(Ok(()));
        bench.run();
    }
    insta::assert_snapshot!(bench.error(), @"the source cannot be read: no such file");
    assert_eq!(bench.saved.unwrap().acknowledged(), (25, 25));
}

#[test]
fn a_part_that_fails_too_often_without_progress_ends_the_transfer() {
    let mut wanted = plan();
    wanted.part_size = Some(25);
    let allowed = wanted.retry_policy().max_failures;
    let mut bench = Bench::sending(wanted);
    for _ in 0..allowed {
        bench.answer(0, 500, "");
        bench.pass(Duration::from_secs(60));
        assert!(bench.end.is_none());
    }
    bench.answer(0, 500, "");
    insta::assert_snapshot!(bench.error(), @"POST /uploads/{upload_id}/parts was refused: 500 Internal Server Error");
}

#[test]
fn progress_refills_the_budget_of_a_part_that_fails() {
    let mut wanted = plan();
    wanted.part_size = Some(1);
    wanted.parallel = 1.into();
    let mut bench = Bench::sending(wanted);
    for round in 0..10 {
        // The first part fails, the next one is taken meanwhile, and then it is the first one's turn again.
        bench.fail(0, FailureKind::Interrupted);
        bench.answer(0, 200, &part_json("p"));
        bench.pass(Duration::from_secs(60));
        bench.answer(0, 200, &part_json("p"));
        assert!(bench.end.is_none(), "round {round}");
    }
}

#[test]
fn something_else_that_answers_there_is_told_apart_at_once() {
    let mut bench = Bench::new(plan());
    bench.run();
    bench.answer(0, 200, "<html><head><title>Welcome</title></head></html>");
    insta::assert_snapshot!(bench.error(), @r#"POST /uploads got an answer that cannot be read: the answer with status 200 is not what this API answers: a page with the title “Welcome”"#);
}

#[test]
fn a_service_that_was_never_there_is_given_up_after_half_a_minute() {
    let mut bench = Bench::new(plan());
    bench.run();
    while bench.time < Duration::from_secs(30) {
        assert!(bench.end.is_none(), "after {:?}", bench.time);
        match bench.flying.is_empty() {
            true => bench.pass(Duration::from_secs(1)),
            false => bench.fail(0, FailureKind::Connect),
        };
    }
    insta::assert_snapshot!(bench.error(), @"POST /uploads failed: the service could not be reached: no route to host");
}

#[test]
fn a_service_that_refused_in_the_words_of_the_api_is_there_and_has_the_whole_budget() {
    let body = r#"{"error":{"code":"429","message":"Rate limit is exceeded. Try again in 60 seconds."}}"#;
    let mut bench = Bench::new(plan());
    bench.run();
    for _ in 0..plan().retry_policy().max_failures {
        let until = bench.answer(0, 429, body).expect("it waits");
        assert_eq!(until, bench.time + Duration::from_secs(60));
        bench.pass(Duration::from_secs(60));
        assert!(bench.end.is_none(), "{:?}", bench.time);
    }
    bench.answer(0, 429, body);
    insta::assert_snapshot!(bench.error(), @"POST /uploads was refused: 429 Too Many Requests: Rate limit is exceeded. Try again in 60 seconds. (code 429)");
}

#[test]
fn a_page_that_refuses_is_no_contact_with_the_service() {
    let mut bench = Bench::new(plan());
    bench.run();
    for _ in 0..plan().retry_policy().max_failures_before_contact {
        bench.answer(0, 502, "<html><head><title>Bad Gateway</title></head></html>");
        bench.pass(Duration::from_secs(20));
        assert!(bench.end.is_none());
    }
    bench.answer(0, 502, "<html><head><title>Bad Gateway</title></head></html>");
    assert!(bench.end.is_some());
}

#[test]
fn what_reached_nothing_made_no_file() {
    let mut wanted = plan();
    wanted.route = partwise_protocol::upload::RouteChoice::Single;
    let mut bench = Bench::new(wanted.clone());
    bench.run();
    bench.fail(0, FailureKind::Unsent);
    insta::assert_snapshot!(bench.error(), @"POST /files failed: the request could not be sent: no route to host");
    let mut bench = Bench::new(wanted);
    bench.run();
    bench.answer(0, 501, "<html><head><title>Unsupported method</title></head></html>");
    insta::assert_snapshot!(bench.error(), @"POST /files was refused: 501 Not Implemented: a page with the title “Unsupported method”");
}

#[test]
fn an_exhausted_quota_made_no_file_and_is_not_looked_for() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    bench.answer(0, 429, r#"{"error":{"code":"insufficient_quota","message":"nothing left"}}"#);
    insta::assert_snapshot!(bench.error(), @"POST /uploads/{upload_id}/complete was refused: 429 Too Many Requests: nothing left (code insufficient_quota)");
}

#[test]
fn a_list_that_cannot_be_read_is_no_list_without_the_file() {
    let mut wanted = plan();
    wanted.route = partwise_protocol::upload::RouteChoice::Single;
    let mut bench = Bench::new(wanted);
    bench.run();
    bench.fail(0, FailureKind::Interrupted);
    bench.answer(0, 404, "");
    insta::assert_snapshot!(bench.error(), @"it is not known whether the service made a file: its list cannot be read: GET /files was refused: 404 Not Found");
}

#[test]
fn an_answer_cut_on_its_way_is_asked_for_again() {
    let mut bench = Bench::sending(plan());
    bench.answer(0, 200, r#"{"id":"par"#);
    assert!(bench.end.is_none());
    bench.pass(Duration::from_secs(1));
    assert_eq!((bench.flying.len(), bench.machine.progress().statistics.retries.garbled), (2, 1));
}

#[test]
fn a_source_that_changed_is_never_completed() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(26);
    insta::assert_snapshot!(bench.error(), @"the source changed while it was uploaded: its length was 25 bytes and is 26");
}

#[test]
fn a_source_that_cannot_be_read_or_stamped_ends_the_transfer() {
    let mut bench = Bench::sending(plan());
    bench.fail(0, FailureKind::Source);
    bench.fail(0, FailureKind::Source);
    insta::assert_snapshot!(bench.error(), @"the source cannot be read: no route to host");
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamped(Err(SourceError::new("no such file")));
    bench.run();
    insta::assert_snapshot!(bench.error(), @"the source cannot be read: no such file");
}

#[test]
fn a_checkpoint_that_cannot_be_saved_ends_the_transfer_before_complete() {
    let mut bench = Bench::sending(plan());
    bench.saves_at_once = false;
    bench.answer(0, 200, &part_json("part_a"));
    bench.machine.handle_saved(Err(SaveError::new("no space left on device")));
    bench.run();
    insta::assert_snapshot!(bench.error(), @"the checkpoint cannot be saved: no space left on device");
}

#[test]
fn cancelling_abandons_what_flies_and_cancels_on_the_service() {
    let mut bench = Bench::sending(plan());
    bench.log();
    bench.machine.cancel();
    bench.run();
    bench.answer(0, 200, r#"{"id":"upload_1","status":"cancelled"}"#);
    insta::assert_snapshot!(bench.log(), @r#"
    abandon
    abandon
    POST /v1/uploads/upload_1/cancel
      <- 200 {"id":"upload_1","status":"cancelled"}
    done: the upload was cancelled
    "#);
}

#[test]
fn a_cancel_does_not_wait_for_an_overloaded_service() {
    let mut bench = Bench::sending(plan());
    bench.answer_with(0, 429, &[("retry-after", "60")], "");
    bench.log();
    bench.machine.cancel();
    bench.run();
    insta::assert_snapshot!(bench.log(), @"
    abandon
    POST /v1/uploads/upload_1/cancel
    ");
    // Its own failures have waits of their own, within the budget of ten seconds.
    let until = bench.answer_with(0, 503, &[("retry-after", "2")], "").expect("it is sent again");
    assert_eq!((until, bench.flying.len()), (Duration::from_secs(2), 0));
    bench.pass(until);
    bench.answer(0, 200, r#"{"id":"upload_1","status":"cancelled"}"#);
    insta::assert_snapshot!(bench.error(), @"the upload was cancelled");
}

#[test]
fn cancelling_ends_even_when_the_service_is_gone() {
    let mut bench = Bench::sending(plan());
    bench.machine.cancel();
    bench.run();
    for _ in 0..100 {
        if bench.end.is_some() {
            break;
        }
        let until = if bench.flying.is_empty() { bench.run() } else { bench.fail(0, FailureKind::Connect) };
        bench.pass(until.map_or(Duration::from_secs(1), |until| until.saturating_sub(bench.time)));
    }
    assert!(bench.time <= Duration::from_secs(11), "{:?}", bench.time);
    insta::assert_snapshot!(bench.error(), @"the upload was given up, but the service did not say that it is cancelled");
}

#[test]
fn only_a_cancel_that_the_service_confirmed_leaves_nothing_to_go_on_with() {
    let is_resumable = |answer: fn(&mut Bench)| {
        let mut bench = Bench::sending(plan());
        bench.machine.cancel();
        bench.run();
        answer(&mut bench);
        let Some(Err(error)) = bench.end.take() else { panic!("it was cancelled") };
        bench.machine.is_resumable_after(&error)
    };
    assert!(!is_resumable(|bench| _ = bench.answer(0, 200, r#"{"id":"upload_1","status":"cancelled"}"#)));
    assert!(!is_resumable(
        |bench| _ = bench.answer(0, 400, r#"{"error":{"message":"Upload upload_1 was cancelled"}}"#)
    ));
    assert!(!is_resumable(|bench| _ = bench.answer_with(0, 404, &[("date", &date(3600))], "")));
    // Another key, project or tenant gets a 404 too.
    assert!(is_resumable(|bench| _ = bench.answer(0, 404, "")));
    assert!(is_resumable(|bench| _ = bench.answer(0, 400, "")));
    assert!(is_resumable(|bench| _ = bench.answer(0, 401, "")));
    assert!(is_resumable(|bench| _ = bench.pass(Duration::from_secs(10))));
}

#[test]
fn cancelling_while_complete_is_under_way_says_that_a_file_is_possible() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    bench.machine.cancel();
    bench.run();
    bench.answer(0, 400, r#"{"error":{"message":"the upload is completed"}}"#);
    insta::assert_snapshot!(bench.error(), @"the upload was cancelled, but the service may have made a file of it before");
}

#[test]
fn a_file_that_exists_is_reported_although_the_caller_cancelled() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    bench.answer(0, 200, &completed_json());
    bench.machine.cancel();
    bench.run();
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
}
