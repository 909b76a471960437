//! What was found, for people.

use std::fmt::Write as _;

use super::Found;
use super::claims::Bound;
use super::rounds::{Measured, Run};

/// One group as Markdown.
pub(crate) fn markdown(found: &Found) -> String {
    let mut text = format!("\n## {}\n\n{}\n\n", found.group, found.setting);
    if !found.measured.is_empty() {
        text.push_str("| | wall s | user s | system s | sink s | peak MiB | part phase s | others |\n");
        text.push_str("|---|---|---|---|---|---|---|---|\n");
        for measured in &found.measured {
            text.push_str(&row(measured));
        }
        text.push('\n');
    }
    if !found.claims.is_empty() {
        text.push_str("| claim | measured | bound | |\n|---|---|---|---|\n");
        for claim in &found.claims {
            let bound = match claim.bound {
                Bound::AtMost(limit) => format!("≤ {limit}"),
                Bound::AtLeast(limit) => format!("≥ {limit}"),
            };
            let _ =
                writeln!(text, "| {} | {:.3} | {bound} | {} |", claim.text, claim.measured, claim.verdict());
        }
    }
    text
}

fn row(measured: &Measured) -> String {
    let median = |of: fn(&Run) -> f64| measured.median(of);
    let parts = measured.runs.iter().filter_map(|run| run.parts.as_ref()).map(|parts| parts.seconds);
    let parts = super::rounds::median(parts);
    let parts = if parts.is_nan() { "-".to_owned() } else { format!("{parts:.3}") };
    format!(
        "| {} | {:.3} | {:.2} | {:.2} | {:.2} | {:.1} | {parts} | {:.2} |\n",
        measured.name,
        median(|run| run.taken.wall_s),
        median(|run| run.taken.user_s),
        median(|run| run.taken.system_s),
        median(|run| run.sink_cpu_s),
        median(|run| run.taken.peak_kib as f64 / 1024.0),
        median(|run| run.others),
    )
}

/// All of it as a page.
pub(crate) fn page(machine: &str, all: &[Found]) -> String {
    let mut page = format!(
        "# Benchmarks\n\n`cargo xtask bench` makes this page. Measured on {machine}; whole processes, in turn, medians over the rounds, ratios pair by pair\nwithin each round. `others` is how many processors everything else kept busy.\n"
    );
    for found in all {
        page.push_str(&markdown(found));
    }
    page
}
