//! What went wrong, as one line that a person can act on.

use std::{error::Error, fmt::Write as _, process::ExitCode};

use partwise_protocol::operations::OperationId;

/// Tells that an earlier run can be left aside.
pub(crate) const START_OVER: &str = "--no-resume starts over";

/// Why the command did not do what it was asked to: one line that says what was wrong and where, and perhaps
/// one that says what to do.
#[derive(Debug)]
pub(crate) struct Report {
    status: Status,
    message: String,
    hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Something failed or was refused.
    Failed = 1,
    /// Asked to stop before the end: try again later (what sendmail calls a temporary failure).
    Stopped = 75,
    /// The arguments alone are wrong: no file, network or environment could make them right.
    Usage = 2,
}

impl Report {
    /// The arguments alone are wrong: exit status 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { status: Status::Usage, message: message.into(), hint: None }
    }

    /// Something failed or was refused: exit status 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { status: Status::Failed, message: message.into(), hint: None }
    }

    /// Somebody wanted it to stop before the end: exit status 75.
    pub(crate) fn stopped(message: impl Into<String>) -> Self {
        Self { status: Status::Stopped, message: message.into(), hint: None }
    }

    /// `what` failed because of `cause`, whose own causes follow on the same line.
    pub(crate) fn because(what: impl Into<String>, cause: &(dyn Error + 'static)) -> Self {
        Self::failed(format!("{}: {}", what.into(), chain(cause)))
    }

    /// `error` says it all, with its causes on the same line.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        Self::failed(chain(error))
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what else to do about it.
    #[must_use]
    pub(crate) fn also_hint(mut self, hint: String) -> Self {
        self.hint = Some(match self.hint {
            Some(first) if first.ends_with('?') => format!("{first} {}", capitalized(&hint)),
            Some(first) => format!("{first}; {hint}"),
            None => hint,
        });
        self
    }

    /// Adds what to do about it, when there is something.
    #[must_use]
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// Adds what else there is to say.
    #[must_use]
    pub(crate) fn also(mut self, message: &str) -> Self {
        let _ = write!(self.message, "; {message}");
        self
    }

    /// Adds the failure that came last, when there is one: of a request, in the words of its causes.
    #[must_use]
    pub(crate) fn maybe_cause(mut self, failure: Option<&(dyn Error + 'static)>) -> Self {
        if let Some(failure) = failure {
            // The outermost layer speaks of our request; its cause is what a person can act on.
            let cause = failure.source().map_or_else(|| failure.to_string(), chain);
            let _ = write!(self.message, "; the last attempt failed: {cause}");
        }
        self
    }

    /// Takes every secret out of what is shown.
    #[must_use]
    pub(crate) fn without(mut self, secrets: &[String]) -> Self {
        // What is shorter is no secret, and would be found in the midst of other words.
        let secrets: Vec<_> = secrets.iter().filter(|secret| secret.len() >= 8).map(String::as_str).collect();
        self.message = redact(&self.message, &secrets);
        self.hint = self.hint.map(|hint| redact(&hint, &secrets));
        self
    }

    /// The lines for standard error.
    pub(crate) fn lines(&self) -> String {
        let label = if self.status == Status::Stopped { "stopped" } else { "error" };
        let mut lines = format!("{label}: {}\n", one_line(&self.message));
        if let Some(hint) = &self.hint {
            let _ = writeln!(lines, "hint: {}", one_line(hint));
        }
        lines
    }

    /// What the process ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status as u8)
    }
}

/// The text with a capital at its beginning.
fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// An error and its causes on one line. A layer that repeats what is already said adds nothing.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            let _ = write!(line, ": {text}");
        }
        cause = error.source();
    }
    in_words(line)
}

/// A text whose requests are named in words where their path would be a template with `{upload_id}` or `{file_id}`.
pub(crate) fn in_words(mut text: String) -> String {
    for operation in OperationId::ALL {
        let words = match operation {
            OperationId::AddUploadPart => "sending a part",
            OperationId::CompleteUpload => "completing the upload",
            OperationId::CancelUpload => "cancelling the upload",
            OperationId::RetrieveFile => "retrieving the file",
            OperationId::DownloadFile => "downloading the file",
            OperationId::DeleteFile => "deleting the file",
            _ => continue,
        };
        let template = operation.to_string();
        if text.contains(&template) {
            text = text.replace(&template, words);
        }
    }
    text
}

/// Text from outside on one line: no line break, no control character that a terminal would obey, nothing that reverses the
/// order of what follows.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&visible(word));
    }
    line
}

/// Text from outside with its spaces, and with U+FFFD for each character that a terminal would obey or that reverses the order
/// of what follows.
pub(crate) fn visible(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Says whether a terminal would obey this character, or reverse the order of what follows it.
pub(crate) fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Puts `[redacted]` where a secret stands, whole or masked in its middle as some services echo it.
fn redact(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret, "[redacted]");
    }
    text.split_inclusive(char::is_whitespace)
        .map(|word| {
            let bare = word.trim_end();
            if bare.contains("***") { format!("[redacted]{}", &word[bare.len()..]) } else { word.to_owned() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn layers(texts: &[&'static str]) -> Layer {
        let (text, rest) = texts.split_first().expect("at least one layer");
        Layer { text, source: (!rest.is_empty()).then(|| Box::new(layers(rest))) }
    }

    #[test]
    fn causes_follow_on_the_same_line_and_no_layer_is_said_twice() {
        let error = layers(&[
            "cannot connect",
            "tcp connect error",
            "tcp connect error",
            "Connection refused\n(os error 111)",
        ]);
        let report = Report::because("cannot reach http://127.0.0.1:9", &error);
        assert_eq!(
            report.lines(),
            "error: cannot reach http://127.0.0.1:9: cannot connect: tcp connect error: Connection refused (os error 111)\n"
        );
    }

    #[test]
    fn text_from_outside_cannot_break_the_line_or_drive_the_terminal() {
        assert_eq!(one_line("a\r\nb\tc \u{1b}[31mred"), "a b c \u{fffd}[31mred");
        assert_eq!(one_line("gpj.\u{202e}lnosj"), "gpj.\u{fffd}lnosj");
        assert_eq!(visible("two  spaces\t\u{1b}[2J"), "two  spaces\u{fffd}\u{fffd}[2J");
    }

    #[test]
    fn a_secret_is_never_shown_whole_or_masked() {
        let report = Report::failed("Incorrect API key provided: sk-abcdef, also sk-ab***def. Try again")
            .hint("sk-abcdef is wrong")
            .without(&["sk-abcdef".into(), String::new()]);
        assert_eq!(
            report.lines(),
            "error: Incorrect API key provided: [redacted], also [redacted] Try again\nhint: [redacted] is wrong\n"
        );
    }

    #[test]
    fn the_exit_status_tells_wrong_arguments_from_all_else() {
        assert_eq!(format!("{:?}", Report::usage("x").exit_code()), format!("{:?}", ExitCode::from(2)));
        assert_eq!(format!("{:?}", Report::failed("x").exit_code()), format!("{:?}", ExitCode::from(1)));
    }
}
