//! How long it says that the rest takes.

use std::time::Duration;

use partwise_protocol::{machine::Machine as _, upload::Parallel};

use crate::{
    line::{KIB, Line, MBIT, MIB},
    play::{Play, plan},
};

/// From this moment on, the time that is left is near the truth.
const FROM: Duration = Duration::from_secs(10);

/// The time that is left as it was told, and as it was, once a second.
fn told_and_true(mut play: Play) -> Vec<(Duration, Option<Duration>, Duration)> {
    let mut told = Vec::new();
    for second in 0.. {
        play.until(Duration::from_secs(second));
        if play.is_done {
            break;
        }
        told.push((play.at, play.machine.progress().time_left));
    }
    let ended = play.report.ended;
    told.into_iter().map(|(at, left)| (at, left, ended.saturating_sub(at))).collect()
}

/// Lines whose kernel holds no more than some seconds' worth, with the size of a file.
fn steady() -> impl Iterator<Item = (f64, u64, u64)> {
    let lines = [(1.0, 24), (8.0, 287), (40.0, 600), (100.0, 2048), (400.0, 8192)];
    lines.into_iter().flat_map(|(mbit, mib)| {
        let held = [0, 128 * KIB, 512 * KIB, MIB].into_iter();
        held.filter(move |held| *held as f64 <= mbit * MBIT * 1.1).map(move |held| (mbit, mib * MIB, held))
    })
}

#[test]
fn on_a_steady_line_the_time_left_is_within_a_quarter_of_the_truth_from_ten_seconds_on() {
    for (mbit, length, held) in steady() {
        let line = Line { held, ..Line::shared(mbit) };
        for (parallel, part_size) in
            [(plan().parallel, None), (Parallel::Fixed(2), Some(MIB)), (Parallel::Fixed(16), Some(64 * MIB))]
        {
            let mut plan = plan();
            (plan.parallel, plan.part_size) = (parallel, part_size);
            // Over 1 Mbit/s, the first acknowledgement takes longer than that.
            let may_be_silent = mbit < 2.0;
            for (at, told, left) in told_and_true(Play::new(line.clone(), plan, length, 7)) {
                let says =
                    || format!("{mbit} Mbit/s, {held} held, {part_size:?}: {told:?} for {left:?} at {at:?}");
                if at < FROM || left.is_zero() || (may_be_silent && told.is_none()) {
                    continue;
                }
                let told = told.unwrap_or_else(|| panic!("{}", says()));
                let tolerance = (left / 4).max(Duration::from_millis(2500));
                assert!(told.abs_diff(left) <= tolerance, "{}", says());
            }
        }
    }
}
