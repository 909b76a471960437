//! Purposes as people type them.

use std::path::Path;

use partwise_models::Purpose;
use partwise_protocol::jsonl::filename_suits;

use crate::{
    args::RequiredPurpose,
    check::BAD_NAME,
    report::{Report, one_line},
    screen::say,
};

impl RequiredPurpose {
    /// The purpose to send.
    pub(crate) fn resolve(&self) -> Result<Purpose, Report> {
        resolve(&self.purpose, self.allow_unknown_purpose)
    }

    /// The purpose of a file of this name; `rename` says how it gets another one.
    pub(crate) fn resolve_for(&self, filename: &str, rename: &str) -> Result<Purpose, Report> {
        let purpose = self.resolve()?;
        if self.allow_any_name || filename_suits(&purpose, filename) {
            return Ok(purpose);
        }
        if !is_text(filename) && !is_packed(filename) && !is_copy(filename) {
            // No slip of the keyboard: whoever sends this may know a service that takes it.
            say(&format!("warning: {}: {BAD_NAME}, and the service may reject it", one_line(filename)));
            return Ok(purpose);
        }
        let way = if is_packed(filename) { "unpack it first" } else { rename };
        Err(Report::usage(format!("{}: {BAD_NAME}", one_line(filename)))
            .hint(format!("{way}, or --allow-any-name sends it anyway")))
    }
}

/// The end of a name behind its last dot, in lower case.
fn extension(filename: &str) -> Option<String> {
    Path::new(filename).extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase())
}

/// Whether a name is that of a compressed file or an archive, which no service unpacks.
fn is_packed(filename: &str) -> bool {
    matches!(
        extension(filename).as_deref(),
        Some("gz" | "tgz" | "bz2" | "xz" | "zst" | "zstd" | "lz4" | "br" | "zip" | "7z" | "rar" | "tar")
    )
}

/// Whether a name is that of JSON Lines with more behind it, as copies and backups have.
fn is_copy(filename: &str) -> bool {
    filename.to_ascii_lowercase().contains(".jsonl.")
}

/// Whether a name is that of a text, or says nothing, so that its file may well be JSON Lines under a wrong name.
fn is_text(filename: &str) -> bool {
    matches!(
        extension(filename).as_deref(),
        None | Some(
            "json" | "jsonlines" | "jl" | "ndjson" | "ldjson" | "txt" | "text" | "csv" | "tsv" | "md" | "log"
        )
    )
}

/// Reads a purpose; one that no service is known to have is refused with the nearest one that is, unless it
/// is allowed.
pub(crate) fn resolve(text: &str, allow_unknown: bool) -> Result<Purpose, Report> {
    if text.trim().is_empty() {
        return Err(Report::usage("the purpose is empty").hint(format!("one of {}", known())));
    }
    let purpose = Purpose::from(text);
    match purpose {
        Purpose::Other(_) if !allow_unknown => {
            Err(Report::usage(format!("no service has the purpose '{text}'"))
                .hint(format!("{} --allow-unknown-purpose sends it anyway", suggestion(text))))
        }
        purpose => Ok(purpose),
    }
}

fn suggestion(text: &str) -> String {
    // Spelled with other case, dashes or underscores it is as good as meant.
    let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-");
    let nearest = Purpose::KNOWN
        .iter()
        .map(Purpose::as_str)
        .map(|known| (strsim::jaro_winkler(&plain(text), &plain(known)), known))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(likeness, _)| *likeness > 0.7);
    match nearest {
        Some((_, known)) => format!("did you mean '{known}'?"),
        None => format!("the known ones are {};", known()),
    }
}

fn known() -> String {
    Purpose::KNOWN.iter().map(Purpose::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_purpose_is_taken() {
        for purpose in Purpose::KNOWN {
            assert_eq!(resolve(purpose.as_str(), false).expect("known"), *purpose);
        }
    }

    #[test]
    fn the_nearest_purpose_is_named() {
        for (typed, nearest) in [
            ("finetune", "fine-tune"),
            ("fine_tune", "fine-tune"),
            ("Assistant", "assistants"),
            ("user-data", "user_data"),
        ] {
            let refused = resolve(typed, false).expect_err(typed).lines();
            assert!(refused.contains(&format!("did you mean '{nearest}'")), "{refused}");
        }
    }

    #[test]
    fn what_resembles_none_gets_the_whole_list() {
        let refused = resolve("qqq", false).expect_err("unknown").lines();
        assert!(refused.contains("the known ones are assistants"), "{refused}");
    }

    #[test]
    fn an_unknown_purpose_goes_through_when_it_is_allowed() {
        assert_eq!(resolve("qqq", true).expect("allowed").as_str(), "qqq");
    }
}
