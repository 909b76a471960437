// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.

//! The purposes of files.

use crate::lenient::Lenient;
use crate::open_enum::{Unrecognized, open_enum};

/// What a file is for. The service checks content and name by it.
///
/// ```
/// use partwise_models::Purpose;
///
/// assert_eq!(Purpose::from("assistants"), Purpose::Assistants);
/// assert_eq!(Purpose::Assistants.as_str(), "assistants");
///
/// let unknown = Purpose::from("from_the_future");
/// assert!(matches!(unknown, Purpose::Other(_)));
/// assert_eq!(unknown.as_str(), "from_the_future");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// `assistants`: Input for assistants.
    ///
    /// Where, by use:
    /// - taken by `createFile`: OpenAI, dated Azure from 2024-10-21 (previews from 2024-02-15), Azure v1
    /// - taken by `importFile`: dated Azure from 2024-10-21
    /// - taken by `createUpload`: OpenAI, dated Azure from 2024-10-21 (previews from 2024-08-01), Azure v1
    /// - seen on files: OpenAI, dated Azure from 2024-10-21 (previews from 2024-02-15), Azure v1
    Assistants,
    /// `assistants_output`: Written by assistants.
    ///
    /// Where, by use:
    /// - taken by `createFile`: dated Azure from 2024-10-21
    /// - taken by `importFile`: dated Azure from 2024-10-21
    /// - taken by `createUpload`: dated Azure from 2024-10-21
    /// - seen on files: OpenAI, dated Azure from 2024-10-21, Azure v1
    AssistantsOutput,
    /// `batch`: Requests for a batch, one a line.
    ///
    /// Where, by use:
    /// - taken by `createFile`: OpenAI, dated Azure from 2024-10-21 (previews from 2024-07-01), Azure v1
    /// - taken by `importFile`: dated Azure from 2024-10-21
    /// - taken by `createUpload`: OpenAI, dated Azure from 2024-10-21 (previews from 2024-08-01), Azure v1
    /// - seen on files: OpenAI, dated Azure from 2024-10-21 (previews from 2024-07-01), Azure v1
    Batch,
    /// `batch_output`: Written by a batch.
    ///
    /// Where, by use:
    /// - taken by `importFile`: dated Azure from 2024-10-21
    /// - taken by `createUpload`: dated Azure from 2024-10-21
    /// - seen on files: OpenAI, dated Azure from 2024-10-21, Azure v1
    BatchOutput,
    /// `evals`: Input for evaluations.
    ///
    /// Where, by use:
    /// - taken by `createFile`: OpenAI, dated Azure from 2025-04-01, Azure v1
    /// - taken by `importFile`: dated Azure from 2025-04-01
    /// - taken by `createUpload`: dated Azure from 2025-04-01
    /// - seen on files: OpenAI, dated Azure from 2025-04-01, Azure v1
    Evals,
    /// `evals_output`: Written by an evaluation.
    ///
    /// Where, by use:
    /// - seen on files: dated Azure from 2025-04-01
    EvalsOutput,
    /// `fine-tune`: Training or validation data for a fine-tuning job.
    ///
    /// Where, by use:
    /// - taken by `createFile`: OpenAI, dated Azure, Azure v1
    /// - taken by `importFile`: dated Azure
    /// - taken by `createUpload`: OpenAI, dated Azure from 2024-08-01, Azure v1
    /// - seen on files: OpenAI, dated Azure, Azure v1
    FineTune,
    /// `fine-tune-results`: Written by a fine-tuning job.
    ///
    /// Where, by use:
    /// - taken by `createFile`: dated Azure
    /// - taken by `importFile`: dated Azure
    /// - taken by `createUpload`: dated Azure from 2024-08-01
    /// - seen on files: OpenAI, dated Azure, Azure v1
    FineTuneResults,
    /// `user_data`: Anything that a model is given to read.
    ///
    /// Where, by use:
    /// - taken by `createFile`: OpenAI, Azure v1
    /// - seen on files: OpenAI, Azure v1
    UserData,
    /// `vision`: Images that a model is given to look at.
    ///
    /// Where, by use:
    /// - taken by `createFile`: OpenAI, Azure v1
    /// - taken by `createUpload`: OpenAI, Azure v1
    /// - seen on files: OpenAI, Azure v1
    Vision,
    /// A value that this release does not know, as it came.
    Other(Unrecognized),
}

impl Purpose {
    /// All values that this release knows.
    pub const KNOWN: &'static [Self] = &[
        Self::Assistants,
        Self::AssistantsOutput,
        Self::Batch,
        Self::BatchOutput,
        Self::Evals,
        Self::EvalsOutput,
        Self::FineTune,
        Self::FineTuneResults,
        Self::UserData,
        Self::Vision,
    ];

    /// The value as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Assistants => "assistants",
            Self::AssistantsOutput => "assistants_output",
            Self::Batch => "batch",
            Self::BatchOutput => "batch_output",
            Self::Evals => "evals",
            Self::EvalsOutput => "evals_output",
            Self::FineTune => "fine-tune",
            Self::FineTuneResults => "fine-tune-results",
            Self::UserData => "user_data",
            Self::Vision => "vision",
            Self::Other(value) => value.as_str(),
        }
    }

    fn known(text: &str) -> Option<Self> {
        Some(match text {
            "assistants" => Self::Assistants,
            "assistants_output" => Self::AssistantsOutput,
            "batch" => Self::Batch,
            "batch_output" => Self::BatchOutput,
            "evals" => Self::Evals,
            "evals_output" => Self::EvalsOutput,
            "fine-tune" => Self::FineTune,
            "fine-tune-results" => Self::FineTuneResults,
            "user_data" => Self::UserData,
            "vision" => Self::Vision,
            _ => return None,
        })
    }
}

open_enum!(Purpose, "a string");

impl Lenient for Purpose {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}
