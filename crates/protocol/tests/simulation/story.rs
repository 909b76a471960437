//! How a story goes: process after process until one ends for good, which is then held against what the service has.

use partwise_models::File;
use partwise_protocol::upload::UploadError;

use crate::rules::{Rule, hold};
use crate::world::{Event, World};

/// Every way in which a story can end; the seeds must show each of them.
pub(crate) const ENDS: [&str; 13] = [
    "a file",
    "refused",
    "failed",
    "away",
    "garbled",
    "source unreadable",
    "source changed",
    "not saved",
    "expired",
    "cancelled",
    "stopped",
    "unknown",
    "unproven",
];

impl World {
    /// Runs the story to its end and says how it ended.
    pub(crate) fn run(&mut self) -> &'static str {
        loop {
            let Some(mut process) = self.start() else { return self.close("source changed", true) };
            match self.live(&mut process) {
                None => {
                    self.tell("a crash");
                    self.process_number += 1;
                    self.time += self.dice.millis(30_000);
                }
                Some(Err(error)) if error.is_resumable() && self.reruns_left > 0 => {
                    self.tell(format_args!("again after {error:?}"));
                    self.reruns_left -= 1;
                    self.process_number += 1;
                    self.time += self.dice.millis(60_000);
                }
                Some(result) => return self.judge(result),
            }
        }
    }

    /// Holds the result against what the service has.
    fn judge(&mut self, result: Result<File, UploadError>) -> &'static str {
        self.tell(format_args!("the end: {result:?}"));
        match result {
            Ok(file) => {
                let stored = self.service.files.iter().find(|stored| stored.file.id == file.id);
                let is_ours = stored.is_some() && !self.is_foreign(&file.id);
                hold(Rule::NoGuess, is_ours, || format!("{} is not ours", file.id));
                let is_same = stored.is_some_and(|stored| self.source.versions.contains(&stored.content));
                hold(Rule::SameBytes, is_same, || "the file is none that the source ever was".into());
                self.close("a file", false)
            }
            Err(UploadError::Rejected { .. }) => self.close("refused", false),
            Err(UploadError::Failed { .. }) => self.close("failed", false),
            Err(UploadError::Away { .. }) => self.close("away", false),
            Err(UploadError::Garbled { .. }) => self.close("garbled", false),
            Err(UploadError::Source(_)) => self.close("source unreadable", false),
            Err(UploadError::SourceChanged { file, .. }) => self.close("source changed", file.is_none()),
            Err(UploadError::Save(_)) => self.close("not saved", false),
            Err(UploadError::Expired { .. }) => self.close("expired", true),
            Err(UploadError::Cancelled { file_possible, .. }) => self.close("cancelled", !file_possible),
            Err(UploadError::Stopped { .. }) => self.close("stopped", false),
            Err(UploadError::Unproven { .. }) => self.close("unproven", false),
            Err(UploadError::CompletionUnknown { .. }) => self.close("unknown", false),
            Err(other) => panic!("the story has no place for {other:?}"),
        }
    }

    /// Lets everything that is still on its way arrive, and counts.
    fn close(&mut self, end: &'static str, certainly_no_file: bool) -> &'static str {
        self.process_number += 1;
        while let Some(((time, _), event)) = self.events.pop_first() {
            self.time = self.time.max(time);
            if let Event::Arrive { process, id, request, left, .. } = event {
                self.arrive(process, id, request, false, left);
            }
        }
        let files = self.our_files();
        hold(Rule::OneFile, files <= 1, || format!("one upload made {files} files ({end})"));
        let is_denied = certainly_no_file && self.process_number == 1 && files > 0;
        hold(Rule::NoFileDenied, !is_denied, || format!("a file was made, and the result denies it ({end})"));
        end
    }
}
