//! What has to hold of a download on every line, and on those that people have.

use std::time::Duration;

use super::{
    play::{Play, plan},
    report::Report,
};
use partwise_testkit::{
    dice::Dice,
    seeds::{Window, for_each},
};

use crate::line::{GIB, KIB, Line, MIB};

/// However the line is: everything comes, unless the line is cut before anything can; nothing comes twice but what a killed
/// process had not saved; and there are never more requests at once than may be, nor many more than the length needs.
fn play(seed: u64) -> &'static str {
    let mut dice = Dice::new(seed);
    let line = Line::drawn(&mut dice);
    let slowest = line.most(1) * line.change.map_or(1.0, |(_, factor)| factor.min(1.0)) / line.unfair;
    let length = (slowest * (10 + dice.below(60)) as f64) as u64;
    let length = length.clamp(MIB, 3 * GIB) + dice.below(2) * dice.below(100_000);
    let mut wanted = plan();
    if dice.chance(300) {
        wanted.parallel = 1 + dice.below(16) as u16;
    }
    let parallel = usize::from(wanted.parallel);
    let mut play = Play::new(line.clone(), wanted, length, seed);
    let is_away = dice.chance(200);
    if is_away {
        // A service that never answered would be given up sooner.
        let first =
            line.silence.map_or(Duration::ZERO, |(from, lasts)| from + lasts) + Duration::from_secs(8);
        let from = first + dice.millis(60_000);
        play = play.with_outage(from, Duration::from_secs(1 + dice.below(600)));
    }
    if dice.chance(200) {
        play.until(dice.millis(60_000));
        play.kill();
    }
    let report = play.run_out();
    assert!(report.most_at_once <= parallel, "{} at once on {line:?}", report.most_at_once);
    assert!(report.largest <= 64 * MIB, "{} bytes asked for on {line:?}", report.largest);
    let interrupted = line.cut_every.map_or(2, |every| 2 + report.ended.as_secs() / every.as_secs());
    let needed = length.div_ceil(192 * KIB) + 2 * interrupted * parallel as u64 + report.refused + 1;
    assert!(report.requests <= needed, "{} requests, {needed} needed on {line:?}", report.requests);
    match report.failure {
        None if is_away => "a file after an outage",
        None => "a file",
        Some(failure) => {
            // Where no byte gets through between two cuts, nothing helps.
            let first_byte = line.answer + 4 * line.round_trip + Duration::from_secs(5);
            assert!(line.cut_every.is_some_and(|every| every < 2 * first_byte), "{failure} on {line:?}");
            "given up"
        }
    }
}

#[test]
fn whatever_the_line_everything_comes_and_nothing_comes_twice() {
    let window = Window::of_the_run();
    let tally = for_each(&window, play);
    assert!(window.is_short() || tally.contains_key("a file"), "{tally:?}");
}

/// A download that got there.
fn done(line: &Line, length: u64) -> Report {
    let report = Play::new(line.clone(), plan(), length, 7).run_out();
    assert_eq!(report.failure, None);
    report
}

/// Seconds that it took when sizes followed from the length alone, of MiB.
const BY_LENGTH: [(Fast, u64, f64); 8] = [
    (Fast::Each(10.0), 287, 62.506),
    (Fast::Each(100.0), 2048, 43.699),
    (Fast::Each(400.0), 2048, 11.461),
    (Fast::Each(400.0), 64, 0.631),
    (Fast::Each(400.0), 16, 0.461),
    (Fast::Each(400.0), 4, 0.209),
    (Fast::Shared(1000.0), 2048, 17.326),
    (Fast::Loopback, 2048, 0.739),
];

#[derive(Clone, Copy, Debug)]
enum Fast {
    Each(f64),
    Shared(f64),
    Loopback,
}

#[test]
fn fast_lines_lose_nothing_by_sizes_that_are_found_on_the_way() {
    for (name, mib, before) in BY_LENGTH {
        let line = match name {
            Fast::Each(mbit) => Line::each(mbit),
            Fast::Shared(mbit) => Line::shared(mbit),
            Fast::Loopback => Line::loopback(),
        };
        let took = done(&line, mib * MIB).ended.as_secs_f64();
        assert!(took <= 1.01 * before, "{took} s for {mib} MiB on {name:?}");
    }
}

#[test]
fn asking_costs_next_to_nothing() {
    for (line, mib, most) in [
        (Line::shared(1000.0), 2048, 1.01),
        (Line::shared(100.0), 2048, 1.01),
        (Line::shared(1.0), 32, 1.01),
        (Line::each(100.0), 2048, 1.025),
    ] {
        let took = done(&line, mib * MIB).ended.as_secs_f64();
        let ideal = (mib * MIB) as f64 / line.most(plan().parallel);
        assert!(took <= most * ideal, "{took} s, {ideal} s at best on {line:?}");
    }
}

#[test]
fn connections_that_are_as_slow_as_each_other_end_together() {
    // Two of four had nothing to do for half of the time.
    let line = Line::each(1.0);
    let took = done(&line, 32 * MIB).ended.as_secs_f64();
    assert!(took <= 1.03 * (32 * MIB) as f64 / line.most(4), "{took} s");
}

#[test]
fn one_connection_with_a_quarter_of_the_rate_costs_little() {
    let line = Line { first_slower: 4.0, ..Line::each(100.0) };
    let took = done(&line, 2 * GIB).ended.as_secs_f64();
    let ideal = (2 * GIB) as f64 / (line.each * 3.25);
    assert!(took <= 1.03 * ideal, "{took} s, {ideal} s at best");
}

#[test]
fn what_was_interrupted_is_hardly_asked_for_again() {
    let report = done(&Line::shared(8.0).with_cuts(45), 287 * MIB);
    assert_eq!(report.received, 287 * MIB);
    assert!(report.asked <= 105 * 287 * MIB / 100, "{} bytes asked for", report.asked);
}

#[test]
fn an_outage_costs_no_more_than_it_lasts_and_a_few_attempts() {
    let play = Play::new(Line::shared(8.0), plan(), 64 * MIB, 7);
    let away = play.with_outage(Duration::from_secs(20), Duration::from_secs(300)).run_out();
    let without = done(&Line::shared(8.0), 64 * MIB);
    assert!(away.failure.is_none() && away.received == 64 * MIB);
    assert!(away.ended <= without.ended + Duration::from_secs(306), "{:?}", away.ended);
    assert!(away.refused <= 90, "{} attempts", away.refused);
}
