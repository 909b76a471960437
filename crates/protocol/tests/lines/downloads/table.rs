//! What a download takes over lines that people have, and over fast ones.

use std::{fmt::Write as _, time::Duration};

use super::{
    play::{Play, plan},
    report::Report,
};
use partwise_testkit::dice::Dice;

use crate::line::{GIB, Line, MIB};

fn row(name: &str, line: &Line, length: u64, report: &Report) -> String {
    let ideal = length as f64 / line.most(plan().parallel);
    format!(
        "{name:<30} {:>6} {:>9.3} s {:>6.3} {:>6} {:>9.1} {:>8.3} {:>6.3}",
        if report.failure.is_none() { "done" } else { "FAILED" },
        report.ended.as_secs_f64(),
        report.ended.as_secs_f64() / ideal,
        report.requests,
        report.largest as f64 / MIB as f64,
        report.received as f64 / length as f64,
        report.asked as f64 / length as f64,
    )
}

#[test]
fn what_downloads_take() {
    let round_trip = |millis, line| Line { round_trip: Duration::from_millis(millis), ..line };
    let slow_answers = Line { answer: Duration::from_secs(3), ..Line::shared(100.0) };
    let silent =
        Line { silence: Some((Duration::from_secs(30), Duration::from_secs(15))), ..Line::shared(40.0) };
    let one_slower = Line { first_slower: 4.0, ..Line::each(100.0) };
    let lines = [
        ("1 Mbit/s", Line::shared(1.0), 32 * MIB),
        ("8 Mbit/s", Line::shared(8.0), 287 * MIB),
        ("8 Mbit/s, cut every 45 s", Line::shared(8.0).with_cuts(45), 287 * MIB),
        ("8 Mbit/s, 200 ms", round_trip(200, Line::shared(8.0)), 287 * MIB),
        ("40 Mbit/s, silent for 15 s", silent, 600 * MIB),
        ("100 Mbit/s", Line::shared(100.0), 2 * GIB),
        ("100 Mbit/s, answers take 3 s", slow_answers, 2 * GIB),
        ("1 Gbit/s", Line::shared(1000.0), 2 * GIB),
        ("1 Mbit/s each", Line::each(1.0), 32 * MIB),
        ("1 Mbit/s each, 8 MiB", Line::each(1.0), 8 * MIB),
        ("10 Mbit/s each", Line::each(10.0), 287 * MIB),
        ("10 Mbit/s each, 600 ms", round_trip(600, Line::each(10.0)), 287 * MIB),
        ("100 Mbit/s each", Line::each(100.0), 2 * GIB),
        ("100 Mbit/s each, one slower", one_slower, 2 * GIB),
        ("400 Mbit/s each", Line::each(400.0), 2 * GIB),
        ("400 Mbit/s each, 64 MiB", Line::each(400.0), 64 * MIB),
        ("400 Mbit/s each, 16 MiB", Line::each(400.0), 16 * MIB),
        ("400 Mbit/s each, 4 MiB", Line::each(400.0), 4 * MIB),
        ("loopback", Line::loopback(), 2 * GIB),
    ];
    let mut table = String::from(
        "line                                       took  ideal  asked  MiB most received  bytes asked for\n",
    );
    for (name, line, length) in lines {
        let report = Play::new(line.clone(), plan(), length, 7).run_out();
        let _ = writeln!(table, "{}", row(name, &line, length, &report));
    }
    let line = Line::shared(8.0);
    let away = Play::new(line.clone(), plan(), 287 * MIB, 7);
    let away = away.with_outage(Duration::from_secs(60), Duration::from_secs(60)).run_out();
    let _ = writeln!(table, "{}", row("8 Mbit/s, away for 60 s", &line, 287 * MIB, &away));
    insta::assert_snapshot!(table);
}

#[test]
fn the_same_seed_gives_the_same_download() {
    for seed in 0..20 {
        let line = Line::drawn(&mut Dice::new(seed));
        let [first, second] =
            [(); 2].map(|()| format!("{:?}", Play::new(line.clone(), plan(), 64 * MIB, seed).run_out()));
        assert_eq!(first, second, "seed {seed}, {line:?}");
    }
}
