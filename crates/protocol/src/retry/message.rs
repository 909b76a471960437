//! Waits that the message of an error of the API names, for people, where no header names one.

use std::time::Duration;

/// Words that a wait follows, in lower case.
const INTRODUCTIONS: [&str; 4] = ["again in ", "again after ", "retry after ", "retry in "];

/// Finds the wait that a message asks for: `Try again in 60 seconds.` (Azure's gateway), `Please retry after 3 seconds`
/// (Azure), `Please try again in 6m0s` (OpenAI). A number without a unit is none.
pub(crate) fn wait_in(message: &str) -> Option<Duration> {
    let text = message.to_ascii_lowercase();
    INTRODUCTIONS.iter().find_map(|introduction| {
        let mut behind = text.match_indices(introduction).map(|(at, _)| &text[at + introduction.len()..]);
        behind.find_map(duration)
    })
}

/// Reads the duration that a text begins with: numbers, each with its unit, added up.
fn duration(mut text: &str) -> Option<Duration> {
    let mut total = None;
    while let Some((seconds, rest)) = one_unit(text.trim_start()) {
        total = Some(total.unwrap_or(0.0) + seconds);
        text = rest;
    }
    Duration::try_from_secs_f64(total?).ok()
}

/// Reads a number with its unit, in seconds, and gives back what follows.
fn one_unit(text: &str) -> Option<(f64, &str)> {
    let (number, rest) = split_where(text, |character| !character.is_ascii_digit() && character != '.');
    let (unit, rest) = split_where(rest.trim_start(), |character| !character.is_ascii_alphabetic());
    Some((number.parse::<f64>().ok()? * seconds_of(unit)?, rest))
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" | "millisecond" | "milliseconds" => 1e-3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_way_to_name_a_wait_is_read() {
        for (message, milliseconds) in [
            ("Rate limit is exceeded. Try again in 60 seconds.", 60_000),
            ("Requests to the API have exceeded the call rate limit. Please retry after 3 seconds.", 3000),
            ("Please retry after 1 second. To increase your limit, see https://aka.ms/quota", 1000),
            ("Limit 3, Used 3, Requested 1. Please try again in 20s. Visit https://…", 20_000),
            ("Please try again in 6m0s.", 360_000),
            ("Please try again in 1h2m3.5s. Contact us", 3_723_500),
            ("Please try again in 120ms", 120),
            ("Please try again in 8.64s.", 8640),
            ("Retry in 2 minutes 30 seconds", 150_000),
            ("try again after a while, or try again in 5 s", 5000),
        ] {
            assert_eq!(wait_in(message), Some(Duration::from_millis(milliseconds)), "{message}");
        }
    }

    #[test]
    fn what_names_no_wait_is_none() {
        for message in [
            "",
            "Too many requests",
            "Try again in a few seconds",
            "Please try again in",
            "Please try again in 20",
            "try again in -3 seconds",
            "try again in . seconds",
            "try again in 1.2.3 s",
            "the limit is 60 seconds",
            "Please try again in 20 İstanbul",
        ] {
            assert_eq!(wait_in(message), None, "{message}");
        }
        let endless = format!("try again in {} days", "9".repeat(400));
        assert_eq!(wait_in(&endless), None);
    }
}
