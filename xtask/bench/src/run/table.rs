//! What was found, for people.

use std::fmt::Write as _;

use super::Found;
use super::figures::median;
use super::limited::End;
use super::runs::{Measured, OverLine, Run};
use super::scene::MIB;
use super::tools::Missing;

/// What is told of each run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Columns {
    /// Clients in front of the sink; ratios are of the first one to each of the others.
    Clients,
    /// Servers behind one client; ratios are of each of the others to the first one.
    Servers,
    /// Clients over lines that are slow or break.
    Lines,
}

/// The cells of one contender, given the first one too.
type Row = fn(&Measured, &Measured) -> Vec<String>;

/// One group as Markdown.
pub(crate) fn markdown(found: &Found) -> String {
    let mut text = format!("\n## {}\n\n{}\n\n", found.title, found.setting);
    if let Some(first) = found.measured.first() {
        let (head, row): (&[&str], Row) = match found.columns {
            Columns::Clients if first.name == OURS => (&CLIENTS, client),
            Columns::Clients => (&CLIENTS[..CLIENTS.len() - 2], client),
            Columns::Servers => (&SERVERS, server),
            Columns::Lines => (&LINES, over_line),
        };
        text.push_str(&line(head));
        text.push_str(&line(&vec!["---"; head.len()]));
        for measured in &found.measured {
            text.push_str(&line(&row(measured, first)));
        }
        for missing in &found.missing {
            let _ = writeln!(text, "| {} | not measured: {} |", missing.name, why(missing));
        }
        text.push('\n');
    } else {
        for missing in &found.missing {
            let _ = writeln!(text, "- {}: not measured: {}", missing.name, why(missing));
        }
    }
    if !found.claims.is_empty() {
        text.push_str(&line(&["claim", "measured", "bound", "verdict"]));
        text.push_str(&line(&["---"; 4]));
        for claim in &found.claims {
            let bound = claim.bound.map_or("-".to_owned(), |bound| bound.to_string());
            let cells = [claim.text.clone(), claim.figures(), bound, claim.verdict()];
            text.push_str(&line(&cells));
        }
    }
    text
}

/// The reason in one line, whatever it was.
fn why(missing: &Missing) -> String {
    missing.why.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "/")
}

/// Whom the others are compared with, where they are somebody else.
const OURS: &str = "partwise";

const CLIENTS: [&str; 10] = [
    "",
    "wall s",
    "part phase s",
    "CPU-s/GiB",
    "of it user",
    "peak MiB",
    "sink CPU-s/GiB",
    "others (flagged)",
    "partwise ÷ it, wall",
    "partwise ÷ it, CPU",
];

fn client(measured: &Measured, ours: &Measured) -> Vec<String> {
    let parts = measured.runs.iter().filter_map(|run| run.parts.as_ref()).filter(|told| told.parts > 0);
    let parts = median(parts.map(|told| told.seconds));
    let mut cells = vec![
        measured.name.clone(),
        format!("{:.3}", measured.median(Run::wall_s)),
        if parts.is_nan() { String::new() } else { format!("{parts:.3}") },
        format!("{:.3}", measured.median(|run| run.cpu_s() / run.gib())),
        format!("{:.3}", measured.median(|run| run.taken.user_s / run.gib())),
        format!("{:.1}", measured.median(Run::peak_mib)),
        format!("{:.2}", measured.median(|run| run.service_cpu_s / run.gib())),
        others(measured),
    ];
    if ours.name == OURS {
        cells.extend([Run::wall_s, Run::cpu_s].map(|of| ratio(ours, measured, of)));
    }
    cells
}

const SERVERS: [&str; 8] = [
    "",
    "wall s",
    "GiB/s",
    "server CPU-s/GiB",
    "server peak MiB",
    "others (flagged)",
    "it ÷ the first, wall",
    "it ÷ the first, CPU",
];

fn server(measured: &Measured, first: &Measured) -> Vec<String> {
    vec![
        measured.name.clone(),
        format!("{:.3}", measured.median(Run::wall_s)),
        format!("{:.2}", measured.median(|run| run.gib() / run.wall_s())),
        format!("{:.3}", measured.median(|run| run.service_cpu_s / run.gib())),
        format!("{:.1}", measured.median(|run| run.service_peak_kib.unwrap_or_default() as f64 / 1024.0)),
        others(measured),
        ratio(measured, first, Run::wall_s),
        ratio(measured, first, |run| run.service_cpu_s),
    ]
}

const LINES: [&str; 11] = [
    "",
    "end",
    "wall s",
    "÷ ideal",
    "first acknowledged s",
    "acknowledged MiB",
    "sent MiB",
    "sent ÷ acknowledged",
    "most connections",
    "cut ÷ what may be",
    "others (flagged)",
];

fn over_line(measured: &Measured, _first: &Measured) -> Vec<String> {
    let mut cells = vec![measured.name.clone()];
    let run = measured.runs.first();
    let Some((run, line)) = run.and_then(|run| Some((run, run.line.as_ref()?))) else { return cells };
    let told = &line.told;
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / MIB as f64);
    let some =
        |value: Option<f64>, decimals| value.map_or("-".to_owned(), |value| format!("{value:.decimals$}"));
    cells.extend([
        end(run, line),
        format!("{:.1}", run.wall_s()),
        some(line.over_ideal(run), 3),
        some(told.first_acknowledgement_s, 1),
        mib(told.acknowledged),
        mib(told.sent),
        some(Some(line.sent_per_byte()).filter(|sent| sent.is_finite()), 3),
        told.most_open.to_string(),
        some(told.widest_cut.map(crate::line::WidestCut::share), 2),
        others(measured),
    ]);
    cells
}

fn end(run: &Run, line: &OverLine) -> String {
    match &line.end {
        End::Succeeded if line.over_ideal(run).is_none() => "not whole".to_owned(),
        End::Succeeded => "done".to_owned(),
        End::Failed { status: Some(status), .. } => format!("failed ({status})"),
        End::Failed { status: None, .. } => "failed".to_owned(),
        End::TooLong if line.is_whole => "not done".to_owned(),
        End::TooLong => "ended".to_owned(),
    }
}

/// Of one to another one.
fn ratio(one: &Measured, other: &Measured, of: fn(&Run) -> f64) -> String {
    if one.name == other.name { String::new() } else { format!("{:.2}", one.ratio(other, of).value) }
}

fn others(measured: &Measured) -> String {
    let flagged = measured.runs.iter().filter(|run| run.is_disturbed()).count();
    let others = median(measured.runs.iter().map(|run| run.others));
    if flagged == 0 {
        format!("{others:.2}")
    } else {
        format!("{others:.2} ({flagged} of {})", measured.runs.len())
    }
}

fn line(cells: &[impl AsRef<str>]) -> String {
    let mut line = String::from("|");
    for cell in cells {
        let _ = write!(line, " {} |", cell.as_ref());
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Told, WidestCut};
    use crate::measure::Taken;

    fn found(measured: Vec<Measured>) -> Found {
        let missing = vec![Missing { name: "a line", why: "no | nft\nhere".to_owned() }];
        let (setting, columns, claims) = ("Here.".to_owned(), Columns::Lines, Vec::new());
        Found { title: "Lines", setting, measured, columns, missing, claims }
    }

    #[test]
    fn what_was_not_measured_is_said_even_if_nothing_was() {
        let text = markdown(&found(Vec::new()));
        assert_eq!(text, "\n## Lines\n\nHere.\n\n- a line: not measured: no / nft here\n");
    }

    #[test]
    fn an_upload_over_a_line_that_is_not_whole_has_no_time_over_ideal() {
        let row = |end: End, acknowledged: u64| {
            let widest_cut = Some(WidestCut { at_s: 1.0, bytes: 3, limit: 4.0 });
            let told = Told {
                sent: 3 * MIB,
                acknowledged,
                first_acknowledgement_s: Some(1.25),
                most_open: 4,
                widest_cut,
                ..Told::default()
            };
            let line = OverLine { ideal_s: 10.0, is_whole: true, end, told };
            let taken = Taken { wall_s: 11.0, ..Taken::default() };
            let run = Run { bytes: 2 * MIB, taken, line: Some(line), ..Run::default() };
            let text = markdown(&found(vec![Measured { name: "x".to_owned(), runs: vec![run] }]));
            text.lines().find(|line| line.starts_with("| x |")).unwrap_or_default().to_owned()
        };
        let failed = End::Failed { status: Some(75), said: String::new() };
        assert_eq!(
            row(End::Succeeded, 2 * MIB),
            "| x | done | 11.0 | 1.100 | 1.2 | 2.0 | 3.0 | 1.500 | 4 | 0.75 | 0.00 |"
        );
        assert_eq!(
            row(End::Succeeded, MIB),
            "| x | not whole | 11.0 | - | 1.2 | 1.0 | 3.0 | 3.000 | 4 | 0.75 | 0.00 |"
        );
        assert_eq!(row(failed, 0), "| x | failed (75) | 11.0 | - | 1.2 | 0.0 | 3.0 | - | 4 | 0.75 | 0.00 |");
        assert_eq!(
            row(End::TooLong, MIB),
            "| x | not done | 11.0 | - | 1.2 | 1.0 | 3.0 | 3.000 | 4 | 0.75 | 0.00 |"
        );
    }
}
