//! The contract: the API description in `docs/contract/openapi.yaml` with its marks.

mod availability;
mod dialect;
mod marks;
mod operation;
mod ordered;
mod render;
mod schema;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use yaml_serde::Value;

pub(crate) use availability::{Availability, Versions};
pub(crate) use dialect::Dialect;
pub(crate) use operation::{Operation, Payload, Repeat};
pub(crate) use ordered::Ordered;
pub(crate) use render::render;
pub(crate) use schema::{EnumValue, Kind, Property, Reading, Schema};

use operation::RawOperation;

/// Where the description is, from the root of the workspace.
pub(crate) const PATH: &str = "docs/contract/openapi.yaml";

/// The whole description.
#[derive(Debug)]
pub(crate) struct Contract {
    /// As it is written, for rendering.
    pub(crate) document: Value,
    pub(crate) operations: Vec<Operation>,
    pub(crate) schemas: Ordered<Schema>,
}

impl Contract {
    /// Reads the description of the workspace at `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let text = fs::read_to_string(root.join(PATH)).with_context(|| format!("cannot read {PATH}"))?;
        Self::parse(&text).with_context(|| format!("{PATH} is not as it should be"))
    }

    fn parse(text: &str) -> Result<Self> {
        let document: Value = yaml_serde::from_str(text)?;
        marks::check(&document, "#")?;
        let raw: RawDocument = yaml_serde::from_str(text)?;
        let mut operations = Vec::new();
        for (path, item) in raw.paths.iter() {
            for (method, value) in item.iter().filter(|(key, _)| *key != "parameters") {
                let at = || format!("{method} {path}");
                let raw: RawOperation = yaml_serde::from_value(value.clone()).with_context(at)?;
                operations.push(Operation::new(path, method, raw).with_context(at)?);
            }
        }
        Ok(Self { document, operations, schemas: raw.components.schemas })
    }

    /// The operation of this `operationId`.
    pub(crate) fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.id == id)
    }
}

#[derive(Deserialize)]
struct RawDocument {
    paths: Ordered<Ordered<Value>>,
    components: Components,
}

#[derive(Deserialize)]
struct Components {
    schemas: Ordered<Schema>,
}
