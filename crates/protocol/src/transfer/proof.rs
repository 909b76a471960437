//! Whether the source is still what was sent.

use super::{
    SourceError, SourceStamp, Transfer, TransferError,
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
}

impl Transfer {
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
            Err(error) => return self.end_in_order(TransferError::Source(error)),
        };
        if let Some(difference) = self.source.difference(&stamp) {
            return self.finish(Err(TransferError::SourceChanged { difference, file: None }));
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
            let difference = "it changed again and again while it was read".to_owned();
            return self.finish(Err(TransferError::SourceChanged { difference, file: None }));
        }
        self.reread = Some(Reread { stamp, reads });
        self.hash = Hash::Wanted;
        self.stage = Stage::Check { asked: false };
    }

    /// Whether the MD5 that goes with `complete` is what proves that the source is what was sent.
    pub(super) fn is_proven_by_md5(&self) -> bool {
        self.reread.is_some()
    }

    /// The list does not have the file of a single request.
    fn stamped_again(&mut self, stamp: Result<SourceStamp, SourceError>) {
        let difference = match stamp {
            Ok(stamp) if self.source.leaves_open(&stamp) => Some("it may have been modified".to_owned()),
            Ok(stamp) => self.source.difference(&stamp),
            Err(error) => return self.end_in_order(TransferError::Source(error)),
        };
        let Stage::Recheck { again_at, told_apart, .. } = &mut self.stage else { return };
        let (again_at, told_apart) = (*again_at, std::mem::take(told_apart));
        match difference {
            // Nothing was told from the source by what it is now.
            Some(_) if told_apart.is_empty() => self.rechecked(again_at),
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
                    self.finish(Err(TransferError::SourceChanged { difference, file: Some(file) }));
                }
            },
            Err(error) => {
                let difference = format!("{error}, so it is not known whether it changed");
                self.finish(Err(TransferError::SourceChanged { difference, file: Some(file) }));
            }
        }
    }

    /// The file was compared with the source as it is now.
    pub(super) fn proven(&mut self, result: &Comparison) {
        let Stage::Prove { file, .. } = &self.stage else { return };
        let file = file.clone();
        match result {
            Comparison::Equal => self.finish(Ok(*file)),
            Comparison::Different => {
                let difference = "its content is not what was sent".to_owned();
                self.finish(Err(TransferError::SourceChanged { difference, file: Some(file) }));
            }
            Comparison::NotServed | Comparison::Unknown => {
                self.ambiguous = true;
                self.finish(Err(TransferError::Unproven { file }));
            }
        }
    }
}
