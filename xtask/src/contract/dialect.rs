//! The dialects that the contract can be seen in.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};

use crate::contract::availability::checked;

/// One provider's way of speaking the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    /// Azure with a dated version; only the date of it.
    AzureDated(String),
    AzureV1,
}

impl Dialect {
    /// What stands before the paths of the contract in the path of a URL.
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
            Self::AzureDated(date) => write!(formatter, "azure-{date}"),
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
            (_, Some(date)) => Ok(Self::AzureDated(checked(date)?)),
            _ => bail!(
                "`{name}` is no dialect: say openai, azure-v1, or azure- and a date, as in azure-2024-10-21"
            ),
        }
    }
}
