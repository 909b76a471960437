//! Stopping for now, and going on later.

use std::time::Duration;

use partwise_protocol::{
    Api,
    machine::Machine as _,
    operations::OperationId,
    transport::{Failure, FailureKind},
    upload::{RouteChoice, SourceStamp, UploadError, UploadMachine},
};

use crate::bench::{Bench, completed_json, file_json, part_json, plan, upload_json};

fn assert_stopped(bench: &mut Bench) {
    let end = bench.end.take().expect("it has ended");
    assert!(matches!(&end, Err(error @ UploadError::Stopped { .. }) if error.is_resumable()), "{end:?}");
}

#[test]
fn what_flies_may_still_be_answered_and_is_saved_and_nothing_new_is_sent() {
    let mut bench = Bench::sending(plan());
    bench.log();
    bench.machine.stop();
    assert_eq!(bench.run(), Some(Duration::from_secs(5)));
    bench.answer(0, 200, &part_json("part_a"));
    bench.answer(0, 200, &part_json("part_b"));
    insta::assert_snapshot!(bench.log(), @r#"
      <- 200 {"id":"part_a","object":"upload.part"}
    save (10, 25)
      <- 200 {"id":"part_b","object":"upload.part"}
    save (20, 25)
    done: the upload was stopped
    "#);
    let resumed = UploadMachine::resume(
        Api::openai(),
        plan(),
        bench.saved.take().unwrap(),
        SourceStamp::new(25),
        [2; 32],
    );
    let mut bench = Bench::of(resumed.unwrap());
    bench.run();
    bench.answer(0, 200, &part_json("part_c"));
    bench.stamp(25);
    bench.answer(0, 200, &completed_json());
    insta::assert_snapshot!(bench.log(), @r#"
    POST /v1/uploads/upload_1/parts 20..25
      <- 200 {"id":"part_c","object":"upload.part"}
    stamp
    save (25, 25)
    save (25, 25)
    POST /v1/uploads/upload_1/complete {"part_ids":["part_a","part_b","part_c"]}
      <- 200 {"id":"upload_1","status":"completed","file":{"id":"file-1","bytes":25,"filename":"train.jsonl","purpose":"fine-tune","created_at":1719184911}}
    done: file-1
    "#);
}

#[test]
fn what_is_not_answered_in_time_is_abandoned() {
    let mut bench = Bench::sending(plan());
    bench.log();
    bench.machine.stop();
    bench.run();
    bench.pass(Duration::from_secs(5));
    insta::assert_snapshot!(bench.log(), @r"
    abandon
    abandon
    done: the upload was stopped
    ");
    assert_stopped(&mut bench);
}

#[test]
fn nothing_is_sent_again_and_no_wait_is_kept() {
    let mut bench = Bench::sending(plan());
    bench.answer_with(0, 429, &[("retry-after", "30")], "");
    bench.fail(0, FailureKind::Interrupted);
    bench.machine.stop();
    bench.run();
    assert_stopped(&mut bench);
}

#[test]
fn it_waits_for_the_checkpoint_that_is_being_saved() {
    let mut bench = Bench::sending(plan());
    bench.saves_at_once = false;
    bench.answer(0, 200, &part_json("part_a"));
    bench.machine.stop();
    bench.run();
    bench.answer(0, 200, &part_json("part_b"));
    assert!(bench.end.is_none());
    bench.machine.handle_saved(Ok(()));
    bench.run();
    assert!(bench.end.is_none());
    bench.machine.handle_saved(Ok(()));
    bench.run();
    assert_stopped(&mut bench);
    assert_eq!(bench.saved.unwrap().acknowledged(), (20, 25));
}

#[test]
fn before_anything_was_sent_there_is_nothing_to_wait_for() {
    for route in [RouteChoice::Parts, RouteChoice::Single] {
        let mut wanted = plan();
        wanted.route = route;
        let mut bench = Bench::new(wanted);
        bench.machine.stop();
        bench.run();
        assert_stopped(&mut bench);
        assert!(bench.saved.is_none());
    }
}

#[test]
fn an_upload_that_is_just_announced_is_remembered() {
    let mut bench = Bench::new(plan());
    bench.run();
    bench.machine.stop();
    bench.run();
    assert!(bench.end.is_none());
    bench.answer(0, 200, &upload_json(3600));
    assert_stopped(&mut bench);
    assert_eq!(bench.saved.unwrap().upload_id(), Some("upload_1"));
}

#[test]
fn a_file_that_is_made_meanwhile_is_a_success() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    bench.machine.stop();
    bench.run();
    bench.answer(0, 200, &completed_json());
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");

    let mut wanted = plan();
    wanted.route = RouteChoice::Single;
    let mut bench = Bench::new(wanted);
    bench.run();
    bench.machine.stop();
    bench.run();
    bench.answer(0, 200, &file_json("file-2", 0));
    assert!(bench.end.is_none(), "the source must still be the same");
    bench.stamp(25);
    assert_eq!(bench.end.unwrap().unwrap().id, "file-2");
}

#[test]
fn a_complete_without_an_answer_is_settled_by_the_next_run() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    bench.log();
    bench.machine.stop();
    bench.run();
    bench.pass(Duration::from_secs(5));
    assert_stopped(&mut bench);
    let saved = serde_json::to_value(bench.saved.unwrap()).unwrap();
    assert_eq!(saved["route"]["parts"]["completing"], true);
}

#[test]
fn a_complete_that_was_rejected_is_held_against_no_other_run() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    let completing = |bench: &Bench| {
        let saved = serde_json::to_value(bench.saved.as_ref().unwrap()).unwrap();
        saved["route"]["parts"]["completing"].clone()
    };
    assert_eq!(completing(&bench), true);
    bench.answer(0, 400, r#"{"error":{"message":"the parts do not add up"}}"#);
    let Some(Err(error)) = bench.end.take() else { panic!("it has ended without a file") };
    assert!(matches!(error, UploadError::Rejected { operation: OperationId::CompleteUpload, .. }), "{error}");
    assert_eq!(completing(&bench), false);
}

#[test]
fn a_complete_that_never_left_is_held_against_no_other_run() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    bench.machine.stop();
    bench.run();
    bench.fail(0, FailureKind::Connect);
    assert_stopped(&mut bench);
    let saved = serde_json::to_value(bench.saved.unwrap()).unwrap();
    assert_eq!(saved["route"]["parts"]["completing"], false);
}

#[test]
fn only_what_may_have_arrived_is_gone_on_with() {
    let mut wanted = plan();
    wanted.route = RouteChoice::Single;
    let mut bench = Bench::new(wanted.clone());
    bench.run();
    bench.machine.stop();
    bench.run();
    bench.pass(Duration::from_secs(5));
    let Some(Err(error)) = bench.end.take() else { panic!("it has ended without a file") };
    assert!(bench.machine.is_resumable_after(&error));

    let mut bench = Bench::new(wanted);
    bench.run();
    let (id, now) = (bench.flying.remove(0), bench.now());
    bench.machine.handle_failure(id, Failure::new(FailureKind::Connect), now);
    bench.machine.stop();
    bench.run();
    let Some(Err(error)) = bench.end.take() else { panic!("it has ended without a file") };
    assert!(bench.saved.is_some() && !bench.machine.is_resumable_after(&error));
}

#[test]
fn cancelling_may_follow() {
    let mut bench = Bench::sending(plan());
    bench.machine.stop();
    bench.run();
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
    // One who wants it gone does not want it kept.
    bench.machine.stop();
    assert_eq!(bench.run(), None);
}

#[test]
fn a_stop_says_how_the_last_attempt_failed_unless_something_succeeded_after_it() {
    let stopped = |succeeds: bool| {
        let mut bench = Bench::sending(plan());
        bench.fail(0, FailureKind::Connect);
        if succeeds {
            bench.answer(0, 200, &part_json("part_b"));
        }
        bench.machine.stop();
        bench.run();
        bench.pass(Duration::from_secs(5));
        bench.error()
    };
    assert_eq!(
        stopped(false),
        "the upload was stopped: POST /uploads/{upload_id}/parts failed: the service could not be reached: no route to host"
    );
    assert_eq!(stopped(true), "the upload was stopped");
}
