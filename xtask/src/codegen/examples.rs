//! Examples in the documentation of generated types.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use yaml_serde::{Mapping, Value};

use crate::codegen::rust::pascal_case;
use crate::codegen::struct_fields::{Field, fields};
use crate::contract::{Contract, Kind, Schema};

/// The widest line of an example, without the slashes before it.
const WIDTH: usize = 100;

/// Documentation that builds the object of `x-example`, writes it, and reads it again.
pub(super) fn of_object(contract: &Contract, name: &str, schema: &Schema) -> Result<String> {
    let example = schema.example.as_ref().context("it has no `x-example`")?;
    let members = example.as_mapping().context("its `x-example` is no object")?;
    let mut used = BTreeSet::from([name.to_owned()]);
    let start = format!("let {} = ", variable(name));
    let built = Writer { contract, used: &mut used }.object(name, members, start.len() + 1, 0)?;
    let imports: Vec<_> = used.into_iter().collect();
    let imports = match imports.as_slice() {
        [one] => one.clone(),
        several => format!("{{{}}}", several.join(", ")),
    };
    let variable = variable(name);
    Ok(block(&format!(
        "use partwise_models::{imports};\nuse serde_json::json;\n\n{start}{built};\nlet json = json!({});\n\
         assert_eq!(serde_json::to_value(&{variable})?, json);\n\
         assert_eq!(serde_json::from_value::<{name}>(json)?, {variable});\n# Ok::<(), serde_json::Error>(())",
        json(example, "let json = json!();".len(), 0)?
    )))
}

/// Documentation that shows a known and an unknown value of an enum.
pub(super) fn of_enum(name: &str, schema: &Schema) -> Result<String> {
    let value = &schema.values.first().context("it has no values")?.value;
    let variant = pascal_case(value);
    Ok(block(&format!(
        "use partwise_models::{name};\n\n\
         assert_eq!({name}::from(\"{value}\"), {name}::{variant});\n\
         assert_eq!({name}::{variant}.as_str(), \"{value}\");\n\n\
         let unknown = {name}::from(\"from_the_future\");\n\
         assert!(matches!(unknown, {name}::Other(_)));\n\
         assert_eq!(unknown.as_str(), \"from_the_future\");"
    )))
}

/// A paragraph of documentation with code in it.
fn block(code: &str) -> String {
    let lines = ["", "```"].into_iter().chain(code.lines()).chain(["```"]);
    lines.map(|line| if line.is_empty() { "///\n".to_owned() } else { format!("/// {line}\n") }).collect()
}

/// `UploadPartResource` becomes `part`, `File` becomes `file`: the last word that says what it is.
fn variable(name: &str) -> &'static str {
    match name {
        "FileList" => "files",
        "ExpiresAfter" => "expiry",
        _ if name.ends_with("Request") => "request",
        _ if name.ends_with("Response") => "response",
        _ if name.ends_with("Error") => "error",
        _ if name.contains("Part") => "part",
        _ if name.ends_with("File") => "file",
        _ => "upload",
    }
}

/// Writes expressions, and notes the types that they use.
struct Writer<'a> {
    contract: &'a Contract,
    used: &'a mut BTreeSet<String>,
}

impl Writer<'_> {
    /// An object by its constructor and setters, on one line if `taken` and what follows leave room for it.
    fn object(&mut self, name: &str, members: &Mapping, taken: usize, depth: usize) -> Result<String> {
        self.used.insert(name.to_owned());
        let contract = self.contract;
        let schema = contract.schemas.get(name).with_context(|| format!("there is no schema {name}"))?;
        let fields = fields(contract, schema)?;
        for member in members.keys() {
            let is_field = |field: &Field<'_>| Some(field.spellings[0]) == member.as_str();
            ensure!(fields.iter().any(is_field), "`x-example`: {name} has no member {member:?}");
        }
        let value = |field: &Field<'_>| members.get(field.spellings[0]);
        let inline = self.calls(name, &fields, value, depth)?.concat();
        if taken + inline.len() <= WIDTH && !inline.contains('\n') {
            return Ok(inline);
        }
        let calls = self.calls(name, &fields, value, depth + 1)?;
        Ok(calls.join(&format!("\n{}", "    ".repeat(depth + 1))))
    }

    /// The call of the constructor, and those of the setters.
    fn calls<'v>(
        &mut self,
        name: &str,
        fields: &[Field<'_>],
        value: impl Fn(&Field<'_>) -> Option<&'v Value>,
        depth: usize,
    ) -> Result<Vec<String>> {
        let mut arguments = Vec::new();
        for field in fields.iter().filter(|field| field.required) {
            let value = value(field).with_context(|| format!("`x-example` has no {}", field.name))?;
            arguments.push(self.value(&field.kind, value, depth)?);
        }
        let mut calls = vec![format!("{name}::new({})", arguments.join(", "))];
        for field in fields.iter().filter(|field| !field.required) {
            let Some(value) = value(field) else { continue };
            let argument = self.value(&field.kind, value, depth)?;
            if field.property.constructor {
                calls[0] = format!("{name}::{}({argument})", field.name);
            } else {
                calls.push(format!(".{}({argument})", field.name));
            }
        }
        Ok(calls)
    }

    fn value(&mut self, kind: &Kind, value: &Value, depth: usize) -> Result<String> {
        Ok(match (kind, value) {
            (Kind::Text, Value::String(text)) => format!("{text:?}"),
            (Kind::Flag, Value::Bool(flag)) => flag.to_string(),
            (Kind::Count, Value::Number(number)) => grouped(&number.to_string()),
            (Kind::Time, Value::Number(number)) => {
                self.used.insert("UnixSeconds".to_owned());
                format!("UnixSeconds({})", grouped(&number.to_string()))
            }
            (Kind::Named(name), Value::String(text)) => {
                self.used.insert(name.clone());
                let schema = self.contract.schemas.get(name);
                match schema.is_some_and(|schema| schema.values.iter().any(|value| value.value == *text)) {
                    true => format!("{name}::{}", pascal_case(text)),
                    false => format!("{name}::from({text:?})"),
                }
            }
            (Kind::Named(name), Value::Mapping(members)) => {
                self.object(name, members, 4 * depth + ".member()".len(), depth)?
            }
            (Kind::List(items), Value::Sequence(values)) => {
                let owned = if **items == Kind::Text { ".to_owned()" } else { "" };
                let values = values.iter().map(|value| Ok(self.value(items, value, depth)? + owned));
                format!("vec![{}]", values.collect::<Result<Vec<_>>>()?.join(", "))
            }
            _ => bail!("`x-example`: {value:?} is not of its kind"),
        })
    }
}

/// Digits in groups of three where there are more than four: `12_000`.
fn grouped(digits: &str) -> String {
    if digits.len() <= 4 {
        return digits.to_owned();
    }
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

/// JSON on one line if there is room for it beside what is `taken`, else a member on each.
fn json(value: &Value, taken: usize, depth: usize) -> Result<String> {
    let (open, items, close) = match value {
        Value::Mapping(members) => {
            let members = members.iter().map(|(name, member)| {
                let name = format!("{}: ", serde_json::to_string(name)?);
                let member = json(member, 4 * (depth + 1) + name.len() + 1, depth + 1)?;
                Ok(name + &member)
            });
            ("{", members.collect::<Result<Vec<_>>>()?, "}")
        }
        Value::Sequence(items) => {
            let items = items.iter().map(|item| json(item, 4 * (depth + 1) + 1, depth + 1));
            ("[", items.collect::<Result<Vec<_>>>()?, "]")
        }
        scalar => return Ok(serde_json::to_string(scalar)?),
    };
    let inline = format!("{open}{}{close}", items.join(", "));
    if taken + inline.len() <= WIDTH && !inline.contains('\n') {
        return Ok(inline);
    }
    let (outer, inner) = ("    ".repeat(depth), "    ".repeat(depth + 1));
    Ok(format!("{open}\n{inner}{}\n{outer}{close}", items.join(&format!(",\n{inner}"))))
}

#[cfg(test)]
mod tests {
    use super::{grouped, json};

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!(["8080", "12000", "1719185911"].map(grouped), ["8080", "12_000", "1_719_185_911"]);
    }

    #[test]
    fn json_that_fits_stands_on_one_line() {
        let value = yaml_serde::from_str("{id: a, items: [1, {deep: true}]}").unwrap();
        assert_eq!(json(&value, 0, 0).unwrap(), r#"{"id": "a", "items": [1, {"deep": true}]}"#);
        assert_eq!(
            json(&value, 60, 0).unwrap(),
            "{\n    \"id\": \"a\",\n    \"items\": [1, {\"deep\": true}]\n}"
        );
    }
}
