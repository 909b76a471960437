//! Services, clocks and limits beyond anything sensible: no panic, no endless work, no wrong file.

use std::time::Duration;

use partwise_protocol::{
    Api,
    machine::Machine as _,
    transport::FailureKind,
    upload::{Comparison, PlanError, RouteChoice, SourceStamp, UploadMachine},
};

use crate::bench::{BEGAN, Bench, file_json, plan, upload_json};

#[test]
fn an_expiry_at_the_end_of_time_is_waited_for() {
    let mut bench = Bench::new(plan());
    bench.time = Duration::from_secs(10);
    bench.run();
    let upload = r#"{"id":"upload_1","created_at":0,"expires_at":18446744073709551615}"#;
    let until = bench.answer_with(0, 200, &[("date", "Thu, 01 Jan 1970 00:00:00 GMT")], upload);
    assert!(until.is_some_and(|until| until > Duration::from_secs(u64::MAX / 2)));
}

#[test]
fn a_clock_at_its_end_goes_no_further() {
    let mut bench = Bench::new(plan());
    bench.time = Duration::MAX;
    bench.run();
    assert_eq!(
        bench.fail(0, FailureKind::Timeout),
        None,
        "the wait is over at once, at the end of the clock"
    );
    assert_eq!(bench.flying.len(), 1);
}

#[test]
fn a_source_beyond_all_limits_is_measured_without_overflow() {
    let mut limits = Api::openai().limits();
    (limits.part, limits.upload) = (u64::MAX, u64::MAX);
    let mut wanted = plan();
    wanted.part_size = Some(u64::MAX / 4);
    let api = Api::openai().with_limits(limits);
    let mut bench = Bench::of(UploadMachine::new(api, wanted, SourceStamp::new(u64::MAX), [1; 32]).unwrap());
    bench.run();
    bench.answer(0, 200, &upload_json(3600));
    bench.machine.handle_moved(bench.flying[0], 1);
    bench.pass(Duration::from_secs(1000));
    assert!(bench.machine.progress().warning.is_some());
}

#[test]
fn a_service_that_takes_no_bytes_is_refused_by_the_plan() {
    let mut limits = Api::openai().limits();
    limits.part = 0;
    let mut wanted = plan();
    wanted.part_size = None;
    let refused =
        UploadMachine::new(Api::openai().with_limits(limits), wanted, SourceStamp::new(25), [1; 32]);
    assert_eq!(refused.unwrap_err(), PlanError::PartSize { part_size: 0, limit: 0 });
}

#[test]
fn a_list_that_goes_in_circles_is_left() {
    let mut wanted = plan();
    wanted.route = RouteChoice::Single;
    let mut bench = Bench::new(wanted);
    bench.run();
    bench.fail(0, FailureKind::Interrupted);
    let page = |id| {
        format!(r#"{{"data":[{{"id":"{id}","created_at":99999999999}}],"has_more":true,"last_id":"{id}"}}"#)
    };
    let mut lists = 0;
    for step in 0..1000 {
        if bench.flying.is_empty() {
            bench.pass(Duration::from_secs(1));
        } else if bench.machine.progress().phase == partwise_protocol::upload::Phase::Settling {
            lists += 1;
            bench.answer(0, 200, &page(if step % 2 == 0 { "x" } else { "y" }));
        } else {
            break;
        }
    }
    assert!((5..20).contains(&lists), "{lists} pages of a list with two");
}

#[test]
fn a_success_that_says_pending_is_not_taken_for_a_file() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    bench.answer(
        0,
        200,
        &format!(r#"{{"id":"upload_1","status":"pending","file":{}}}"#, file_json("file-x", BEGAN)),
    );
    assert!(bench.end.is_none());
    bench.answer(0, 200, &crate::bench::list_json(&[file_json("file-1", BEGAN)]));
    bench.compare(Comparison::Equal);
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
}
