//! Enums of the contract, open to values that are not in it.

use anyhow::Result;

use crate::codegen::examples;
use crate::codegen::rust::{doc, pascal_case, with_availability};
use crate::contract::{EnumValue, Schema};

/// The enum and its conversions.
pub(super) fn item(name: &str, schema: &Schema) -> Result<String> {
    let due = if schema.reads_integers { "a string or a whole number" } else { "a string" };
    let items = [
        definition(name, schema)?,
        names(name, schema),
        format!("open_enum!({name}, \"{due}\");\n"),
        lenient(name, schema),
    ];
    Ok(items.join("\n"))
}

fn definition(name: &str, schema: &Schema) -> Result<String> {
    let mut text = doc(&with_availability(&schema.description, &schema.availability), 0);
    text += &examples::of_enum(name, schema)?;
    text += &format!("#[derive(Clone, Debug, PartialEq, Eq, Hash)]\n#[non_exhaustive]\npub enum {name} {{\n");
    for value in &schema.values {
        text += &doc(&value_doc(value), 1);
        text += &format!("{},\n", pascal_case(&value.value));
    }
    text += &doc("A value that this release does not know, as it came.", 1);
    Ok(text + "Other(Unrecognized),\n}\n")
}

fn value_doc(value: &EnumValue) -> String {
    let mut text =
        with_availability(&format!("`{}`: {}", value.value, value.description), &value.availability);
    if value.uses.iter().next().is_some() {
        text += "\n\nWhere, by use:\n";
    }
    for (place, availability) in value.uses.iter() {
        let place =
            if place == "object" { "seen on files".to_owned() } else { format!("taken by `{place}`") };
        text += &format!("- {place}: {availability}\n");
    }
    text
}

fn names(name: &str, schema: &Schema) -> String {
    let variants: Vec<_> =
        schema.values.iter().map(|value| (pascal_case(&value.value), &value.value)).collect();
    let known: String = variants.iter().map(|(variant, _)| format!("Self::{variant},")).collect();
    let to_wire: String =
        variants.iter().map(|(variant, wire)| format!("Self::{variant} => \"{wire}\",\n")).collect();
    let from_wire: String =
        variants.iter().map(|(variant, wire)| format!("\"{wire}\" => Self::{variant},\n")).collect();
    format!(
        "impl {name} {{\n\
         /// All values that this release knows.\n\
         pub const KNOWN: &'static [Self] = &[{known}];\n\n\
         /// The value as it stands on the wire.\n\
         pub fn as_str(&self) -> &str {{\nmatch self {{\n{to_wire}Self::Other(value) => value.as_str(),\n}}\n}}\n\n\
         fn known(text: &str) -> Option<Self> {{\nSome(match text {{\n{from_wire}_ => return None,\n}})\n}}\n\
         }}\n"
    )
}

fn lenient(name: &str, schema: &Schema) -> String {
    let integers = if schema.reads_integers {
        "\nfn from_integer(value: i128) -> Option<Self> {\nSome(alloc::string::ToString::to_string(&value).into())\n}\n"
    } else {
        ""
    };
    format!(
        "impl Lenient for {name} {{\nfn from_text(text: &str) -> Option<Self> {{\nSome(text.into())\n}}\n{integers}}}\n"
    )
}
