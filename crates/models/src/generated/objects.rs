// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.

//! What kinds of objects there are.

use crate::lenient::Lenient;
use crate::open_enum::{Unrecognized, open_enum};

/// What kind of object a JSON object is, in its member `object`.
///
/// ```
/// use partwise_models::TypeDiscriminator;
///
/// assert_eq!(TypeDiscriminator::from("list"), TypeDiscriminator::List);
/// assert_eq!(TypeDiscriminator::List.as_str(), "list");
///
/// let unknown = TypeDiscriminator::from("from_the_future");
/// assert!(matches!(unknown, TypeDiscriminator::Other(_)));
/// assert_eq!(unknown.as_str(), "from_the_future");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TypeDiscriminator {
    /// `list`: A list of objects.
    List,
    /// `file`: A file.
    File,
    /// `upload`: An upload.
    ///
    /// Where: OpenAI, dated Azure from 2024-08-01, Azure v1.
    Upload,
    /// `upload.part`: One part of an upload.
    ///
    /// Where: OpenAI, dated Azure from 2024-08-01, Azure v1.
    UploadPart,
    /// `batch`: A batch of requests.
    ///
    /// Where: OpenAI, dated Azure from 2024-10-21, Azure v1.
    Batch,
    /// `fine_tuning.job`: A fine-tuning job.
    FineTuningJob,
    /// `fine_tuning.job.event`: Something that happened to a fine-tuning job.
    FineTuningJobEvent,
    /// `fine_tuning.job.checkpoint`: A model as it stood at one point of a fine-tuning job.
    FineTuningJobCheckpoint,
    /// `model`: A model.
    Model,
    /// A value that this release does not know, as it came.
    Other(Unrecognized),
}

impl TypeDiscriminator {
    /// All values that this release knows.
    pub const KNOWN: &'static [Self] = &[
        Self::List,
        Self::File,
        Self::Upload,
        Self::UploadPart,
        Self::Batch,
        Self::FineTuningJob,
        Self::FineTuningJobEvent,
        Self::FineTuningJobCheckpoint,
        Self::Model,
    ];

    /// The value as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::List => "list",
            Self::File => "file",
            Self::Upload => "upload",
            Self::UploadPart => "upload.part",
            Self::Batch => "batch",
            Self::FineTuningJob => "fine_tuning.job",
            Self::FineTuningJobEvent => "fine_tuning.job.event",
            Self::FineTuningJobCheckpoint => "fine_tuning.job.checkpoint",
            Self::Model => "model",
            Self::Other(value) => value.as_str(),
        }
    }

    fn known(text: &str) -> Option<Self> {
        Some(match text {
            "list" => Self::List,
            "file" => Self::File,
            "upload" => Self::Upload,
            "upload.part" => Self::UploadPart,
            "batch" => Self::Batch,
            "fine_tuning.job" => Self::FineTuningJob,
            "fine_tuning.job.event" => Self::FineTuningJobEvent,
            "fine_tuning.job.checkpoint" => Self::FineTuningJobCheckpoint,
            "model" => Self::Model,
            _ => return None,
        })
    }
}

open_enum!(TypeDiscriminator, "a string");

impl Lenient for TypeDiscriminator {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}
