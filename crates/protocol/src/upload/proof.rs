//! Whether the source is still what was sent.

use super::{
    Proof, SourceError, SourceStamp, UploadError, UploadMachine,
    reconcile::Comparison,
    state::{Hash, Stage},
};

/// A source that changes as often as this while it is read again is not read once more.
const MOST_READS: u8 = 3;

/// A source that is read again, since its stamp leaves open whether its content is what was sent.
#[derive(Debug)]
pub(super) struct Reread {
    stamp: SourceStamp,
    reads: u8,
    /// A `complete` without the MD5 of that content may have been executed before.
    is_late: bool,
}

impl UploadMachine {
    pub(super) fn stamped(&mut self, stamp: Result<SourceStamp, SourceError>) {
        match &self.stage {
            Stage::Check { asked: true } => self.checked(stamp),
            Stage::Recheck { asked: true, .. } => self.stamped_again(stamp),
            Stage::Verify { asked: true, .. } => self.verified(stamp),
            _ => {}
        }
    }

    /// All parts are there. A source of which nobody can tell whether it changed is read once more: its MD5 goes with
    /// `complete`, and the service refuses it when the parts have other content.
    fn checked(&mut self, stamp: Result<SourceStamp, SourceError>) {
        let stamp = match stamp {
            Ok(stamp) => stamp,
            Err(error) => return self.end_gracefully(UploadError::Source(error)),
        };
        if let Some(difference) = self.source.difference(&stamp) {
            return self.finish(Err(UploadError::SourceChanged { difference, file: None }));
        }
        let is_settled = match &self.reread {
            Some(reread) => !reread.stamp.leaves_open(&stamp),
            None => !self.source.leaves_open(&stamp),
        };
        if is_settled {
            self.stage = Stage::Announce { change: None };
            return;
        }
        let reads = self.reread.as_ref().map_or(0, |reread| reread.reads) + 1;
        if reads > MOST_READS {
            let cause = SourceError::new("it changed again and again while it was read");
            return self.end_gracefully(UploadError::unproven(UploadError::Source(cause)));
        }
        self.reread = Some(Reread { stamp, reads, is_late: self.ambiguous });
        self.hash = Hash::Wanted;
        self.stage = Stage::Check { asked: false };
    }

    /// Whether the MD5 that goes with `complete` is what proves that the source is what was sent.
    pub(super) fn is_proven_by_md5(&self) -> bool {
        self.reread.is_some()
    }

    /// Whether a file made of parts has to be compared with a source that may have changed: the service is not known to
    /// compare the MD5, or may have made the file before it had one.
    pub(super) fn has_to_be_proven(&self, proof: Proof) -> bool {
        let is_by_md5 = |reread: &Reread| self.api.is_known_to_compare_md5() && !reread.is_late;
        proof != Proof::Content && self.reread.as_ref().is_some_and(|reread| !is_by_md5(reread))
    }

    /// The list does not have the file of a single request.
    fn stamped_again(&mut self, stamp: Result<SourceStamp, SourceError>) {
        let Stage::Recheck { again_at, told_apart, .. } = &mut self.stage else { return };
        let (again_at, told_apart) = (*again_at, std::mem::take(told_apart));
        let difference = match stamp {
            // Where no file was told from it by its content, its content is compared once it was sent.
            Ok(stamp) if self.source.leaves_open(&stamp) && told_apart.is_empty() => None,
            Ok(stamp) if self.source.leaves_open(&stamp) => Some("it may have been modified".to_owned()),
            Ok(stamp) => self.source.difference(&stamp),
            Err(error) => return self.end_gracefully(UploadError::Source(error)),
        };
        match difference {
            Some(difference) => self.compared_in_vain(difference, told_apart),
            None => self.rechecked(again_at),
        }
    }

    /// The single request made a file.
    fn verified(&mut self, stamp: Result<SourceStamp, SourceError>) {
        let Stage::Verify { file, .. } = &self.stage else { return };
        let file = file.clone();
        match stamp {
            Ok(stamp) if self.source.leaves_open(&stamp) => {
                self.stage = Stage::Prove { file, until: None };
                if self.is_given_up {
                    self.proven(&Comparison::Unknown);
                }
            }
            Ok(stamp) => match self.source.difference(&stamp) {
                None => self.finish(Ok(*file)),
                Some(difference) => {
                    self.finish(Err(UploadError::SourceChanged { difference, file: Some(file) }));
                }
            },
            Err(error) => {
                self.stage = Stage::Prove { file, until: None };
                self.unproven(Some(UploadError::Source(error)));
            }
        }
    }

    /// Whether a comparison may be with the digest of what was sent: nothing of it says that the service is there.
    pub(super) fn compares_with_digest(&self) -> bool {
        matches!(self.stage, Stage::Prove { .. }) && self.committed.is_some()
    }

    /// The file was compared with the source as it is now.
    pub(super) fn proven(&mut self, result: &Comparison) {
        let Stage::Prove { file, .. } = &self.stage else { return };
        let file = file.clone();
        match result {
            Comparison::Equal => self.finish(Ok(*file)),
            Comparison::Different => {
                let difference = "its content is not what was sent".to_owned();
                self.finish(Err(UploadError::SourceChanged { difference, file: Some(file) }));
            }
            Comparison::NotServed | Comparison::Unknown => self.unproven(None),
        }
    }

    /// The file that was made cannot be compared with the source.
    pub(super) fn unproven(&mut self, cause: Option<UploadError>) {
        let Stage::Prove { file, .. } = &self.stage else { return };
        let (file, cause) = (Some(file.clone()), cause.map(Box::new));
        self.ambiguous = true;
        self.finish(Err(UploadError::Unproven { file, cause }));
    }
}
