// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.

//! Which fields the documents let a request have.

use super::{OperationId, date};
use crate::Dialect;

impl OperationId {
    /// Returns `true` if the documents of `dialect` let requests of this operation have this field: a query
    /// parameter, a field of the form, or a member of the JSON body, by its name on the wire. A name that
    /// they do not know is no field.
    pub fn takes_field(self, field: &str, dialect: &Dialect) -> bool {
        match self {
            Self::ListFiles => match field {
                "purpose" => true,
                "limit" | "order" | "after" => {
                    !matches!(dialect, Dialect::AzureDated { api_version } if date(api_version) < "2025-04-01")
                }
                _ => false,
            },
            Self::CreateFile => match field {
                "purpose" | "file" => true,
                "expires_after[anchor]" | "expires_after[seconds]" => {
                    matches!(dialect, Dialect::OpenAi | Dialect::AzureV1 { .. })
                }
                "expires_after.anchor" | "expires_after.seconds" => {
                    matches!(dialect, Dialect::AzureV1 { .. })
                        || matches!(dialect, Dialect::AzureDated { api_version } if date(api_version) >= "2025-03-01")
                }
                _ => false,
            },
            Self::ImportFile => matches!(field, "purpose" | "filename" | "content_url"),
            Self::CreateUpload => match field {
                "filename" | "purpose" | "bytes" | "mime_type" => true,
                "expires_after" => matches!(dialect, Dialect::OpenAi | Dialect::AzureV1 { .. }),
                _ => false,
            },
            Self::AddUploadPart => matches!(field, "data"),
            Self::CompleteUpload => matches!(field, "part_ids" | "md5"),
            Self::RetrieveFile | Self::DeleteFile | Self::DownloadFile | Self::CancelUpload => false,
        }
    }
}
