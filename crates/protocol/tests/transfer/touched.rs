//! Sources whose time of the last change alone differs: a chmod, or a rewriting whose modification time was put back.

use partwise_protocol::{
    Api,
    machine::Machine as _,
    retry::ServiceState,
    transport::{Failure, FailureKind, SourceError},
    upload::{Comparison, Plan, RouteChoice, SourceStamp, UploadMachine},
};

use crate::bench::{BEGAN, Bench, completed_json, file_json, plan};

fn stamp(changed: &str) -> SourceStamp {
    let mut stamp = SourceStamp::new(25);
    (stamp.modified, stamp.changed) = (Some("100".into()), Some(changed.into()));
    stamp
}

fn of(plan: Plan) -> Bench {
    let mut bench = Bench::of(UploadMachine::new(Api::openai(), plan, stamp("100"), [1; 32]).unwrap());
    bench.run();
    bench
}

fn stamped(bench: &mut Bench, changed: &str) {
    bench.stamped(Ok(stamp(changed)));
    bench.run();
}

fn hashed(bench: &mut Bench) {
    bench.hashed(Ok([0xab; 16]));
    bench.run();
}

/// The source was touched, and is read again.
fn read_again(bench: &mut Bench) {
    stamped(bench, "200");
    hashed(bench);
    stamped(bench, "200");
}

/// All parts are there, and the source is to be stamped.
fn in_parts(plan: Plan) -> Bench {
    let mut bench = of(plan);
    bench.answer(0, 200, &crate::bench::upload_json(3600));
    bench.finish_parts();
    bench.log();
    bench
}

/// The file is there, and the source is to be stamped.
fn in_one() -> Bench {
    let mut plan = plan();
    plan.route = RouteChoice::Single;
    let mut bench = of(plan);
    bench.answer(0, 200, &file_json("file-1", BEGAN));
    bench.log();
    bench
}

#[test]
fn parts_of_a_touched_source_are_completed_with_the_md5_of_what_it_is_now() {
    let mut bench = in_parts(plan());
    read_again(&mut bench);
    bench.answer(0, 200, &completed_json());
    insta::assert_snapshot!(bench.log(), @r#"
    hash 0..25
    stamp
    save (25, 25)
    POST /v1/uploads/upload_1/complete {"part_ids":["part_a","part_b","part_c"],"md5":"abababababababababababababababab"}
      <- 200 {"id":"upload_1","status":"completed","file":{"id":"file-1","bytes":25,"filename":"train.jsonl","purpose":"fine-tune","created_at":1719184911}}
    done: file-1
    "#);
}

#[test]
fn an_md5_that_was_taken_while_the_source_changed_is_taken_again() {
    let mut wanted = plan();
    wanted.md5 = true;
    let mut bench = of(wanted);
    bench.answer(0, 200, &crate::bench::upload_json(3600));
    bench.finish_parts();
    bench.hashed(Ok([1; 16]));
    bench.run();
    read_again(&mut bench);
    assert!(bench.log().contains("\"md5\":\"abab"));
}

#[test]
fn parts_that_the_service_does_not_take_with_that_md5_are_of_a_source_that_changed() {
    let mut bench = in_parts(plan());
    read_again(&mut bench);
    bench.answer(0, 400, r#"{"error":{"message":"the md5 differs"}}"#);
    insta::assert_snapshot!(bench.error(), @"the source changed while it was uploaded: its content is not what was sent");
}

#[test]
fn parts_that_the_service_rejects_without_a_word_of_the_md5_stay_resumable() {
    let mut bench = in_parts(plan());
    read_again(&mut bench);
    bench.answer(0, 400, r#"{"error":{"message":"no"}}"#);
    let Some(Err(error)) = &bench.end else { panic!("it has no end") };
    assert!(bench.machine.is_resumable_after(error));
    insta::assert_snapshot!(bench.error(), @"the file may have changed while it was uploaded: POST /uploads/{upload_id}/complete was refused: 400 Bad Request: no");
}

#[test]
fn a_source_that_changes_while_it_is_read_again_is_read_anew_and_not_for_ever() {
    let mut bench = in_parts(plan());
    for changed in ["200", "300", "400"] {
        stamped(&mut bench, changed);
        hashed(&mut bench);
    }
    stamped(&mut bench, "500");
    assert_eq!(bench.log().matches("hash").count(), 3);
    insta::assert_snapshot!(bench.error(), @"the file may have changed while it was uploaded: the source cannot be read: it changed again and again while it was read");
}

#[test]
fn a_source_that_was_touched_between_two_runs_is_resumed_and_proven_in_the_end() {
    let mut first = of(plan());
    first.answer(0, 200, &crate::bench::upload_json(3600));
    first.answer(0, 200, &crate::bench::part_json("part_a"));
    let saved = first.saved.unwrap();
    let mut bench =
        Bench::of(UploadMachine::resume(Api::openai(), plan(), saved, stamp("200"), [2; 32]).unwrap());
    bench.run();
    for part in ["part_b", "part_c"] {
        bench.answer(0, 200, &crate::bench::part_json(part));
    }
    read_again(&mut bench);
    assert!(bench.log().contains("\"md5\""));
}

#[test]
fn a_touched_source_of_a_single_request_is_compared_with_what_was_sent() {
    let mut bench = in_one();
    stamped(&mut bench, "200");
    bench.compare(Comparison::Equal);
    insta::assert_snapshot!(bench.log(), @r"
    compare file-1
      <- Equal
    done: file-1
    ");
    let mut bench = in_one();
    stamped(&mut bench, "200");
    bench.compare(Comparison::Different);
    insta::assert_snapshot!(bench.error(), @"the source changed while it was uploaded: its content is not what was sent");
}

#[test]
fn what_cannot_be_compared_is_said_and_stays_resumable() {
    for result in [Comparison::NotServed, Comparison::Unknown] {
        let mut bench = in_one();
        stamped(&mut bench, "200");
        bench.compare(result);
        let Some(Err(error)) = &bench.end else { panic!("it has no end") };
        assert!(bench.machine.is_resumable_after(error));
        let expected =
            "the file may have changed while it was uploaded, and file-1 cannot be compared with it";
        assert_eq!(bench.error(), expected);
    }
    // Who stops or cancels does not wait for a comparison, and is told of the file.
    for end in [UploadMachine::stop, UploadMachine::cancel] {
        let mut bench = in_one();
        stamped(&mut bench, "200");
        end(&mut bench.machine);
        bench.run();
        assert!(bench.error().starts_with("the file may have changed"));
    }
}

#[test]
fn a_source_without_such_a_time_is_compared_by_what_it_has() {
    let mut bench = in_parts(plan());
    let mut later = stamp("200");
    later.changed = None;
    bench.stamped(Ok(later));
    bench.run();
    assert!(bench.log().contains("complete {\"part_ids\""));
}

#[test]
fn parts_of_a_touched_source_are_compared_where_the_service_may_ignore_the_md5() {
    let elsewhere = || {
        let api = Api::with_base("http://gateway.example/v1", partwise_protocol::Dialect::OpenAi).unwrap();
        let mut bench = Bench::of(UploadMachine::new(api, plan(), stamp("100"), [1; 32]).unwrap());
        bench.run();
        bench.answer(0, 200, &crate::bench::upload_json(3600));
        bench.finish_parts();
        read_again(&mut bench);
        bench.answer(0, 200, &completed_json());
        bench
    };
    let mut bench = elsewhere();
    bench.compare(Comparison::Equal);
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
    let mut bench = elsewhere();
    bench.compare(Comparison::Different);
    insta::assert_snapshot!(bench.error(), @"the source changed while it was uploaded: its content is not what was sent");
    let mut bench = elsewhere();
    bench.compare(Comparison::NotServed);
    insta::assert_snapshot!(bench.error(), @"the file may have changed while it was uploaded, and file-1 cannot be compared with it");
}

#[test]
fn the_time_of_an_upload_that_was_completed_before_its_source_was_touched_is_no_proof() {
    let mut first = in_parts(plan());
    stamped(&mut first, "100");
    let saved = first.saved.unwrap();
    let mut bench =
        Bench::of(UploadMachine::resume(Api::openai(), plan(), saved, stamp("200"), [2; 32]).unwrap());
    bench.run();
    read_again(&mut bench);
    bench.answer(0, 400, r#"{"error":{"message":"no"}}"#);
    bench.answer(0, 200, &crate::bench::list_json(&[file_json("file-1", BEGAN)]));
    for _ in 0..2 {
        bench.compare(Comparison::NotServed);
    }
    insta::assert_snapshot!(bench.error(), @"the file may have changed while it was uploaded, and file-1 cannot be compared with it");
}

#[test]
fn a_source_that_cannot_be_read_leaves_open_what_the_file_is() {
    let gone = || SourceError::new("no such file");
    let mut bench = in_one();
    bench.stamped(Err(gone()));
    bench.run();
    insta::assert_snapshot!(bench.error(), @"the file may have changed while it was uploaded, and file-1 cannot be compared with it: the source cannot be read: no such file");
    let mut bench = in_one();
    stamped(&mut bench, "200");
    let (id, now) = (bench.flying.remove(0), bench.now());
    bench.machine.handle_compared(id, Err(gone()), now);
    bench.run();
    insta::assert_snapshot!(bench.error(), @"the file may have changed while it was uploaded, and file-1 cannot be compared with it: the source cannot be read: no such file");
}

#[test]
fn a_stamp_or_an_md5_that_was_asked_for_before_counts_no_more() {
    let mut wanted = plan();
    wanted.md5 = true;
    let mut bench = of(wanted);
    bench.answer(0, 200, &crate::bench::upload_json(3600));
    bench.finish_parts();
    let before = bench.hashing.unwrap();
    bench.hashed(Ok([1; 16]));
    bench.run();
    let stamped_before = bench.stamping.unwrap();
    stamped(&mut bench, "200");
    assert_ne!(bench.hashing, Some(before), "it is read again");
    bench.machine.handle_hashed(before, Ok([1; 16]));
    bench.run();
    assert!(bench.stamping.is_none(), "it is still read");
    hashed(&mut bench);
    bench.machine.handle_stamped(stamped_before, Err(SourceError::new("gone")));
    bench.run();
    assert!(bench.end.is_none());
    stamped(&mut bench, "200");
    assert!(bench.log().contains("\"md5\":\"abab"));
}

#[test]
fn a_comparison_with_a_digest_says_nothing_of_whether_the_service_is_there() {
    let service = ServiceState::new();
    let mut wanted = plan();
    wanted.route = RouteChoice::Single;
    let of_client = |seed| {
        let transfer = UploadMachine::new(Api::openai(), wanted.clone(), stamp("100"), [seed; 32]).unwrap();
        let mut bench = Bench::of(transfer.with_service(&service));
        bench.run();
        bench
    };
    let (mut bench, mut other) = (of_client(1), of_client(2));
    bench.answer(0, 200, &file_json("file-1", BEGAN));
    let (id, now) = (other.flying.remove(0), other.now());
    other.machine.handle_failure(id, Failure::new(FailureKind::Connect), now);
    let next_attempt = service.offline().expect("it cannot be reached").next_attempt;
    (bench.time, other.time) = (next_attempt, next_attempt);
    stamped(&mut bench, "200");
    assert!(bench.log().ends_with("compare file-1"));
    other.run();
    assert_eq!(other.flying.len(), 1, "the comparison is not the request that finds out");
    bench.compare(Comparison::Equal);
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
    assert!(service.offline().is_some(), "nobody has answered");
}
