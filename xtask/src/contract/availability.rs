//! Where a part of the contract exists: the mark `x-availability` and its kin.

use std::fmt;

use anyhow::{Result, bail, ensure};
use serde::Deserialize;

use crate::contract::Dialect;

/// Which dialects have a part of the contract. No mark at all means all of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Mark")]
pub(crate) struct Availability {
    pub(crate) openai: bool,
    pub(crate) azure: Versions,
    pub(crate) azure_v1: bool,
}

/// Which dated versions have it. Versions compare by their date alone, `2024-08-01-preview` is `2024-08-01`; only where the
/// previews had something earlier than the others do they count by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Versions {
    None,
    All,
    /// From this date on.
    Since(String),
    /// From one date on, and the previews among them from an earlier one.
    SinceWithPreviews {
        stable: String,
        previews: String,
    },
    /// All that are later than this date.
    After(String),
    /// Up to this date, itself included.
    Until(String),
}

impl Default for Availability {
    fn default() -> Self {
        Self { openai: true, azure: Versions::All, azure_v1: true }
    }
}

impl Availability {
    pub(crate) fn is_everywhere(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn includes(&self, dialect: &Dialect) -> bool {
        match dialect {
            Dialect::OpenAi => self.openai,
            Dialect::AzureV1 => self.azure_v1,
            Dialect::AzureDated(version) => match &self.azure {
                Versions::None => false,
                Versions::All => true,
                Versions::Since(date) => version.date() >= date.as_str(),
                Versions::SinceWithPreviews { stable, previews } => {
                    version.date() >= if version.is_preview() { previews } else { stable }.as_str()
                }
                Versions::After(date) => version.date() > date.as_str(),
                Versions::Until(date) => version.date() <= date.as_str(),
            },
        }
    }
}

/// In words, for documentation: `OpenAI, dated Azure from 2025-04-01, Azure v1`.
impl fmt::Display for Availability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let azure = match &self.azure {
            Versions::None => None,
            Versions::All => Some("dated Azure".to_owned()),
            Versions::Since(date) => Some(format!("dated Azure from {date}")),
            Versions::SinceWithPreviews { stable, previews } => {
                Some(format!("dated Azure from {stable} (previews from {previews})"))
            }
            Versions::After(date) => Some(format!("dated Azure after {date}")),
            Versions::Until(date) => Some(format!("dated Azure until {date}")),
        };
        let names =
            [self.openai.then(|| "OpenAI".to_owned()), azure, self.azure_v1.then(|| "Azure v1".to_owned())];
        formatter.write_str(&names.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// The mark as it is written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Mark {
    Everywhere(bool),
    Dialects(DialectMarks),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DialectMarks {
    openai: Option<bool>,
    azure: Option<VersionMarks>,
    azure_v1: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum VersionMarks {
    All(bool),
    Bound(Bound),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bound {
    since: Option<String>,
    previews_since: Option<String>,
    after: Option<String>,
    until: Option<String>,
}

impl TryFrom<Mark> for Availability {
    type Error = anyhow::Error;

    fn try_from(mark: Mark) -> Result<Self> {
        match mark {
            Mark::Everywhere(true) => Ok(Self::default()),
            Mark::Everywhere(false) => bail!("`false` means nothing here: leave the key out"),
            Mark::Dialects(marks) => {
                ensure!(
                    marks.openai != Some(false) && marks.azure_v1 != Some(false),
                    "`false` means nothing here: leave the key out"
                );
                Ok(Self {
                    openai: marks.openai.is_some(),
                    azure: marks.azure.map_or(Ok(Versions::None), Versions::try_from)?,
                    azure_v1: marks.azure_v1.is_some(),
                })
            }
        }
    }
}

impl TryFrom<VersionMarks> for Versions {
    type Error = anyhow::Error;

    fn try_from(marks: VersionMarks) -> Result<Self> {
        let bound = match marks {
            VersionMarks::All(true) => return Ok(Self::All),
            VersionMarks::All(false) => bail!("`azure: false` means nothing here: leave the key out"),
            VersionMarks::Bound(bound) => bound,
        };
        let Bound { since, previews_since, after, until } = bound;
        match (since, previews_since, after, until) {
            (Some(date), None, None, None) => Ok(Self::Since(checked(&date)?)),
            (Some(stable), Some(previews), None, None) => {
                ensure!(previews < stable, "`previews-since` is earlier than `since`, or left out");
                Ok(Self::SinceWithPreviews { stable: checked(&stable)?, previews: checked(&previews)? })
            }
            (None, None, Some(date), None) => Ok(Self::After(checked(&date)?)),
            (None, None, None, Some(date)) => Ok(Self::Until(checked(&date)?)),
            _ => bail!(
                "`azure` takes `true` or just one of `since` (perhaps with `previews-since`), `after`, `until`"
            ),
        }
    }
}

/// A date of the form `2024-06-01`; other text would compare in unexpected ways.
pub(crate) fn checked(date: &str) -> Result<String> {
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    ensure!(shape == "0000-00-00", "`{date}` is no date like 2024-06-01");
    Ok(date.to_owned())
}
