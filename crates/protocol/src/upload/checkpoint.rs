//! What must survive a crash.

mod before;

use partwise_models::{ExpiresAfter, Purpose, UnixSeconds};
use serde::{Deserialize, Serialize};

use super::{
    SourceStamp,
    clock::ClockOffset,
    stored::{Stored, StoredPart},
};
use crate::{Api, Dialect, operations::Account};
use before::Read;

/// The version that this release writes. Versions 1 and 2 knew parts by their positions in a cut that was made beforehand.
const VERSION: u16 = 3;
const OLDEST_VERSION: u16 = 1;

/// What is known of a transfer at one moment, enough to go on after a crash. Holds no secret.
///
/// It is JSON through serde, and its form is part of this crate's contract:
///
/// ```json
/// {
///   "version": 3,
///   "place": "https://api.openai.com/v1",
///   "dialect": {"provider": "openai"},
///   "source": {"length": 300, "modified": "1700000000.000000000", "identity": "1234"},
///   "filename": "train.jsonl", "mime_type": "application/jsonl", "purpose": "fine-tune", "md5": false,
///   "route": {"parts": {
///     "upload_id": "upload_abc123", "created_at": 1719184911, "expires_at": 1719188511, "clock_offset": 0,
///     "acknowledged": [{"start": 0, "length": 100, "id": "part_def456"}], "completing": false
///   }}
/// }
/// ```
///
/// `dialect` may also be `{"provider": "azure", "api_version": "2024-10-21"}` or
/// `{"provider": "azure-v1", "api_version": null}`, and `route` `{"single": {"posted_at": 1719184911}}`: the request
/// that makes the file was about to be sent then, on our clock. `acknowledged` has the parts that the service has, in any
/// order; what lies in none of them is still to be sent. Where the service said for which [account](Account) it opened the
/// upload, `clock_offset` is followed by `"account": {"organization": "org-abc", "project": "proj_abc"}`.
///
/// [Lines](Self::line_since) like `{"start": 100, "length": 50, "id": "part_ghi789"}` may follow: parts that were
/// acknowledged after the JSON had been written, one a line.
///
/// Versions 1 and 2 are read too. They have `"part_size": 100, "tail": [{"size": 50, "count": 2}],
/// "part_ids": ["part_def456", null, null, null]` in place of `acknowledged`: one entry a part, in order, all of
/// `part_size` bytes but the last ones, which `tail` describes; version 1 has no `tail`. Their lines are like
/// `{"part_ids": {"1": "part_ghi789"}}`, by position from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Read")]
pub struct Checkpoint {
    version: u16,
    place: String,
    #[serde(with = "dialect")]
    dialect: Dialect,
    pub(super) source: SourceStamp,
    pub(super) filename: String,
    pub(super) mime_type: String,
    pub(super) purpose: Purpose,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_after: Option<ExpiresAfter>,
    pub(super) md5: bool,
    pub(super) route: SavedRoute,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SavedRoute {
    Parts {
        upload_id: String,
        created_at: UnixSeconds,
        expires_at: Option<UnixSeconds>,
        clock_offset: ClockOffset,
        #[serde(skip_serializing_if = "Account::is_unknown")]
        account: Account,
        acknowledged: Stored,
        completing: bool,
    },
    Single {
        posted_at: UnixSeconds,
    },
}

/// A checkpoint that cannot be gone on from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// Another release wrote it.
    #[error(
        "the checkpoint has version {version}, and this release reads versions {OLDEST_VERSION} to {VERSION}; start over or use the release that wrote it"
    )]
    Version {
        /// The version that it has.
        version: u16,
    },
    /// It is no checkpoint, or half of one.
    #[error("the checkpoint cannot be read; start over: {problem}")]
    Unreadable {
        /// What is wrong with it.
        problem: String,
    },
    /// It belongs to another service.
    #[error(
        "the checkpoint belongs to {saved}, and this upload goes to {asked}; use the same endpoint and version, or start over"
    )]
    Place {
        /// Where the checkpoint's upload is, in words.
        saved: String,
        /// Where this one goes, in words.
        asked: String,
    },
    /// The source is not the one that the checkpoint was made of, or it cannot be told whether it is.
    #[error("the checkpoint does not match the source: {difference}; start over")]
    SourceChanged {
        /// What differs, or keeps them from being compared, in words.
        difference: String,
    },
    /// Its parts do not fit the file's length: it was edited or damaged.
    #[error("the checkpoint is damaged: its parts do not fit the file; start over")]
    Damaged,
}

impl Checkpoint {
    /// Reads a checkpoint from its JSON, and from what [`line_since`](Self::line_since) appended to it. A line that is
    /// broken, by a crash while it was written, ends what is read; the parts that it and what follows it name are sent again.
    ///
    /// # Errors
    /// [`ResumeError::Version`] when another release wrote it, whatever else stands in it;
    /// [`ResumeError::Unreadable`] when it is none.
    pub fn from_json(json: &[u8]) -> Result<Self, ResumeError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u16,
        }
        let unreadable = |error: serde_json::Error| ResumeError::Unreadable { problem: error.to_string() };
        let begin = || serde_json::Deserializer::from_slice(json);
        match Versioned::deserialize(&mut begin()).map_err(unreadable)? {
            Versioned { version: OLDEST_VERSION..=VERSION } => {}
            Versioned { version } => return Err(ResumeError::Version { version }),
        }
        let mut json = begin();
        let mut read = Read::deserialize(&mut json).map_err(unreadable)?;
        for line in json.into_iter().map_while(Result::ok) {
            read.take(line)?;
        }
        Self::try_from(read)
    }

    /// What makes the JSON of `earlier` one of this checkpoint when it is appended: a line for each part that was
    /// acknowledged since, each with its break at the front. `None` when more is different than that, and the whole has to be
    /// written.
    ///
    /// So keeping checkpoints costs as much as is new in each, however many parts there are.
    #[must_use]
    pub fn line_since(&self, earlier: &Self) -> Option<String> {
        let (now, before) = (self.stored()?, earlier.stored()?);
        let new = now.since(before)?;
        if self.without_parts() != earlier.without_parts() {
            return None;
        }
        let lines = new.iter().map(|part: &StoredPart<'_>| serde_json::to_string(part));
        lines.map(|line| line.ok().map(|line| format!("\n{line}"))).collect()
    }

    /// The checkpoint as JSON on one line, for [`from_json`](Self::from_json).
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are always JSON")
    }

    fn stored(&self) -> Option<&Stored> {
        match &self.route {
            SavedRoute::Parts { acknowledged, .. } => Some(acknowledged),
            SavedRoute::Single { .. } => None,
        }
    }

    fn without_parts(&self) -> Self {
        let mut rest = self.clone();
        if let SavedRoute::Parts { acknowledged, .. } = &mut rest.route {
            *acknowledged = Stored::default();
        }
        rest
    }

    pub(super) fn new(api: &Api, plan: &super::Plan, source: &SourceStamp, route: SavedRoute) -> Self {
        Self {
            version: VERSION,
            place: api.identity().to_owned(),
            dialect: api.dialect().clone(),
            source: source.clone(),
            filename: plan.filename.clone(),
            mime_type: plan.mime_type.clone(),
            purpose: plan.purpose.clone(),
            expires_after: plan.expires_after.clone(),
            md5: plan.md5,
            route,
        }
    }

    /// The upload that the checkpoint belongs to, when the file goes in parts.
    #[must_use]
    pub fn upload_id(&self) -> Option<&str> {
        match &self.route {
            SavedRoute::Parts { upload_id, .. } => Some(upload_id),
            SavedRoute::Single { .. } => None,
        }
    }

    /// The account that the service opened the upload for, as far as it said.
    #[must_use]
    pub fn account(&self) -> &Account {
        const UNKNOWN: &Account = &Account { organization: None, project: None };
        match &self.route {
            SavedRoute::Parts { account, .. } => account,
            SavedRoute::Single { .. } => UNKNOWN,
        }
    }

    /// Where the upload is: the service's base URL, or what [`Api::with_identity`] calls it.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Where the upload is and which dialect is spoken there, in words.
    #[must_use]
    pub fn service(&self) -> String {
        format!("{} ({})", self.place, self.dialect)
    }

    /// The file's name on the service.
    #[must_use]
    pub fn filename(&self) -> &str {
        &self.filename
    }

    /// The stamp of the source when the upload began.
    #[must_use]
    pub fn source(&self) -> &SourceStamp {
        &self.source
    }

    /// Whether the request that makes the file was about to be sent: the service may have a file of it.
    #[must_use]
    pub fn may_have_made_a_file(&self) -> bool {
        match &self.route {
            SavedRoute::Parts { completing, .. } => *completing,
            SavedRoute::Single { .. } => true,
        }
    }

    /// Whether it belongs to this service and dialect.
    #[must_use]
    pub fn is_of(&self, api: &Api) -> bool {
        self.place == api.identity() && self.dialect == *api.dialect()
    }

    /// Whether the file goes in parts; else it goes in one request.
    #[must_use]
    pub fn is_in_parts(&self) -> bool {
        matches!(self.route, SavedRoute::Parts { .. })
    }

    /// How many bytes of how many the service had acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> (u64, u64) {
        (self.stored().map_or(0, Stored::bytes), self.source.length)
    }

    /// When the upload expires on the service's clock, if it does.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixSeconds> {
        match &self.route {
            SavedRoute::Parts { expires_at, .. } => *expires_at,
            SavedRoute::Single { .. } => None,
        }
    }

    pub(super) fn check(&self, api: &Api, source: &SourceStamp) -> Result<(), ResumeError> {
        if !self.is_of(api) {
            let asked = format!("{} ({})", api.identity(), api.dialect());
            return Err(ResumeError::Place { saved: self.service(), asked });
        }
        if let Some(difference) = self.source.difference(source) {
            return Err(ResumeError::SourceChanged { difference });
        }
        match self.stored() {
            Some(stored) if stored.end() > source.length => Err(ResumeError::Damaged),
            _ => Ok(()),
        }
    }
}

mod dialect {
    //! The dialect as a checkpoint writes it.

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::Dialect;

    #[derive(Serialize, Deserialize)]
    #[serde(tag = "provider", rename_all = "kebab-case")]
    enum Saved {
        #[serde(rename = "openai")]
        OpenAi,
        Azure {
            api_version: String,
        },
        AzureV1 {
            api_version: Option<String>,
        },
    }

    pub(super) fn serialize<S: Serializer>(dialect: &Dialect, serializer: S) -> Result<S::Ok, S::Error> {
        match dialect.clone() {
            Dialect::OpenAi => Saved::OpenAi,
            Dialect::AzureDated { api_version } => Saved::Azure { api_version },
            Dialect::AzureV1 { api_version } => Saved::AzureV1 { api_version },
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Dialect, D::Error> {
        Ok(match Saved::deserialize(deserializer)? {
            Saved::OpenAi => Dialect::OpenAi,
            Saved::Azure { api_version } => Dialect::AzureDated { api_version },
            Saved::AzureV1 { api_version } => Dialect::AzureV1 { api_version },
        })
    }
}
