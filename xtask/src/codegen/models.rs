//! The files of the models crate: one for each subject, and the list of them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use crate::codegen::{Generated, arbitrary, descriptions, enums, rust, structs};
use crate::contract::{Contract, Schema};

const FOLDER: &str = "crates/models/src/generated";

/// What the file of each `x-module` is about.
const SUBJECTS: [(&str, &str); 6] = [
    ("errors", "What a refusal says."),
    ("expiry", "How long files live."),
    ("files", "Stored files."),
    ("objects", "What kinds of objects there are."),
    ("purposes", "The purposes of files."),
    ("uploads", "Files on their way in parts."),
];

pub(super) fn files(contract: &Contract) -> Result<Vec<Generated>> {
    let mut modules: BTreeMap<&str, Vec<(&str, &Schema)>> = BTreeMap::new();
    for (name, schema) in contract.schemas.iter() {
        if let Some(module) = &schema.module {
            modules.entry(module).or_default().push((name, schema));
        }
    }
    let mut files = vec![list(modules.keys().copied())];
    let all: Vec<_> = modules.values().flatten().copied().collect();
    let optional = [
        ("arbitrary", arbitrary::file(contract, &all)?),
        ("descriptions", descriptions::file(contract, &all)?),
    ];
    for (module, text) in optional {
        files.push(Generated { path: format!("{FOLDER}/{module}.rs").into(), text });
    }
    for (module, schemas) in modules {
        files.push(subject(contract, module, &schemas)?);
    }
    Ok(files)
}

fn list<'a>(modules: impl Iterator<Item = &'a str> + Clone) -> Generated {
    let mut text =
        rust::HEADER.to_owned() + &rust::file_doc("The types of the contract, one file for each subject.");
    text += "\n#[cfg(feature = \"proptest\")]\nmod arbitrary;\n\
             #[cfg(any(feature = \"schemars\", feature = \"utoipa\"))]\nmod descriptions;\n";
    for module in modules.clone() {
        text += &format!("mod {module};\n");
    }
    text += "\n";
    for module in modules {
        text += &format!("pub use {module}::*;\n");
    }
    Generated { path: format!("{FOLDER}/mod.rs").into(), text }
}

fn subject(contract: &Contract, module: &str, schemas: &[(&str, &Schema)]) -> Result<Generated> {
    let (_, about) = SUBJECTS
        .iter()
        .find(|(name, _)| *name == module)
        .with_context(|| format!("say in {} what the module `{module}` is about", file!()))?;
    let mut body = String::new();
    for (name, schema) in schemas {
        body += "\n";
        body += &if schema.is_enum() {
            enums::item(name, schema)
        } else {
            structs::items(contract, name, schema)
        }
        .with_context(|| format!("the schema {name}"))?;
    }
    let text = rust::HEADER.to_owned() + &rust::file_doc(about) + "\n" + &imports(&body, schemas)? + &body;
    Ok(Generated { path: format!("{FOLDER}/{module}.rs").into(), text })
}

/// What generated code may use: where it is from, and the name.
const IMPORTS: [(&str, &str); 13] = [
    ("alloc::boxed", "Box"),
    ("alloc::string", "String"),
    ("alloc::vec", "Vec"),
    ("serde", "Deserialize"),
    ("serde", "Deserializer"),
    ("serde", "Serialize"),
    ("serde::de", "MapAccess"),
    ("crate::lenient", "Lenient"),
    ("crate::open_enum", "Unrecognized"),
    ("crate::open_enum", "open_enum"),
    ("crate::strict", "Strict"),
    ("crate::text", "Text"),
    ("crate", "UnixSeconds"),
];

/// Modules that generated code may name: the words that show it, where the module is from, and the name.
const MODULES: [(&str, &str, &str); 3] = [
    ("lenient::", "crate::lenient", "self"),
    ("strict::", "crate::strict", "self"),
    ("fmt::", "core", "fmt"),
];

/// The `use` lines that the body of a file needs.
fn imports(body: &str, schemas: &[(&str, &Schema)]) -> Result<String> {
    let code: Vec<_> = body.lines().filter(|line| !line.trim_start().starts_with("///")).collect();
    let code = code.join("\n");

    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, path, name) in MODULES.into_iter().filter(|(words, ..)| code.contains(words)) {
        names.entry(path).or_default().push(name);
    }
    for (path, name) in IMPORTS.into_iter().filter(|(_, name)| uses(&code, name)) {
        names.entry(path).or_default().push(name);
    }
    let types = types_elsewhere(schemas)?;
    if !types.is_empty() {
        names.entry("crate").or_default().extend(types);
    }

    let mut text = String::new();
    for group in ["alloc", "core", "serde", "crate"] {
        for (path, names) in names.iter().filter(|(path, _)| path.split("::").next() == Some(group)) {
            text += &format!("use {path}::{{{}}};\n", names.join(", "));
        }
        text += "\n";
    }
    Ok(text)
}

/// The types of the contract that the structs of a file name and that are not in the same file.
fn types_elsewhere<'a>(schemas: &[(&'a str, &'a Schema)]) -> Result<BTreeSet<&'a str>> {
    let mut names = BTreeSet::new();
    for (_, property) in schemas.iter().flat_map(|(_, schema)| schema.properties.iter()) {
        names.extend(property.named()?);
    }
    Ok(names.into_iter().filter(|name| schemas.iter().all(|(own, _)| own != name)).collect())
}

/// Whether code uses a name on its own, not behind a path.
fn uses(code: &str, name: &str) -> bool {
    let is_part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(start, _)| {
        let (before, after) = (&code[..start], &code[start + name.len()..]);
        !before.ends_with("::") && !before.ends_with(is_part_of_name) && !after.starts_with(is_part_of_name)
    })
}
