//! What is claimed, and whether it holds.

use serde::Serialize;

use super::figures::Figure;

/// A figure with the most or the least that it may be.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Claim {
    pub(crate) text: String,
    /// `None` when there was nothing to measure, such as a peer that is missing.
    pub(crate) measured: Option<Figure>,
    /// `None` when it did not come to that.
    pub(crate) bound: Option<Bound>,
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Holds,
    DoesNotHold,
    /// It did not hold while the machine was busy with other things.
    TooNoisy,
    NotMeasured,
}

impl Claim {
    pub(crate) fn new(text: impl Into<String>, measured: Option<Figure>, bound: Bound) -> Self {
        let verdict = match measured {
            None => Verdict::NotMeasured,
            Some(figure) if bound.allows(figure.value) => Verdict::Holds,
            Some(figure) if figure.noisy => Verdict::TooNoisy,
            Some(_) => Verdict::DoesNotHold,
        };
        Self { text: text.into(), measured, bound: Some(bound), verdict }
    }

    /// That all of this could be measured, which it could not.
    pub(crate) fn broken(text: impl Into<String>) -> Self {
        Self { text: text.into(), measured: None, bound: None, verdict: Verdict::NotMeasured }
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
}
