//! A service that cannot be reached, and comes back or does not.

use std::time::Duration;

use http::Response;
use partwise_protocol::{
    Api,
    machine::Machine as _,
    retry::{RetryPolicy, ServiceState},
    transport::{Failure, FailureKind},
    upload::{Parallel, Plan, RouteChoice, SourceStamp, UploadMachine},
};

use crate::bench::{BEGAN, Bench, file_json, list_json, part_json, plan, upload_json};

const KIB: u64 = 1 << 10;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An upload whose two parts in flight break, one after the other.
fn broken() -> Bench {
    let mut bench = Bench::sending(plan());
    bench.pass(seconds(10));
    assert_eq!(bench.flying.len(), 2);
    bench.fail(0, FailureKind::Interrupted);
    bench.fail(0, FailureKind::Interrupted);
    bench
}

#[test]
fn one_request_finds_out_and_the_others_follow_once_it_is_answered() {
    let mut bench = broken();
    for _ in 0..20 {
        assert_eq!(bench.flying.len(), 1, "at {:?}", bench.time);
        let offline = bench.offline().expect("it is away");
        assert_eq!(offline.since, seconds(10));
        bench.fail(0, FailureKind::Connect);
    }
    assert!((seconds(60)..seconds(110)).contains(&bench.time), "{:?}", bench.time);
    bench.answer(0, 200, &part_json("a"));
    assert_eq!((bench.flying.len(), bench.offline()), (2, None));
    bench.answer(0, 200, &part_json("b"));
    bench.answer(0, 200, &part_json("c"));
    assert!(bench.end.is_none(), "no part's budget was spent");
}

#[test]
fn any_answer_shows_that_the_service_is_there() {
    let mut bench = broken();
    bench.fail(0, FailureKind::Timeout);
    bench.answer(0, 500, "");
    assert_eq!(bench.offline(), None);
}

#[test]
fn a_service_that_stays_away_ends_the_upload_after_a_quarter_of_an_hour_and_it_can_be_resumed() {
    let mut bench = broken();
    while bench.end.is_none() {
        match bench.flying.is_empty() {
            true => bench.pass(seconds(1)),
            false => bench.fail(0, FailureKind::Connect),
        };
    }
    // The part that is under way then has five seconds.
    let after = bench.time - seconds(10);
    assert!((seconds(900)..=seconds(905)).contains(&after), "{after:?}");
    let error = bench.end.take().unwrap().unwrap_err();
    assert!(error.is_resumable() && bench.machine.is_resumable_after(&error));
    insta::assert_snapshot!(error, @"the service could not be reached for 15 minutes");
}

#[test]
fn a_transfer_that_begins_during_an_outage_waits_its_own_time() {
    let service = ServiceState::new();
    let transfer = || {
        let mut plan = plan();
        plan.route = RouteChoice::Parts;
        let transfer = UploadMachine::new(Api::openai(), plan, SourceStamp::new(25), [1; 32]).unwrap();
        Bench::of(transfer.with_service(&service))
    };
    let mut first = transfer();
    first.run();
    first.answer(0, 200, &upload_json(36_000));
    first.fail(0, FailureKind::Connect);
    first.fail(0, FailureKind::Connect);
    let mut second = transfer();
    second.time = seconds(890);
    second.run();
    second.pass(seconds(100));
    assert!(second.end.is_none());
    second.pass(seconds(799));
    assert_eq!((second.end.is_none(), second.flying.len()), (true, 0));
    second.pass(seconds(1));
    assert_eq!((second.end.is_none(), second.flying.len()), (true, 1), "it makes sure");
    second.fail(0, FailureKind::Connect);
    insta::assert_snapshot!(second.error(), @"the service could not be reached for 15 minutes: POST /uploads failed: the service could not be reached: no route to host");
}

/// An upload with this policy that begins now as one of several.
fn beginning(service: &ServiceState, retry: RetryPolicy, time: Duration) -> Bench {
    let plan = plan().retry(retry);
    let upload = UploadMachine::new(Api::openai(), plan, SourceStamp::new(25), [1; 32]).unwrap();
    let mut bench = Bench::of(upload.with_service(service));
    bench.time = time;
    bench.run();
    bench
}

#[test]
fn an_upload_sends_a_request_of_its_own_whatever_an_earlier_one_has_met() {
    let service = ServiceState::new();
    let mut earlier = beginning(&service, RetryPolicy::never(), seconds(5));
    earlier.fail(0, FailureKind::Connect);
    insta::assert_snapshot!(earlier.error(), @"POST /uploads failed: the service could not be reached: no route to host");
    assert!(service.offline().is_some());

    let mut waits_for_none = beginning(&service, RetryPolicy::never(), seconds(5));
    assert_eq!((waits_for_none.flying.len(), waits_for_none.time), (1, seconds(5)), "at once");
    waits_for_none.fail(0, FailureKind::Connect);
    assert!(waits_for_none.end.is_some());

    // The service is tried again in 1 s to 1.25 s.
    let short = RetryPolicy::default().give_up_after(Duration::from_millis(500));
    let mut waits = beginning(&service, short, seconds(5));
    assert_eq!((waits.flying.len(), waits.end.is_none()), (1, true));
    waits.answer(0, 200, &upload_json(36_000));
    assert_eq!((waits.flying.len(), service.offline()), (2, None));
}

#[test]
fn an_upload_whose_time_is_over_before_it_could_send_anything_sends_one_request() {
    let service = ServiceState::new();
    let mut other = beginning(&service, RetryPolicy::default(), seconds(0));
    other.fail(0, FailureKind::Connect);
    assert_eq!(other.flying.len(), 1, "it finds out, and is not answered");
    let mut second = beginning(&service, RetryPolicy::default(), other.time);
    second.pass(seconds(29));
    assert_eq!(second.flying.len(), 0, "others wait");
    let due = second.pass(seconds(0)).expect("something is to come");
    assert!(due > second.time && due <= other.time + seconds(30), "{due:?}");
    second.pass(seconds(1));
    assert_eq!((second.flying.len(), second.end.is_none()), (1, true));
    second.fail(0, FailureKind::Connect);
    insta::assert_snapshot!(second.error(), @"POST /uploads failed: the service could not be reached: no route to host");
}

/// An upload with all but one of its parts in flight, and another one that holds it up: the service is away since one second, and the
/// other's request finds out whether it is back, without an end.
fn held_up(service: &ServiceState, parts: u16) -> (Bench, Bench) {
    let mut plan = plan();
    (plan.parallel, plan.part_size) = (parts.into(), Some(25_u64.div_ceil(parts.into())));
    let upload = UploadMachine::new(Api::openai(), plan, SourceStamp::new(25), [1; 32]).unwrap();
    let mut bench = Bench::of(upload.with_service(service));
    bench.run();
    bench.answer(0, 200, &upload_json(36_000));
    bench.answer(0, 500, "");
    let mut other = beginning(service, RetryPolicy::default(), seconds(1));
    other.fail(0, FailureKind::Connect);
    assert_eq!((bench.flying.len(), other.flying.len()), (usize::from(parts) - 1, 1));
    (bench, other)
}

#[test]
fn an_upload_that_was_answered_before_an_outage_sends_a_request_in_it_before_it_ends() {
    let service = ServiceState::new();
    let (mut bench, _other) = held_up(&service, 1);
    let due = bench.pass(seconds(900)).expect("something is to come");
    assert_eq!((bench.flying.len(), bench.end.is_none()), (0, true));
    assert!(due > bench.time && due <= seconds(901), "{due:?}");
    bench.pass(seconds(1));
    assert_eq!((bench.flying.len(), bench.end.is_none()), (1, true), "it makes sure");
    bench.pass(seconds(5));
    assert_eq!(bench.flying.len(), 1, "once");
    bench.fail(0, FailureKind::Connect);
    insta::assert_snapshot!(bench.error(), @"the service could not be reached for 15 minutes: POST /uploads/{upload_id}/parts failed: the service could not be reached: no route to host");
}

#[test]
fn an_upload_that_makes_sure_at_its_limit_and_is_answered_goes_on() {
    let service = ServiceState::new();
    let (mut bench, _other) = held_up(&service, 1);
    bench.pass(seconds(901));
    bench.answer(0, 200, &part_json("a"));
    assert_eq!((bench.stamping.is_some(), bench.end.is_none(), service.offline()), (true, true, None));
}

#[test]
fn an_upload_with_a_request_in_flight_sends_no_other_at_its_limit() {
    let service = ServiceState::new();
    let (mut bench, _other) = held_up(&service, 2);
    bench.pass(seconds(1000));
    assert_eq!((bench.flying.len(), bench.end.is_none()), (1, true));
    // It left when the service was there, and may have failed for itself.
    bench.fail(0, FailureKind::Interrupted);
    assert_eq!((bench.flying.len(), bench.end.is_none()), (1, true), "it makes sure");
    bench.fail(0, FailureKind::Connect);
    let error = bench.error();
    let is_away = error.starts_with("the service could not be reached for ");
    assert!(is_away && error.ends_with("no route to host"), "{error}");
}

#[test]
fn an_upload_that_ends_after_its_comparison_has_met_the_outage_says_so() {
    let service = ServiceState::new();
    let mut wanted = plan();
    wanted.route = RouteChoice::Single;
    let upload = UploadMachine::new(Api::openai(), wanted, SourceStamp::new(25), [1; 32]).unwrap();
    let mut bench = Bench::of(upload.with_service(&service));
    bench.run();
    bench.answer(0, 500, "");
    let (id, now) = (bench.flying.remove(0), bench.now());
    let list = Response::new(list_json(&[file_json("file-1", BEGAN)]).into());
    bench.machine.handle_response(id, list, None, now);
    bench.pass(seconds(1));
    let mut other = beginning(&service, RetryPolicy::default(), seconds(1));
    other.fail(0, FailureKind::Connect);
    bench.fail(0, FailureKind::Connect);
    bench.pass(seconds(900));
    insta::assert_snapshot!(bench.error(), @"it is not known whether the service made a file: one in its list may be it: the service could not be reached for 15 minutes: GET /files/{file_id}/content failed: the service could not be reached: no route to host");
}

#[test]
fn an_upload_that_is_held_up_by_its_source_ends_only_with_a_failure_of_its_own() {
    let service = ServiceState::new();
    let mut plan = plan();
    plan.parallel = Parallel::InOrder;
    let upload = UploadMachine::new(Api::openai(), plan, SourceStamp::new(25), [1; 32]).unwrap();
    let mut bench = Bench::of(upload.with_service(&service));
    bench.run();
    bench.answer(0, 200, &upload_json(36_000));
    // The source of its first part is not ready yet.
    beginning(&service, RetryPolicy::never(), seconds(1)).fail(0, FailureKind::Connect);
    let due = bench.pass(seconds(901));
    assert!(due.is_none_or(|due| due > bench.time), "{due:?}");
    assert_eq!((bench.flying.len(), bench.end.is_none()), (0, true));
    bench.prepared(Ok(()));
    assert_eq!(bench.flying.len(), 1, "at once");
    bench.fail(0, FailureKind::Connect);
    insta::assert_snapshot!(bench.error(), @"the service could not be reached for 15 minutes: POST /uploads/{upload_id}/parts failed: the service could not be reached: no route to host");
}

#[test]
fn a_part_that_breaks_while_others_are_answered_spends_its_budget() {
    let mut wanted = plan();
    wanted.part_size = Some(1);
    wanted.parallel = 2.into();
    wanted.retry.get_or_insert_default().max_failures = 2;
    let mut bench = Bench::sending(wanted);
    let mut rounds = 0;
    while bench.end.is_none() {
        rounds += 1;
        bench.fail(0, FailureKind::Interrupted);
        if !bench.flying.is_empty() {
            bench.answer(0, 500, "");
        }
        bench.pass(seconds(30));
    }
    assert!(rounds <= 6, "{rounds}");
    assert!(bench.error().starts_with("POST /uploads/{upload_id}/parts"), "{}", bench.error());
}

#[test]
fn a_request_under_way_is_not_given_up() {
    for route in [RouteChoice::Single, RouteChoice::Parts] {
        let mut wanted = plan();
        (wanted.route, wanted.part_size) = (route, None);
        wanted.retry.get_or_insert_default().give_up_after = seconds(30);
        let mut bench = Bench::new(wanted);
        bench.run();
        if route == RouteChoice::Parts {
            bench.answer(0, 200, &upload_json(36_000));
        }
        let cut = Failure::new(FailureKind::Interrupted).with_left(0);
        bench.fail_with(0, cut);
        for _ in 0..120 {
            bench.pass(seconds(1));
            assert!(bench.end.is_none(), "{route:?} at {:?}", bench.time);
        }
    }
}

/// Answers one request of another machine that shares the state.
fn answer_to_another(service: &ServiceState, bench: &mut Bench) {
    let mut wanted = plan();
    wanted.route = RouteChoice::Single;
    let other = UploadMachine::new(Api::openai(), wanted, SourceStamp::new(25), [9; 32]).unwrap();
    let mut other = Bench::of(other.with_service(service));
    other.time = bench.time;
    other.run();
    other.answer(0, 500, "");
    bench.time = other.time;
}

#[test]
fn a_part_that_breaks_in_one_outage_after_another_spends_its_budget() {
    let service = ServiceState::new();
    let mut wanted = plan();
    (wanted.parallel, wanted.retry.get_or_insert_default().max_failures) = (1.into(), 3);
    let transfer = UploadMachine::new(Api::openai(), wanted, SourceStamp::new(25), [1; 32]).unwrap();
    let mut bench = Bench::of(transfer.with_service(&service));
    bench.run();
    bench.answer(0, 200, &upload_json(360_000));
    let mut breaks = 0;
    while bench.end.is_none() {
        bench.time += seconds(1);
        let (id, now) = (bench.flying.remove(0), bench.now());
        bench.machine.handle_failure(id, Failure::new(FailureKind::Interrupted), now);
        breaks += 1;
        answer_to_another(&service, &mut bench);
        bench.pass(seconds(20));
    }
    assert_eq!(breaks, 1 + 3 + 1, "one is excused, and the budget allows three");
    assert!(bench.error().ends_with("the connection broke"), "{}", bench.error());
}

#[test]
fn a_part_that_breaks_again_and_again_with_much_of_it_sent_spends_its_budget() {
    let mut wanted = plan();
    (wanted.parallel, wanted.part_size, wanted.retry.get_or_insert_default().max_failures) =
        (1.into(), Some(8 << 20), 3);
    let transfer = UploadMachine::new(Api::openai(), wanted, SourceStamp::new(20 << 20), [1; 32]).unwrap();
    let mut bench = Bench::of(transfer);
    bench.run();
    bench.answer(0, 200, &upload_json(360_000));
    let mut breaks = 0;
    while bench.end.is_none() {
        match bench.flying.first().copied() {
            None => drop(bench.pass(seconds(1))),
            Some(id) => {
                bench.machine.handle_moved(id, 4 << 20);
                bench.time += seconds(1);
                bench.fail(0, FailureKind::Interrupted);
                breaks += 1;
            }
        }
    }
    assert_eq!(breaks, 3 + 1);
}

#[test]
fn an_outage_at_the_request_that_makes_the_file_is_told_with_its_cause() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    bench.fail(0, FailureKind::Interrupted);
    while bench.end.is_none() {
        match bench.flying.is_empty() {
            true => bench.pass(seconds(1)),
            false => bench.fail(0, FailureKind::Connect),
        };
    }
    insta::assert_snapshot!(bench.error(), @"it is not known whether the service made a file: its list cannot be read: the service could not be reached for 15 minutes: POST /uploads/{upload_id}/complete failed: the service could not be reached: no route to host");
}

/// A plan that leaves the sizes of parts open.
fn by_line() -> Plan {
    let mut plan = plan();
    plan.part_size = None;
    plan
}

/// An upload of so many bytes whose first parts are under way.
fn sending(api: &Api, plan: Plan, length: u64) -> Bench {
    let mut bench =
        Bench::of(UploadMachine::new(api.clone(), plan, SourceStamp::new(length), [1; 32]).unwrap());
    bench.run();
    bench.answer(0, 200, &upload_json(36_000));
    bench
}

/// The ranges of the parts that have left since they were last asked for.
fn ranges(bench: &mut Bench) -> Vec<String> {
    let log = bench.log();
    log.lines().filter_map(|line| line.split_once("/parts ").map(|(_, range)| range.to_owned())).collect()
}

#[test]
fn the_smallest_part_that_was_sent_finds_out() {
    let mut bench = sending(&Api::openai(), by_line(), 20 << 20);
    // One connection is much faster than the other, and takes a larger part.
    bench.pass(Duration::from_millis(50));
    bench.answer(0, 200, &part_json("a"));
    bench.pass(Duration::from_secs(2));
    bench.answer(0, 200, &part_json("b"));
    let under_way = ranges(&mut bench).split_off(2);
    assert_eq!(under_way, ["524288..4718592", "4718592..4980736"], "the second is smaller");
    for id in std::mem::take(&mut bench.flying) {
        let now = bench.now();
        bench.machine.handle_failure(id, Failure::new(FailureKind::Interrupted), now);
    }
    bench.run();
    for _ in 0..3 {
        assert_eq!(ranges(&mut bench), under_way[1..]);
        bench.fail(0, FailureKind::Connect);
    }
    ranges(&mut bench);
    bench.answer(0, 200, &part_json("c"));
    assert_eq!(ranges(&mut bench)[0], under_way[0]);
}

#[test]
fn a_part_that_has_to_be_cut_to_find_out_is_the_least() {
    let few = {
        let mut limits = Api::openai().limits();
        limits.parts = 32;
        Api::openai().with_limits(limits)
    };
    for (api, length, first, least) in
        [(Api::openai(), 20 << 20, 256 * KIB, 64 * KIB), (few, 64 << 20, 2114 * KIB, 2114 * KIB)]
    {
        let mut bench = sending(&api, by_line(), length);
        bench.answer(0, 200, &part_json("a"));
        let saved = bench.saved.clone().unwrap();
        let service = ServiceState::new();
        let resume = || {
            let stamp = SourceStamp::new(length);
            let resumed =
                UploadMachine::resume(api.clone(), by_line(), saved.clone(), stamp, [2; 32]).unwrap();
            Bench::of(resumed.with_service(&service))
        };
        let mut resumed = resume();
        resumed.run();
        let size = |range: &String| {
            let (start, end) = range.split_once("..").unwrap();
            end.parse::<u64>().unwrap() - start.parse::<u64>().unwrap()
        };
        assert_eq!(size(&ranges(&mut resumed)[0]) / KIB, first / KIB);
        resumed.fail(0, FailureKind::Connect);
        // Another upload of this client begins while the service is away.
        drop(resumed);
        let mut other = resume();
        other.run();
        let probe = ranges(&mut other);
        assert_eq!((probe.len(), size(&probe[0]) / KIB), (1, least / KIB));
    }
}

#[test]
fn parts_of_a_size_that_was_asked_for_find_out_in_their_order() {
    let mut bench = broken();
    bench.fail(0, FailureKind::Interrupted);
    assert_eq!(ranges(&mut bench), ["0..10", "10..20", "20..25", "0..10"]);
}

#[test]
fn what_fails_behind_a_redirect_is_no_outage_of_the_service() {
    let mut wanted = plan();
    wanted.route = RouteChoice::Single;
    let mut bench = Bench::new(wanted);
    bench.run();
    bench.answer(0, 500, "");
    bench.answer(0, 200, &list_json(&[file_json("file-1", BEGAN)]));
    let (id, now) = (bench.flying.remove(0), bench.now());
    let failure = Failure::new(FailureKind::Connect).behind_redirect("storage.example");
    bench.machine.handle_failure(id, failure, now);
    assert_eq!(bench.offline(), None);
}
