//! Checkpoints of every version, as they are read.

use std::collections::BTreeMap;

use partwise_models::{ExpiresAfter, Purpose, UnixSeconds};
use serde::Deserialize;

use super::{Checkpoint, OLDEST_VERSION, ResumeError, SavedRoute, VERSION, dialect};
use crate::{
    Dialect,
    operations::Account,
    upload::{
        SourceStamp,
        clock::ClockOffset,
        stored::{Gathered, Stored},
    },
};

/// A checkpoint of any version.
#[derive(Deserialize)]
pub(super) struct Read {
    version: u16,
    place: String,
    #[serde(with = "dialect")]
    dialect: Dialect,
    source: SourceStamp,
    filename: String,
    mime_type: String,
    purpose: Purpose,
    #[serde(default)]
    expires_after: Option<ExpiresAfter>,
    md5: bool,
    route: ReadRoute,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReadRoute {
    Parts {
        upload_id: String,
        created_at: UnixSeconds,
        expires_at: Option<UnixSeconds>,
        clock_offset: ClockOffset,
        #[serde(default)]
        account: Account,
        /// Since version 3.
        #[serde(default)]
        acknowledged: Option<Stored>,
        /// Before: all parts, those of this size and then those of the tail.
        #[serde(default)]
        part_size: u64,
        #[serde(default)]
        tail: Vec<TailRun>,
        #[serde(default)]
        part_ids: Vec<Option<String>>,
        completing: bool,
    },
    Single {
        posted_at: UnixSeconds,
    },
}

/// Parts of one size, side by side, behind those of `part_size`.
#[derive(Clone, Deserialize)]
struct TailRun {
    size: u64,
    count: u64,
}

/// Parts that were acknowledged since the checkpoint before was written: one of version 3, or some by their positions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalLine {
    start: Option<u64>,
    length: Option<u64>,
    id: Option<String>,
    part_ids: Option<BTreeMap<usize, String>>,
}

impl Read {
    /// Takes what a line says.
    pub(super) fn take(&mut self, line: JournalLine) -> Result<(), ResumeError> {
        let ReadRoute::Parts { acknowledged, part_ids, .. } = &mut self.route else {
            return Err(ResumeError::Damaged);
        };
        match (acknowledged, line) {
            (
                Some(acknowledged),
                JournalLine { start: Some(start), length: Some(length), id: Some(id), part_ids: None },
            ) => acknowledged.insert(start, length, &id).then_some(()).ok_or(ResumeError::Damaged),
            (None, JournalLine { start: None, length: None, id: None, part_ids: Some(new) }) => {
                for (index, id) in new {
                    *part_ids.get_mut(index).ok_or(ResumeError::Damaged)? = Some(id);
                }
                Ok(())
            }
            _ => Err(ResumeError::Damaged),
        }
    }
}

/// The acknowledged parts of a file of this length, by their positions; `None` when these are not the parts of such a file.
fn placed(length: u64, part_size: u64, tail: Vec<TailRun>, part_ids: Vec<Option<String>>) -> Option<Stored> {
    let count = u64::try_from(part_ids.len()).ok()?;
    let in_tail = tail.iter().try_fold(0_u64, |sum, run| sum.checked_add(run.count))?;
    let runs = [vec![TailRun { size: part_size, count: count.checked_sub(in_tail)? }], tail].concat();
    if runs.iter().any(|run| run.size == 0 || run.count == 0) {
        return None;
    }
    let sizes = runs.iter().flat_map(|run| (0..run.count).map(|_| run.size));
    let mut gathered = Gathered::default();
    let mut start = 0_u64;
    for (size, id) in sizes.zip(part_ids) {
        // The last part ends with the file.
        let end = start.saturating_add(size).min(length);
        if start >= length || id.is_some_and(|id| !gathered.push(start, end - start, &id)) {
            return None;
        }
        start = end;
    }
    if start == length { gathered.all() } else { None }
}

impl TryFrom<Read> for Checkpoint {
    type Error = ResumeError;

    fn try_from(read: Read) -> Result<Self, ResumeError> {
        if !(OLDEST_VERSION..=VERSION).contains(&read.version) {
            return Err(ResumeError::Version { version: read.version });
        }
        let route = match read.route {
            ReadRoute::Parts {
                upload_id,
                created_at,
                expires_at,
                clock_offset,
                account,
                acknowledged,
                part_size,
                tail,
                part_ids,
                completing,
            } => {
                let placed = || placed(read.source.length, part_size, tail, part_ids);
                let acknowledged = acknowledged.or_else(placed).ok_or(ResumeError::Damaged)?;
                SavedRoute::Parts {
                    upload_id,
                    created_at,
                    expires_at,
                    clock_offset,
                    account,
                    acknowledged,
                    completing,
                }
            }
            ReadRoute::Single { posted_at } => SavedRoute::Single { posted_at },
        };
        Ok(Self {
            version: VERSION,
            place: read.place,
            dialect: read.dialect,
            source: read.source,
            filename: read.filename,
            mime_type: read.mime_type,
            purpose: read.purpose,
            expires_after: read.expires_after,
            md5: read.md5,
            route,
        })
    }
}
