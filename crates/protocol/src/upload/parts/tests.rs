//! Tests of which part goes next.

use super::*;

fn equal(length: u64, size: u64) -> Parts {
    Parts::new(length, Sizes::Equal(size))
}

fn by_line(length: u64) -> Parts {
    Parts::new(length, Sizes::ByLine { largest: 1000, parts: 10_000 })
}

fn take(parts: &mut Parts, now: u64, size: Option<u64>) -> Option<(Part, Tries)> {
    parts.take_next(Duration::from_secs(now), |_, _| size)
}

/// Where the next part lies, and how often it was sent.
fn next(parts: &mut Parts, now: u64) -> Option<(u64, u64, u64)> {
    take(parts, now, None).map(|(part, tries)| (part.start, part.end, tries.sent))
}

#[test]
fn the_lowest_part_that_may_go_goes_next() {
    let mut parts = equal(25, 10);
    let now = Duration::from_secs(1);
    let (first, first_tries) = take(&mut parts, 1, None).unwrap();
    let (second, second_tries) = take(&mut parts, 1, None).unwrap();
    assert_eq!((first.range(), first.number, first_tries.sent), (SourceRange::new(0, 10), 1, 1));
    assert_eq!((second.range(), second.number, second_tries.sent), (SourceRange::new(10, 20), 2, 1));
    parts.give_back(first, first_tries, Duration::from_secs(9));
    parts.give_back(second, second_tries, now);
    assert_eq!(next(&mut parts, 1), Some((10, 20, 2)));
    assert_eq!(next(&mut parts, 1), Some((20, 25, 1)));
    assert_eq!((next(&mut parts, 1), parts.next_at()), (None, Some(Duration::from_secs(9))));
    assert_eq!(next(&mut parts, 9), Some((0, 10, 2)));
    assert_eq!((parts.expected(), parts.rest(), parts.at_risk()), (3, 3, 25));
}

#[test]
fn progress_refills_the_budget_of_parts_that_wait_and_of_parts_that_fly() {
    let mut parts = equal(25, 10);
    let (_, mut tries) = take(&mut parts, 0, None).unwrap();
    let (other, _) = take(&mut parts, 0, None).unwrap();
    for failures in 1..=3 {
        tries = parts.failed_again(tries, false, false);
        assert_eq!(tries.failures, failures);
    }
    parts.acknowledge(other, "b");
    tries = parts.failed_again(tries, false, false);
    assert_eq!(tries.failures, 1);
    assert_eq!(parts.failed_again(tries, false, false).failures, 2);
}

#[test]
fn what_a_checkpoint_knows_is_not_sent_again_and_the_rest_is_cut_as_it_is_wanted_now() {
    let mut stored = Stored::default();
    assert!(stored.insert(0, 10, "a") && stored.insert(25, 10, "c"));
    let mut parts = Parts::with_stored(40, Sizes::Equal(7), stored);
    assert_eq!((parts.uncut, parts.expected()), (20, 6));
    let ranges: Vec<_> =
        std::iter::from_fn(|| next(&mut parts, 0)).map(|(start, end, _)| (start, end)).collect();
    assert_eq!(ranges, [(10, 17), (17, 24), (24, 25), (35, 40)]);
    for (start, end) in ranges {
        assert!(!parts.is_complete());
        parts.acknowledge(Part { start, end, number: 0 }, "x");
    }
    assert!(parts.is_complete());
    assert_eq!(parts.count(), 6);
}

#[test]
fn what_may_not_be_cut_yet_waits_and_parts_that_were_cut_go_on() {
    let mut parts = by_line(300);
    let (part, tries) = take(&mut parts, 0, Some(100)).unwrap();
    let (later, _) = take(&mut parts, 0, Some(100)).unwrap();
    assert_eq!((next(&mut parts, 0), parts.next_at()), (None, None));
    parts.give_back(part, parts.failed_again(tries, true, false), Duration::from_secs(5));
    assert_eq!((next(&mut parts, 0), parts.next_at()), (None, Some(Duration::from_secs(5))));
    assert_eq!(next(&mut parts, 5), Some((0, 100, 2)), "as it was");
    parts.acknowledge(later, "b");
    assert_eq!(take(&mut parts, 5, Some(100)).unwrap().0.range(), SourceRange::new(200, 300));
}

#[test]
fn what_is_to_be_cut_anew_has_its_moment_while_the_rest_may_not_be_cut() {
    let mut parts = by_line(300);
    let (part, tries) = take(&mut parts, 0, Some(100)).unwrap();
    let tries = parts.failed_again(parts.failed_again(tries, true, false), true, false);
    parts.give_back(part, tries, Duration::from_secs(5));
    let pieces_alone = |_: &Parts, whole: Whole| whole.pieces;
    assert_eq!(parts.take_next(Duration::ZERO, pieces_alone), None);
    assert_eq!(parts.next_at(), Some(Duration::from_secs(5)));
    assert!(parts.take_next(Duration::from_secs(5), pieces_alone).is_some());
    // What comes back or is acknowledged may make room again.
    assert_eq!(parts.take_next(Duration::from_secs(5), pieces_alone), None);
    assert_eq!(parts.next_at(), None);
    parts.acknowledge(part, "a");
    assert_eq!(parts.next_at(), Some(Duration::ZERO));
}

#[test]
fn a_part_that_was_interrupted_twice_may_be_cut_anew() {
    let mut parts = by_line(200);
    let (mut part, mut tries) = take(&mut parts, 0, Some(100)).unwrap();
    for interruption in 1..=2 {
        assert_eq!(part.range(), SourceRange::new(0, 100), "after {interruption}");
        tries = parts.failed_again(tries, true, false);
        parts.give_back(part, tries, Duration::ZERO);
        if interruption < 2 {
            (part, tries) = take(&mut parts, 0, Some(30)).unwrap();
        }
    }
    assert_eq!((parts.at_risk(), parts.uncut), (100, 100));
    let again = parts.take_next(Duration::ZERO, |_, whole| {
        assert_eq!(whole, Whole { length: 100, pieces: Some(SMALLEST) });
        Some(30)
    });
    let (part, tries) = again.unwrap();
    assert_eq!((part.range(), tries.sent, tries.failures), (SourceRange::new(0, 30), 3, 2));
    // What was rejected is no interruption.
    let mut parts = by_line(200);
    let (part, mut tries) = take(&mut parts, 0, Some(100)).unwrap();
    for _ in 0..5 {
        tries = parts.failed_again(tries, false, false);
    }
    parts.give_back(part, tries, Duration::ZERO);
    assert_eq!(take(&mut parts, 0, Some(30)).unwrap().0, part);
}

#[test]
fn a_part_that_cannot_be_smaller_keeps_what_it_has_spent() {
    for length in [1, 1000] {
        let mut parts = by_line(length);
        for failures in 1..=5 {
            let (part, mut tries) = take(&mut parts, 0, Some(length)).unwrap();
            tries = parts.failed_again(tries, true, false);
            assert_eq!(tries.failures, failures, "of {length} bytes");
            parts.give_back(part, tries, Duration::ZERO);
        }
    }
}

#[test]
fn in_order_nothing_goes_before_the_lowest_part_is_acknowledged() {
    let seconds = Duration::from_secs;
    for sizes in [Sizes::Equal(100), Sizes::ByLine { largest: 1000, parts: 10_000 }] {
        let mut parts = Parts::new(300, sizes).in_order(true);
        let (part, tries) = take(&mut parts, 0, Some(100)).unwrap();
        assert_eq!(part.range(), SourceRange::new(0, 100));
        parts.give_back(part, parts.failed_again(tries, true, false), seconds(5));
        assert_eq!((take(&mut parts, 4, Some(100)), parts.next_at()), (None, Some(seconds(5))));
        assert_eq!(parts.take_smallest(seconds(4), |_, _| Some(10)), None);
        let (part, tries) = take(&mut parts, 5, Some(100)).unwrap();
        assert_eq!(part.range(), SourceRange::new(0, 100), "the same, and not the next");
        parts.give_back(part, tries, Duration::ZERO);
        let (part, _) = parts.take_smallest(seconds(5), |_, _| Some(10)).unwrap();
        assert_eq!(part.range(), SourceRange::new(0, 100));
        parts.acknowledge(part, "a");
        assert_eq!(take(&mut parts, 5, Some(100)).unwrap().0.range(), SourceRange::new(100, 200));
    }
}

#[test]
fn in_order_the_pieces_of_a_part_that_was_interrupted_go_before_what_is_left() {
    let mut parts = by_line(300_000).in_order(true);
    let (part, mut tries) = take(&mut parts, 0, Some(200_000)).unwrap();
    for _ in 0..2 {
        tries = parts.failed_again(tries, true, false);
    }
    parts.give_back(part, tries, Duration::ZERO);
    let (first, tries) = take(&mut parts, 0, Some(70_000)).unwrap();
    assert_eq!(first.range(), SourceRange::new(0, 70_000));
    parts.give_back(first, tries, Duration::from_secs(9));
    // The rest of the part might be cut smaller, and would go first if it were not for the order.
    assert_eq!(parts.take_smallest(Duration::ZERO, |_, _| Some(10)), None);
    assert_eq!(take(&mut parts, 9, Some(10)).unwrap().0, first);
    parts.acknowledge(first, "a");
    let ranges = [(70_000, 150_000), (150_000, 200_000), (200_000, 280_000)];
    for (start, end) in ranges {
        let (part, _) = take(&mut parts, 9, Some(80_000)).unwrap();
        assert_eq!((part.start, part.end), (start, end));
        parts.acknowledge(part, "b");
    }
}
