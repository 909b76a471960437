//! The number of connections, by a model of a line in which parts take their time.

use super::*;

const MBIT: f64 = 1e6 / 8.0;
const MIB: u64 = 1 << 20;

/// A line: so many bytes a second on each connection and on all together.
struct Line {
    each: f64,
    all: f64,
}

/// What is wanted over time, when parts are what a connection carries in four seconds, or a mebibyte before that is known.
fn wanted(line: &Line, most: u16, seconds: u64) -> Vec<(u64, u16)> {
    wanted_after(&mut Connections::new(most), 0, line, seconds)
}

fn wanted_after(connections: &mut Connections, from: u64, line: &Line, seconds: u64) -> Vec<(u64, u16)> {
    let mut changes = vec![(from, connections.wanted())];
    // When each part began, its epoch, its size, and what was sent of it.
    let mut in_flight: Vec<(Duration, u32, f64, f64)> = Vec::new();
    let (mut known, mut left) = (None, 0.0);
    for tick in from * 100..(from + seconds) * 100 {
        let now = Duration::from_millis(10 * tick);
        let window = connections.wanted();
        while in_flight.len() < usize::from(window) {
            // They do not all begin together.
            let size = known.unwrap_or(0.25 * MIB as f64) * (0.8 + 0.05 * (tick % 5) as f64);
            in_flight.push((now, connections.epoch(), size, 0.0));
        }
        let rate = line.each.min(line.all / in_flight.len() as f64);
        for (_, _, _, sent) in &mut in_flight {
            *sent += rate / 100.0;
        }
        left += rate / 100.0 * in_flight.len() as f64;
        let is_there = |part: &(Duration, u32, f64, f64)| part.3 >= part.2;
        for (began, epoch, size, _) in in_flight.iter().copied().filter(is_there).collect::<Vec<_>>() {
            let took = now + Duration::from_millis(50) - began;
            known = Some((size / took.as_secs_f64() * 4.0).min(64.0 * MIB as f64));
            let part = AcknowledgedPart { bytes: size as u64, took, sending: took, lately: line.all, epoch };
            connections.acknowledged(now, part, window);
        }
        in_flight.retain(|part| !is_there(part));
        let carried = if known.is_some() { rate * f64::from(window) } else { 0.0 };
        connections.look(now, left as u64, carried, (1000, 4 * MIB), window);
        if connections.wanted() != changes.last().unwrap().1 {
            changes.push((tick / 100, connections.wanted()));
        }
    }
    changes
}

fn at_last(changes: &[(u64, u16)]) -> u16 {
    changes.last().unwrap().1
}

#[test]
fn a_slow_line_that_all_share_ends_with_two() {
    let shared = Line { each: f64::INFINITY, all: 8.0 * MBIT };
    let changes = wanted(&shared, 16, 120);
    assert!(changes.iter().all(|(at, wanted)| *at < 10 || *wanted <= 4), "{changes:?}");
    assert_eq!(at_last(&changes), 2, "{changes:?}");
}

#[test]
fn more_are_tried_now_and_then_and_not_for_long() {
    let shared = Line { each: f64::INFINITY, all: 14.0 * MBIT };
    let changes = wanted(&shared, 16, 200);
    let settled = changes.iter().position(|(_, wanted)| *wanted == 2).expect("two are enough");
    let later: Vec<_> = changes[settled..].iter().map(|(_, wanted)| *wanted).collect();
    assert!(later.len() >= 5 && later.chunks_exact(2).all(|pair| pair == [2, 4]), "{changes:?}");
}

#[test]
fn a_line_of_a_megabit_gets_two_at_once() {
    let slowest = Line { each: f64::INFINITY, all: MBIT };
    let changes: Vec<_> = wanted(&slowest, 16, 200).into_iter().map(|(_, wanted)| wanted).collect();
    assert_eq!(changes, [8, 2]);
}

#[test]
fn connections_that_are_limited_each_are_all_used_however_slow() {
    for mbit in [1.0, 10.0, 100.0, 400.0] {
        let each = Line { each: mbit * MBIT, all: f64::INFINITY };
        let changes = wanted(&each, 16, 60);
        assert_eq!(at_last(&changes), 16, "{mbit} Mbit/s each: {changes:?}");
    }
}

#[test]
fn never_more_than_are_allowed() {
    for most in [1, 2, 3, 5] {
        for line in [Line { each: MBIT, all: f64::INFINITY }, Line { each: f64::INFINITY, all: MBIT }] {
            let changes = wanted(&line, most, 100);
            assert!(changes.iter().all(|(_, wanted)| (1..=most).contains(wanted)), "{most}: {changes:?}");
        }
    }
}

#[test]
fn a_line_that_gets_slower_is_shared_by_fewer() {
    let mut connections = Connections::new(16);
    let fast = Line { each: f64::INFINITY, all: 40.0 * MBIT };
    wanted_after(&mut connections, 0, &fast, 60);
    let slow = Line { each: f64::INFINITY, all: 4.0 * MBIT };
    let changes = wanted_after(&mut connections, 60, &slow, 300);
    assert!(at_last(&changes) <= 4, "{changes:?}");
}

#[test]
fn a_service_that_asks_for_patience_ends_a_trial_and_none_follows_for_a_while() {
    let mut search = Search {
        wanted: 4,
        before: None,
        until: Duration::ZERO,
        rest: REST,
        is_up_next: true,
        is_each_limited: false,
    };
    let seconds = Duration::from_secs;
    search.judge(seconds(1), 10e6, 16);
    assert_eq!((search.wanted, search.before), (8, Some((4, 10e6))));
    search.give_up_trial();
    search.give_rest(seconds(2));
    assert_eq!(search.wanted, 4);
    search.judge(seconds(11), 10e6, 16);
    assert_eq!(search.wanted, 4, "it rests");
    search.judge(seconds(12), 10e6, 16);
    assert_eq!(search.wanted, 8);
}

#[test]
fn fewer_are_kept_when_more_add_little_and_small_losses_do_not_add_up() {
    let search = |wanted, before| Search {
        wanted,
        before: Some(before),
        until: Duration::ZERO,
        rest: REST,
        is_up_next: false,
        is_each_limited: false,
    };
    let after = |mut search: Search, rate| {
        search.judge(Duration::ZERO, rate, 16);
        (search.wanted, search.before)
    };
    assert_eq!(after(search(4, (8, 10e6)), 9.6e6), (2, Some((4, 10e6))), "the best counts");
    assert_eq!(after(search(4, (8, 10e6)), 9.4e6), (8, None));
    assert_eq!(after(search(8, (4, 10e6)), 10.6e6), (16, Some((8, 10.6e6))));
    assert_eq!(after(search(8, (4, 10e6)), 10.4e6), (4, None));
}
