//! The table of what requests may carry, in the protocol crate.

use anyhow::{Context, Result};

use crate::codegen::conditions::{condition, grouped};
use crate::codegen::operations::variant;
use crate::codegen::rust::{HEADER, doc, file_doc};
use crate::contract::{Contract, Operation};

pub(super) fn table(contract: &Contract) -> Result<String> {
    let mut arms = String::new();
    let mut rest = Vec::new();
    for operation in &contract.operations {
        match fields(operation, contract).with_context(|| operation.id.clone())? {
            Some(fields) => arms += &format!("{} => {fields},\n", variant(operation)),
            None => rest.push(variant(operation)),
        }
    }
    let about = file_doc("Which fields the documents let a request have.");
    let doc = doc(
        "Returns `true` if the documents of `dialect` let requests of this operation have this field: a query parameter, a field of \
         the form, or a member of the JSON body, by its name on the wire. A name that they do not know is no field.",
        1,
    );
    Ok(format!(
        "{HEADER}{about}\nuse super::{{OperationId, date}};\nuse crate::Dialect;\n\n\
         impl OperationId {{\n{doc}pub fn takes_field(self, field: &str, dialect: &Dialect) -> bool {{\n\
         match self {{\n{arms}{} => false,\n}}\n}}\n}}\n",
        rest.join(" | ")
    ))
}

/// An expression that looks at the name, if the operation takes any field.
fn fields(operation: &Operation, contract: &Contract) -> Result<Option<String>> {
    let mut marks: Vec<_> = operation.query.iter().map(|(name, mark)| (name.as_str(), mark)).collect();
    if let Some(name) = operation.request.as_ref().and_then(|payload| payload.schema.as_deref()) {
        let schema = contract.schemas.get(name).with_context(|| format!("there is no schema {name}"))?;
        marks.extend(schema.properties.iter().map(|(name, property)| (name, &property.availability)));
    }
    if marks.is_empty() {
        return Ok(None);
    }
    let quoted = marks.into_iter().map(|(name, mark)| (format!("\"{name}\""), condition(mark)));
    let groups = grouped(quoted);
    if let [(names, condition)] = groups.as_slice() {
        if condition == "true" {
            return Ok(Some(format!("matches!(field, {})", names.join(" | "))));
        }
    }
    let mut text = "match field {\n".to_owned();
    for (names, condition) in groups {
        text += &format!("{} => {condition},\n", names.join(" | "));
    }
    Ok(Some(text + "_ => false,\n}"))
}
