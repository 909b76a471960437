//! The dialects that the contract can be seen in.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};

use crate::contract::availability::checked;

const PREVIEW: &str = "-preview";

/// One provider's way of speaking the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    /// Azure with a dated version.
    AzureDated(DatedVersion),
    AzureV1,
}

/// A date, perhaps with `-preview` behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DatedVersion {
    date: String,
    is_preview: bool,
}

impl DatedVersion {
    pub(crate) fn date(&self) -> &str {
        &self.date
    }

    pub(crate) fn is_preview(&self) -> bool {
        self.is_preview
    }
}

impl Dialect {
    /// The prefix of the contract's paths in the path of a URL.
    pub(crate) fn base_path(&self) -> &'static str {
        match self {
            Self::OpenAi => "/v1",
            Self::AzureDated(_) => "/openai",
            Self::AzureV1 => "/openai/v1",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenAi => formatter.write_str("openai"),
            Self::AzureDated(version) => {
                write!(formatter, "azure-{}{}", version.date, if version.is_preview { PREVIEW } else { "" })
            }
            Self::AzureV1 => formatter.write_str("azure-v1"),
        }
    }
}

impl FromStr for Dialect {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match (name, name.strip_prefix("azure-")) {
            ("openai", _) => Ok(Self::OpenAi),
            ("azure-v1", _) => Ok(Self::AzureV1),
            (_, Some(version)) => {
                let date = version.strip_suffix(PREVIEW);
                let is_preview = date.is_some();
                Ok(Self::AzureDated(DatedVersion { date: checked(date.unwrap_or(version))?, is_preview }))
            }
            _ => bail!(
                "`{name}` is no dialect: say openai, azure-v1, or azure- and a version, as in azure-2024-10-21"
            ),
        }
    }
}
