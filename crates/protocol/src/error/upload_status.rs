//! Words of a refusal that say what has become of an upload.

use http::StatusCode;
use partwise_models::UploadStatus;

use super::ApiError;

/// Things besides an upload that expire or are cancelled: where one of them is named, it is not known what is meant.
const OTHER_THINGS: [&str; 15] = [
    "access",
    "account",
    "certificate",
    "credential",
    "credentials",
    "key",
    "license",
    "link",
    "password",
    "request",
    "session",
    "signature",
    "subscription",
    "token",
    "url",
];

/// Words before a state that turn it into something that is not, or not yet.
const NOT_SO: [&str; 7] = ["be", "if", "never", "not", "only", "unless", "until"];

impl ApiError {
    /// Returns the final state of the upload that was asked for, when the refusal says in so many words that it is in it:
    /// `the upload upload_abc is expired`, or the code `upload_expired`. A bare 404 says nothing of the kind: another key,
    /// project or tenant gets one too.
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
        state_in(code).or_else(|| state_in(self.error.message.as_deref().unwrap_or_default()))
    }
}

fn state_in(text: &str) -> Option<UploadStatus> {
    let text = text.to_ascii_lowercase();
    let words: Vec<&str> =
        text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if !words.contains(&"upload") || words.iter().any(|word| OTHER_THINGS.contains(word)) {
        return None;
    }
    let mut found = words.iter().enumerate().filter_map(|(at, word)| Some((at, state(word)?)));
    let (at, state) = found.next()?;
    let before = words[..at].iter().rev().find(|word| **word != "been");
    let is_so = !before.is_some_and(|word| NOT_SO.contains(word));
    (is_so && found.all(|(_, other)| other == state)).then_some(state)
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
        ] {
            assert_eq!(status(400, message), Some(expected), "{message}");
        }
        let by_code = ApiError::new(StatusCode::GONE, "no").with_code(ErrorCode::from("upload_expired"));
        assert_eq!(by_code.upload_status(), Some(Expired));
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
        ] {
            assert_eq!(status(400, message), None, "{message}");
        }
        for other in [401, 403, 413, 429, 500, 503] {
            assert_eq!(status(other, "the upload is expired"), None, "{other}");
        }
    }
}
