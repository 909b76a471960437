//! A machine that sleeps in the middle of an upload.

use std::time::Duration;

use partwise_protocol::{
    Api,
    machine::Machine as _,
    operations::OperationId,
    retry::ServiceState,
    transport::FailureKind,
    upload::{Plan, RouteChoice, SourceStamp, UploadMachine, Warning},
};

use crate::bench::{BEGAN, Bench, completed_json, date, file_json, list_json, part_json, plan, upload_json};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An upload whose first two parts are under way, 10 s after they left.
fn sending(plan: Plan) -> (Bench, ServiceState) {
    let service = ServiceState::new();
    let transfer = UploadMachine::new(Api::openai(), plan, SourceStamp::new(25), [1; 32]).unwrap();
    let mut bench = Bench::of(transfer.with_service(&service));
    bench.run();
    bench.answer(0, 200, &upload_json(3600));
    bench.pass(seconds(10));
    assert_eq!(bench.flying.len(), 2);
    (bench, service)
}

#[test]
fn what_left_before_a_sleep_goes_again_at_once_and_spends_no_budget() {
    for kind in [FailureKind::Interrupted, FailureKind::Timeout, FailureKind::Connect] {
        let mut wanted = plan();
        wanted.retry.get_or_insert_default().max_failures = 1;
        let (mut bench, service) = sending(wanted);
        for _ in 0..20 {
            bench.pass(seconds(1));
            service.woke(bench.time, seconds(60));
            bench.pass(seconds(1));
            let left = bench.attempts.len();
            bench.fail(0, kind);
            bench.fail(0, kind);
            assert_eq!((bench.flying.len(), bench.attempts.len()), (2, left + 2), "{kind:?}");
            assert_eq!(bench.offline(), None, "{kind:?}");
        }
        bench.finish_parts();
        bench.stamp(25);
        bench.answer(0, 200, &completed_json());
        assert!(bench.end.unwrap().is_ok());
    }
}

#[test]
fn what_left_after_a_sleep_tells_of_the_service_again() {
    let (mut bench, service) = sending(plan());
    service.woke(bench.time, seconds(60));
    bench.fail(0, FailureKind::Interrupted);
    bench.fail(0, FailureKind::Interrupted);
    let woke = bench.time;
    for _ in 0..2 {
        let (id, now) = (bench.flying.remove(0), bench.now());
        bench.machine.handle_failure(
            id,
            partwise_protocol::transport::Failure::new(FailureKind::Interrupted),
            now,
        );
    }
    assert_eq!(bench.offline().map(|offline| offline.since), Some(woke));
}

#[test]
fn the_time_of_a_sleep_is_no_part_of_the_patience_and_the_service_is_tried_at_once() {
    let mut wanted = plan();
    wanted.retry.get_or_insert_default().give_up_after = seconds(60);
    let (mut bench, service) = sending(wanted);
    bench.fail(0, FailureKind::Connect);
    bench.fail(0, FailureKind::Connect);
    while bench.time < seconds(40) {
        bench.fail(0, FailureKind::Connect);
    }
    bench.fail(0, FailureKind::Connect);
    service.woke(bench.time, seconds(36_000));
    bench.run();
    assert!(bench.end.is_none());
    assert_eq!(bench.flying.len(), 1, "it is tried at once");
    bench.answer(0, 200, &part_json("a"));
    assert_eq!(bench.flying.len(), 2);
}

#[test]
fn the_services_clock_goes_on_while_this_machine_sleeps() {
    let (mut bench, service) = sending(plan());
    bench.answer_with(0, 200, &[("date", &date(10))], &part_json("a"));
    service.woke(bench.time, seconds(3589));
    bench.run();
    assert_eq!(bench.machine.progress().warning, None);
    service.woke(bench.time, seconds(1));
    bench.run();
    assert_eq!(bench.machine.progress().warning, Some(Warning::PastExpiry));
}

#[test]
fn the_date_of_an_answer_from_before_a_sleep_is_not_the_time_now() {
    let (mut bench, service) = sending(plan());
    service.woke(bench.time, seconds(3600));
    bench.answer_with(0, 200, &[("date", &date(10))], &part_json("a"));
    assert_eq!(bench.machine.progress().warning, Some(Warning::PastExpiry));
    // One that was asked for since shows the time.
    bench.pass(seconds(1));
    bench.answer_with(1, 200, &[("date", &date(100))], &part_json("c"));
    assert_eq!(bench.machine.progress().warning, None);
}

#[test]
fn after_a_sleep_a_file_from_before_a_single_request_is_still_none_of_it() {
    for slept in [0, 3600] {
        let service = ServiceState::new();
        let mut wanted = plan();
        wanted.route = RouteChoice::Single;
        let transfer = UploadMachine::new(Api::openai(), wanted, SourceStamp::new(25), [1; 32]).unwrap();
        let mut bench = Bench::of(transfer.with_service(&service));
        bench.run();
        bench.pass(seconds(5));
        service.woke(bench.time, seconds(slept));
        bench.step = i64::try_from(slept).unwrap();
        bench.fail(0, FailureKind::Interrupted);
        let old = list_json(&[file_json("file-old", BEGAN - 1800)]);
        while bench.attempts.last().unwrap().operation == OperationId::ListFiles {
            bench.answer_with(0, 200, &[("date", &date(slept + bench.time.as_secs()))], &old);
            bench.pass(seconds(10));
            if bench.flying.is_empty() {
                bench.stamp(25);
            }
        }
        assert_eq!(bench.attempts.last().unwrap().operation, OperationId::CreateFile, "slept for {slept} s");
    }
}
