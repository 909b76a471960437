//! clap's errors in our two lines.

use crate::report::Report;

/// Says in one line what clap refuses, and in a second what clap suggests or where the usage stands.
pub(crate) fn report(error: &clap::Error) -> Report {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n");
    let message = paragraphs.next().unwrap_or_default().trim_start_matches("error: ");
    let (mut tip, mut usage) = (None, None);
    for paragraph in paragraphs.map(str::trim) {
        // That a flag could be a value is no help: no file is called like one.
        let useful = |tip: &&str| !tip.starts_with("to pass ");
        tip = tip.or_else(|| paragraph.strip_prefix("tip: ").filter(useful));
        usage = usage.or_else(|| paragraph.strip_prefix("Usage: "));
    }
    let hint = tip.map(str::to_owned).or_else(|| usage.map(|usage| format!("usage: {usage}")));
    Report::usage(message).maybe_hint(hint)
}
