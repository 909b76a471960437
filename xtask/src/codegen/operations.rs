//! The operation table of the protocol crate.

use anyhow::{Context, Result, bail};

use crate::codegen::conditions::{condition, grouped};
use crate::codegen::rust::{HEADER, doc, file_doc, pascal_case, with_availability};
use crate::codegen::{Generated, fields, purposes};
use crate::contract::{Contract, Operation, Repeat, Versions};

const FOLDER: &str = "crates/protocol/src/generated";

pub(super) fn files(contract: &Contract) -> Result<Vec<Generated>> {
    let file = |name: &str, text: String| Generated { path: format!("{FOLDER}/{name}.rs").into(), text };
    Ok(vec![
        file("mod", list()),
        file("fields", fields::table(contract)?),
        file("operations", table(&contract.operations)?),
        file("purposes", purposes::table(contract)?),
    ])
}

fn list() -> String {
    let about = file_doc("The operations of the contract, as tables that clients and servers read.");
    let is_from =
        doc("Tells whether an api-version is from `stable` on, or a preview from `previews` on.", 0);
    let date = doc(
        "The date of an api-version, by which versions compare: `2024-08-01-preview` is `2024-08-01`.",
        0,
    );
    format!(
        "{HEADER}{about}\nmod fields;\nmod operations;\nmod purposes;\n\npub use operations::{{OperationId, PathPart}};\n\n\
         {date}fn date(api_version: &str) -> &str {{\napi_version.get(..10).unwrap_or(api_version)\n}}\n\n\
         {is_from}fn is_from(api_version: &str, stable: &str, previews: &str) -> bool {{\n\
         date(api_version) >= if api_version.ends_with(\"-preview\") {{ previews }} else {{ stable }}\n}}\n"
    )
}

fn table(operations: &[Operation]) -> Result<String> {
    let uses_date = |operation: &Operation| {
        let marks =
            operation.answers.iter().map(|success| &success.availability).chain([&operation.availability]);
        marks.into_iter().any(|mark| !matches!(mark.azure, Versions::None | Versions::All))
    };
    let date = if operations.iter().any(uses_date) { "use super::date;\n" } else { "" };
    Ok([
        format!(
            "{HEADER}{}\nuse http::{{Method, StatusCode}};\n\n{date}use crate::{{Dialect, transport::Repeat}};\n",
            file_doc("The operations: methods, paths, statuses, and what repeating one can do.")
        ),
        definition(operations),
        path_part(),
        "impl OperationId {".to_owned(),
        all(operations),
        name(operations),
        method(operations),
        path(operations),
        path_parts(operations)?,
        repeat(operations),
        answer_limit(operations),
        success(operations)?,
        available_in(operations),
        "}\n".to_owned(),
    ]
    .join("\n"))
}

/// An example for [`definition`].
const EXAMPLE_OF_OPERATION: &str = r#"///
/// ```
/// use partwise_protocol::operations::OperationId;
///
/// let operation = OperationId::RetrieveFile;
/// assert_eq!((operation.method().as_str(), operation.path()), ("GET", "/files/{file_id}"));
/// assert_eq!(operation.to_string(), "GET /files/{file_id}");
/// ```
"#;

/// An example for [`path_part`].
const EXAMPLE_OF_PATH: &str = r#"///
/// ```
/// use partwise_protocol::operations::{OperationId, PathPart};
///
/// assert_eq!(OperationId::RetrieveFile.path_parts(), [PathPart::Literal("files"), PathPart::Id]);
/// ```
"#;

fn definition(operations: &[Operation]) -> String {
    let mut text = doc("One of the operations of the Files and Uploads APIs.", 0);
    text += EXAMPLE_OF_OPERATION;
    text += "#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]\n";
    text += "#[expect(clippy::exhaustive_enums, reason = \"a server that does not answer one of them is wrong\")]\n";
    text += "pub enum OperationId {\n";
    for operation in operations {
        let Operation { method, path, summary, availability, .. } = operation;
        text += &doc(&with_availability(&format!("`{method} {path}`: {summary}"), availability), 1);
        text += &format!("{},\n", pascal_case(&operation.id));
    }
    text + "}\n"
}

fn path_part() -> String {
    doc("One part of an operation's path, between two slashes.", 0)
        + EXAMPLE_OF_PATH
        + "#[derive(Clone, Copy, Debug, PartialEq, Eq)]\n\
           #[expect(clippy::exhaustive_enums, reason = \"a router has to match every kind\")]\n\
           pub enum PathPart {\n/// Stands there as it is.\nLiteral(&'static str),\n\
           /// The id of a file or upload, percent-encoded.\nId,\n}\n"
}

fn all(operations: &[Operation]) -> String {
    let variants: String = operations.iter().map(|operation| variant(operation) + ",").collect();
    let count = operations.len();
    format!(
        "/// All of them, in the order of the contract.\npub const ALL: [Self; {count}] = [{variants}];\n"
    )
}

fn name(operations: &[Operation]) -> String {
    let arms = arms(operations, |operation| format!("\"{}\"", operation.id));
    format!("/// Its name in the contract.\npub const fn name(self) -> &'static str {{\n{arms}}}\n")
}

fn method(operations: &[Operation]) -> String {
    let arms = arms(operations, |operation| format!("Method::{}", operation.method));
    format!("/// The method of its requests.\npub const fn method(self) -> Method {{\n{arms}}}\n")
}

fn path(operations: &[Operation]) -> String {
    let arms = arms(operations, |operation| format!("\"{}\"", operation.path));
    let doc = doc("The template of its path, which follows the base of an API; ids stand in braces.", 1);
    format!("{doc}pub const fn path(self) -> &'static str {{\n{arms}}}\n")
}

fn path_parts(operations: &[Operation]) -> Result<String> {
    let mut parts = Vec::new();
    for operation in operations {
        let path = operation
            .path
            .strip_prefix('/')
            .with_context(|| format!("{} starts with no slash", operation.path))?;
        let path: String = path
            .split('/')
            .map(|part| {
                if part.starts_with('{') {
                    "PathPart::Id,".to_owned()
                } else {
                    format!("PathPart::Literal(\"{part}\"),")
                }
            })
            .collect();
        parts.push(format!("&[{path}]"));
    }
    let mut parts = parts.into_iter();
    let arms = arms(operations, |_| parts.next().unwrap_or_default());
    let doc =
        doc("Its path in parts, for a router. No two operations of one method can match the same path.", 1);
    Ok(format!("{doc}pub const fn path_parts(self) -> &'static [PathPart] {{\n{arms}}}\n"))
}

fn repeat(operations: &[Operation]) -> String {
    let arms = arms(operations, |operation| match operation.repeat {
        Repeat::Harmless => "Repeat::Harmless".to_owned(),
        Repeat::Orphans => "Repeat::Orphans".to_owned(),
        Repeat::Ambiguous => "Repeat::Ambiguous".to_owned(),
    });
    format!("/// What sending it twice can do.\npub const fn repeat(self) -> Repeat {{\n{arms}}}\n")
}

fn answer_limit(operations: &[Operation]) -> String {
    let arms = arms(operations, |operation| readable_number(operation.answer_limit));
    let doc = doc(
        "How many bytes of an answer's body a driver takes into memory at most, refusals included. The content that a \
         download streams is not meant.",
        1,
    );
    format!("{doc}pub const fn answer_limit(self) -> u64 {{\n{arms}}}\n")
}

/// With `_` between thousands.
fn readable_number(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> =
        digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group)).collect();
    groups.join("_")
}

fn success(operations: &[Operation]) -> Result<String> {
    let mut statuses = Vec::new();
    for operation in operations {
        statuses.push(success_status(operation).with_context(|| operation.id.clone())?);
    }
    let needs_dialect = statuses.iter().any(|status| status.contains("dialect"));
    let parameter = if needs_dialect { "dialect" } else { "_" };
    let mut statuses = statuses.into_iter();
    let arms = arms(operations, |_| statuses.next().unwrap_or_default());
    let doc = doc(
        "The status of its success, as documented. A client takes any status of success: services were seen to differ.",
        1,
    );
    Ok(format!("{doc}pub fn success(self, {parameter}: &Dialect) -> StatusCode {{\n{arms}}}\n"))
}

fn success_status(operation: &Operation) -> Result<String> {
    let status = |status: u16| -> Result<&str> {
        Ok(match status {
            200 => "StatusCode::OK",
            201 => "StatusCode::CREATED",
            204 => "StatusCode::NO_CONTENT",
            other => bail!("say in {} how the status {other} is called", file!()),
        })
    };
    match operation.answers.as_slice() {
        [only] => Ok(status(only.status)?.to_owned()),
        [other, special] => Ok(format!(
            "if {} {{ {} }} else {{ {} }}",
            condition(&special.availability),
            status(special.status)?,
            status(other.status)?,
        )),
        _ => bail!("one or two statuses of success are expected"),
    }
}

fn available_in(operations: &[Operation]) -> String {
    let arms = arms(operations, |operation| condition(&operation.availability));
    let doc = doc("Returns `true` if the documents of a dialect have it.", 1);
    format!("{doc}pub fn available_in(self, dialect: &Dialect) -> bool {{\n{arms}}}\n")
}

/// A `match` on the operation.
fn arms(operations: &[Operation], mut value: impl FnMut(&Operation) -> String) -> String {
    let pairs = operations.iter().map(|operation| (variant(operation), value(operation)));
    let mut text = "match self {\n".to_owned();
    for (variants, value) in grouped(pairs) {
        text += &format!("{} => {value},\n", variants.join(" | "));
    }
    text + "}\n"
}

pub(super) fn variant(operation: &Operation) -> String {
    format!("Self::{}", pascal_case(&operation.id))
}
