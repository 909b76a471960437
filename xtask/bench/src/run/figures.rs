//! Figures of many runs: medians, and ratios pair by pair.

use serde::Serialize;

use super::runs::{Measured, Run};

/// A figure, and whether most of the runs behind it were disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) noisy: bool,
}

impl Figure {
    /// Of something that other processes cannot disturb.
    pub(crate) fn steady(value: f64) -> Option<Self> {
        Some(Self { value, noisy: false })
    }

    pub(crate) fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Self { value: change(self.value), ..self }
    }
}

/// The value in the middle; of nothing, not a number.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// The median of what quiet runs gave, if they are at least half; otherwise of all, which makes it noisy.
fn of_quiet(values: &[(f64, bool)]) -> Figure {
    let quiet: Vec<_> = values.iter().filter(|(_, quiet)| *quiet).map(|(value, _)| *value).collect();
    if quiet.len() * 2 >= values.len() {
        Figure { value: median(quiet), noisy: false }
    } else {
        Figure { value: median(values.iter().map(|(value, _)| *value)), noisy: true }
    }
}

impl Measured {
    pub(crate) fn figure(&self, of: impl Fn(&Run) -> f64) -> Figure {
        of_quiet(&self.runs.iter().map(|run| (of(run), !run.is_disturbed())).collect::<Vec<_>>())
    }

    pub(crate) fn median(&self, of: impl Fn(&Run) -> f64) -> f64 {
        self.figure(of).value
    }

    /// Ours against theirs: the median of the ratios, pair by pair within each round.
    pub(crate) fn ratio(&self, theirs: &Self, of: impl Fn(&Run) -> f64) -> Figure {
        let pairs =
            self.runs.iter().zip(&theirs.runs).map(|(ours, theirs)| {
                (of(ours) / of(theirs), !ours.is_disturbed() && !theirs.is_disturbed())
            });
        of_quiet(&pairs.collect::<Vec<_>>())
    }
}

/// One of them, by its name.
pub(crate) fn named<'a>(measured: &'a [Measured], name: &str) -> Option<&'a Measured> {
    measured.iter().find(|measured| measured.name == name)
}

/// One against another, if both were measured.
pub(crate) fn ratio(
    measured: &[Measured],
    ours: &str,
    theirs: &str,
    of: impl Fn(&Run) -> f64,
) -> Option<Figure> {
    Some(named(measured, ours)?.ratio(named(measured, theirs)?, of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Taken;

    #[test]
    fn disturbed_runs_count_only_when_there_are_too_few_others() {
        let quiet = of_quiet(&[(1.0, true), (9.0, false), (2.0, true), (3.0, true)]);
        assert_eq!(quiet, Figure { value: 2.0, noisy: false });
        let noisy = of_quiet(&[(1.0, true), (9.0, false), (7.0, false)]);
        assert_eq!(noisy, Figure { value: 7.0, noisy: true });
    }

    #[test]
    fn ratios_are_taken_within_each_round() {
        let measured = |walls: [f64; 3]| Measured {
            name: String::new(),
            runs: walls
                .map(|wall_s| Run { taken: Taken { wall_s, ..Taken::default() }, ..Run::default() })
                .to_vec(),
        };
        // The machine became slower from round to round.
        let ratio = measured([1.0, 2.0, 4.0]).ratio(&measured([2.0, 4.0, 8.0]), Run::wall_s);
        assert_eq!(ratio, Figure { value: 0.5, noisy: false });
    }
}
