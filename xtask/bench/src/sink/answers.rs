//! What the sink answers: just enough for every client.

use anyhow::Result;
use serde_json::json;

use super::report::Report;

/// When everything was made, and when uploads expire.
const CREATED: u64 = 1_700_000_000;
const EXPIRES: u64 = 4_000_000_000;

pub(super) enum Answer {
    Json(String),
    /// So many bytes of a file.
    Content(u64),
}

/// The answer to a request, by its method and path alone.
pub(super) fn answer(method: &str, path: &str, length: u64, report: &Report) -> Result<Answer> {
    let path = path.split('?').next().unwrap_or_default();
    let file = json!({
        "id": "file-1", "object": "file", "bytes": length, "created_at": CREATED, "filename": "large.bin",
        "purpose": "assistants", "status": "processed"
    });
    let upload = |status: &str| {
        json!({
            "id": "upload_1", "object": "upload", "bytes": length, "created_at": CREATED, "expires_at": EXPIRES,
            "filename": "large.bin", "purpose": "assistants", "status": status
        })
    };
    let answer = match method {
        "GET" if path.ends_with("/content") => return Ok(Answer::Content(length)),
        "GET" if path.ends_with("/report") => serde_json::to_value(report.tell())?,
        "POST" if path.ends_with("/parts") => {
            json!({"id": "part_1", "object": "upload.part", "created_at": CREATED, "upload_id": "upload_1"})
        }
        "POST" if path.ends_with("/complete") => {
            let mut upload = upload("completed");
            upload["file"] = file;
            upload
        }
        "POST" if path.ends_with("/uploads") => upload("pending"),
        _ => file,
    };
    Ok(Answer::Json(answer.to_string()))
}
