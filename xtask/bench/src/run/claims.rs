//! What is claimed, and whether it holds.

use serde::Serialize;

use super::figures::Figure;

/// A figure with the most or the least that it may be.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Claim {
    pub(crate) text: String,
    /// One for each series; `None` when there was nothing to measure, such as a peer that is missing.
    pub(crate) measured: Vec<Option<Figure>>,
    /// `None` when it did not come to that.
    pub(crate) bound: Option<Bound>,
    pub(crate) in_noise: InNoise,
    /// The worst of all series.
    pub(crate) verdict: Verdict,
}

/// What a busy machine can do to a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InNoise {
    /// Make it better or worse: what hits whom ours is compared with makes ours look better.
    EitherWay,
    /// Only make it worse, for this reason, so that what holds in noise holds.
    OnlyWorse(&'static str),
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// The later ones are worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Holds,
    /// The machine was busy with other things, which may be why it holds, or why it does not.
    TooNoisy,
    NotMeasured,
    DoesNotHold,
}

impl Claim {
    /// A claim that noise can help as well as harm.
    pub(crate) fn new(text: impl Into<String>, measured: Option<Figure>, bound: Bound) -> Self {
        Self::with(InNoise::EitherWay, text.into(), measured, bound)
    }

    /// A claim that noise can only harm, and why.
    pub(crate) fn only_worse_by_noise(
        why: &'static str,
        text: impl Into<String>,
        measured: Option<Figure>,
        bound: Bound,
    ) -> Self {
        Self::with(InNoise::OnlyWorse(why), text.into(), measured, bound)
    }

    fn with(in_noise: InNoise, text: String, measured: Option<Figure>, bound: Bound) -> Self {
        let verdict = match measured {
            None => Verdict::NotMeasured,
            Some(figure) => match (bound.allows(figure.value), figure.noisy, in_noise) {
                (true, false, _) | (true, true, InNoise::OnlyWorse(_)) => Verdict::Holds,
                (false, false, _) => Verdict::DoesNotHold,
                (_, true, _) => Verdict::TooNoisy,
            },
        };
        Self { text, measured: vec![measured], bound: Some(bound), in_noise, verdict }
    }

    /// The verdict in words.
    pub(crate) fn verdict(&self) -> String {
        let is_noisy = self.measured.iter().flatten().any(|figure| figure.noisy);
        match (self.verdict, self.in_noise) {
            (Verdict::Holds, InNoise::OnlyWorse(why)) if is_noisy => {
                format!("{}, although in noise: {why}", self.verdict)
            }
            _ => self.verdict.to_string(),
        }
    }

    /// The figures of all series.
    pub(crate) fn figures(&self) -> String {
        let figure = |measured: &Option<Figure>| {
            measured.map_or("-".to_owned(), |figure| format!("{:.3}", figure.value))
        };
        self.measured.iter().map(figure).collect::<Vec<_>>().join(", ")
    }

    /// Adds the next series, which looked at the same claim: it holds if it held in each.
    pub(crate) fn and(&mut self, next: Self) {
        self.measured.extend(next.measured);
        self.verdict = self.verdict.max(next.verdict);
    }

    /// The same after so many series that did not look at it.
    pub(crate) fn after(mut self, series: usize) -> Self {
        let looked = std::mem::take(&mut self.measured);
        self.pad(series);
        self.measured.extend(looked);
        self
    }

    /// Adds series that did not look at it, until there are so many.
    pub(crate) fn pad(&mut self, series: usize) {
        if self.measured.len() < series {
            self.measured.resize(series, None);
            self.verdict = self.verdict.max(Verdict::NotMeasured);
        }
    }

    /// That all of this could be measured, which it could not.
    pub(crate) fn broken(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            measured: vec![None],
            bound: None,
            in_noise: InNoise::EitherWay,
            verdict: Verdict::NotMeasured,
        }
    }
}

impl Bound {
    fn allows(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "**does not hold**",
            Self::TooNoisy => "too noisy to tell",
            Self::NotMeasured => "not measured",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_holds_fails_or_cannot_be_told() {
        let verdict = |measured: Option<Figure>| Claim::new("", measured, Bound::AtMost(0.5)).verdict;
        let figure = |value, noisy| Some(Figure { value, noisy });
        assert_eq!(verdict(figure(0.5, false)), Verdict::Holds);
        assert_eq!(verdict(figure(0.6, false)), Verdict::DoesNotHold);
        assert_eq!(verdict(figure(0.6, true)), Verdict::TooNoisy);
        assert_eq!(verdict(figure(f64::NAN, false)), Verdict::DoesNotHold);
        assert_eq!(verdict(None), Verdict::NotMeasured);
        assert_eq!(Claim::new("", figure(0.4, false), Bound::AtLeast(0.5)).verdict, Verdict::DoesNotHold);
    }

    #[test]
    fn what_holds_in_noise_counts_only_where_noise_cannot_help() {
        let (noisy, bound) = (Some(Figure { value: 0.4, noisy: true }), Bound::AtMost(0.5));
        assert_eq!(Claim::new("", noisy, bound).verdict, Verdict::TooNoisy);
        let alone = |value| {
            let noisy = Some(Figure { value, noisy: true });
            Claim::only_worse_by_noise("it waits", "", noisy, bound)
        };
        assert_eq!(alone(0.4).verdict(), "holds, although in noise: it waits");
        assert_eq!(alone(0.6).verdict(), "too noisy to tell");
        let quiet = Some(Figure { value: 0.6, noisy: false });
        let failed = Claim::only_worse_by_noise("it waits", "", quiet, bound);
        assert_eq!(failed.verdict(), "**does not hold**");
    }

    #[test]
    fn a_claim_holds_only_if_it_held_in_each_series() {
        let claim = |value, noisy| Claim::new("", Some(Figure { value, noisy }), Bound::AtMost(0.5));
        let mut claims = claim(0.4, false);
        claims.and(claim(0.45, false));
        assert_eq!((claims.figures().as_str(), claims.verdict), ("0.400, 0.450", Verdict::Holds));
        claims.and(claim(0.4, true));
        assert_eq!(claims.verdict, Verdict::TooNoisy);
        claims.pad(4);
        assert_eq!(
            (claims.figures().as_str(), claims.verdict),
            ("0.400, 0.450, 0.400, -", Verdict::NotMeasured)
        );
        claims.and(claim(0.6, false));
        claims.and(claim(0.4, false));
        assert_eq!(claims.verdict, Verdict::DoesNotHold);
        assert_eq!(claim(0.4, false).after(1).figures(), "-, 0.400");
    }
}
