//! One sample against the contract and the types.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::index::{BodyKind, Direction, Sample};
use super::reader::Reader;
use crate::contract::{Contract, Dialect, Operation, Payload};

pub(super) enum Verdict {
    Passed,
    /// It is of an operation that the contract does not have.
    NotModelled,
}

/// Operations that other documents call by other names.
const OTHER_NAMES: [(&str, &str); 2] = [("getFile", "retrieveFile"), ("getFileContent", "downloadFile")];

/// The operation that stands for a document's bare description of an object.
const BARE_OBJECT: &str = "schema";

pub(super) fn check(
    contract: &Contract,
    reader: &mut Reader,
    folder: &Path,
    sample: &Sample,
) -> Result<Verdict> {
    let body = sample.read(folder)?;
    if sample.operation == BARE_OBJECT {
        let Some(type_name) = type_of_object(&body) else { return Ok(Verdict::NotModelled) };
        return check_json(reader, type_name, &body);
    }
    let other_name = OTHER_NAMES.iter().find(|(name, _)| *name == sample.operation);
    let id = other_name.map_or(sample.operation.as_str(), |(_, ours)| ours);
    let Some(operation) = contract.operation(id) else { return Ok(Verdict::NotModelled) };

    let dialect = sample.dialect()?;
    ensure!(operation.availability.includes(&dialect), "the contract has no {id} in {dialect}");
    check_request_line(operation, &dialect, sample)?;
    let payload = match sample.direction {
        Direction::Request => operation.request.as_ref(),
        Direction::Response => {
            let successes = operation.successes(&dialect)?;
            let status = sample.status.or(successes.last().map(|usual| usual.status));
            let success = successes.iter().find(|success| Some(success.status) == status);
            let success = success.with_context(|| {
                let known: Vec<_> = successes.iter().map(|success| success.status.to_string()).collect();
                format!(
                    "the status is {}, by the contract {}",
                    status.unwrap_or_default(),
                    known.join(" or ")
                )
            })?;
            success.payload.as_ref()
        }
    };
    check_body(contract, reader, &dialect, sample, payload, &body)
}

fn check_request_line(operation: &Operation, dialect: &Dialect, sample: &Sample) -> Result<()> {
    if let Some(method) = &sample.method {
        ensure!(*method == operation.method, "the method is {method}, by the contract {}", operation.method);
    }
    if let Some(path) = &sample.path {
        let template = format!("{}{}", dialect.base_path(), operation.path);
        let same = |(part, template): (&str, &str)| template.starts_with('{') || part == template;
        let fits = path.split('/').count() == template.split('/').count()
            && path.split('/').zip(template.split('/')).all(same);
        ensure!(fits, "the path is {path}, by the contract {template}");
    }
    Ok(())
}

fn check_body(
    contract: &Contract,
    reader: &mut Reader,
    dialect: &Dialect,
    sample: &Sample,
    payload: Option<&Payload>,
    body: &Value,
) -> Result<Verdict> {
    if sample.body == BodyKind::None {
        ensure!(payload.is_none(), "there is no body, by the contract there is one");
        return Ok(Verdict::Passed);
    }
    let payload = payload.context("there is a body, by the contract there is none")?;
    let media_type = match sample.body {
        BodyKind::Json => "application/json",
        BodyKind::Multipart => "multipart/form-data",
        BodyKind::Raw | BodyKind::None => "application/octet-stream",
    };
    ensure!(
        payload.media_type == media_type,
        "the body is {media_type}, by the contract {}",
        payload.media_type
    );
    match (sample.body, &payload.schema) {
        (BodyKind::Json, Some(schema)) => check_json(reader, schema, body),
        (BodyKind::Multipart, Some(schema)) => check_form(contract, dialect, schema, body),
        _ => Ok(Verdict::Passed),
    }
}

fn check_json(reader: &mut Reader, type_name: &str, body: &Value) -> Result<Verdict> {
    let written = reader.read_and_write(type_name, body)?;
    ensure!(written == without_nulls(body), "{body} is read as {type_name} and written again as {written}");
    Ok(Verdict::Passed)
}

/// The type of an object that says itself what it is.
fn type_of_object(body: &Value) -> Option<&'static str> {
    match body.get("object")?.as_str()? {
        "file" => Some("File"),
        "list" => Some("FileList"),
        "upload" => Some("Upload"),
        "upload.part" => Some("UploadPartResource"),
        _ => None,
    }
}

/// The models leave out what is null.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().filter(|(_, member)| !member.is_null());
            members.map(|(name, member)| (name.clone(), without_nulls(member))).collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

fn check_form(contract: &Contract, dialect: &Dialect, schema: &str, body: &Value) -> Result<Verdict> {
    let form = contract.schemas.get(schema).with_context(|| format!("the contract has no {schema}"))?;
    let fields = body.get("multipart").and_then(Value::as_array).context("there is no list of fields")?;
    let names: Vec<_> = fields.iter().filter_map(|field| field.get("name")?.as_str()).collect();
    for name in &names {
        let property =
            form.properties.get(name).with_context(|| format!("the contract has no field {name}"))?;
        ensure!(property.availability.includes(dialect), "the contract has no field {name} in {dialect}");
    }
    for name in &form.required {
        ensure!(names.contains(&name.as_str()), "the field {name} is required by the contract and missing");
    }
    Ok(Verdict::Passed)
}
