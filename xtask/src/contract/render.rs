//! `cargo xtask contract`: the contract as one dialect sees it, in plain OpenAPI 3.1.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use yaml_serde::{Mapping, Value};

use crate::contract::marks::MARKS;
use crate::contract::{Availability, Contract, Dialect};

/// Leaves out what the dialect does not have, and all marks.
pub(crate) fn render(contract: &Contract, dialect: &Dialect) -> Result<Value> {
    let view = View { document: &contract.document, dialect };
    let mut document = view.value(&contract.document)?.context("nothing is left of the document")?;
    name_the_dialect(&mut document, dialect);
    drop_paths_without_operations(&mut document);
    drop_unused_tags(&mut document);
    drop_unused_components(&mut document);
    drop_unknown_security(&mut document);
    Ok(document)
}

struct View<'a> {
    document: &'a Value,
    dialect: &'a Dialect,
}

impl View<'_> {
    /// A value without what the dialect does not have; `None` if it has nothing of it.
    fn value(&self, value: &Value) -> Result<Option<Value>> {
        match value {
            Value::Mapping(members) => self.mapping(members),
            Value::Sequence(items) => {
                let items = items.iter().map(|item| self.value(item)).filter_map(Result::transpose);
                Ok(Some(Value::Sequence(items.collect::<Result<_>>()?)))
            }
            other => Ok(Some(other.clone())),
        }
    }

    fn mapping(&self, members: &Mapping) -> Result<Option<Value>> {
        if !self.is_available(members)? {
            return Ok(None);
        }
        let mut seen = Mapping::new();
        for (key, member) in members {
            if key.as_str().is_some_and(|key| MARKS.contains(&key)) {
                continue;
            }
            if let Some(member) = self.value(member)? {
                seen.insert(key.clone(), member);
            }
        }
        if let Some(enum_use) = members.get("x-use") {
            self.inline_enum(&mut seen, enum_use.as_str().context("`x-use` takes a name")?)?;
        }
        if members.contains_key("x-open") {
            open_enum(&mut seen);
        }
        if let Some(Value::Mapping(properties)) = members.get("properties") {
            self.require_properties(&mut seen, properties)?;
        }
        if members.contains_key("in") && self.holds(members.get("x-required"))? == Some(true) {
            seen.insert("required".into(), true.into());
        }
        Ok(Some(Value::Mapping(seen)))
    }

    /// Returns `true` if the dialect has it: by its own mark, and by that of what it refers to.
    fn is_available(&self, members: &Mapping) -> Result<bool> {
        if self.holds(members.get("x-availability"))? == Some(false) {
            return Ok(false);
        }
        if let Some(Value::Mapping(uses)) = members.get("x-uses") {
            let uses = uses.values().map(|availability| Ok(self.holds(Some(availability))? == Some(true)));
            return Ok(uses.collect::<Result<Vec<_>>>()?.contains(&true));
        }
        match members.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.is_available(self.target(reference)?),
            None => Ok(true),
        }
    }

    /// Returns `true` if an availability includes the dialect.
    fn holds(&self, availability: Option<&Value>) -> Result<Option<bool>> {
        let Some(availability) = availability else { return Ok(None) };
        let availability: Availability = yaml_serde::from_value(availability.clone())?;
        Ok(Some(availability.includes(self.dialect)))
    }

    fn target(&self, reference: &str) -> Result<&Mapping> {
        let target =
            resolve(self.document, reference).with_context(|| format!("{reference} leads nowhere"))?;
        target.as_mapping().with_context(|| format!("{reference} leads to no object"))
    }

    /// Puts the values of an enum that the dialect has for one use in place of the reference to it.
    fn inline_enum(&self, seen: &mut Mapping, enum_use: &str) -> Result<()> {
        let reference = seen.remove("$ref").context("`x-use` stands beside no $ref")?;
        let target = self.target(reference.as_str().context("a $ref is text")?)?;
        let Some(Value::Sequence(values)) = target.get("oneOf") else {
            bail!("`x-use` stands beside a $ref to no enum")
        };
        let mut taken = Vec::new();
        for value in values {
            let availability = value.get("x-uses").and_then(|uses| uses.get(enum_use));
            if self.holds(availability)? == Some(true) {
                taken.extend(self.value(value)?);
            }
        }
        seen.insert("oneOf".into(), Value::Sequence(taken));
        Ok(())
    }

    /// Adds the properties that the dialect requires to those that are always required, in the order of the properties.
    fn require_properties(&self, seen: &mut Mapping, properties: &Mapping) -> Result<()> {
        let always = seen.remove("required");
        let always: Vec<_> = always.as_ref().and_then(Value::as_sequence).into_iter().flatten().collect();
        let mut required = Vec::new();
        for (name, property) in properties {
            let is_there = seen.get("properties").is_some_and(|properties| properties.get(name).is_some());
            let is_required = always.contains(&name) || self.holds(property.get("x-required"))? == Some(true);
            if is_there && is_required {
                required.push(name.clone());
            }
        }
        if !required.is_empty() {
            seen.insert("required".into(), Value::Sequence(required));
        }
        Ok(())
    }
}

/// The target of a reference such as `#/components/schemas/File`.
pub(crate) fn resolve<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    reference.strip_prefix("#/")?.split('/').try_fold(document, |value, name| value.get(name))
}

/// Lets an enum be any text besides its values.
fn open_enum(seen: &mut Mapping) {
    if let Some(values) = seen.remove("oneOf") {
        let known = Mapping::from_iter([("oneOf".into(), values)]);
        let other = Mapping::from_iter([("type".into(), "string".into())]);
        seen.insert("anyOf".into(), Value::Sequence(vec![known.into(), other.into()]));
    }
}

fn name_the_dialect(document: &mut Value, dialect: &Dialect) {
    if let Some(title) = document.get_mut("info").and_then(|info| info.get_mut("title")) {
        *title = format!("{} ({dialect})", title.as_str().unwrap_or_default()).into();
    }
}

fn drop_paths_without_operations(document: &mut Value) {
    if let Some(Value::Mapping(paths)) = document.get_mut("paths") {
        paths.retain(|_, item| {
            item.as_mapping().is_some_and(|item| item.keys().any(|key| key != "parameters"))
        });
    }
}

fn drop_unused_tags(document: &mut Value) {
    let mut used = Vec::new();
    let items = document.get("paths").and_then(Value::as_mapping).into_iter().flat_map(Mapping::values);
    for operation in items.filter_map(Value::as_mapping).flat_map(Mapping::values) {
        used.extend(operation.get("tags").and_then(Value::as_sequence).into_iter().flatten().cloned());
    }
    if let Some(Value::Sequence(tags)) = document.get_mut("tags") {
        tags.retain(|tag| tag.get("name").is_some_and(|name| used.contains(name)));
    }
}

/// Drops the components that nothing leads to; security schemes are named, not referred to, and stay.
fn drop_unused_components(document: &mut Value) {
    let mut used = BTreeSet::new();
    let mut to_visit: Vec<String> = document.get("paths").map(references).unwrap_or_default();
    while let Some(reference) = to_visit.pop() {
        to_visit.extend(
            resolve(document, &reference)
                .filter(|_| !used.contains(&reference))
                .map(references)
                .unwrap_or_default(),
        );
        used.insert(reference);
    }
    let Some(Value::Mapping(components)) = document.get_mut("components") else { return };
    for (kind, members) in components.iter_mut().filter(|(kind, _)| *kind != "securitySchemes") {
        let kind = kind.as_str().unwrap_or_default();
        if let Value::Mapping(members) = members {
            members.retain(|name, _| {
                used.contains(&format!("#/components/{kind}/{}", name.as_str().unwrap_or_default()))
            });
        }
    }
    components.retain(|_, members| members.as_mapping().is_some_and(|members| !members.is_empty()));
}

/// Every `$ref` in a value.
pub(crate) fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Mapping(members) => {
            let own = members.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Sequence(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

fn drop_unknown_security(document: &mut Value) {
    let schemes =
        document.get("components").and_then(|components| components.get("securitySchemes")).cloned();
    if let Some(Value::Sequence(security)) = document.get_mut("security") {
        security.retain(|requirement| {
            let names = requirement.as_mapping().into_iter().flat_map(Mapping::keys);
            names.into_iter().all(|name| schemes.as_ref().is_some_and(|schemes| schemes.get(name).is_some()))
        });
    }
}

#[cfg(test)]
mod tests {
    use yaml_serde::Value;

    use super::{references, render, resolve};
    use crate::contract::marks::MARKS;
    use crate::contract::{Contract, Dialect};
    use crate::workspace;

    const DIALECTS: [&str; 7] = [
        "openai",
        "azure-2024-05-01-preview",
        "azure-2024-06-01",
        "azure-2024-08-01",
        "azure-2024-10-21",
        "azure-2025-04-01",
        "azure-v1",
    ];

    fn view(dialect: &str) -> Value {
        let contract = Contract::read(&workspace::root()).unwrap();
        render(&contract, &dialect.parse().unwrap()).unwrap()
    }

    fn at<'a>(document: &'a Value, path: &[&str]) -> &'a Value {
        path.iter().fold(document, |value, name| value.get(*name).unwrap_or(&Value::Null))
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_mapping().into_iter().flat_map(|members| members.keys()).filter_map(Value::as_str).collect()
    }

    fn constants(value: &Value) -> Vec<&str> {
        let values = value.get("oneOf").and_then(Value::as_sequence).into_iter().flatten();
        values.filter_map(|value| value.get("const")?.as_str()).collect()
    }

    #[test]
    fn every_reference_leads_somewhere() {
        for dialect in DIALECTS {
            let document = view(dialect);
            for reference in references(&document) {
                assert!(resolve(&document, &reference).is_some(), "{reference} leads nowhere in {dialect}");
            }
        }
    }

    #[test]
    fn no_mark_is_left() {
        fn check(value: &Value) {
            match value {
                Value::Mapping(members) => {
                    keys(value).iter().for_each(|key| assert!(!MARKS.contains(key), "{key}"));
                    members.values().for_each(check);
                }
                Value::Sequence(items) => items.iter().for_each(check),
                _ => {}
            }
        }
        for dialect in DIALECTS {
            check(&view(dialect));
        }
    }

    #[test]
    fn no_choice_is_empty() {
        fn check(value: &Value, dialect: &str) {
            match value {
                Value::Mapping(members) => {
                    let choices = members.get("oneOf").and_then(Value::as_sequence);
                    assert!(choices.is_none_or(|choices| !choices.is_empty()), "{dialect}: {value:?}");
                    members.values().for_each(|value| check(value, dialect));
                }
                Value::Sequence(items) => items.iter().for_each(|value| check(value, dialect)),
                _ => {}
            }
        }
        for dialect in DIALECTS {
            check(&view(dialect), dialect);
        }
    }

    #[test]
    fn each_dialect_has_its_operations_with_their_successes() {
        let contract = Contract::read(&workspace::root()).unwrap();
        for name in DIALECTS {
            let dialect: Dialect = name.parse().unwrap();
            let document = view(name);
            for operation in &contract.operations {
                let rendered = at(&document, &["paths", &operation.path, &operation.method.to_lowercase()]);
                if !operation.availability.includes(&dialect) {
                    assert!(rendered.is_null(), "{} should not be in {name}", operation.id);
                    continue;
                }
                let statuses = keys(at(rendered, &["responses"]));
                let successes: Vec<_> = statuses.iter().filter(|status| status.starts_with('2')).collect();
                let due = operation.successes(&dialect).unwrap();
                let due: Vec<_> = due.iter().map(|success| success.status.to_string()).collect();
                assert_eq!(successes, due.iter().collect::<Vec<_>>(), "{} in {name}", operation.id);
            }
        }
    }

    #[test]
    fn uploads_come_with_2024_08_01_and_imports_only_with_a_date() {
        let paths = |dialect: &str| view(dialect).get("paths").unwrap().clone();
        assert_eq!(
            keys(&paths("azure-2024-06-01")),
            ["/files", "/files/import", "/files/{file_id}", "/files/{file_id}/content"]
        );
        assert_eq!(keys(&paths("azure-2024-10-21")).len(), 8);
        assert!(!keys(&paths("openai")).contains(&"/files/import"));
        assert!(!keys(&paths("azure-v1")).contains(&"/files/import"));
    }

    #[test]
    fn purposes_are_those_of_the_dialect_and_the_use() {
        let sent = |dialect: &str, schema: &str| {
            constants(at(&view(dialect), &["components", "schemas", schema, "properties", "purpose"]))
                .join(" ")
        };
        assert_eq!(sent("azure-2024-06-01", "CreateFileForm"), "fine-tune fine-tune-results");
        assert_eq!(sent("azure-2024-06-01", "File"), "fine-tune fine-tune-results");
        assert_eq!(
            sent("azure-2024-05-01-preview", "CreateFileForm"),
            "assistants fine-tune fine-tune-results"
        );
        assert_eq!(
            sent("azure-2024-09-01-preview", "CreateUploadRequest"),
            "assistants batch fine-tune fine-tune-results"
        );
        assert_eq!(sent("openai", "CreateFileForm"), "assistants batch evals fine-tune user_data vision");
        assert_eq!(sent("openai", "CreateUploadRequest"), "assistants batch fine-tune vision");
        assert_eq!(
            sent("azure-2024-10-21", "CreateFileForm"),
            "assistants assistants_output batch fine-tune fine-tune-results"
        );
    }

    #[test]
    fn fields_and_requirements_are_those_of_the_dialect() {
        let (openai, azure) = (view("openai"), view("azure-2024-10-21"));
        let file = |document: &Value| at(document, &["components", "schemas", "File"]).clone();
        let required = |document: &Value| -> Vec<String> {
            yaml_serde::from_value(file(document).get("required").unwrap().clone()).unwrap()
        };
        assert_eq!(
            required(&openai),
            ["id", "object", "bytes", "created_at", "filename", "purpose", "status"]
        );
        assert_eq!(required(&azure), ["id", "filename", "purpose"]);
        assert!(keys(at(&file(&openai), &["properties"])).contains(&"expires_at"));
        assert!(!keys(at(&file(&azure), &["properties"])).contains(&"expires_at"));
    }

    #[test]
    fn each_dialect_has_its_own_ways_in() {
        let schemes = |dialect: &str| keys(at(&view(dialect), &["components", "securitySchemes"])).join(" ");
        assert_eq!(schemes("openai"), "bearer");
        assert_eq!(schemes("azure-2024-06-01"), "apiKey bearer");
        let version = |dialect: &str| at(&view(dialect), &["components", "parameters", "ApiVersion"]).clone();
        assert!(version("openai").is_null());
        assert_eq!(at(&version("azure-2024-10-21"), &["required"]), &Value::Bool(true));
        assert!(at(&version("azure-v1"), &["required"]).is_null());
        assert_eq!(at(&view("openai"), &["security"]).as_sequence().map(Vec::len), Some(1));
    }
}
