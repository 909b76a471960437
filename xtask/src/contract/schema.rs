//! The schemas of the contract: objects and enums.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use yaml_serde::Value;

use crate::contract::{Availability, Ordered};

/// A schema under `components/schemas`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schema {
    pub(crate) description: String,
    #[serde(rename = "type")]
    _type: Option<String>,
    #[serde(default)]
    pub(crate) required: Vec<String>,
    #[serde(default)]
    pub(crate) properties: Ordered<Property>,
    /// The values of an enum; empty for an object.
    #[serde(default, rename = "oneOf")]
    pub(crate) values: Vec<EnumValue>,
    /// The generated file that holds its Rust type; without one it has no type.
    #[serde(rename = "x-module")]
    pub(crate) module: Option<String>,
    /// An object of this kind, for the documentation of its Rust type.
    #[serde(rename = "x-example")]
    pub(crate) example: Option<Value>,
    /// Whether services send values of this enum that no document lists.
    #[serde(rename = "x-open")]
    _open: Option<bool>,
    #[serde(default, rename = "x-reading")]
    pub(crate) reading: Reading,
    #[serde(default, rename = "x-reads-integers")]
    pub(crate) reads_integers: bool,
    #[serde(default, rename = "x-availability")]
    pub(crate) availability: Availability,
    #[serde(rename = "x-source")]
    _source: Option<String>,
}

/// How an object is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reading {
    #[default]
    Lenient,
    Strict,
}

/// One value of an enum.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnumValue {
    #[serde(rename = "const")]
    pub(crate) value: String,
    pub(crate) description: String,
    #[serde(default, rename = "x-availability")]
    pub(crate) availability: Availability,
    /// Where it exists for each use, in place of `x-availability`; a use that is not named does not exist.
    #[serde(default, rename = "x-uses")]
    pub(crate) uses: Ordered<Availability>,
}

/// One member of an object.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Property {
    pub(crate) description: String,
    #[serde(rename = "$ref")]
    reference: Option<String>,
    #[serde(rename = "type")]
    type_names: Option<OneOrMany>,
    format: Option<String>,
    #[serde(rename = "contentMediaType")]
    _content_media_type: Option<String>,
    items: Option<Items>,
    #[serde(default, rename = "oneOf")]
    one_of: Vec<Items>,
    #[serde(rename = "minimum")]
    _minimum: Option<u64>,
    #[serde(rename = "maximum")]
    _maximum: Option<u64>,
    #[serde(rename = "minLength")]
    _min_length: Option<u64>,
    #[serde(default, rename = "x-availability")]
    pub(crate) availability: Availability,
    /// The dialects whose documents require it.
    #[serde(rename = "x-required")]
    _required: Option<Availability>,
    #[serde(rename = "x-use")]
    _enum_use: Option<String>,
    /// The property whose other spelling this is.
    #[serde(rename = "x-same-as")]
    pub(crate) same_as: Option<String>,
    /// Whether an object can be made of it alone, though it is not required.
    #[serde(default, rename = "x-constructor")]
    pub(crate) constructor: bool,
    #[serde(rename = "x-rust-name")]
    pub(crate) rust_name: Option<String>,
    /// Whether it must not be seen in logs.
    #[serde(default, rename = "x-secret")]
    pub(crate) secret: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Debug, Deserialize)]
struct Items {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    #[serde(rename = "type")]
    type_name: Option<String>,
}

/// What kind of value a property has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Flag,
    Count,
    Time,
    Named(String),
    List(Box<Kind>),
}

impl Schema {
    pub(crate) fn is_enum(&self) -> bool {
        !self.values.is_empty()
    }
}

impl Property {
    /// The schema that the property, or each of its items, is of; `None` where it is of a plain type.
    pub(crate) fn named(&self) -> Result<Option<&str>> {
        let choices = self.one_of.iter().chain(&self.items).filter_map(|choice| choice.reference.as_deref());
        self.reference.as_deref().into_iter().chain(choices).next().map(schema_name).transpose()
    }

    pub(crate) fn kind(&self) -> Result<Kind> {
        if let (Some(name), None) = (self.named()?, &self.items) {
            return Ok(Kind::Named(name.to_owned()));
        }
        let type_name = match &self.type_names {
            Some(OneOrMany::One(name)) => name.as_str(),
            Some(OneOrMany::Many(names)) => {
                names.iter().find(|name| *name != "null").context("it has no type but null")?.as_str()
            }
            None => bail!("it has neither a type nor a $ref"),
        };
        match (type_name, self.format.as_deref()) {
            ("string", _) => Ok(Kind::Text),
            ("boolean", _) => Ok(Kind::Flag),
            ("integer", Some("unixtime")) => Ok(Kind::Time),
            ("integer", _) => Ok(Kind::Count),
            ("array", _) => {
                let item_type =
                    self.items.as_ref().context("it is an array without items")?.type_name.as_deref();
                Ok(Kind::List(Box::new(match (self.named()?, item_type) {
                    (Some(name), _) => Kind::Named(name.to_owned()),
                    (None, Some("string")) => Kind::Text,
                    _ => bail!("its items are neither strings nor a $ref"),
                })))
            }
            (other, _) => bail!("no Rust type is known for the type `{other}`"),
        }
    }
}

fn schema_name(reference: &str) -> Result<&str> {
    let name = reference.strip_prefix("#/components/schemas/");
    name.with_context(|| format!("`{reference}` names no schema"))
}
