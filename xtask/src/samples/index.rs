//! The list of a folder's samples, in its `index.json`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::contract::Dialect;

#[derive(Deserialize)]
pub(super) struct Index {
    pub(super) samples: Vec<Sample>,
}

/// One request or answer of some document.
#[derive(Deserialize)]
pub(super) struct Sample {
    /// Holds the body alone.
    pub(super) file: String,
    provider: String,
    api_version: String,
    /// The name of the operation, in some document's words.
    pub(super) operation: String,
    pub(super) direction: Direction,
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) body: BodyKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    Request,
    Response,
}

/// How the file holds the body.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BodyKind {
    /// As it is.
    Json,
    /// As `{"multipart": [fields in order]}`.
    Multipart,
    /// As `{"raw": text}`.
    Raw,
    /// As null: there is none.
    None,
}

impl Index {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("index.json");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not as it should be", path.display()))
    }
}

impl Sample {
    pub(super) fn dialect(&self) -> Result<Dialect> {
        match self.provider.as_str() {
            "azure" => format!("azure-{}", self.api_version).parse(),
            other => other.parse(),
        }
    }

    pub(super) fn read(&self, folder: &Path) -> Result<Value> {
        Ok(serde_json::from_str(&fs::read_to_string(folder.join(&self.file))?)?)
    }
}
