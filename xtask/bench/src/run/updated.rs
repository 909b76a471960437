//! The page with some of its sections measured later.

use super::Found;
use super::table;

/// What the table of a section's claims begins with.
const CLAIMS: &str = "| claim | measured | bound | verdict |";

/// `page` with what was found in the place of what it has under the same titles; `how` says how and when that was measured. What
/// has no place there comes last.
pub(super) fn updated(page: &str, found: &[Found], how: &str) -> String {
    let mut sections: Vec<String> = page.split_inclusive('\n').fold(Vec::new(), |mut sections, line| {
        match sections.last_mut() {
            Some(section) if !line.starts_with("## ") => section.push_str(line),
            _ => sections.push(line.to_owned()),
        }
        sections
    });
    for found in found {
        let heading = format!("## {}\n", found.title);
        let text = table::markdown(found);
        let section =
            text.trim_start().replacen(&heading, &format!("{heading}\nMeasured later: {how}.\n"), 1) + "\n";
        match sections.iter_mut().find(|section| section.starts_with(&heading)) {
            Some(before) => *before = section,
            None => {
                if let Some(last) = sections.last_mut() {
                    *last = format!("{}\n\n", last.trim_end());
                }
                sections.push(section);
            }
        }
    }
    let (claims, holding) = sections
        .iter()
        .map(|section| counted(section))
        .fold((0, 0), |(all, some), (claims, holding)| (all + claims, some + holding));
    if let Some(head) = sections.first_mut() {
        if let Some((before, after)) =
            head.split_once("Of ").and_then(|(before, rest)| Some((before, rest.split_once(" hold.")?.1)))
        {
            *head = format!("{before}Of {claims} claims, {holding} hold.{after}");
        }
    }
    sections.concat().trim_end().to_owned() + "\n"
}

/// How many claims a section has, and how many of them hold.
fn counted(section: &str) -> (usize, usize) {
    let rows = section.lines().skip_while(|line| *line != CLAIMS).skip(2);
    let verdicts = rows.take_while(|line| line.starts_with('|')).filter_map(|line| line.rsplit('|').nth(1));
    verdicts.fold((0, 0), |(claims, holding), verdict| {
        (claims + 1, holding + usize::from(verdict.trim().starts_with("holds")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::claims::{Bound, Claim};
    use crate::run::figures::Figure;
    use crate::run::table::Columns;

    fn found(title: &'static str, value: f64) -> Found {
        let claim = Claim::new("few", Figure::steady(value), Bound::AtMost(2.0));
        Found {
            title,
            setting: "As ever.".to_owned(),
            measured: Vec::new(),
            columns: Columns::Lines,
            missing: Vec::new(),
            claims: vec![claim],
        }
    }

    #[test]
    fn sections_take_the_place_of_those_with_their_titles_and_claims_are_counted_anew() {
        let head = "# Benchmarks\n\nMade by us. Of 2 claims, 0 hold.\n\n- Peers: none\n";
        let before: String = [found("Links", 3.0), found("Lines", 3.0)].iter().map(table::markdown).collect();
        let page = updated(&format!("{head}{before}"), &[found("Lines", 1.0)], "`command`, on a day");
        let [of_links, of_lines] = ["## Links\n", "## Lines\n"].map(|heading| page.find(heading).unwrap());
        assert!(of_links < of_lines);
        assert!(
            page.starts_with(
                "# Benchmarks\n\nMade by us. Of 2 claims, 1 hold.\n\n- Peers: none\n\n## Links\n"
            )
        );
        assert!(
            page[of_lines..].starts_with("## Lines\n\nMeasured later: `command`, on a day.\n\nAs ever.\n")
        );
        assert!(page.ends_with("| few | 1.000 | ≤ 2 | holds |\n"));
        assert_eq!(updated(&page, &[found("Lines", 1.0)], "`command`, on a day"), page, "again");
    }

    #[test]
    fn a_section_that_was_not_there_comes_last() {
        let page = updated("# Benchmarks\n\nOf 0 claims, 0 hold.\n", &[found("Lines", 3.0)], "now");
        assert!(page.starts_with("# Benchmarks\n\nOf 1 claims, 0 hold.\n\n## Lines\n"), "{page}");
    }
}
