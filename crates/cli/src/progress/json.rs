//! Lines for programs.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

use super::view::{Direction, Situation, View};
use crate::report::is_obeyed;

/// The time between lines while the state stays.
const EVERY: Duration = Duration::from_secs(1);

/// One line. A member without a value is `null`.
#[derive(Debug, Serialize)]
struct Object<'v> {
    object: &'static str,
    name: &'v str,
    state: &'static str,
    since_ms: Option<u64>,
    next_attempt_in_ms: Option<u64>,
    until_in_ms: Option<u64>,
    bytes_total: Option<u64>,
    #[serde(flatten)]
    bytes: Bytes,
    rate: Option<u64>,
    time_left_ms: Option<u64>,
}

/// The bytes of one direction or the other.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Bytes {
    Upload { bytes_acknowledged: u64, bytes_in_flight: u64 },
    Download { bytes_written: u64 },
}

/// The line, in which the name is escaped where a terminal would obey it.
pub(super) fn line(view: &View<'_>) -> String {
    let (next_attempt, until) = match view.situation {
        Situation::Offline { next_attempt, .. } => (Some(next_attempt.unwrap_or_default()), None),
        Situation::RateLimited { rest } => (None, Some(rest)),
        _ => (None, None),
    };
    let (object, bytes) = match view.direction {
        Direction::Upload => (
            "upload.progress",
            Bytes::Upload { bytes_acknowledged: view.there, bytes_in_flight: view.in_flight },
        ),
        Direction::Download => ("download.progress", Bytes::Download { bytes_written: view.there }),
    };
    let object = Object {
        object,
        name: view.name,
        state: view.situation.kind(),
        since_ms: view.situation.lasting().map(millis),
        next_attempt_in_ms: next_attempt.map(millis),
        until_in_ms: until.map(millis),
        bytes_total: view.total,
        bytes,
        rate: view.rate,
        time_left_ms: view.time_left.map(millis),
    };
    // Numbers and texts can always be written.
    escaped(&serde_json::to_string(&object).unwrap_or_default())
}

/// The JSON with what a terminal would obey escaped too. Outside of strings there is none of it.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_obeyed(c) {
            // All of them take one UTF-16 unit.
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The moments of the lines: once a second, and as the state changes.
#[derive(Debug, Default)]
pub(super) struct Cadence {
    told: Option<(&'static str, Duration)>,
}

impl Cadence {
    /// Says whether a line is due.
    pub(super) fn is_due(&mut self, situation: &Situation, now: Duration) -> bool {
        let state = situation.kind();
        let is_due = self.told.is_none_or(|(told, at)| told != state || now.saturating_sub(at) >= EVERY);
        if is_due {
            self.told = Some((state, now));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::samples::{SITUATIONS, downloading, sending};

    #[test]
    fn each_state_has_its_fields() {
        let mut views = SITUATIONS.map(|situation| sending().in_situation(situation)).to_vec();
        views[11] = downloading();
        let mut unknown = downloading();
        unknown.total = None;
        views.push(unknown);
        let lines: Vec<_> = views.iter().map(line).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"object":"upload.progress","name":"mid.jsonl","state":"connecting","since_ms":null,"next_attempt_in_ms":null,"until_in_ms":null,"bytes_total":300941312,"bytes_acknowledged":0,"bytes_in_flight":0,"rate":null,"time_left_ms":null}
        {"object":"upload.progress","name":"mid.jsonl","state":"sending","since_ms":null,"next_attempt_in_ms":null,"until_in_ms":null,"bytes_total":300941312,"bytes_acknowledged":65011712,"bytes_in_flight":28311552,"rate":10328473,"time_left_ms":19500}
        {"object":"upload.progress","name":"mid.jsonl","state":"stalled","since_ms":12000,"next_attempt_in_ms":null,"until_in_ms":null,"bytes_total":300941312,"bytes_acknowledged":65011712,"bytes_in_flight":28311552,"rate":null,"time_left_ms":null}
        {"object":"upload.progress","name":"mid.jsonl","state":"offline","since_ms":40000,"next_attempt_in_ms":4300,"until_in_ms":null,"bytes_total":300941312,"bytes_acknowledged":65011712,"bytes_in_flight":0,"rate":null,"time_left_ms":null}
        {"object":"upload.progress","name":"mid.jsonl","state":"offline","since_ms":125000,"next_attempt_in_ms":0,"until_in_ms":null,"bytes_total":300941312,"bytes_acknowledged":65011712,"bytes_in_flight":0,"rate":null,"time_left_ms":null}
        {"object":"upload.progress","name":"mid.jsonl","state":"rate_limited","since_ms":null,"next_attempt_in_ms":null,"until_in_ms":26100,"bytes_total":300941312,"bytes_acknowledged":65011712,"bytes_in_flight":0,"rate":null,"time_left_ms":null}
        {"object":"upload.progress","name":"mid.jsonl","state":"checking","since_ms":null,"next_attempt_in_ms":null,"until_in_ms":null,"bytes_total":300941312,"bytes_acknowledged":300941312,"bytes_in_flight":0,"rate":null,"time_left_ms":null}
        {"object":"upload.progress","name":"mid.jsonl","state":"assembling","since_ms":10000,"next_attempt_in_ms":null,"until_in_ms":null,"bytes_total":300941312,"bytes_acknowledged":300941312,"bytes_in_flight":0,"rate":null,"time_left_ms":null}
        {"object":"upload.progress","name":"mid.jsonl","state":"reconciling","since_ms":null,"next_attempt_in_ms":null,"until_in_ms":null,"bytes_total":300941312,"bytes_acknowledged":300941312,"bytes_in_flight":0,"rate":null,"time_left_ms":null}
        {"object":"upload.progress","name":"mid.jsonl","state":"cancelling","since_ms":null,"next_attempt_in_ms":null,"until_in_ms":null,"bytes_total":300941312,"bytes_acknowledged":65011712,"bytes_in_flight":28311552,"rate":null,"time_left_ms":null}
        {"object":"upload.progress","name":"mid.jsonl","state":"stopping","since_ms":null,"next_attempt_in_ms":null,"until_in_ms":null,"bytes_total":300941312,"bytes_acknowledged":65011712,"bytes_in_flight":28311552,"rate":null,"time_left_ms":null}
        {"object":"download.progress","name":"file-abc123","state":"receiving","since_ms":null,"next_attempt_in_ms":null,"until_in_ms":null,"bytes_total":300941312,"bytes_written":65011712,"rate":10328473,"time_left_ms":19500}
        {"object":"upload.progress","name":"mid.jsonl","state":"done","since_ms":null,"next_attempt_in_ms":null,"until_in_ms":null,"bytes_total":300941312,"bytes_acknowledged":300941312,"bytes_in_flight":0,"rate":null,"time_left_ms":null}
        {"object":"download.progress","name":"file-abc123","state":"receiving","since_ms":null,"next_attempt_in_ms":null,"until_in_ms":null,"bytes_total":null,"bytes_written":65011712,"rate":10328473,"time_left_ms":19500}
        "#);
    }

    #[test]
    fn a_name_is_told_exactly_and_drives_no_terminal() {
        let mut view = sending();
        for name in
            ["two  spaces\t.txt", " a\r\nb\u{1b}[2J\u{7f}\u{9b}\u{202e}txt.exe", "学習\\u202e\"データ"]
        {
            view.name = name;
            let line = line(&view);
            assert!(!line.contains(is_obeyed), "{line}");
            let object: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(object["name"], name);
        }
    }

    #[test]
    fn a_line_is_due_once_a_second_and_as_the_state_changes() {
        let mut cadence = Cadence::default();
        let mut due = |situation, at| cadence.is_due(&situation, Duration::from_millis(at));
        assert!(due(Situation::Connecting, 0));
        assert!(!due(Situation::Connecting, 900));
        assert!(due(Situation::Sending, 950));
        assert!(!due(Situation::Sending, 1900));
        assert!(due(Situation::Sending, 1950));
        assert!(due(Situation::Done, 1951));
        assert!(!due(Situation::Done, 1952));
    }
}
