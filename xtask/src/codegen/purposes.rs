//! The table of purposes in the protocol crate.

use anyhow::{Context, Result, ensure};

use crate::codegen::conditions::{condition, grouped};
use crate::codegen::operations::variant;
use crate::codegen::rust::{HEADER, doc, file_doc, pascal_case};
use crate::contract::{Contract, Operation, Schema};

pub(super) fn table(contract: &Contract) -> Result<String> {
    let schema = contract.schemas.get("Purpose").context("there is no schema Purpose")?;
    for (name, _) in schema.values.iter().flat_map(|value| value.uses.iter()) {
        ensure!(
            name == "object" || contract.operation(name).is_some(),
            "x-uses: there is no operation {name}"
        );
    }
    let mut arms = String::new();
    let mut rest = Vec::new();
    for operation in &contract.operations {
        match purposes(operation, schema) {
            Some(purposes) => arms += &format!("{} => {purposes},\n", variant(operation)),
            None => rest.push(variant(operation)),
        }
    }
    let about = file_doc("Which purposes the documents let an operation take.");
    let doc = doc(
        "Returns `true` if the documents of `dialect` let this operation take a file of `purpose`. Operations that take no purpose \
         take none, and nothing is documented of a purpose that is not known; services may well take more than that.",
        1,
    );
    Ok(format!(
        "{HEADER}{about}\nuse partwise_models::Purpose;\n\nuse super::{{OperationId, date, is_from}};\nuse crate::Dialect;\n\n\
         impl OperationId {{\n{doc}pub fn takes_purpose(self, purpose: &Purpose, dialect: &Dialect) -> bool {{\n\
         match self {{\n{arms}{} => false,\n}}\n}}\n}}\n",
        rest.join(" | ")
    ))
}

/// A `match` on the purpose, if the operation takes any.
fn purposes(operation: &Operation, schema: &Schema) -> Option<String> {
    let taken = schema.values.iter().filter_map(|value| {
        let availability = value.uses.get(&operation.id)?;
        Some((format!("Purpose::{}", pascal_case(&value.value)), condition(availability)))
    });
    let groups = grouped(taken);
    if groups.is_empty() {
        return None;
    }
    let mut text = "match purpose {\n".to_owned();
    for (purposes, condition) in groups {
        text += &format!("{} => {condition},\n", purposes.join(" | "));
    }
    Some(text + "_ => false,\n}")
}
