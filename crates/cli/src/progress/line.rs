//! The line with the bar.

use console::measure_text_width;

use super::{name::shortened, view::View, words::Amount};

/// A bar of fewer columns shows nothing.
const LEAST_BAR: usize = 8;
/// Columns that are kept for the rate and the time left, so that the bar keeps its length while they change.
const USUAL_ACTIVITY: usize = 24;
/// A name of no more columns is never shortened, as long as it fits at all.
const SHORT_NAME: usize = 12;

/// The words that a line has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    /// Everything, in columns that do not move.
    Aligned,
    Full,
    /// Without what is certain of the amount.
    Short,
    WithoutBar,
    WithoutAmount,
}

/// The line, in at most so many columns. What there is no room for is left out: words from the end, then the bar, then the
/// amount.
pub(super) fn line(view: &View<'_>, columns: usize) -> String {
    let activity = view.activity();
    let amount = view.amount();
    let name = shortened(view.name, (columns / 3).max(SHORT_NAME.min(columns)));
    let (with_bar, without_bar): (&[Detail], &[Detail]) = match view.percent() {
        Some(_) => {
            (&[Detail::Aligned, Detail::Full, Detail::Short], &[Detail::WithoutBar, Detail::WithoutAmount])
        }
        // Without a percentage there is no bar.
        None => (&[], &[Detail::Full, Detail::WithoutBar, Detail::WithoutAmount]),
    };
    [with_bar, without_bar]
        .into_iter()
        .flat_map(|details| {
            activity.iter().flat_map(|words| details.iter().map(move |detail| (*detail, words)))
        })
        .find_map(|(detail, words)| laid_out(view, &name, &amount, detail, words, columns))
        .unwrap_or_else(|| shortened(&name, columns))
}

/// The line with these words, if it fits.
fn laid_out(
    view: &View<'_>,
    name: &str,
    amount: &Amount,
    detail: Detail,
    words: &str,
    columns: usize,
) -> Option<String> {
    let percent = view.percent().map(|percent| format!("{percent:>3}%"));
    let amount = match detail {
        Detail::Aligned => format!("{:<widest$}", amount.long, widest = amount.widest),
        Detail::Full => amount.long.clone(),
        Detail::Short | Detail::WithoutBar => amount.short.clone(),
        Detail::WithoutAmount => String::new(),
    };
    let has_bar = !matches!(detail, Detail::WithoutBar | Detail::WithoutAmount);
    let Some(percent) = percent.filter(|_| has_bar) else {
        let percent = view.percent().map(|percent| format!("{percent}%")).unwrap_or_default();
        let line = spaced(&[name, &percent, &amount, words]);
        return (measure_text_width(&line) <= columns).then_some(line);
    };
    let rest = spaced(&[&amount, words]);
    let around = measure_text_width(name) + 2 + 1 + percent.len() + 2;
    let room = columns.checked_sub(around + measure_text_width(&rest)).filter(|room| *room >= LEAST_BAR)?;
    let usual = USUAL_ACTIVITY.saturating_sub(measure_text_width(words));
    let bar = bar(view, room.saturating_sub(usual).max(LEAST_BAR));
    Some(format!("{name}  {bar} {percent}  {rest}").trim_end().to_owned())
}

/// The texts that are not empty, two spaces apart.
fn spaced(texts: &[&str]) -> String {
    let texts: Vec<_> = texts.iter().copied().filter(|text| !text.is_empty()).collect();
    texts.join("  ")
}

/// The bar: bytes that are there, bytes on their way, and the rest.
fn bar(view: &View<'_>, columns: usize) -> String {
    let total = view.total.unwrap_or(0).max(1);
    let part = |bytes: u64| {
        let part = u128::from(bytes.min(total)) * columns as u128 / u128::from(total);
        usize::try_from(part).unwrap_or(columns)
    };
    let (there, moved) = (part(view.there), part(view.moved()));
    format!("{}{}{}", "▓".repeat(there), "▒".repeat(moved - there), "░".repeat(columns - moved))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::progress::{
        samples::{SITUATIONS, downloading, sending},
        view::Situation,
    };

    /// The line of each sample.
    fn lines(columns: usize) -> String {
        let lines = SITUATIONS.map(|situation| {
            let line = line(&sending().in_situation(situation), columns);
            assert!(measure_text_width(&line) <= columns, "{line}");
            line
        });
        lines.join("\n")
    }

    #[test]
    fn each_state_has_its_words_on_a_line_of_120_columns() {
        insta::assert_snapshot!(lines(120), @"
        mid.jsonl  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   0%  0/287 MiB stored          connecting
        mid.jsonl  ▓▓▓▓▓▓▓▓▓▓▓▒▒▒▒▒░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  31%  89/287 MiB (62 stored)    9.8 MiB/s  20 s left
        mid.jsonl  ▓▓▓▓▒▒░░░░░░░░░░░░░░  31%  89/287 MiB (62 stored)    nothing has moved for 12 s (Ctrl-C keeps what is stored)
        mid.jsonl  ▓░░░░░░░░  21%  62/287 MiB stored         offline for 40 s: next attempt in 5 s (Ctrl-C keeps what is stored)
        mid.jsonl  ▓▓░░░░░░░░░░░  21%  62/287 MiB stored         offline for 2 min 5 s: trying now (Ctrl-C keeps what is stored)
        mid.jsonl  ▓▓▓▓▓▓▓▓▓░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  21%  62/287 MiB stored         rate limited: continuing in 27 s
        mid.jsonl  ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓ 100%  287/287 MiB               checking the content
        mid.jsonl  ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓ 100%  287/287 MiB               the service is assembling the file (10 s)
        mid.jsonl  ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓ 100%  287/287 MiB               looking for the file in the service's list
        mid.jsonl  ▓▓▓▓▓▓▓▓▓▓▓▒▒▒▒░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  31%  89/287 MiB (62 stored)    cancelling on the service
        mid.jsonl  ▓▓▓▓▓▓▓▓▓▓▓▒▒▒▒▒░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  31%  89/287 MiB (62 stored)    stopping
        mid.jsonl  ▓▓▓▓▓▓▓▓▓▓▓▒▒▒▒▒░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  31%  89/287 MiB (62 stored)    9.8 MiB/s  20 s left
        mid.jsonl  ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓ 100%  287/287 MiB
        ");
    }

    #[test]
    fn each_state_has_its_words_on_a_line_of_80_columns() {
        insta::assert_snapshot!(lines(80), @"
        mid.jsonl  ░░░░░░░░░░░░   0%  0/287 MiB stored          connecting
        mid.jsonl  ▓▓▒░░░░░░░░░  31%  89/287 MiB (62 stored)    9.8 MiB/s  20 s left
        mid.jsonl  ▓▓▒░░░░░░░  31%  89/287 MiB (62 stored)    nothing has moved for 12 s
        mid.jsonl  ▓▓░░░░░░░░░░░  21%  62/287 MiB  offline for 40 s: next attempt in 5 s
        mid.jsonl  ▓▓░░░░░░░░  21%  62/287 MiB stored  offline for 2 min 5 s: trying now
        mid.jsonl  ▓▓░░░░░░░░░  21%  62/287 MiB stored  rate limited: continuing in 27 s
        mid.jsonl  ▓▓▓▓▓▓▓▓▓▓▓▓ 100%  287/287 MiB               checking the content
        mid.jsonl  ▓▓▓▓▓▓▓▓ 100%  287/287 MiB  the service is assembling the file (10 s)
        mid.jsonl  ▓▓▓▓▓▓▓▓▓▓▓▓ 100%  287/287 MiB               looking for the file
        mid.jsonl  ▓▓▒░░░░░░░░  31%  89/287 MiB (62 stored)    cancelling on the service
        mid.jsonl  ▓▓▒░░░░░░░░░  31%  89/287 MiB (62 stored)    stopping
        mid.jsonl  ▓▓▒░░░░░░░░░  31%  89/287 MiB (62 stored)    9.8 MiB/s  20 s left
        mid.jsonl  ▓▓▓▓▓▓▓▓▓▓▓▓▓▓ 100%  287/287 MiB
        ");
    }

    #[test]
    fn each_state_has_its_words_on_a_line_of_40_columns() {
        insta::assert_snapshot!(lines(40), @"
        mid.jsonl  0%  0/287 MiB  connecting
        mid.jsonl  ▓▒░░░░░░  31%  89/287 MiB
        mid.jsonl  31%  stalled for 12 s
        mid.jsonl  21%  offline for 40 s
        mid.jsonl  21%  offline for 2 min 5 s
        mid.jsonl  21%  rate limited: 27 s
        mid.jsonl  100%  checking the content
        mid.jsonl  100%  assembling (10 s)
        mid.jsonl  100%  looking for the file
        mid.jsonl  31%  89/287 MiB  cancelling
        mid.jsonl  31%  89/287 MiB  stopping
        mid.jsonl  ▓▒░░░░░░  31%  89/287 MiB
        mid.jsonl  ▓▓▓▓▓▓▓▓ 100%  287/287 MiB
        ");
    }

    #[test]
    fn a_download_tells_what_is_written_and_no_percentage_of_an_unknown_total() {
        let mut unknown = downloading();
        (unknown.total, unknown.time_left) = (None, None);
        let mut begun = unknown.clone().in_situation(Situation::Connecting);
        (begun.there, begun.rate) = (0, None);
        let mut offline = downloading().in_situation(SITUATIONS[3]);
        offline.is_kept = true;
        let lines = [downloading(), offline, unknown, begun].map(|view| line(&view, 110));
        insta::assert_snapshot!(lines.join("\n"), @"
        file-abc123  ▓▓▓▓▓▓▓▓▓░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  21%  62/287 MiB written   9.8 MiB/s  20 s left
        file-abc123  ▓▓░░░░░░░░  21%  62/287 MiB  offline for 40 s: next attempt in 5 s (Ctrl-C keeps what is written)
        file-abc123  62 MiB written  9.8 MiB/s
        file-abc123  connecting
        ");
    }

    #[test]
    fn one_request_that_is_assembled_has_neither_a_percentage_nor_stored_bytes() {
        let mut view = sending().in_situation(Situation::Assembling { lasting: Duration::from_secs(5) });
        (view.is_one_request, view.name) = (true, "mid.txt");
        (view.total, view.there, view.in_flight) = (Some(3), 0, 3);
        insta::assert_snapshot!([120, 60, 40].map(|columns| line(&view, columns)).join("\n"), @"
        mid.txt  3/3 bytes  the service is assembling the file (5 s)
        mid.txt  3/3 bytes  the service is assembling the file (5 s)
        mid.txt  3/3 bytes  assembling (5 s)
        ");
    }

    #[test]
    fn a_line_without_a_rate_has_no_number_for_it() {
        let mut view = sending();
        (view.rate, view.time_left) = (Some(0), None);
        assert_eq!(line(&view, 70), "mid.jsonl  ▓▒░░░░░░  31%  89/287 MiB (62 stored)");
        (view.rate, view.time_left) = (None, Some(Duration::MAX));
        assert_eq!(line(&view, 70), "mid.jsonl  ▓▒░░░░░░  31%  89/287 MiB (62 stored)");
    }

    #[test]
    fn wide_characters_count_as_two_columns() {
        let mut view = sending();
        view.name = "学習データ-二千二十六年十一月.jsonl";
        let lines = [120, 80, 40].map(|columns| line(&view, columns));
        assert!(lines.iter().zip([120, 80, 40]).all(|(line, columns)| measure_text_width(line) <= columns));
        insta::assert_snapshot!(lines.join("\n"), @"
        学習データ-二千二十六年十一月.jsonl  ▓▓▓▓▓▒▒▒░░░░░░░░░░░░░░░░░░  31%  89/287 MiB (62 stored)    9.8 MiB/s  20 s left
        学習データ-二…十一月.jsonl  ▓▒░░░░░░░  31%  89/287 MiB  9.8 MiB/s  20 s left
        学習デ….jsonl  ▓▒░░░░░░  31%  89/287 MiB
        ");
    }

    #[test]
    fn all_is_said_to_be_there_only_when_it_is() {
        let mut view = sending();
        view.there = view.total.unwrap_or(0) - 1;
        for in_flight in [0, 1] {
            view.in_flight = in_flight;
            assert!(line(&view, 80).contains(" 99%"));
        }
        (view.there, view.in_flight) = (view.there + 1, 0);
        assert!(line(&view, 80).contains(" 100%"));
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(
            (total, there, in_flight) in (0..=u64::MAX, 0..=u64::MAX, 0..=u64::MAX),
            rate: Option<u64>,
            left: Option<u32>,
            situation in 0..SITUATIONS.len(),
            columns in 0..200_usize,
            name in "\\PC{0,60}",
        ) {
            let mut view = sending().in_situation(SITUATIONS[situation]);
            (view.name, view.total, view.rate) = (&name, Some(total), rate);
            (view.there, view.in_flight) = (there.min(total), in_flight);
            view.time_left = left.map(|left| Duration::from_secs(left.into()));
            prop_assert!(measure_text_width(&line(&view, columns)) <= columns);
        }
    }
}
