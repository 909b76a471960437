//! The lines that people are told of an upload while it runs.

use std::{
    mem::{Discriminant, discriminant},
    time::Duration,
};

use partwise_models::File;
use partwise_protocol::upload::{Phase, Progress, Proof, Warning};

use crate::{
    duration::Human,
    notices::{LONG, Notices},
    screen::say,
};

/// With fewer parts in flight the rate may be theirs, and not the line's.
const FEW: u16 = 8;

/// Says how a file is known to be the one that was uploaded, when no answer said so.
pub(super) fn say_proof(file: &File, proof: Proof) {
    let id = &file.id;
    match proof {
        Proof::Content => say(&format!(
            "the answer was lost; {id} in the service's list has the same content, so it is the file"
        )),
        Proof::UploadTime => say(&format!(
            "the answer was lost; {id} in the service's list has the name, the size and the time of this upload, so it is the file"
        )),
        Proof::DerivedId => say(&format!(
            "the answer was lost; the identifier of {id} in the service's list is derived from this upload's, so it is the file"
        )),
        _ => {}
    }
}

/// The events of an upload, each told once, in lines that stay.
pub(super) struct Events<'n> {
    notices: &'n Notices,
    /// The parts in flight that were asked for, if they were.
    parallel: Option<u16>,
    /// The upload that is resumed or was begun.
    upload: Option<String>,
    phase: Phase,
    is_in_parts: bool,
    settling: Duration,
    /// The number of the last failed attempt that was seen.
    retries: u64,
    warned: Warned,
}

impl<'n> Events<'n> {
    /// `began` is how the upload was before: with the one that an earlier run began, if there is one.
    pub(super) fn new(began: Progress, parallel: Option<u16>, notices: &'n Notices) -> Self {
        let Progress { upload_id: upload, phase, is_in_parts, .. } = began;
        let settling = Duration::ZERO;
        Self {
            notices,
            parallel,
            upload,
            phase,
            is_in_parts,
            settling,
            retries: 0,
            warned: Warned::default(),
        }
    }

    /// Tells what is new.
    pub(super) fn tell(&mut self, now: &Progress) {
        let retry = now.latest_retry.filter(|retry| retry.number > self.retries);
        if let Some(retry) = retry {
            self.retries = retry.number;
            self.notices.retry(&retry);
        } else if now.phase == Phase::Settling && self.phase != Phase::Settling {
            say("the service does not say which file it made: looking for it in its list");
        }
        self.phase = now.phase;
        if self.is_in_parts != now.is_in_parts {
            self.is_in_parts = now.is_in_parts;
            say(match now.is_in_parts {
                true => "the request was interrupted twice: the file goes in parts",
                false => "the service opens no upload for this file: it goes as one request again",
            });
        }
        let pause = now.statistics.settling.saturating_sub(self.settling);
        self.settling = now.statistics.settling;
        if pause > LONG {
            let seconds = pause.as_secs_f64().round();
            say(&format!("the service's list does not show the file: looking again in {seconds} s"));
        }
        if self.upload.is_some() && now.upload_id.is_some() && self.upload != now.upload_id {
            say("that upload has expired or was cancelled on the service: starting over");
        }
        if now.upload_id.is_some() {
            self.upload.clone_from(&now.upload_id);
        }
        if let Some(warning) = now.warning.filter(|warning| self.warned.is_news(&self.upload, *warning)) {
            in_words(warning, self.parallel).iter().for_each(|line| say(line));
        }
    }
}

/// The kinds of warnings that were told of one upload.
#[derive(Debug, Default)]
struct Warned {
    upload: Option<String>,
    kinds: Vec<Discriminant<Warning>>,
}

impl Warned {
    /// Says whether no warning of this kind was told of this upload, and takes it as told.
    fn is_news(&mut self, upload: &Option<String>, warning: Warning) -> bool {
        if self.upload != *upload {
            *self = Self { upload: upload.clone(), kinds: Vec::new() };
        }
        let kind = discriminant(&warning);
        let is_news = !self.kinds.contains(&kind);
        if is_news {
            self.kinds.push(kind);
        }
        is_news
    }
}

/// The lines of a warning, with a hint if people can do something about it.
fn in_words(warning: Warning, parallel: Option<u16>) -> Vec<String> {
    match warning {
        Warning::TooSlow { needed, left } => {
            let (needed, left) = (Human(needed), Human(left));
            let help = match parallel.filter(|number| *number < FEW) {
                Some(number) => format!(
                    "a faster connection, fewer other transfers over it, or a run without --parallel {number}"
                ),
                None => "a faster connection, or fewer other transfers over it,".to_owned(),
            };
            vec![
                format!(
                    "warning: at this rate the rest takes {needed}, but the upload expires in {left}, and what is stored is lost then"
                ),
                format!("hint: {help} would help"),
            ]
        }
        Warning::PastExpiry => {
            vec![
                "warning: by this machine's clock the upload has expired; the service decides whether it has"
                    .into(),
            ]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_warning_is_told_once_of_each_upload() {
        let slow = |seconds| Warning::TooSlow { needed: Duration::from_secs(seconds), left: Duration::ZERO };
        let (first, second) = (Some("upload_1".to_owned()), Some("upload_2".to_owned()));
        let mut warned = Warned::default();
        let told = [
            (&first, slow(90)),
            (&first, slow(80)),
            (&first, Warning::PastExpiry),
            (&first, slow(70)),
            (&second, slow(70)),
            (&second, slow(60)),
        ];
        let told = told.map(|(upload, warning)| warned.is_news(upload, warning));
        assert_eq!(told, [true, false, true, false, true, false]);
    }

    #[test]
    fn an_upload_that_is_too_slow_is_warned_of_with_what_would_help() {
        let slow = Warning::TooSlow { needed: Duration::from_secs(4830), left: Duration::from_secs(3125) };
        let lines = [None, Some(8), Some(2)].map(|parallel| in_words(slow, parallel).join("\n"));
        insta::assert_snapshot!(lines.join("\n"), @"
        warning: at this rate the rest takes 1 h 20 min, but the upload expires in 52 min, and what is stored is lost then
        hint: a faster connection, or fewer other transfers over it, would help
        warning: at this rate the rest takes 1 h 20 min, but the upload expires in 52 min, and what is stored is lost then
        hint: a faster connection, or fewer other transfers over it, would help
        warning: at this rate the rest takes 1 h 20 min, but the upload expires in 52 min, and what is stored is lost then
        hint: a faster connection, fewer other transfers over it, or a run without --parallel 2 would help
        ");
    }
}
