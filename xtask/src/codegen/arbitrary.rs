//! Random values of the models, for tests.

use anyhow::{Result, ensure};

use crate::codegen::rust::{HEADER, file_doc};
use crate::codegen::struct_fields::{Field, fields, rust_type};
use crate::contract::{Contract, Kind, Schema};

/// The most members that a tuple of strategies can have.
const WIDEST: usize = 12;

/// The file with the strategies of all types.
pub(super) fn file(contract: &Contract, schemas: &[(&str, &Schema)]) -> Result<String> {
    let mut body = String::new();
    for (name, schema) in schemas {
        body += "\n";
        body += &match schema.is_enum() {
            true => format!("arbitrary_enum!({name});\n"),
            false => object(name, &fields(contract, schema)?)?,
        };
    }
    let names: Vec<_> = schemas.iter().map(|(name, _)| *name).collect();
    Ok(format!(
        "{HEADER}{}\nuse alloc::boxed::Box;\nuse alloc::vec::Vec;\n\n\
         use proptest::arbitrary::{{Arbitrary, any}};\nuse proptest::collection::vec;\nuse proptest::option;\n\
         use proptest::strategy::{{BoxedStrategy, Strategy}};\n\n\
         use crate::arbitrary::{{arbitrary_enum, text}};\nuse crate::{{UnixSeconds, {}}};\n{body}",
        file_doc("Random values of the types."),
        names.join(", ")
    ))
}

fn object(name: &str, fields: &[Field<'_>]) -> Result<String> {
    let holds = |field: &Field<'_>| match &field.kind {
        Kind::Named(other) => other == name,
        Kind::List(items) => **items == Kind::Named(name.to_owned()),
        _ => false,
    };
    let (deep, flat): (Vec<_>, Vec<_>) = fields.iter().partition(|field| holds(field));
    ensure!(flat.len() <= WIDEST, "{name} has more than {WIDEST} members: nest their strategies");
    let absent = deep.iter().map(|field| match field.kind {
        Kind::List(_) => format!("{}: Vec::new()", field.name),
        _ => format!("{}: None", field.name),
    });
    let strategies: String = flat.iter().map(|field| format!("{},", strategy(field))).collect();
    let names: String = flat.iter().map(|field| format!("{},", field.name)).collect();
    let members: Vec<_> = flat.iter().map(|field| field.name.to_owned()).chain(absent).collect();
    let whole = format!("({strategies}).prop_map(|({names})| Self {{ {} }})", members.join(", "));
    let code = match deep.is_empty() {
        true => format!("{whole}.boxed()"),
        false => nested(&whole, &deep),
    };
    Ok(format!(
        "impl Arbitrary for {name} {{\ntype Parameters = ();\ntype Strategy = BoxedStrategy<Self>;\n\n\
         fn arbitrary_with((): ()) -> Self::Strategy {{\n{code}\n}}\n}}\n"
    ))
}

/// Values that hold others of their kind, three deep at most.
fn nested(flat: &str, deep: &[&Field<'_>]) -> String {
    let strategies: String = deep
        .iter()
        .map(|field| match field.kind {
            Kind::List(_) => "vec(inner.clone(), 0..3),",
            _ => "option::of(inner.clone().prop_map(Box::new)),",
        })
        .collect();
    let names: Vec<_> = deep.iter().map(|field| field.name).collect();
    let names = names.join(", ");
    format!(
        "let flat = {flat}.boxed();\n\
         let nested = flat.clone().prop_recursive(3, 8, 3, move |inner| {{\n\
         (flat.clone(), {strategies}).prop_map(|(flat, {names})| Self {{ {names}, ..flat }})\n}});\nnested.boxed()"
    )
}

fn strategy(field: &Field<'_>) -> String {
    let value = match &field.kind {
        Kind::Text => "text()".to_owned(),
        Kind::List(items) if **items == Kind::Text => return "vec(text(), 0..4)".to_owned(),
        Kind::List(items) => return format!("vec(any::<{}>(), 0..4)", rust_type(items)),
        kind if field.boxed => format!("any::<Box<{}>>()", rust_type(kind)),
        kind => format!("any::<{}>()", rust_type(kind)),
    };
    if field.required { value } else { format!("option::of({value})") }
}
