// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.

//! Which purposes the documents let an operation take.

use partwise_models::Purpose;

use super::{OperationId, date, is_from};
use crate::Dialect;

impl OperationId {
    /// Returns `true` if the documents of `dialect` let this operation take a file of `purpose`. Operations
    /// that take no purpose take none, and nothing is documented of a purpose that is not known; services may
    /// well take more than that.
    pub fn takes_purpose(self, purpose: &Purpose, dialect: &Dialect) -> bool {
        match self {
            Self::CreateFile => match purpose {
                Purpose::Assistants => {
                    !matches!(dialect, Dialect::AzureDated { api_version } if !is_from(api_version, "2024-10-21", "2024-02-15"))
                }
                Purpose::AssistantsOutput => {
                    matches!(dialect, Dialect::AzureDated { api_version } if date(api_version) >= "2024-10-21")
                }
                Purpose::Batch => {
                    !matches!(dialect, Dialect::AzureDated { api_version } if !is_from(api_version, "2024-10-21", "2024-07-01"))
                }
                Purpose::Evals => {
                    !matches!(dialect, Dialect::AzureDated { api_version } if date(api_version) < "2025-04-01")
                }
                Purpose::FineTune => true,
                Purpose::FineTuneResults => matches!(dialect, Dialect::AzureDated { .. }),
                Purpose::UserData | Purpose::Vision => {
                    matches!(dialect, Dialect::OpenAi | Dialect::AzureV1 { .. })
                }
                _ => false,
            },
            Self::ImportFile => match purpose {
                Purpose::Assistants | Purpose::AssistantsOutput | Purpose::Batch | Purpose::BatchOutput => {
                    matches!(dialect, Dialect::AzureDated { api_version } if date(api_version) >= "2024-10-21")
                }
                Purpose::Evals => {
                    matches!(dialect, Dialect::AzureDated { api_version } if date(api_version) >= "2025-04-01")
                }
                Purpose::FineTune | Purpose::FineTuneResults => matches!(dialect, Dialect::AzureDated { .. }),
                _ => false,
            },
            Self::CreateUpload => match purpose {
                Purpose::Assistants | Purpose::Batch => {
                    !matches!(dialect, Dialect::AzureDated { api_version } if !is_from(api_version, "2024-10-21", "2024-08-01"))
                }
                Purpose::AssistantsOutput | Purpose::BatchOutput => {
                    matches!(dialect, Dialect::AzureDated { api_version } if date(api_version) >= "2024-10-21")
                }
                Purpose::Evals => {
                    matches!(dialect, Dialect::AzureDated { api_version } if date(api_version) >= "2025-04-01")
                }
                Purpose::FineTune => {
                    !matches!(dialect, Dialect::AzureDated { api_version } if date(api_version) < "2024-08-01")
                }
                Purpose::FineTuneResults => {
                    matches!(dialect, Dialect::AzureDated { api_version } if date(api_version) >= "2024-08-01")
                }
                Purpose::Vision => matches!(dialect, Dialect::OpenAi | Dialect::AzureV1 { .. }),
                _ => false,
            },
            Self::ListFiles
            | Self::RetrieveFile
            | Self::DeleteFile
            | Self::DownloadFile
            | Self::AddUploadPart
            | Self::CompleteUpload
            | Self::CancelUpload => false,
        }
    }
}
