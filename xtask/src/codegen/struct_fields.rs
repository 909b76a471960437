//! The fields of a generated struct, as the contract's properties have them.

use anyhow::{Context, Result, ensure};

use crate::codegen::rust::pascal_case;
use crate::contract::{Contract, Kind, Property, Schema};

/// One field of a struct.
pub(super) struct Field<'a> {
    /// Its name in Rust and, unless `spellings` says otherwise, in JSON.
    pub(super) name: &'a str,
    pub(super) property: &'a Property,
    pub(super) kind: Kind,
    /// The names in JSON; the first one is written, all are read.
    pub(super) spellings: Vec<&'a str>,
    pub(super) required: bool,
    pub(super) boxed: bool,
}

pub(super) fn fields<'a>(contract: &Contract, schema: &'a Schema) -> Result<Vec<Field<'a>>> {
    let mut fields: Vec<Field<'a>> = Vec::new();
    for (json, property) in schema.properties.iter() {
        let at = || format!("the property {json}");
        if let Some(other) = &property.same_as {
            let field = fields.iter_mut().find(|field| field.spellings.contains(&other.as_str()));
            field
                .with_context(|| format!("{json} is the same as {other}, which does not stand before it"))?
                .spellings
                .push(json);
            continue;
        }
        let kind = property.kind().with_context(at)?;
        let boxed = match &kind {
            Kind::Named(target) => holds_itself(contract, target)?,
            _ => false,
        };
        let required = schema.required.iter().any(|name| name == json);
        ensure!(!(required && boxed), "{json} is required and recursive, which can never be written");
        let name = property.rust_name.as_deref().unwrap_or(json);
        fields.push(Field { name, property, kind, spellings: vec![json], required, boxed });
    }
    Ok(fields)
}

/// Whether an object may hold another of its own kind directly, so that it needs a box.
fn holds_itself(contract: &Contract, name: &str) -> Result<bool> {
    let schema = contract.schemas.get(name).with_context(|| format!("there is no schema {name}"))?;
    for (_, property) in schema.properties.iter() {
        if property.kind()? == Kind::Named(name.to_owned()) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Field<'_> {
    /// Returns `true` if a setter sets it: what is required stands in the constructor.
    pub(super) fn has_setter(&self) -> bool {
        !self.required && !self.property.constructor
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List(_))
    }

    pub(super) fn type_name(&self) -> String {
        let mut name = rust_type(&self.kind);
        if self.boxed {
            name = format!("Box<{name}>");
        }
        if self.required || self.is_list() { name } else { format!("Option<{name}>") }
    }

    pub(super) fn parameter_type(&self) -> String {
        if self.kind == Kind::Text { "impl Into<String>".to_owned() } else { self.type_name() }
    }
}

pub(super) fn rust_type(kind: &Kind) -> String {
    match kind {
        Kind::Text => "String".to_owned(),
        Kind::Flag => "bool".to_owned(),
        Kind::Count => "u64".to_owned(),
        Kind::Time => "UnixSeconds".to_owned(),
        Kind::Named(name) => pascal_case(name),
        Kind::List(items) => format!("Vec<{}>", rust_type(items)),
    }
}
