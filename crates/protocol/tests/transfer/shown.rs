//! What people see of an upload: states, rates and the time that is left.

use std::time::Duration;

use partwise_protocol::{
    machine::{Machine as _, TransferState},
    retry::ServiceState,
    transport::{Failure, FailureKind},
    upload::RouteChoice,
};

use crate::bench::{BEGAN, Bench, completed_json, file_json, list_json, part_json, plan, upload_json};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn state(bench: &Bench) -> TransferState {
    bench.machine.progress().state
}

#[test]
fn an_upload_in_parts_connects_sends_checks_assembles_and_is_done() {
    let mut bench = Bench::new(plan());
    bench.run();
    assert_eq!(state(&bench), TransferState::Connecting, "nobody has answered");
    bench.answer(0, 200, &upload_json(3600));
    assert_eq!(state(&bench), TransferState::Connecting, "no byte of the content has left");
    bench.machine.handle_moved(bench.flying[0], 1);
    assert_eq!(state(&bench), TransferState::Sending);
    bench.finish_parts();
    assert_eq!(state(&bench), TransferState::Checking);
    bench.pass(seconds(5));
    bench.stamp(25);
    assert_eq!(state(&bench), TransferState::Assembling { since: seconds(5) });
    bench.pass(seconds(40));
    assert_eq!(state(&bench), TransferState::Assembling { since: seconds(5) });
    bench.answer(0, 200, &completed_json());
    assert_eq!(state(&bench), TransferState::Done);
}

#[test]
fn a_single_request_is_assembled_once_all_of_it_has_left() {
    let mut wanted = plan();
    wanted.route = RouteChoice::Single;
    let mut bench = Bench::new(wanted);
    bench.run();
    assert_eq!(state(&bench), TransferState::Connecting);
    bench.trickle(0, 3);
    let progress = bench.machine.progress();
    assert_eq!((progress.state, progress.bytes_in_flight), (TransferState::Sending, 3));
    bench.machine.handle_moved(bench.flying[0], 1_000_000);
    bench.pass(seconds(1));
    assert_eq!(state(&bench), TransferState::Assembling { since: seconds(4) });
    assert_eq!(bench.machine.progress().bytes_in_flight, 25, "the form around it is no content");
    bench.pass(seconds(60));
    assert_eq!(
        state(&bench),
        TransferState::Assembling { since: seconds(4) },
        "waiting for an answer is no silence"
    );
}

#[test]
fn parts_of_which_nothing_moves_for_ten_seconds_are_stalled_since_the_last_byte() {
    let mut bench = Bench::sending(plan());
    bench.trickle(0, 3);
    bench.pass(seconds(8));
    assert_eq!(state(&bench), TransferState::Sending);
    bench.pass(seconds(2));
    assert_eq!(state(&bench), TransferState::Stalled { since: seconds(3) });
    bench.answer(1, 200, &part_json("part_b"));
    assert_eq!(state(&bench), TransferState::Sending, "an answer has come");
}

#[test]
fn a_service_that_cannot_be_reached_and_one_that_asks_for_patience_are_told_with_their_times() {
    let mut bench = Bench::sending(plan());
    bench.pass(seconds(10));
    bench.fail(0, FailureKind::Interrupted);
    bench.fail(0, FailureKind::Interrupted);
    let TransferState::Offline(offline) = state(&bench) else { panic!("{:?}", state(&bench)) };
    assert_eq!(offline.since, seconds(10));
    let progress = bench.machine.progress();
    assert_eq!((progress.rate, progress.time_left), (None, None), "no number where there is none");

    let mut bench = Bench::sending(plan());
    bench.machine.handle_moved(bench.flying[1], 1);
    bench.answer_with(0, 429, &[("retry-after", "27")], "");
    assert_eq!(state(&bench), TransferState::Sending, "the other part is on its way");
    bench.answer(0, 200, &part_json("part_b"));
    assert_eq!(state(&bench), TransferState::RateLimited { until: seconds(27) });
    bench.pass(seconds(27));
    assert!(!matches!(state(&bench), TransferState::RateLimited { .. }), "{:?}", state(&bench));
    bench.trickle(0, 6);
    assert_eq!(bench.machine.progress().rate, Some(1), "after a wait there is a rate again");
}

#[test]
fn what_others_meet_is_not_told_of_an_upload_that_moves_all_the_same() {
    let service = ServiceState::new();
    let with = |plan| Bench::of(Bench::new(plan).machine.with_service(&service));
    let mut wanted = plan();
    wanted.route = RouteChoice::Single;
    let (mut moving, mut other) = (with(wanted), with(plan()));
    moving.run();
    moving.trickle(0, 4);
    assert_eq!(moving.machine.progress().rate, Some(1));
    (other.time, _) = (moving.time, other.run());
    other.machine.handle_failure(other.flying[0], Failure::new(FailureKind::Connect), other.now());
    assert!(service.offline().is_some());
    moving.trickle(0, 1);
    let progress = moving.machine.progress();
    assert_eq!((progress.state, progress.rate), (TransferState::Sending, Some(1)));
    moving.pass(seconds(10));
    assert_eq!(state(&moving), TransferState::Stalled { since: moving.time - seconds(11) + seconds(1) });
}

#[test]
fn a_complete_that_goes_again_is_still_assembling() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    let id = bench.flying.remove(0);
    let response = http::Response::builder().status(500).body(bytes::Bytes::new()).unwrap();
    bench.machine.handle_response(id, response, None, bench.now());
    assert_eq!(state(&bench), TransferState::Assembling { since: seconds(0) });
}

#[test]
fn a_lost_answer_is_reconciled_and_an_upload_that_is_asked_to_stop_is_stopping() {
    let mut wanted = plan();
    wanted.route = RouteChoice::Single;
    let mut bench = Bench::new(wanted);
    bench.run();
    bench.answer(0, 500, "");
    assert_eq!(state(&bench), TransferState::Reconciling);
    bench.answer(0, 200, &list_json(&[file_json("file-1", BEGAN)]));
    assert_eq!(state(&bench), TransferState::Reconciling);

    let mut bench = Bench::sending(plan());
    bench.machine.stop();
    assert_eq!(state(&bench), TransferState::Stopping);

    let mut bench = Bench::sending(plan());
    bench.machine.cancel();
    bench.run();
    assert_eq!(state(&bench), TransferState::Cancelling);
}

#[test]
fn the_rate_is_of_the_last_ten_seconds_and_the_rest_takes_as_long_as_it_says() {
    let mut bench = Bench::sending(plan());
    bench.trickle(0, 4);
    assert_eq!(bench.machine.progress().rate, None, "the kernel may have taken all of it");
    bench.trickle(0, 2);
    let progress = bench.machine.progress();
    assert_eq!((progress.rate, progress.time_left), (Some(1), Some(seconds(25 - 6))));
    assert_eq!(progress.now, seconds(6));
    bench.pass(seconds(20));
    let progress = bench.machine.progress();
    assert_eq!((progress.rate, progress.time_left), (None, None));
}

#[test]
fn after_an_outage_the_rate_is_measured_from_the_first_part_that_left_after_it() {
    let mut bench = Bench::sending(plan());
    bench.trickle(0, 6);
    assert_eq!(bench.machine.progress().rate, Some(1));
    bench.fail(0, FailureKind::Interrupted);
    bench.fail(0, FailureKind::Interrupted);
    assert_eq!(bench.machine.progress().state, TransferState::Offline(bench.offline().unwrap()));
    bench.pass(seconds(2));
    // What finds out is taken by the kernel at once, and answered.
    bench.machine.handle_moved(bench.flying[0], 10);
    bench.answer(0, 200, &part_json("part_a"));
    bench.pass(seconds(1));
    assert_eq!(bench.machine.progress().rate, None, "nothing that left since has moved for long");
    bench.trickle(0, 6);
    assert_eq!(bench.machine.progress().rate, Some(1));
}
