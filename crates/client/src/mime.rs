//! The MIME type of a file by its extension.

use std::path::Path;

/// What a file is sent as when its extension says nothing.
const UNKNOWN: &str = "application/octet-stream";

/// The kinds of file that the services take, by extension.
const BY_EXTENSION: [(&str, &str); 25] = [
    ("csv", "text/csv"),
    ("css", "text/css"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("md", "text/markdown"),
    ("parquet", "application/vnd.apache.parquet"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("tar", "application/x-tar"),
    ("txt", "text/plain"),
    ("webp", "image/webp"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "text/xml"),
    ("yaml", "application/yaml"),
    ("zip", "application/zip"),
];

/// The MIME type that a file is sent as, by the extension of its name; `application/octet-stream` when that says nothing.
///
/// ```
/// assert_eq!(partwise::mime_type("data/train.jsonl"), "application/jsonl");
/// ```
#[must_use]
pub fn mime_type(path: impl AsRef<Path>) -> &'static str {
    let path = path.as_ref();
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    BY_EXTENSION
        .iter()
        .find(|(known, _)| Some(*known) == extension.as_deref())
        .map_or(UNKNOWN, |(_, mime)| mime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides_whatever_its_case() {
        for (path, mime) in [
            ("data.jsonl", "application/jsonl"),
            ("folder.csv/DATA.JSONL", "application/jsonl"),
            ("README.md", "text/markdown"),
            ("archive.tar.gz", "application/gzip"),
            ("no-extension", UNKNOWN),
            (".jsonl", UNKNOWN),
            ("weights.safetensors", UNKNOWN),
        ] {
            assert_eq!(mime_type(path), mime, "{path}");
        }
    }
}
