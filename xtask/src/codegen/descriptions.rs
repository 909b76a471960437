//! Descriptions of the models, of which schemas are made.

use anyhow::Result;

use crate::codegen::rust::{HEADER, file_doc, with_availability};
use crate::codegen::struct_fields::{Field, fields, rust_type};
use crate::contract::{Contract, Kind, Reading, Schema};

/// The widest line of a text.
const WIDTH: usize = 72;

/// The file with the descriptions of all types.
pub(super) fn file(contract: &Contract, schemas: &[(&str, &Schema)]) -> Result<String> {
    let mut body = String::new();
    for (name, schema) in schemas {
        body += "\n";
        body += &match schema.is_enum() {
            true => described(name, &schema.description, schema, &values(schema)),
            false => {
                let text = format!("{} {}", schema.description.trim_end(), how_it_reads(schema.reading));
                described(name, &text, schema, &members(contract, schema)?)
            }
        };
    }
    let names: Vec<_> = schemas.iter().map(|(name, _)| *name).collect();
    Ok(format!(
        "{HEADER}{}\nuse crate::schema::{{Described, Member, Plain, Writer, described}};\nuse crate::{{{}}};\n{body}",
        file_doc("Descriptions of the types, of which schemas are made."),
        names.join(", ")
    ))
}

fn described(name: &str, text: &str, schema: &Schema, calls: &str) -> String {
    format!(
        "impl Described for {name} {{\nconst NAME: &'static str = \"{name}\";\n\
         const TEXT: &'static str = {};\n\n\
         fn describe(to: &mut impl Writer) {{\n{calls}}}\n}}\n\ndescribed!({name});\n",
        literal(&with_availability(text, &schema.availability))
    )
}

/// A sentence on members that are not as they are described.
fn how_it_reads(reading: Reading) -> &'static str {
    match reading {
        Reading::Lenient => {
            "An optional member that is not as described counts as absent when it is read; members that are not described are ignored."
        }
        Reading::Strict => {
            "A member that is not as described is an error when it is read; members that are not described are ignored."
        }
    }
}

fn members(contract: &Contract, schema: &Schema) -> Result<String> {
    let mut calls = String::new();
    for field in fields(contract, schema)? {
        for (place, spelling) in field.spellings.iter().enumerate() {
            let presence = match (field.required, place) {
                (true, _) => "required",
                (false, 0) => "optional",
                (false, _) => "spelling",
            };
            let property = schema.properties.get(spelling).unwrap_or(field.property);
            let text = literal(&with_availability(&property.description, &property.availability));
            calls += &call(&field, &format!("Member::{presence}(\"{spelling}\", {text})"));
        }
    }
    Ok(calls)
}

fn call(field: &Field<'_>, member: &str) -> String {
    let plain = match &field.kind {
        Kind::Named(_) => return format!("to.named::<{}>({member});\n", rust_type(&field.kind)),
        Kind::List(items) if **items == Kind::Text => "Texts",
        Kind::List(items) => return format!("to.list::<{}>({member});\n", rust_type(items)),
        Kind::Text => "Text",
        Kind::Flag => "Flag",
        Kind::Count => "Count",
        Kind::Time => "Time",
    };
    format!("to.plain({member}, Plain::{plain});\n")
}

fn values(schema: &Schema) -> String {
    let known = schema.values.iter().map(|value| {
        let text = with_availability(&value.description, &value.availability);
        format!("(\"{}\", {}),", value.value, literal(&text))
    });
    format!("to.values(&[{}], {});\n", known.collect::<String>(), schema.reads_integers)
}

/// A string literal in lines that are not too long; blank lines part paragraphs.
fn literal(text: &str) -> String {
    let paragraphs = text.trim_end().split("\n\n");
    let paragraphs: Vec<_> =
        paragraphs.map(|lines| lines.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let mut literal = "\"".to_owned();
    let mut width = 0;
    for piece in paragraphs.join("\\n\\n").replace('"', "\\\"").split_inclusive(' ') {
        if width + piece.len() > WIDTH {
            literal += "\\\n";
            width = 0;
        }
        literal += piece;
        width += piece.len();
    }
    literal + "\""
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn a_long_text_is_a_literal_of_several_lines_with_the_same_words() {
        assert_eq!(literal("One\nline.\n\nAnother."), r#""One line.\n\nAnother.""#);
        let long = literal(&["word"; 25].join(" "));
        assert_eq!(long, format!("\"{} \\\n{}\"", ["word"; 14].join(" "), ["word"; 11].join(" ")));
    }
}
