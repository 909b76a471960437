//! The features that a file must have to be the one that an ambiguous request made.

use std::ops::RangeInclusive;

use partwise_models::{File, Purpose, UnixSeconds};

/// The features of the file that is looked for.
#[derive(Clone, Debug)]
pub(in crate::upload) struct Wanted {
    pub(in crate::upload) filename: String,
    pub(in crate::upload) bytes: u64,
    pub(in crate::upload) purpose: Purpose,
    /// When it must have been created, on the service's clock; `None` when that clock is not known, so that a file
    /// of an earlier day cannot be told from it.
    pub(in crate::upload) created: Option<RangeInclusive<UnixSeconds>>,
    /// The upload that the file was made of; `None` for a single request.
    pub(in crate::upload) upload: Option<Origin>,
}

/// The upload that a file was made of.
#[derive(Clone, Debug)]
pub(in crate::upload) struct Origin {
    pub(in crate::upload) id: String,
    pub(in crate::upload) created_at: UnixSeconds,
}

/// An identifier shorter than this may end like another by chance.
const LONG_ENOUGH: usize = 16;

impl Wanted {
    /// Whether this can be the file. A feature that the service does not show excludes nothing.
    pub(super) fn fits(&self, file: &File) -> bool {
        let is_in_time = |at: &UnixSeconds| self.created.as_ref().is_none_or(|window| window.contains(at));
        file.filename.as_ref().is_none_or(|filename| *filename == self.filename)
            && file.bytes.is_none_or(|bytes| bytes == self.bytes)
            && file.purpose.as_ref().is_none_or(|purpose| *purpose == self.purpose)
            && file.created_at.as_ref().is_none_or(is_in_time)
    }

    /// Whether files created no later than this one can still be the file.
    pub(super) fn may_be_older_than(&self, file: &File) -> bool {
        let Some(window) = &self.created else { return true };
        file.created_at.is_none_or(|created| created >= *window.start())
    }

    /// Whether the file has the time of the upload that it was made of, as the services give it, and every other feature.
    pub(super) fn has_upload_time(&self, file: &File) -> bool {
        shows_all_features(file)
            && self.upload.as_ref().is_some_and(|upload| file.created_at == Some(upload.created_at))
    }

    /// Whether the service derived the file's identifier from that of the upload: both end with the same characters.
    pub(super) fn has_derived_id(&self, file: &File) -> bool {
        let own = |id: &str| id.rsplit(['-', '_']).next().unwrap_or_default().to_owned();
        self.upload.as_ref().is_some_and(|upload| {
            let stem = own(&upload.id);
            stem.len() >= LONG_ENOUGH && stem == own(&file.id)
        })
    }
}

/// Whether nothing by which the file is looked for is missing.
pub(super) fn shows_all_features(file: &File) -> bool {
    file.filename.is_some() && file.bytes.is_some() && file.purpose.is_some() && file.created_at.is_some()
}
