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
    assert_eq!(waits, [2, 3, 5, 5, 2, 5, 5, 5], "the sixth is short");
}

#[test]
fn a_machine_that_is_dropped_leaves_the_probe_to_others() {
    let service = ServiceState::new();
    let (mut one, other) = (Member::of(&service), Member::of(&service));
    one.failed(failed(0, false, true), seconds(0), HALF);
    one.leaves(PROBE, seconds(2));
    assert_ne!(other.gate(seconds(2)), Gate::OneRequest);
    drop(one);
    assert_eq!(other.gate(seconds(2)), Gate::Closed { until: seconds(3) });
    assert_eq!(service.offline().unwrap().next_attempt, seconds(3));
    assert_eq!(other.gate(seconds(3)), Gate::OneRequest);
}

#[test]
fn probes_that_are_given_up_are_as_far_apart_as_those_that_fail() {
    let service = ServiceState::new();
    let mut members: Vec<_> = (0..16).map(|_| Member::of(&service)).collect();
    members[0].failed(failed(0, false, true), seconds(0), u64::MAX);
    let mut left = Vec::new();
    for tenths in 0..300 {
        let at = Duration::from_millis(100 * tenths);
        for member in &mut members {
            if member.gate(at) == Gate::OneRequest {
                member.leaves(PROBE, at);
                member.gave_up(PROBE);
                left.push(at);
            }
        }
    }
    assert!(left.len() > 20, "each is followed by another: {left:?}");
    assert!(left.windows(2).all(|two| two[1] - two[0] >= seconds(1)), "{left:?}");
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

#[test]
fn after_a_wait_that_the_service_asked_for_one_machine_goes_first_and_the_others_follow_its_answer() {
    let service = ServiceState::new();
    let mut members: Vec<_> = (0..16).map(|_| Member::of(&service)).collect();
    members[0].hold(seconds(9));
    let open = |members: &[Member], at| {
        let gates = members.iter().map(|member| member.gate(at));
        gates.enumerate().filter(|(_, gate)| *gate == Gate::Open).map(|(index, _)| index).collect::<Vec<_>>()
    };
    let millis = Duration::from_millis;
    assert!(open(&members, millis(8999)).is_empty());
    members[3].leaves(OTHER, seconds(9));
    assert_eq!(open(&members, seconds(9)), [3], "it sends whatever it has");
    assert_eq!(members[4].gate(seconds(9)), Gate::Closed { until: millis(9250) });
    assert_eq!(members[4].gate(millis(9900)), Gate::Closed { until: seconds(10) });
    // It takes its time: the others go one by one.
    members[4].leaves(OTHER, seconds(10));
    assert_eq!(open(&members, seconds(10)), [3, 4]);
    members[3].answered(millis(10_100));
    assert_eq!(open(&members, millis(10_100)).len(), 16);
    // It wants to wait again.
    members[3].hold(seconds(12));
    members[5].answered(seconds(11));
    assert!(open(&members, millis(11_999)).is_empty());
    members[5].leaves(OTHER, seconds(12));
    assert_eq!(open(&members, seconds(12)), [5]);
}

proptest! {
    /// Sixteen machines and any number of single operations at a service that is away for some minutes: no more than one
    /// attempt a second, and every machine gets through soon after it is back.
    #[test]
    fn sixteen_machines_are_one_storm_or_none(
        away in 1u64..900,
        delays in prop::collection::vec(1u64..4000, 16),
        randoms in prop::collection::vec(any::<u64>(), 16),
        takes in 0u64..3000,
        calls in prop::collection::vec(any::<bool>(), 64),
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
        let mut calling: Option<(CallAttempt, Duration)> = None;
        let (policy, mut given_up) = (RetryPolicy::default(), 0);
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
            if let Some((call, ends)) = calling.take() {
                match ends {
                    _ if at < ends => calling = Some((call, ends)),
                    _ if ends >= back => call.answered(at),
                    // Some callers have no time.
                    _ if ends.as_millis() % 3 == 0 => {
                        given_up += 1;
                        drop(call);
                    }
                    _ => call.failed(FailureKind::Connect, at, randoms[0]),
                }
            }
            let is_wanted = calls[(at.as_millis() / 50) as usize % calls.len()];
            if is_wanted && calling.is_none() && at < back {
                match service.call().start(&policy, at) {
                    Err(until) => prop_assert!(until > at),
                    Ok(call) => {
                        prop_assert!(probing.is_none(), "two find out at once");
                        let waited = attempts.last().map(|last| at - *last);
                        prop_assert!(waited.is_none_or(|waited| waited >= seconds(1)), "{waited:?}");
                        attempts.push(at);
                        calling = Some((call, at + millis(takes)));
                    }
                }
            }
            for (index, member) in members.iter_mut().enumerate() {
                if answered[index].is_some() || probing.is_some_and(|(prober, ..)| prober == index) {
                    continue;
                }
                match member.gate(at) {
                    Gate::Closed { until } => prop_assert!(until > at),
                    Gate::OneRequest => {
                        prop_assert!(probing.is_none() && calling.is_none(), "two find out at once");
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
        // The waits grow with each one that fails.
        let failing = attempts.len() as u64 - given_up;
        prop_assert!(failing <= away * 3 / 11 + 8, "{failing} in {away} s");
        prop_assert_eq!(service.offline(), None);
    }
}

#[test]
fn a_call_finds_out_like_a_machine_and_its_answer_is_for_all() {
    let (service, policy) = (ServiceState::new(), RetryPolicy::default());
    let start = |at| service.call().start(&policy, at);
    let mut member = Member::of(&service);
    let first = service.call();
    first.start(&policy, seconds(0)).unwrap().failed(FailureKind::Connect, seconds(0), 0);
    assert_eq!(service.offline().unwrap().since, seconds(0));
    assert_eq!(member.gate(seconds(0)), Gate::Closed { until: seconds(1) });
    assert_eq!(start(seconds(0)).unwrap_err(), seconds(1));
    let probe = start(seconds(1)).unwrap();
    assert_eq!(start(seconds(1)).unwrap_err(), seconds(2), "one is under way");
    probe.answered(seconds(1));
    assert_eq!((member.gate(seconds(1)), service.offline()), (Gate::Open, None));
    // What was interrupted may have been at fault itself.
    for kind in [FailureKind::Interrupted, FailureKind::Timeout, FailureKind::Unsent] {
        start(seconds(2)).unwrap().failed(kind, seconds(3), 0);
        assert_eq!(service.offline(), None);
    }
    // The one that finds out is not.
    start(seconds(3)).unwrap().failed(FailureKind::Connect, seconds(3), 0);
    start(seconds(4)).unwrap().failed(FailureKind::Timeout, seconds(4), 0);
    assert_eq!(service.offline().unwrap().next_attempt, seconds(6));
    // A wait for requests that are too many is none for a list.
    member.answered(seconds(4));
    member.hold(seconds(60));
    assert!(start(seconds(5)).is_ok());
    assert_eq!(member.gate(seconds(59)), Gate::Closed { until: seconds(60) });
    assert_eq!(member.gate(seconds(60)), Gate::Open);
}

/// A call that has failed thrice, without any wait for others, and when the next probe is due.
fn alone(service: &ServiceState) -> (Call, Duration) {
    let (call, policy, millis) = (service.call(), RetryPolicy::default(), Duration::from_millis);
    for at in [0, 100, 250] {
        call.start(&policy, millis(at)).unwrap().failed(FailureKind::Connect, millis(at), 0);
    }
    (call, millis(250) + seconds(3))
}

#[test]
fn a_call_that_is_alone_with_an_outage_keeps_to_its_policy_until_a_machine_sends() {
    let (service, policy) = (ServiceState::new(), RetryPolicy::default());
    let (call, until) = alone(&service);
    let mut member = Member::of(&service);
    // It looks, as for its deadline, and sends nothing.
    assert_eq!(member.gate(seconds(1)), Gate::Closed { until });
    call.start(&policy, seconds(1)).unwrap().failed(FailureKind::Connect, seconds(1), 0);
    let until = seconds(1) + seconds(4);
    assert_eq!(member.gate(until), Gate::OneRequest);
    member.leaves(PROBE, until);
    assert_eq!(call.start(&policy, until).unwrap_err(), until + seconds(1));
}

#[test]
fn a_call_is_not_alone_with_an_outage_once_a_machine_has_failed_in_it() {
    let (service, policy) = (ServiceState::new(), RetryPolicy::default());
    let (call, until) = alone(&service);
    Member::of(&service).failed(failed(0, false, true), seconds(1), 0);
    assert_eq!(call.start(&policy, seconds(1)).unwrap_err(), until);
}

#[test]
fn the_next_call_is_alone_when_the_one_before_has_ended() {
    let (service, policy) = (ServiceState::new(), RetryPolicy::default());
    let (first, until) = alone(&service);
    drop(first);
    let second = service.call();
    second.start(&policy, seconds(1)).unwrap().failed(FailureKind::Interrupted, seconds(1), 0);
    assert!(service.offline().unwrap().next_attempt > until, "it was the probe");
    let attempt = second.start(&policy, seconds(2)).unwrap();
    drop(second);
    // Its attempt is still under way: two are there.
    assert!(service.call().start(&policy, seconds(2)).is_err());
    drop(attempt);
    assert!(service.call().start(&policy, seconds(2)).is_err(), "together they wait like one");
}

#[test]
fn a_call_that_probed_an_outage_that_is_over_begins_no_other() {
    let (service, policy) = (ServiceState::new(), RetryPolicy::default());
    let mut member = Member::of(&service);
    member.failed(failed(0, false, true), seconds(0), HALF);
    let late = service.call().start(&policy, seconds(2)).unwrap();
    member.answered(seconds(3));
    late.failed(FailureKind::Interrupted, seconds(4), 0);
    member.failed(failed(4, false, false), seconds(5), HALF);
    assert_eq!(service.offline(), None, "one broken connection of several");
}

#[test]
fn a_call_that_waits_for_no_service_leaves_at_once() {
    let service = ServiceState::new();
    let calls = [(); 3].map(|()| service.call());
    for call in &calls {
        let attempt = call.start(&RetryPolicy::never(), seconds(0)).unwrap();
        attempt.failed(FailureKind::Connect, seconds(0), 0);
    }
    assert!(service.call().start(&RetryPolicy::default(), seconds(0)).is_err());
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
    one.moves(RequestId(7));
    assert_ne!(other.gate(seconds(2)), Gate::Open);
    one.moves(PROBE);
    assert_eq!((other.gate(seconds(2)), service.offline()), (Gate::Open, None));
    // It breaks all the same: the waits go on from where they were.
    one.failed(failed(2, true, true), seconds(3), 0);
    assert_eq!(service.offline().unwrap().next_attempt, seconds(5));
    assert_eq!(service.offline().unwrap().since, seconds(0));
}

#[test]
fn a_body_moves_once_more_has_departed_than_the_transport_may_hold() {
    for (buffer, held) in [
        (SendBuffer::default(), 1 << 20),
        (SendBuffer::new(512 << 10, 4 << 20), 1 << 20),
        (SendBuffer::new(2 << 20, 16 << 20), 4 << 20),
    ] {
        assert!(!is_moving(held, buffer) && is_moving(held + 1, buffer), "{buffer:?}");
    }
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
fn a_machine_has_met_an_outage_once_a_request_of_its_own_has_failed_in_it() {
    let (service, policy) = (ServiceState::new(), RetryPolicy::default());
    let (mut one, mut other) = (Member::of(&service), Member::of(&service));
    one.failed(failed(0, false, true), seconds(1), HALF);
    assert!(one.has_met_outage() && !other.has_met_outage());
    one.answered(seconds(2));
    assert!(!one.has_met_outage(), "it is over");
    other.failed(failed(3, false, true), seconds(4), HALF);
    assert!(!one.has_met_outage() && other.has_met_outage());

    // Another finds out, and goes on finding out when the time is over.
    other.leaves(PROBE, seconds(6));
    let limit = |member: &Member| member.give_up_limit(&policy, seconds(0), true);
    let over = seconds(4) + policy.give_up_after;
    let gate = |member: &Member, at| member.gate_within(&policy, limit(member), at);
    assert!(matches!(gate(&one, over - seconds(1)), Gate::Closed { .. }));
    assert_eq!(gate(&one, over), Gate::OneRequest);
    assert!(matches!(gate(&other, over), Gate::Closed { .. }), "it has met the outage");
    one.leaves(OTHER, over);
    one.failed(failed(905, false, true), over + seconds(2), HALF);
    assert!(one.has_met_outage());
    assert!(matches!(gate(&one, over + seconds(2)), Gate::Closed { .. }));
}

#[test]
fn a_request_that_slept_or_may_be_at_fault_itself_has_met_no_outage() {
    let service = ServiceState::new();
    let (mut one, mut other) = (Member::of(&service), Member::of(&service));
    other.failed(failed(0, false, true), seconds(1), HALF);
    service.woke(seconds(3), seconds(60));
    assert_eq!(one.failed(failed(2, false, true), seconds(4), HALF), Blame::Sleep);
    assert!(!one.has_met_outage());
    other.answered(seconds(5));
    assert_eq!(one.failed(failed(4, false, true), seconds(6), HALF), Blame::Request);
    assert!(!one.has_met_outage() && service.offline().is_some());
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
