//! Words of a refusal that say what has become of an upload.

use http::StatusCode;
use partwise_models::UploadStatus;

use super::ApiError;

/// Words that may stand before `upload`.
const ARTICLES: [&str; 5] = ["a", "an", "the", "this", "your"];

/// Words that may stand between the upload and its state.
const LINKS: [&str; 8] = ["already", "been", "has", "have", "is", "state", "status", "was"];

/// Words after `and` that make a statement less than one.
const DOUBTS: [&str; 11] =
    ["if", "may", "maybe", "might", "never", "not", "or", "perhaps", "unless", "until", "yet"];

const QUOTES: [char; 7] = ['`', '\'', '"', '‘', '’', '“', '”'];

impl ApiError {
    /// Returns the final state of the upload that was asked for, when the refusal states it: with the code `upload_expired`
    /// or the like, or with a sentence that says this and nothing else (`The upload upload_abc is expired.`). A bare 404
    /// states nothing, nor does `the upload may have expired`: another key, project or tenant gets such answers too.
    #[must_use]
    pub fn upload_status(&self) -> Option<UploadStatus> {
        let may_be_about_the_upload = matches!(
            self.status,
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::GONE
        );
        if !may_be_about_the_upload || !self.is_of_the_api() {
            return None;
        }
        let code = self.error.code.as_ref().map(partwise_models::ErrorCode::as_str).unwrap_or_default();
        stated_by_code(code).or_else(|| stated_by_message(self.error.message.as_deref().unwrap_or_default()))
    }
}

/// Reads `upload_expired`, `expired_upload` and their like.
fn stated_by_code(code: &str) -> Option<UploadStatus> {
    let code = code.to_ascii_lowercase();
    state(code.strip_prefix("upload_").or_else(|| code.strip_suffix("_upload"))?)
}

/// Reads the sentences of a message; those that contradict each other state nothing.
fn stated_by_message(message: &str) -> Option<UploadStatus> {
    let message = message.to_ascii_lowercase();
    let mut states = message.split(['.', ';', '!', '\n']).filter_map(stated_by_sentence);
    let state = states.next()?;
    states.all(|other| other == state).then_some(state)
}

/// Reads `the upload is expired: nothing can be done`, and `cannot add a part: the upload is expired`.
fn stated_by_sentence(sentence: &str) -> Option<UploadStatus> {
    let mut clauses = sentence.split(':').map(str::trim);
    let first = clauses.next()?;
    stated_by_clause(if first.starts_with("cannot ") { clauses.next()? } else { first })
}

/// Reads `[the] upload [ID] [status] [has been] STATE [and …]`; any other word makes it another statement.
fn stated_by_clause(clause: &str) -> Option<UploadStatus> {
    let mut words = clause.split_whitespace().map(|word| word.strip_suffix("'s").unwrap_or(word)).peekable();
    words.next_if(|word| ARTICLES.contains(word));
    words.next_if_eq(&"upload")?;
    words.next_if(|word| is_id(word));
    while words.next_if(|word| LINKS.contains(word)).is_some() {}
    let stated = state(bare(words.next()?))?;
    let mut rest = words.map(bare);
    let is_certain = rest.next().is_none_or(|word| word == "and")
        && rest.all(|word| !DOUBTS.contains(&word) && state(word).is_none());
    is_certain.then_some(stated)
}

/// Whether a word can only be an identifier: it has a digit or an underscore, or is quoted.
fn is_id(word: &str) -> bool {
    let is_quoted = word.len() > 2 && word.starts_with(QUOTES) && word.ends_with(QUOTES);
    is_quoted || word.contains(|character: char| character.is_ascii_digit() || character == '_')
}

/// The word without quotes, commas and brackets around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|character| QUOTES.contains(&character) || matches!(character, ',' | '(' | ')'))
}

fn state(word: &str) -> Option<UploadStatus> {
    match word {
        "completed" => Some(UploadStatus::Completed),
        "expired" => Some(UploadStatus::Expired),
        "cancelled" | "canceled" => Some(UploadStatus::Cancelled),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use partwise_models::ErrorCode;

    use super::*;

    fn status(status: u16, message: &str) -> Option<UploadStatus> {
        ApiError::new(StatusCode::from_u16(status).unwrap(), message).upload_status()
    }

    #[test]
    fn words_that_say_that_the_upload_is_over_are_understood() {
        use UploadStatus::{Cancelled, Completed, Expired};
        for (message, expected) in [
            ("the upload `upload_6f` is expired: nothing can be done with it any more", Expired),
            ("the upload `upload_6f` is cancelled: nothing can be done with it any more", Cancelled),
            ("the upload `upload_6f` is completed: nothing can be done with it any more", Completed),
            ("Upload has expired.", Expired),
            ("Upload upload_abc has been canceled and takes no parts", Cancelled),
            ("Cannot add a part: upload status 'expired'", Expired),
            ("This upload's status is already `completed`, and takes no parts", Completed),
            (
                "Bad request. The upload \"abc\" was cancelled! Create another; it may be completed.",
                Cancelled,
            ),
        ] {
            assert_eq!(status(400, message), Some(expected), "{message}");
        }
    }

    #[test]
    fn only_a_code_that_names_the_upload_and_its_state_is_understood() {
        use UploadStatus::{Cancelled, Completed, Expired};
        for (code, expected) in [
            ("upload_expired", Some(Expired)),
            ("expired_upload", Some(Expired)),
            ("upload_cancelled", Some(Cancelled)),
            ("upload_canceled", Some(Cancelled)),
            ("completed_upload", Some(Completed)),
            ("upload_not_expired", None),
            ("upload_token_expired", None),
            ("upload_url_expired", None),
            ("upload_quota_expired", None),
            ("expired", None),
        ] {
            let by_code = ApiError::new(StatusCode::GONE, "no").with_code(ErrorCode::from(code));
            assert_eq!(by_code.upload_status(), expected, "{code}");
        }
    }

    #[test]
    fn what_may_mean_something_else_says_nothing() {
        for message in [
            "",
            "there is no upload `upload_6f`",
            "upload refused: the access token has expired",
            "the upload has not expired",
            "the upload has not been cancelled",
            "the upload cannot be cancelled",
            "the upload is completed or cancelled",
            "uploads need expires_after",
            "the file has expired",
            "the upload can only be resumed until expired",
            "the upload may have expired or belong to another project",
            "the upload does not exist or has expired",
            "the upload is not yet expired",
            "the SAS of the upload storage has expired",
            "Upload storage quota expired",
            "upload failed because the plan has expired",
            "uploads that are expired cannot be completed",
            "Is the upload expired?",
            "Upload expired?",
            "Possible causes: upload expired",
            "Cannot complete: the upload may be expired",
            "the upload was expired, but is open again",
            "the upload is completed and may be cancelled",
            "the upload is completed and cancelled",
            "the upload is expired; the upload is cancelled",
            "if the upload is expired, create another",
            "the upload upload_1 upload_2 is expired",
        ] {
            assert_eq!(status(400, message), None, "{message}");
        }
        for other in [401, 403, 413, 429, 500, 503] {
            assert_eq!(status(other, "the upload is expired"), None, "{other}");
        }
    }
}
