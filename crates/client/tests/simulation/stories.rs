//! Stories that were told once by a seed or thought of by a person, each for one rule.

use std::time::Duration;

use partwise_protocol::{
    operations::OperationId,
    upload::{RouteChoice, UploadError},
};

use crate::{
    fate::{Ending, Fate, Rates, Way, bare_refusal, quota_exhausted},
    in_paused_time,
    source::Mishap,
    world::{How, Interruption, Setting, World},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Long enough for some parts and too short for all of them.
const SOME_PARTS: Duration = Duration::from_millis(100);

/// Tells the story of an upload in eleven parts, two at a time.
fn told(set: impl FnOnce(&mut Setting), change: impl FnOnce(&mut World)) -> (&'static str, World) {
    in_paused_time(async {
        let mut setting = Setting::quiet();
        set(&mut setting);
        let mut world = World::new(setting).await;
        change(&mut world);
        (world.tell().await, world)
    })
}

fn scripted(script: Vec<(OperationId, Way)>) -> (&'static str, World) {
    let script = script.into_iter().map(|(operation, way)| (operation, Fate::smooth(way))).collect();
    told(|setting| setting.script = script, |_| {})
}

/// The error and its causes, as a command would print them.
fn line(world: &World) -> String {
    let error = world.result.as_ref().unwrap().as_ref().unwrap_err();
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn a_quiet_upload_sends_every_part_once() {
    let (end, world) = scripted(Vec::new());
    assert_eq!((end, world.requests()), ("a file", 1 + 11 + 1));
}

#[test]
fn when_the_answer_to_complete_is_lost_it_is_asked_for_again_and_no_second_file_is_made() {
    for ending in [Ending::Lost, Ending::Reset, Ending::Truncated, Ending::BrokenOff] {
        let (end, world) = scripted(vec![(OperationId::CompleteUpload, Way::Done(ending))]);
        assert_eq!((end, world.requests()), ("a file", 1 + 11 + 2));
    }
}

#[test]
fn when_a_completed_upload_is_not_told_so_twice_its_file_is_found_in_the_list() {
    let lost = || (OperationId::CompleteUpload, Way::Done(Ending::Replaced(bare_refusal(500, &[]))));
    let (end, world) = scripted(vec![lost(), lost()]);
    // The list, and the content for a comparison.
    assert_eq!((end, world.requests()), ("a file", 1 + 11 + 2 + 2));
}

#[test]
fn when_the_answer_to_a_single_post_is_lost_its_file_is_found_in_the_list() {
    let lost = vec![(OperationId::CreateFile, Fate::smooth(Way::Done(Ending::Lost)))];
    let (end, world) =
        told(|setting| (setting.plan.route, setting.script) = (RouteChoice::Single, lost), |_| {});
    assert_eq!((end, world.requests()), ("a file", 1 + 2));
}

#[test]
fn an_upload_that_is_dropped_between_complete_and_its_answer_makes_no_second_file() {
    let late = Fate::smooth(Way::Done(Ending::Answered)).back_after(HOUR / 2);
    let (end, world) = told(
        |setting| setting.script = vec![(OperationId::CompleteUpload, late)],
        |world| world.interruptions = [Interruption { how: How::DroppedAfter(MINUTE), pause: MINUTE }].into(),
    );
    assert_eq!((end, world.requests()), ("a file", 1 + 11 + 2));
}

#[test]
fn an_upload_that_is_stopped_sends_nothing_twice() {
    let (end, world) = told(
        |_| {},
        |world| {
            world.interruptions = [Interruption { how: How::StoppedAfter(SOME_PARTS), pause: MINUTE }].into();
        },
    );
    assert_eq!((end, world.requests()), ("a file", 1 + 11 + 1));
}

#[test]
fn an_upload_that_is_dropped_goes_on_with_what_was_not_acknowledged() {
    let (end, world) = told(
        |_| {},
        |world| {
            world.interruptions = [Interruption { how: How::DroppedAfter(SOME_PARTS), pause: MINUTE }].into();
        },
    );
    assert_eq!(end, "a file");
    // Two parts were under way.
    assert_eq!(world.requests(), 1 + 11 + 2 + 1);
}

#[test]
fn an_upload_may_be_dropped_at_any_turn() {
    for turns in 0..120 {
        for route in [RouteChoice::Parts, RouteChoice::Single] {
            let (end, _) = told(
                |setting| {
                    setting.plan.route = route;
                    // Slow enough to be interrupted too.
                    setting.disk.0 = Duration::from_millis(5);
                },
                |world| {
                    world.interruptions =
                        [Interruption { how: How::DroppedAfterTurns(turns), pause: MINUTE }].into();
                },
            );
            assert_eq!(end, "a file", "when it is dropped after {turns} turns");
        }
    }
}

#[test]
fn an_upload_that_expired_before_it_was_gone_on_with_says_so_or_begins_anew() {
    for (restart, expected) in [(false, "expired"), (true, "a file")] {
        let (end, _) = told(
            |setting| setting.plan.restart_when_expired = restart,
            |world| {
                world.interruptions =
                    [Interruption { how: How::DroppedAfter(SOME_PARTS), pause: 3 * HOUR }].into();
            },
        );
        assert_eq!(end, expected);
    }
}

#[test]
fn a_wall_clock_that_is_set_ends_nothing() {
    for set in [3600, -3600, 90_000] {
        for sends_date in [true, false] {
            let change = |setting: &mut Setting| {
                (setting.set, setting.sends_date) = (Some((SOME_PARTS, set)), sends_date);
            };
            let (end, world) = told(change, |_| {});
            assert_eq!((end, world.requests()), ("a file", 1 + 11 + 1), "{set}");
        }
    }
}

#[test]
fn a_service_that_asks_for_patience_gets_it_from_every_part() {
    for header in [("retry-after-ms", "90000"), ("retry-after", "90")] {
        let (end, world) =
            scripted(vec![(OperationId::AddUploadPart, Way::Rejected(bare_refusal(429, &[header])))]);
        assert_eq!((end, world.requests()), ("a file", 1 + 12 + 1));
        assert!(world.took >= Duration::from_secs(90));
    }
}

#[test]
fn of_parts_that_break_off_nothing_is_kept_and_they_are_sent_again() {
    let cut = |per_mille| (OperationId::AddUploadPart, Way::Cut(per_mille));
    let (end, world) = scripted(vec![cut(0), cut(1), cut(500), cut(999)]);
    assert_eq!((end, world.requests()), ("a file", 1 + 15 + 1));
}

#[test]
fn a_used_up_quota_ends_the_upload_at_once() {
    let (end, world) = scripted(vec![(OperationId::AddUploadPart, Way::Rejected(quota_exhausted()))]);
    assert_eq!((end, world.requests()), ("refused", 1 + 2));
    assert_eq!(
        line(&world),
        "POST /uploads/{upload_id}/parts was refused: 429 Too Many Requests: You exceeded your \
         quota (code insufficient_quota)"
    );
    assert!(world.disk.checkpoint().is_some(), "it can be gone on with");
}

#[test]
fn a_rejected_key_loses_no_part_that_is_in_flight() {
    let late = Fate::smooth(Way::Done(Ending::Answered)).back_after(Duration::from_secs(4));
    let rejected = Fate::smooth(Way::Rejected(bare_refusal(401, &[])));
    let script = vec![(OperationId::AddUploadPart, late), (OperationId::AddUploadPart, rejected)];
    let (end, world) = told(|setting| setting.script = script, |_| {});
    assert_eq!((end, world.requests()), ("refused", 1 + 2));
    assert_eq!(world.disk.acknowledged().len(), 1);
}

#[test]
fn a_cancelled_upload_leaves_neither_file_nor_checkpoint() {
    let (end, world) = told(|_| {}, |world| world.cancel_after = Some(SOME_PARTS));
    assert_eq!((end, world.disk.checkpoint()), ("cancelled", None));
    assert!(matches!(
        world.result,
        Some(Err(UploadError::Cancelled { file_possible: false, confirmed: true }))
    ));
}

#[test]
fn cancelling_ends_even_when_the_service_is_gone() {
    let (end, _) = told(
        |setting| {
            let created = Fate::smooth(Way::Done(Ending::Answered));
            (setting.rates, setting.script) = (Rates::dead(), vec![(OperationId::CreateUpload, created)]);
        },
        |world| world.cancel_after = Some(Duration::from_secs(2)),
    );
    assert_eq!(end, "cancelled");
}

#[test]
fn a_source_that_changes_under_the_upload_becomes_no_file() {
    for (mishap, expected) in [
        (Mishap::Rewritten, "source changed"),
        (Mishap::Gone, "source unreadable"),
        (Mishap::Unreadable, "source unreadable"),
    ] {
        let (end, world) = told(|setting| setting.mishap = Some((SOME_PARTS, mishap)), |_| {});
        assert_eq!(end, expected, "{}", line(&world));
    }
}

#[test]
fn the_services_digest_of_what_it_received_is_compared_with_that_of_the_source() {
    let (end, world) = told(|setting| setting.plan.md5 = true, |_| {});
    assert_eq!((end, world.requests()), ("a file", 1 + 11 + 1));
}

#[test]
fn a_digest_is_computed_anew_when_an_upload_is_gone_on_with() {
    let (end, _) = told(
        |setting| setting.plan.md5 = true,
        |world| {
            world.interruptions = [Interruption { how: How::DroppedAfter(SOME_PARTS), pause: MINUTE }].into();
        },
    );
    assert_eq!(end, "a file");
}

#[test]
fn a_source_that_changes_unseen_behind_its_digest_is_refused_and_not_gone_on_with() {
    let (end, world) = told(
        |setting| (setting.plan.md5, setting.mishap) = (true, Some((SOME_PARTS, Mishap::Forged))),
        |_| {},
    );
    assert_eq!((end, world.disk.checkpoint()), ("refused", None));
    let line = line(&world);
    let expected = "POST /uploads/{upload_id}/complete was refused: 400 Bad Request: the parts \
                    named have the MD5 ";
    assert!(line.starts_with(expected) && line.contains(" (about md5, request "), "{line}");
}

#[test]
fn a_checkpoint_that_cannot_be_saved_ends_the_upload() {
    let (end, world) = told(|setting| setting.disk = (SOME_PARTS, 1000), |_| {});
    assert_eq!((end, &*line(&world)), ("not saved", "the checkpoint cannot be saved: no space is left"));
}

#[test]
fn what_is_no_service_at_all_is_told_so() {
    let page = http::Response::new("<html><head><title>Welcome</title></head></html>".into());
    let (end, world) = scripted(vec![(OperationId::CreateUpload, Way::Rejected(page))]);
    assert_eq!(end, "garbled", "{}", line(&world));
}
