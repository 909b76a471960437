//! What the sink answers: just enough for every client.

use std::ops::Range;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::files::Files;
use super::head::Head;

/// When everything was made, and when uploads expire.
const CREATED: u64 = 1_700_000_000;
const EXPIRES: u64 = 4_000_000_000;
/// As long as those of our own server, since clients keep one for each part.
const PART: &str = "part_0123456789abcdef0123456789abcdef";

pub(super) enum Answer {
    Json(String),
    /// A file, or the range of it that was asked for.
    Content {
        range: Range<u64>,
        of: u64,
        is_part: bool,
    },
    /// There is nothing in that range of a file of this length.
    NoSuchRange {
        of: u64,
    },
}

/// Whether the body is to be kept for the answer.
pub(super) fn wants_body(head: &Head) -> bool {
    head.method() == "POST" && head.path().ends_with("/uploads")
}

/// The answer to a request whose body was kept if it was wanted.
pub(super) fn answer(head: &Head, body: &[u8], files: &Files) -> Result<Answer> {
    let path = head.path();
    let number = path.split('/').find_map(number_of).unwrap_or(1);
    let answer = match head.method() {
        "GET" | "HEAD" if path.ends_with("/content") => return Ok(content(head, files.length(number))),
        "POST" if path.ends_with("/parts") => {
            json!({"id": PART, "object": "upload.part", "created_at": CREATED, "upload_id": "upload_1"})
        }
        "POST" if path.ends_with("/complete") => {
            let mut upload = upload(number, files.length(number), "completed");
            upload["file"] = file(number, Some(files.length(number)));
            upload
        }
        "POST" if path.ends_with("/uploads") => {
            let request: Value = serde_json::from_slice(body).context("an upload's request")?;
            let length = request["bytes"].as_u64().context("an upload's request has no bytes")?;
            upload(files.announce(length), length, "pending")
        }
        // How long the file in a form is, only who reads the form knows.
        "POST" => file(number, None),
        _ => file(number, Some(files.length(number))),
    };
    Ok(Answer::Json(answer.to_string()))
}

/// The number in `upload_7` and `file-7`.
fn number_of(segment: &str) -> Option<usize> {
    segment.strip_prefix("upload_").or_else(|| segment.strip_prefix("file-"))?.parse().ok()
}

fn file(number: usize, length: Option<u64>) -> Value {
    json!({
        "id": format!("file-{number}"), "object": "file", "bytes": length, "created_at": CREATED,
        "filename": "large.bin", "purpose": "assistants", "status": "processed"
    })
}

fn upload(number: usize, length: u64, status: &str) -> Value {
    json!({
        "id": format!("upload_{number}"), "object": "upload", "bytes": length, "created_at": CREATED,
        "expires_at": EXPIRES, "filename": "large.bin", "purpose": "assistants", "status": status
    })
}

fn content(head: &Head, of: u64) -> Answer {
    match head.range() {
        None => Answer::Content { range: 0..of, of, is_part: false },
        Some((first, _)) if first >= of => Answer::NoSuchRange { of },
        Some((first, last)) => {
            let end = last.map_or(of, |last| last.saturating_add(1).min(of));
            Answer::Content { range: first..end.max(first), of, is_part: true }
        }
    }
}
