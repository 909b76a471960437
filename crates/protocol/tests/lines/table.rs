//! What an upload takes over lines that people have, and over fast ones.

use std::{fmt::Write as _, time::Duration};

use partwise_testkit::dice::Dice;

use crate::{
    line::{GIB, Line, MIB},
    play::Play,
    report::Report,
};

/// The lines of the table, with how much goes over each.
pub(crate) fn lines() -> Vec<(&'static str, Line, u64)> {
    let slow_answers = Line { answer: Duration::from_secs(3), ..Line::shared(100.0) };
    let silent =
        Line { silence: Some((Duration::from_secs(30), Duration::from_secs(15))), ..Line::shared(40.0) };
    vec![
        ("1 Mbit/s", Line::shared(1.0), 32 * MIB),
        ("8 Mbit/s, cut every 45 s", Line::shared(8.0).with_cuts(45), 287 * MIB),
        ("8 Mbit/s, 200 ms", Line { round_trip: Duration::from_millis(200), ..Line::shared(8.0) }, 287 * MIB),
        ("40 Mbit/s", Line::shared(40.0), 3_000_000_000),
        ("40 Mbit/s, silent for 15 s", silent, 600 * MIB),
        ("100 Mbit/s", Line::shared(100.0), 2 * GIB),
        ("100 Mbit/s, answers take 3 s", slow_answers, 2 * GIB),
        ("1 Gbit/s", Line::shared(1000.0), 2 * GIB),
        ("10 Mbit/s each", Line::each(10.0), 2 * GIB),
        ("50 Mbit/s each", Line::each(50.0), 2 * GIB),
        ("100 Mbit/s each", Line::each(100.0), 2 * GIB),
        ("400 Mbit/s each", Line::each(400.0), 2 * GIB),
        ("400 Mbit/s each, 512 MiB", Line::each(400.0), 512 * MIB),
        ("loopback", Line::loopback(), 2 * GIB),
    ]
}

fn row(name: &str, line: &Line, length: u64, report: &Report) -> String {
    let ideal = length as f64 / line.most(16);
    let at = |seconds| report.most_flying_from(Duration::from_secs(seconds));
    format!(
        "{name:<30} {:>6} {:>9.3} s {:>6.3} {:>7.3} {:>8.2} s {:>4} {:>4} {:>5} {:>8.1} {:>6.2}",
        if report.failure.is_none() { "done" } else { "FAILED" },
        report.took().as_secs_f64(),
        report.took().as_secs_f64() / ideal,
        report.carried / length as f64,
        report.first().as_secs_f64(),
        at(0),
        at(10),
        report.parts,
        report.most_outstanding as f64 / MIB as f64,
        report.worst,
    )
}

#[test]
fn what_lines_take() {
    let mut table = String::from(
        "line                                       took  ideal    sent    first ack  all >10s parts  MiB out  rule\n",
    );
    for (name, line, length) in lines() {
        let _ = writeln!(table, "{}", row(name, &line, length, &Play::of(&line, length)));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_same_seed_gives_the_same_story() {
    for seed in 0..20 {
        let mut dice = Dice::new(seed);
        let line = Line::drawn(&mut dice);
        let [first, second] = [(); 2].map(|()| format!("{:?}", Play::of(&line, 64 * MIB)));
        assert_eq!(first, second, "seed {seed}, {line:?}");
    }
}
