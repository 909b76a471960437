//! What has to hold on every line, and what on those that people have.

use std::time::Duration;

use partwise_protocol::{
    Api,
    upload::{Parallel, Plan},
};
use partwise_testkit::{
    dice::Dice,
    seeds::{Window, for_each},
};

use crate::{
    line::{GIB, KIB, Line, MIB},
    play::{Play, plan},
    report::Report,
};

/// However the line is: what was cut and is not acknowledged was never more, when something was cut for the first time, than
/// what it carries in twelve seconds and a mebibyte for each connection; everything gets there, in no more parts than may be,
/// unless the line is cut before the smallest part can be there.
fn play(seed: u64) -> &'static str {
    let mut dice = Dice::new(seed);
    let line = Line::drawn(&mut dice);
    let slowest = line.most(1) * line.change.map_or(1.0, |(_, factor)| factor.min(1.0)) / line.unfair;
    let length = (slowest * (10 + dice.below(60)) as f64) as u64;
    let length = length.clamp(MIB, 3 * GIB);
    let mut wanted = plan();
    if dice.chance(200) {
        wanted.parallel = Parallel::Fixed(1 + dice.below(20) as u16);
    }
    let mut play = Play::new(line.clone(), wanted, length, seed);
    if dice.chance(200) {
        play.until(dice.millis(60_000));
        play.kill();
    }
    let report = play.run_out();
    assert!(report.worst <= 1.0, "{} of what is allowed at {:?} on {line:?}", report.worst, report.worst_at);
    assert!(report.parts <= 10_000, "{} parts on {line:?}", report.parts);
    match report.failure {
        None => "a file",
        Some(failure) => {
            // Where not even the smallest part gets through between two cuts, nothing helps.
            let smallest = line.answer.as_secs_f64()
                + 4.0 * line.round_trip.as_secs_f64()
                + (16 * 64 * KIB) as f64 / slowest;
            let between = line.cut_every.unwrap_or(Duration::MAX).as_secs_f64();
            assert!(between < 2.0 * smallest, "{failure} on {line:?}");
            "given up"
        }
    }
}

#[test]
fn whatever_the_line_little_is_at_risk_and_what_can_get_there_does() {
    let window = Window::of_the_run();
    let tally = for_each(&window, play);
    assert!(window.is_short() || tally.contains_key("a file"), "{tally:?}");
}

/// An acknowledged upload.
fn done(line: &Line, length: u64) -> Report {
    let report = Play::of(line, length);
    assert_eq!(report.failure, None);
    report
}

fn over_ideal(line: &Line, length: u64) -> f64 {
    done(line, length).took().as_secs_f64() * line.most(16) / length as f64
}

#[test]
fn a_line_of_a_megabyte_a_second_that_is_cut_every_45_seconds_loses_next_to_nothing() {
    let line = Line::shared(8.0).with_cuts(45);
    let report = done(&line, 287 * MIB);
    assert!(over_ideal(&line, 287 * MIB) <= 1.12, "{:?}", report.took());
    assert!(report.carried <= 1.08 * (287 * MIB) as f64, "{} bytes", report.carried);
    assert!(report.first() <= Duration::from_secs(5), "{:?}", report.first());
}

#[test]
fn a_line_of_a_megabyte_a_second_is_shared_by_four_at_most_after_ten_seconds() {
    for round_trip in [5, 40, 200] {
        for unfair in [1.0, 1.5, 2.0] {
            for seed in 0..10 {
                let round_trip = Duration::from_millis(round_trip);
                let line = Line { round_trip, unfair, ..Line::shared(8.0) };
                let mut play = Play::new(line.clone(), plan(), 120 * MIB, seed);
                play.until(Duration::from_secs(100));
                let open = play.report.most_flying_from(Duration::from_secs(10));
                assert!(open <= 4, "{open} on {line:?}, seed {seed}");
            }
        }
    }
}

#[test]
fn a_line_of_a_megabit_a_second_is_shared_by_two_in_parts_of_64_kib_at_least() {
    let report = done(&Line::shared(1.0), 16 * MIB);
    assert_eq!(report.most_flying_from(Duration::from_secs(40)), 2);
    assert!(report.parts <= 256, "{} parts", report.parts);
}

#[test]
fn where_each_connection_is_limited_all_are_used() {
    for mbit in [10.0, 50.0, 100.0, 400.0] {
        let mut play = Play::new(Line::each(mbit), plan(), 4 * GIB, 1);
        play.until(Duration::from_secs(5));
        assert_eq!(play.report.flying.last().unwrap().1, 16, "{mbit} Mbit/s each");
    }
}

#[test]
fn most_of_what_was_sent_is_acknowledged_all_the_time() {
    let mut play = Play::new(Line::shared(40.0), plan(), 3_000_000_000, 1);
    for second in 30..590 {
        play.until(Duration::from_secs(second));
        let (sent, there) = (play.report.carried, play.report.acknowledged as f64);
        assert!(there >= 0.85 * sent, "{there} of {sent} after {second} s");
    }
}

/// Seconds that it took when the cut was fixed before the first part left.
const FIXED_CUT: [(Fast, f64); 6] = [
    (Fast::Each(10.0), 108.995),
    (Fast::Each(50.0), 22.195),
    (Fast::Each(100.0), 11.333),
    (Fast::Each(400.0), 3.204),
    (Fast::Shared(1000.0), 17.225),
    (Fast::Loopback, 0.727),
];

#[derive(Clone, Copy, Debug)]
enum Fast {
    Each(f64),
    Shared(f64),
    Loopback,
}

#[test]
fn fast_lines_lose_nothing_by_sizes_that_are_found_on_the_way() {
    for (name, before) in FIXED_CUT {
        let line = match name {
            Fast::Each(mbit) => Line::each(mbit),
            Fast::Shared(mbit) => Line::shared(mbit),
            Fast::Loopback => Line::loopback(),
        };
        let took = done(&line, 2 * GIB).took().as_secs_f64();
        assert!(took <= 1.03 * before, "{took} s on {name:?}");
    }
}

/// So many parts at a time.
fn fixed(parallel: u16) -> Plan {
    let mut plan = plan();
    plan.parallel = Parallel::Fixed(parallel);
    plan
}

#[test]
fn one_connection_with_a_quarter_of_the_rate_costs_little() {
    for (parallel, mib, most) in [(4, 2048, 1.07), (8, 2048, 1.1), (16, 8000, 1.07), (4, 256, 1.26)] {
        let line = Line { first_slower: 4.0, ..Line::each(400.0) };
        let took = Play::with(&line, fixed(parallel), mib * MIB).took().as_secs_f64();
        let ideal = (mib * MIB) as f64 / (line.each * (f64::from(parallel) - 0.75));
        assert!(took <= most * ideal, "{took} s, {ideal} s at best, with {parallel}");
    }
}

#[test]
fn a_long_file_over_equal_connections_takes_most_of_the_link() {
    for parallel in [4_u16, 8, 16] {
        let line = Line::each(400.0);
        let length = 8 * 64 * MIB * u64::from(parallel);
        let took = Play::with(&line, fixed(parallel), length).took().as_secs_f64();
        let share = length as f64 / line.most(parallel) / took;
        assert!(share >= 0.9485, "{share} with {parallel}");
    }
}

#[test]
fn there_are_at_most_as_many_parts_as_the_service_is_to_have() {
    let mut limits = Api::openai().limits();
    limits.parts = 100;
    for line in [Line::shared(1.0), Line::shared(100.0), Line::each(400.0)] {
        let report = Play::within(limits, line.clone(), plan(), 100 * MIB, 1).run_out();
        assert!(report.failure.is_none() && report.parts <= 100, "{} parts on {line:?}", report.parts);
    }
}
