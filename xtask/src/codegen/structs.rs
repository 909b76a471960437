//! Objects of the contract as structs.

use anyhow::Result;

use crate::codegen::rust::{doc, quoted_list, with_article, with_availability};
use crate::codegen::struct_fields::{Field, fields};
use crate::codegen::{examples, setters};
use crate::contract::{Contract, Kind, Reading, Schema};

/// The struct, its constructor, and how it is read.
pub(super) fn items(contract: &Contract, name: &str, schema: &Schema) -> Result<String> {
    let fields = fields(contract, schema)?;
    let reading = match schema.reading {
        Reading::Lenient => lenient(name, &fields),
        Reading::Strict => strict(name, &fields),
    };
    let example = examples::of_object(contract, name, schema)?;
    let mut items = vec![definition(name, schema, &fields, &example), methods(name, &fields)];
    if has_secret(&fields) {
        items.push(redacted_debug(name, &fields));
    }
    items.push(reading);
    Ok(items.join("\n"))
}

fn definition(name: &str, schema: &Schema, fields: &[Field<'_>], example: &str) -> String {
    let debug = if has_secret(fields) { "" } else { "Debug, " };
    let default = if fields.iter().any(|field| field.required) { "" } else { "Default, " };
    let mut text = doc(&with_availability(&schema.description, &schema.availability), 0);
    text += example;
    text += &format!(
        "#[derive(Clone, {debug}{default}PartialEq, Eq, Serialize)]\n#[non_exhaustive]\npub struct {name} {{\n"
    );
    for field in fields {
        text += &doc(&with_availability(&field.property.description, &field.property.availability), 1);
        let written = field.spellings[0];
        if written != field.name {
            text += &format!("#[serde(rename = \"{written}\")]\n");
        }
        if !field.required {
            let is_missing = if field.is_list() { "Vec::is_empty" } else { "Option::is_none" };
            text += &format!("#[serde(skip_serializing_if = \"{is_missing}\")]\n");
        }
        text += &format!("pub {}: {},\n", field.name, field.type_name());
    }
    text + "}\n"
}

fn methods(name: &str, fields: &[Field<'_>]) -> String {
    let single = fields.iter().filter(|field| field.property.constructor).map(setters::constructor);
    let setters = fields.iter().filter(|field| field.has_setter()).map(setters::setter);
    let methods: Vec<_> = [constructor(fields)].into_iter().chain(single).chain(setters).collect();
    format!("impl {name} {{\n{}}}\n", methods.join("\n"))
}

fn constructor(fields: &[Field<'_>]) -> String {
    let required: Vec<_> = fields.iter().filter(|field| field.required).collect();
    if required.is_empty() {
        return "/// Creates one that says nothing yet.\npub fn new() -> Self {\nSelf::default()\n}\n"
            .to_owned();
    }
    let names: Vec<_> = required.iter().map(|field| field.name).collect();
    let rest = if required.len() == fields.len() { "" } else { "; the rest is absent" };
    let mut text = doc(&format!("Creates one with {}{rest}.", quoted_list(&names)), 1);
    let parameters: Vec<_> =
        required.iter().map(|field| format!("{}: {}", field.name, field.parameter_type())).collect();
    text += &format!("pub fn new({}) -> Self {{\nSelf {{", parameters.join(", "));
    for field in fields {
        text += &match (field.required, &field.kind) {
            (true, Kind::Text) => format!("{0}: {0}.into(),", field.name),
            (true, _) => format!("{},", field.name),
            (false, Kind::List(_)) => format!("{}: Vec::new(),", field.name),
            (false, _) => format!("{}: None,", field.name),
        };
    }
    text + "}\n}\n"
}

fn has_secret(fields: &[Field<'_>]) -> bool {
    fields.iter().any(|field| field.property.secret)
}

/// `Debug` by hand, in place of the derived one that would show secrets.
fn redacted_debug(name: &str, fields: &[Field<'_>]) -> String {
    let shown: String = fields
        .iter()
        .map(|field| match field.property.secret {
            true => format!(".field(\"{}\", &\"…\")", field.name),
            false => format!(".field(\"{0}\", &self.{0})", field.name),
        })
        .collect();
    format!(
        "impl fmt::Debug for {name} {{\nfn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {{\n\
         formatter.debug_struct(\"{name}\"){shown}.finish()\n}}\n}}\n"
    )
}

fn lenient(name: &str, fields: &[Field<'_>]) -> String {
    let (due, members) = (due(name, fields), members(fields));
    let mut text = format!(
        "impl<'de> Deserialize<'de> for {name} {{\n\
         fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {{\n\
         lenient::required(deserializer, \"{due}\")\n}}\n}}\n\n\
         impl Lenient for {name} {{\n{members}\
         fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Option<Self>, A::Error> {{\n"
    );
    text += &slots(fields);
    text += &arms(fields, |field| format!("lenient::member(&mut members, &mut {})?", field.name));
    for field in fields.iter().filter(|field| field.required) {
        text += &format!("let Some({0}) = {0} else {{ return Ok(None) }};\n", field.name);
    }
    text += "Ok(Some(Self {";
    for field in fields {
        text += &match field.is_list() && !field.required {
            true => format!("{0}: {0}.unwrap_or_default(),", field.name),
            false => format!("{},", field.name),
        };
    }
    text + "}))\n}\n}\n"
}

fn strict(name: &str, fields: &[Field<'_>]) -> String {
    let (due, members) = (due(name, fields), members(fields));
    let mut text = format!(
        "impl<'de> Deserialize<'de> for {name} {{\n\
         fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {{\n\
         strict::object(deserializer)\n}}\n}}\n\n\
         impl Strict for {name} {{\n\
         const DUE: &'static str = \"{due}\";\n\n{members}\
         fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {{\n"
    );
    text += &slots(fields);
    text += &arms(fields, |field| {
        format!("strict::member(&mut members, \"{}\", &mut {})?", field.spellings[0], field.name)
    });
    text += "Ok(Self {";
    for field in fields {
        text += &match field.required {
            true => format!("{0}: strict::required({0}, \"{1}\")?,", field.name, field.spellings[0]),
            false => format!("{0}: {0}.flatten(),", field.name),
        };
    }
    text + "})\n}\n}\n"
}

/// The names of all members, in every spelling.
fn members(fields: &[Field<'_>]) -> String {
    let names = fields.iter().flat_map(|field| &field.spellings).map(|name| format!("\"{name}\""));
    format!("const MEMBERS: &'static [&'static str] = &[{}];\n\n", names.collect::<Vec<_>>().join(", "))
}

fn slots(fields: &[Field<'_>]) -> String {
    fields.iter().map(|field| format!("let mut {} = None;\n", field.name)).collect()
}

fn arms(fields: &[Field<'_>], read: impl Fn(&Field<'_>) -> String) -> String {
    let mut text = "while let Some(Text(name)) = members.next_key()? {\nmatch &*name {\n".to_owned();
    for field in fields {
        let spellings: Vec<_> = field.spellings.iter().map(|name| format!("\"{name}\"")).collect();
        text += &format!("{} => {},\n", spellings.join(" | "), read(field));
    }
    text + "_ => lenient::skip(&mut members)?,\n}\n}\n"
}

/// What a reader expects: `a File, which is an object with "id"`.
fn due(name: &str, fields: &[Field<'_>]) -> String {
    let required: Vec<_> =
        fields.iter().filter(|field| field.required).map(|field| field.spellings[0]).collect();
    match required.as_slice() {
        [] => format!("{}: an object", with_article(name)),
        required => format!("{}: an object with {}", with_article(name), quoted_list(required)),
    }
}
