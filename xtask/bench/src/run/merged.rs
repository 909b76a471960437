//! Several series of one group as one result.

use anyhow::Result;

use super::Found;
use super::claims::Claim;
use super::table::Columns;

/// Merges the series of a group: the tables are those of the last one that could be measured, and each claim has the figures of all.
pub(super) fn merged(title: &'static str, series: Vec<Result<Vec<Found>>>) -> Vec<Found> {
    let (count, mut all, mut failures) = (series.len(), Vec::<Found>::new(), Vec::new());
    for (before, found) in series.into_iter().enumerate() {
        match found {
            Ok(found) => found.into_iter().for_each(|found| add(&mut all, found, before)),
            Err(error) => failures.push(format!("Series {} could not be measured: {error:#}.", before + 1)),
        }
    }
    if all.is_empty() {
        let claims = vec![Claim::broken("all of it")];
        let (setting, columns) = (String::new(), Columns::Clients);
        all.push(Found { title, setting, measured: Vec::new(), columns, missing: Vec::new(), claims });
    }
    for found in &mut all {
        for failure in &failures {
            found.setting.push(' ');
            found.setting.push_str(failure);
        }
        found.claims.iter_mut().for_each(|claim| claim.pad(count));
    }
    all
}

/// Adds what a series found, after so many others.
fn add(all: &mut Vec<Found>, mut found: Found, before: usize) {
    let earlier = all.iter().position(|earlier| earlier.title == found.title);
    let mut claims = earlier.map_or_else(Vec::new, |earlier| std::mem::take(&mut all[earlier].claims));
    for claim in found.claims.drain(..) {
        match claims.iter_mut().find(|earlier| earlier.text == claim.text) {
            Some(earlier) => {
                earlier.pad(before);
                earlier.and(claim);
            }
            None => claims.push(claim.after(before)),
        }
    }
    found.claims = claims;
    match earlier {
        Some(earlier) => all[earlier] = found,
        None => all.push(found),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::run::claims::{Bound, Verdict};
    use crate::run::figures::Figure;

    fn found(setting: &str, claims: &[(&str, f64)]) -> Found {
        let claim = |(text, value): &(&str, f64)| {
            Claim::new(*text, Some(Figure { value: *value, noisy: false }), Bound::AtMost(0.5))
        };
        let (measured, missing) = (Vec::new(), Vec::new());
        let claims = claims.iter().map(claim).collect();
        Found {
            title: "Here",
            setting: setting.to_owned(),
            measured,
            columns: Columns::Clients,
            missing,
            claims,
        }
    }

    fn told(all: &[Found]) -> Vec<(String, Verdict)> {
        all.iter().flat_map(|found| &found.claims).map(|claim| (claim.figures(), claim.verdict)).collect()
    }

    #[test]
    fn a_claim_has_the_figure_of_each_series_and_the_table_is_the_last() {
        let series = [found("first", &[("a", 0.1)]), found("second", &[("a", 0.2)])];
        let all = merged("Here", series.into_iter().map(|found| Ok(vec![found])).collect());
        assert_eq!((all.len(), all[0].setting.as_str()), (1, "second"));
        assert_eq!(told(&all), [("0.100, 0.200".to_owned(), Verdict::Holds)]);
    }

    #[test]
    fn what_one_series_did_not_measure_does_not_hold() {
        let all = merged(
            "Here",
            vec![
                Ok(vec![found("first", &[("a", 0.1)])]),
                Err(anyhow!("no room")),
                Ok(vec![found("third", &[("a", 0.3), ("b", 0.4)])]),
                Ok(vec![found("fourth", &[("b", 0.4)])]),
            ],
        );
        assert_eq!(all[0].setting, "fourth Series 2 could not be measured: no room.");
        let not_measured = |figures: &str| (figures.to_owned(), Verdict::NotMeasured);
        assert_eq!(told(&all), [not_measured("0.100, -, 0.300, -"), not_measured("-, -, 0.400, 0.400")]);
    }

    #[test]
    fn a_group_that_could_not_be_measured_at_all_is_a_claim_that_was_not() {
        let all = merged("There", vec![Err(anyhow!("no room"))]);
        assert_eq!(
            (all[0].title, all[0].setting.trim()),
            ("There", "Series 1 could not be measured: no room.")
        );
        assert_eq!(told(&all), [("-".to_owned(), Verdict::NotMeasured)]);
    }
}
