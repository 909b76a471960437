//! One state and up to sixteen machines, in virtual time.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const HALF: u64 = u64::MAX / 2;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The request that finds out, and any other.
const PROBE: RequestId = RequestId(1);
const OTHER: RequestId = RequestId(0);

fn failed(left_at: u64, was_probe: bool, was_alone: bool) -> Failed {
    let id = if was_probe { PROBE } else { OTHER };
    Failed { kind: FailureKind::Interrupted, id, left_at: seconds(left_at), was_alone }
}

#[test]
fn one_broken_connection_of_several_is_no_outage_and_two_in_a_row_are() {
    let service = ServiceState::new();
    let mut member = Member::of(&service);
    member.answered(seconds(1));
    assert_eq!(member.failed(failed(0, false, false), seconds(2), HALF), Blame::Request);
    assert_eq!((member.gate(seconds(2)), service.offline()), (Gate::Open, None));
    assert_eq!(member.failed(failed(2, false, false), seconds(3), HALF), Blame::Service { outage: 1 });
    let offline = service.offline().unwrap();
    assert_eq!((offline.since, offline.next_attempt), (seconds(2), Duration::from_millis(4125)));
    assert_eq!(member.gate(seconds(3)), Gate::Closed { until: offline.next_attempt });
    member.answered(seconds(3));
    assert_eq!(member.gate(seconds(3)), Gate::Open);
}

#[test]
fn a_connection_that_does_not_come_about_and_a_request_that_was_alone_are_an_outage_at_once() {
    for kind in [FailureKind::Connect, FailureKind::Interrupted, FailureKind::Timeout] {
        let mut member = Member::default();
        member.failed(Failed { kind, was_alone: true, ..failed(0, false, true) }, seconds(1), HALF);
        assert!(member.offline().is_some(), "{kind:?}");
    }
    let mut member = Member::default();
    member.failed(Failed { kind: FailureKind::Connect, ..failed(0, false, false) }, seconds(1), HALF);
    assert!(member.offline().is_some());
}

#[test]
fn one_request_at_a_time_finds_out_and_the_waits_grow_to_five_seconds() {
    let service = ServiceState::new();
    let (mut one, mut other) = (Member::of(&service), Member::of(&service));
    one.failed(failed(0, false, true), seconds(0), u64::MAX);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let at = service.offline().unwrap().next_attempt;
        assert_eq!((one.gate(at), other.gate(at)), (Gate::OneRequest, Gate::OneRequest));
        one.leaves(PROBE, at);
        assert_eq!(other.gate(at), Gate::Closed { until: at + seconds(1) });
        // What had left before tells nothing new.
        other.failed(failed(0, false, false), at, u64::MAX);
        assert_eq!(service.offline().unwrap().next_attempt, at);
        one.failed(failed(0, true, true), at, u64::MAX);
        waits.push((service.offline().unwrap().next_attempt - at).as_secs());
    }
    assert_eq!(waits, [2, 3, 5, 5, 5, 5, 5, 5]);
}

#[test]
fn a_machine_that_is_dropped_leaves_the_probe_to_others() {
    let service = ServiceState::new();
    let (mut one, other) = (Member::of(&service), Member::of(&service));
    one.failed(failed(0, false, true), seconds(0), HALF);
    one.leaves(PROBE, seconds(2));
    assert_ne!(other.gate(seconds(2)), Gate::OneRequest);
    drop(one);
    assert_eq!(other.gate(seconds(2)), Gate::OneRequest);
}

#[test]
fn a_wait_that_the_service_asks_for_holds_everybody() {
    let service = ServiceState::new();
    let (one, other) = (Member::of(&service), Member::of(&service));
    one.hold(seconds(9));
    one.hold(seconds(4));
    assert_eq!(other.gate(seconds(8)), Gate::Closed { until: seconds(9) });
    assert_eq!(other.gate(seconds(9)), Gate::Open);
}

proptest! {
    /// Sixteen machines at a service that is away for some minutes: no more than one attempt a second, and every machine
    /// gets through soon after it is back.
    #[test]
    fn sixteen_machines_are_one_storm_or_none(
        away in 1u64..900,
        delays in prop::collection::vec(1u64..4000, 16),
        randoms in prop::collection::vec(any::<u64>(), 16),
        takes in 0u64..3000,
    ) {
        let service = ServiceState::new();
        let mut members: Vec<_> = (0..16).map(|_| Member::of(&service)).collect();
        let millis = Duration::from_millis;
        // Each has one request under way when the service goes.
        for (member, delay) in members.iter_mut().zip(&delays) {
            let gone = Failed { kind: FailureKind::Interrupted, id: OTHER, left_at: Duration::ZERO, was_alone: true };
            member.failed(gone, millis(delay % 100), *delay);
        }
        let back = seconds(away);
        let mut probing: Option<(usize, Duration, Duration)> = None;
        let mut attempts: Vec<Duration> = Vec::new();
        let mut answered = [None; 16];
        let mut at = millis(100);
        while answered.iter().any(Option::is_none) {
            prop_assert!(at < back + seconds(7) + millis(takes), "{answered:?} at {at:?}");
            if let Some((index, left_at, ends)) = probing.filter(|(_, _, ends)| *ends <= at) {
                probing = None;
                if ends >= back {
                    members[index].answered(at);
                    answered[index] = Some(at);
                } else {
                    let failed = Failed { kind: FailureKind::Connect, id: PROBE, left_at, was_alone: true };
                    let blame = members[index].failed(failed, at, randoms[index]);
                    prop_assert_eq!(blame, Blame::Service { outage: 1 });
                }
            }
            for (index, member) in members.iter_mut().enumerate() {
                if answered[index].is_some() || probing.is_some_and(|(prober, ..)| prober == index) {
                    continue;
                }
                match member.gate(at) {
                    Gate::Closed { until } => prop_assert!(until > at),
                    Gate::OneRequest => {
                        prop_assert!(probing.is_none(), "two find out at once");
                        member.leaves(PROBE, at);
                        let waited = attempts.last().map(|last| at - *last);
                        prop_assert!(waited.is_none_or(|waited| waited >= seconds(1)), "{waited:?}");
                        attempts.push(at);
                        probing = Some((index, at, at + millis(takes)));
                    }
                    Gate::Open => {
                        prop_assert!(at >= back, "it is not back yet");
                        member.leaves(PROBE, at);
                        member.answered(at);
                        answered[index] = Some(at);
                    }
                }
            }
            at += millis(50);
        }
        prop_assert!(attempts.len() as u64 <= away / 4 + 8, "{} in {away} s", attempts.len());
        prop_assert_eq!(service.offline(), None);
    }
}

#[test]
fn the_probe_of_an_outage_that_is_over_says_nothing_of_the_next_one() {
    let mut member = Member::default();
    member.failed(failed(0, false, true), seconds(0), HALF);
    member.leaves(RequestId(7), seconds(2));
    member.answered(seconds(3));
    member.failed(failed(3, false, true), seconds(4), HALF);
    member.leaves(PROBE, seconds(6));
    let late = Failed { id: RequestId(7), ..failed(2, false, false) };
    member.failed(late, seconds(7), HALF);
    assert_ne!(member.gate(seconds(7)), Gate::OneRequest, "the one that finds out is under way");
}

#[test]
fn a_probe_whose_body_moves_keeps_nobody_else_waiting() {
    let service = ServiceState::new();
    let (mut one, other) = (Member::of(&service), Member::of(&service));
    one.failed(failed(0, false, true), seconds(0), HALF);
    one.leaves(PROBE, seconds(2));
    one.moved(PROBE, MOVING);
    assert_ne!(other.gate(seconds(2)), Gate::Open);
    one.moved(PROBE, MOVING + 1);
    assert_eq!((other.gate(seconds(2)), service.offline()), (Gate::Open, None));
    // It breaks all the same: the waits go on from where they were.
    one.failed(failed(2, true, true), seconds(3), 0);
    assert_eq!(service.offline().unwrap().next_attempt, seconds(5));
    assert_eq!(service.offline().unwrap().since, seconds(0));
}

#[test]
fn a_sleep_excuses_what_left_before_it_and_begins_the_waits_anew() {
    let service = ServiceState::new();
    let mut member = Member::of(&service);
    member.failed(failed(0, false, true), seconds(0), 0);
    for _ in 0..4 {
        let at = service.offline().unwrap().next_attempt;
        member.leaves(PROBE, at);
        member.failed(Failed { left_at: at, ..failed(0, true, true) }, at, 0);
    }
    let asleep = service.offline().unwrap().next_attempt - seconds(4);
    service.woke(asleep, seconds(600));
    assert_eq!(member.gate(asleep), Gate::OneRequest);
    assert_eq!(service.offline().unwrap().since, seconds(0));
    // What left before tells nothing, whatever it was.
    for kind in [FailureKind::Connect, FailureKind::Interrupted] {
        let before = Failed { kind, left_at: asleep - seconds(1), ..failed(0, true, true) };
        assert_eq!(member.failed(before, asleep, 0), Blame::Sleep);
        assert_eq!(member.gate(asleep), Gate::OneRequest);
    }
    member.leaves(PROBE, asleep);
    let since = Failed { left_at: asleep, ..failed(0, true, true) };
    assert_eq!(member.failed(since, asleep, 0), Blame::Service { outage: 1 });
    assert_eq!(service.offline().unwrap().next_attempt, asleep + seconds(1));
    assert_eq!(member.slept(), seconds(600));
}

#[test]
fn a_probe_that_slept_leaves_the_next_one_to_others() {
    let service = ServiceState::new();
    let (mut one, other) = (Member::of(&service), Member::of(&service));
    one.failed(failed(0, false, true), seconds(0), HALF);
    one.leaves(PROBE, seconds(2));
    service.woke(seconds(3), seconds(60));
    assert!(matches!(other.gate(seconds(3)), Gate::Closed { .. }));
    one.failed(failed(2, true, true), seconds(4), HALF);
    assert_eq!(other.gate(seconds(4)), Gate::OneRequest);
}
