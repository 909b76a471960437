//! A service that cannot be reached, or wants nothing.

use std::time::Duration;

use http::StatusCode;
use partwise_models::{File, UnixSeconds};

use super::harness::{ENTROPY, Serves, Service, api, at, begun, halfway, plan, sent};
use crate::{
    download::{DownloadError, DownloadMachine, DownloadTask, End},
    error::{ApiError, ResponseError},
    machine::{Action, Machine as _, Now, RequestId, TransferState},
    operations::{ByteRange, DownloadFile},
    retry::{
        RetryPolicy, ServiceState,
        service_state::{Failed, Member},
    },
    transport::{Failure, FailureKind},
};

#[test]
fn patience_ends_when_nothing_comes_and_what_had_come_is_saved() {
    let service = Service::new(1000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 1, halfway);
    let (mut failures, mut saved) = (0, None);
    let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    let ended = loop {
        match machine.poll(now) {
            Action::Start { id, task: DownloadTask::Send { .. } } => {
                failures += 1;
                machine.handle_failure(id, Failure::new(FailureKind::Interrupted), now);
            }
            Action::Save(checkpoint) => {
                saved = Some(checkpoint.written());
                machine.handle_saved(Ok(()));
            }
            Action::Wait { until } => match machine.pending.first().map(|pending| pending.id) {
                Some(id) => {
                    failures += 1;
                    machine.handle_failure(id, Failure::new(FailureKind::Timeout), now);
                }
                None => now.monotonic = until.unwrap(),
            },
            Action::Abandon(_) => {}
            Action::Start { task: DownloadTask::Retrieve { .. }, .. } => panic!("nothing is in doubt"),
            Action::Done(ended) => break ended.unwrap_err(),
        }
    };
    assert!(matches!(&ended, DownloadError::Away { .. }) && ended.is_resumable(), "{ended}");
    assert!(now.monotonic >= machine.plan.retry_policy().give_up_after);
    // One at a time, every five seconds in the end.
    assert!((150..230).contains(&failures), "{failures}");
    assert_eq!(saved, Some((machine.progress().bytes_written, 1000)));
}

#[test]
fn a_network_that_drops_all_requests_at_once_is_tried_by_one_and_used_by_all_again() {
    let service = Service::new(10_000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 4, |machine| machine.progress().requests == 4);
    let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    let under_way: Vec<_> = machine.pending.iter().map(|pending| pending.id).collect();
    for id in under_way {
        machine.handle_failure(id, Failure::new(FailureKind::Interrupted), now);
    }
    for time in 1..=30 {
        let before = now.monotonic;
        let id = sent(&mut machine, &mut now, 1)[0];
        assert!(matches!(machine.poll(now), Action::Wait { .. }), "the others wait");
        let waited = now.monotonic.saturating_sub(before);
        assert!((Duration::from_secs(1)..=Duration::from_secs(5)).contains(&waited), "{time}: {waited:?}");
        machine.handle_failure(id, Failure::new(FailureKind::Connect), now);
        assert!(machine.failures <= 1, "an outage takes nothing of the budget");
    }
    let id = sent(&mut machine, &mut now, 1)[0];
    let operation = DownloadFile { range: None, ..DownloadFile::new("file-1") };
    let rest = machine.pending[0].rest.clone();
    let range = ByteRange::From { first: rest.start, last: Some(rest.end - 1) };
    let (head, _) = service.answer(&DownloadFile { range: Some(range), ..operation });
    let at = now.monotonic;
    assert!(machine.handle_answer(id, head, now).is_some());
    assert_eq!(sent(&mut machine, &mut now, 3).len(), 3);
    assert_eq!(now.monotonic, at, "at once");
}

#[test]
fn a_service_that_never_answered_is_given_up_after_half_a_minute() {
    let mut machine = DownloadMachine::new(&api(), plan(4, 100), ENTROPY);
    let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    let ended = loop {
        match machine.poll(now) {
            Action::Start { id, .. } => machine.handle_failure(id, Failure::new(FailureKind::Connect), now),
            Action::Wait { until } => now.monotonic = until.expect("something is to come"),
            Action::Done(ended) => break ended,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(ended, Err(DownloadError::Failed(_))), "{ended:?}");
    assert_eq!(now.monotonic, machine.plan.retry_policy().give_up_before_contact);
}

#[test]
fn a_download_sends_a_request_of_its_own_whatever_an_earlier_one_has_met() {
    let state = ServiceState::new();
    let now = Now { monotonic: Duration::from_secs(5), unix: UnixSeconds(1) };
    let download = |retry: RetryPolicy| {
        DownloadMachine::new(&api(), plan(4, 100).retry(retry), ENTROPY).with_service(&state)
    };
    for _ in 0..3 {
        let mut never = download(RetryPolicy::never());
        let Action::Start { id, .. } = never.poll(now) else { panic!("it asks at once") };
        never.handle_failure(id, Failure::new(FailureKind::Connect), now);
        let end = never.poll(now);
        assert!(matches!(end, Action::Done(Err(DownloadError::Failed(_)))), "{end:?}");
        assert!(state.offline().is_some());
    }
    // The service is tried again in 1 s to 1.25 s.
    let mut short = download(RetryPolicy::default().give_up_after(Duration::from_millis(500)));
    let Action::Wait { until: Some(until) } = short.poll(now) else { panic!("it asks") };
    assert_eq!(until, now.monotonic + Duration::from_millis(500));
    let now = Now { monotonic: until, ..now };
    let Action::Start { id, .. } = short.poll(now) else { panic!("it does not ask") };
    short.handle_failure(id, Failure::new(FailureKind::Connect), now);
    let end = short.poll(now);
    assert!(matches!(end, Action::Done(Err(DownloadError::Failed(_)))), "{end:?}");
}

#[test]
fn a_download_that_was_answered_before_an_outage_sends_a_request_in_it_before_it_ends() {
    let state = ServiceState::new();
    let mut machine = DownloadMachine::new(&api(), plan(1, 100), ENTROPY).with_service(&state);
    let mut other = Member::of(&state);
    let Action::Start { id, .. } = machine.poll(at(Duration::ZERO)) else { panic!("it asks for content") };
    let Action::Start { id: look, .. } = machine.poll(at(Duration::ZERO)) else {
        panic!("it asks what it is")
    };
    machine.handle_retrieved(look, Ok(File::new("file-1")), at(Duration::ZERO));
    let refusal = ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "it broke");
    machine.handle_answer(id, Err(ResponseError::Rejected(refusal.into())), at(Duration::ZERO));
    // The service goes while it waits, and another finds out all the time.
    let second = Duration::from_secs(1);
    let connect = Failed { kind: FailureKind::Connect, id: RequestId(0), left_at: second, was_alone: true };
    other.failed(connect, second, 0);
    other.leaves(RequestId(1), 2 * second);
    let limit = second + machine.plan.retry_policy().give_up_after;
    let before = limit - second;
    let Action::Wait { until: Some(due) } = machine.poll(at(before)) else { panic!("it does not wait") };
    assert!(due > before && due <= limit, "{due:?}");
    let Action::Start { id, .. } = machine.poll(at(limit)) else { panic!("it does not make sure") };
    let Action::Wait { .. } = machine.poll(at(limit)) else { panic!("once") };
    machine.handle_failure(id, Failure::new(FailureKind::Connect), at(limit + second));
    let end = machine.poll(at(limit + second));
    let Action::Done(Err(DownloadError::Away { after, cause: Some(cause) })) = end else { panic!("{end:?}") };
    assert_eq!(after, limit);
    assert!(matches!(*cause, DownloadError::Failed(_)), "{cause}");
}

#[test]
fn a_download_that_receives_after_a_failure_ends_with_a_later_one() {
    let state = ServiceState::new();
    let service = Service::new(10_000, Serves::Ranges);
    let (machine, _) = begun(&service, 2, |machine| machine.progress().requests == 2);
    let mut machine = machine.with_service(&state);
    let [one, other] = [0, 1].map(|index| machine.pending[index].id);
    machine.handle_failure(other, Failure::new(FailureKind::Connect), at(Duration::from_secs(1)));
    // Others find out all the time, and what had been answered comes to its end.
    let mut others = Member::of(&state);
    others.leaves(RequestId(0), Duration::from_secs(3));
    let rest = machine.pending[0].rest.clone();
    machine.handle_moved(one, rest.end - rest.start);
    machine.handle_end(one, at(Duration::from_secs(4)));
    let limit = Duration::from_secs(1) + machine.plan.retry_policy().give_up_after;
    let mut now = at(limit - Duration::from_secs(1));
    let id = sent(&mut machine, &mut now, 1)[0];
    assert_eq!(now.monotonic, limit);
    assert!(matches!(machine.poll(now), Action::Wait { .. }), "one makes sure");
    machine.handle_failure(id, Failure::new(FailureKind::Connect), now);
    let end = loop {
        match machine.poll(now) {
            Action::Save(_) => machine.handle_saved(Ok(())),
            other => break other,
        }
    };
    assert!(matches!(end, Action::Done(Err(DownloadError::Away { cause: Some(_), .. }))), "{end:?}");
}

#[test]
fn a_service_that_refused_in_the_words_of_the_api_is_there() {
    let mut machine = DownloadMachine::new(&api(), plan(4, 100), ENTROPY);
    let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    let allowed = machine.plan.retry_policy().max_failures;
    for failures in 1..=allowed + 1 {
        let id = sent(&mut machine, &mut now, 1)[0];
        let refusal = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "later");
        machine.handle_answer(id, Err(ResponseError::Rejected(refusal.into())), now);
        let is_over = matches!(machine.end, End::Reached(Err(DownloadError::Rejected(_))));
        assert_eq!(is_over, failures > allowed, "after {failures}");
    }
}

#[test]
fn an_overloaded_service_is_left_alone_by_all_requests() {
    let service = Service::new(10_000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 2, |machine| machine.progress().requests == 2);
    let now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    let id = machine.pending[0].id;
    let mut refusal = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "later");
    refusal.retry = crate::retry::RetryHint::after(Duration::from_secs(9));
    let refused = Err(ResponseError::Rejected(refusal.into()));
    assert_eq!(machine.handle_answer(id, refused, now), None);
    let other = machine.pending[0].id;
    machine.handle_end(other, now);
    let Action::Wait { until: Some(until) } = machine.poll(at(Duration::ZERO)) else { panic!("it asks") };
    assert!(until <= Duration::from_secs(9));
    assert!(matches!(machine.poll(at(Duration::from_secs(8))), Action::Wait { .. } | Action::Save(_)));
    let mut sent = 0;
    while let Action::Start { task: DownloadTask::Send { .. }, .. } | Action::Save(_) =
        machine.poll(at(Duration::from_secs(10)))
    {
        sent += 1;
    }
    assert!(sent >= 1);
}

#[test]
fn what_left_before_a_sleep_is_asked_for_again_at_once_and_spends_no_budget() {
    let service = Service::new(10_000, Serves::Ranges);
    let (machine, _) = begun(&service, 4, |machine| machine.progress().requests == 4);
    let state = ServiceState::new();
    let mut machine = machine.with_service(&state);
    let mut now = Now { monotonic: Duration::from_secs(1), unix: UnixSeconds(1) };
    for _ in 0..50 {
        now.monotonic += Duration::from_secs(1);
        state.woke(now.monotonic, Duration::from_secs(60));
        let under_way: Vec<_> = machine.pending.iter().map(|pending| pending.id).collect();
        assert_eq!(under_way.len(), 4);
        for id in under_way {
            machine.handle_failure(id, Failure::new(FailureKind::Interrupted), now);
        }
        let at = now.monotonic;
        assert_eq!(sent(&mut machine, &mut now, 4).len(), 4);
        assert_eq!((now.monotonic, machine.failures, state.offline()), (at, 0, None));
    }
}

#[test]
fn what_fails_behind_a_redirect_is_a_failure_of_the_request_and_no_outage() {
    for kind in [FailureKind::Connect, FailureKind::Interrupted, FailureKind::Timeout] {
        let service = Service::new(10_000, Serves::Ranges);
        let (machine, _) = begun(&service, 1, |machine| machine.progress().requests == 1);
        let state = ServiceState::new();
        let mut machine = machine.with_service(&state);
        let now = at(Duration::from_secs(1));
        let id = machine.pending[0].id;
        machine.handle_failure(id, Failure::new(kind).behind_redirect("blob.example"), now);
        assert_eq!((state.offline(), machine.failures), (None, 1), "{kind:?}");
    }
}

#[test]
fn what_others_meet_is_not_told_of_a_download_that_receives_all_the_same() {
    let service = Service::new(10_000, Serves::Ranges);
    let (machine, _) = begun(&service, 4, |machine| machine.progress().requests == 4);
    let state = ServiceState::new();
    let mut machine = machine.with_service(&state);
    let mut other = Member::of(&state);
    other.hold(Duration::from_secs(100));
    for second in 1..=5 {
        machine.handle_moved(machine.pending[0].id, 10);
        assert!(matches!(
            machine.poll(at(Duration::from_secs(second))),
            Action::Wait { .. } | Action::Save(_)
        ));
        machine.handle_saved(Ok(()));
    }
    let progress = machine.progress();
    assert_eq!((progress.state, progress.rate), (TransferState::Receiving, Some(10)));
    let connect = Failed {
        kind: FailureKind::Connect,
        id: RequestId(0),
        left_at: Duration::from_secs(5),
        was_alone: true,
    };
    other.failed(connect, Duration::from_secs(5), 0);
    machine.handle_moved(machine.pending[0].id, 10);
    assert!(matches!(machine.poll(at(Duration::from_secs(6))), Action::Wait { .. } | Action::Save(_)));
    assert!(state.offline().is_some());
    let progress = machine.progress();
    assert_eq!((progress.state, progress.rate), (TransferState::Receiving, Some(10)));
}
