//! The operations of the contract.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::contract::{Availability, Dialect, Ordered};

/// One operation: a method on a path.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) summary: String,
    /// In capitals.
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) availability: Availability,
    pub(crate) repeat: Repeat,
    pub(crate) answer_limit: u64,
    /// Its own query parameters, by name; `api-version`, which all of Azure's have, is none of them.
    pub(crate) query: Vec<(String, Availability)>,
    pub(crate) request: Option<Payload>,
    /// The answers of success, in the order of their statuses.
    pub(crate) answers: Vec<Success>,
}

/// The effect of sending an operation twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Repeat {
    Harmless,
    Orphans,
    Ambiguous,
}

/// The content of a body.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    pub(crate) media_type: String,
    /// The schema that is named there, if one is.
    pub(crate) schema: Option<String>,
}

/// An answer of success and where it is given.
#[derive(Clone, Debug)]
pub(crate) struct Success {
    pub(crate) status: u16,
    pub(crate) availability: Availability,
    pub(crate) payload: Option<Payload>,
}

impl Operation {
    pub(super) fn new(path: &str, method: &str, raw: RawOperation) -> Result<Self> {
        let mut answers = Vec::new();
        for (status, answer) in raw.responses.iter().filter(|(status, _)| status.starts_with('2')) {
            answers.push(Success {
                status: status.parse().with_context(|| format!("`{status}` is no status"))?,
                availability: answer.availability.clone(),
                payload: answer.content.as_ref().map(Payload::new).transpose()?,
            });
        }
        for Parameter { name, place, .. } in &raw.parameters {
            ensure!(place == "query", "the parameter {name} stands in the {place}, which nothing reads");
        }
        Ok(Self {
            id: raw.operation_id,
            summary: raw.summary,
            method: method.to_uppercase(),
            path: path.to_owned(),
            availability: raw.availability,
            repeat: raw.repeat,
            answer_limit: raw.answer_limit,
            query: raw.parameters.into_iter().map(|query| (query.name, query.availability)).collect(),
            request: raw.request_body.map(|body| Payload::new(&body.content)).transpose()?,
            answers,
        })
    }

    /// The answers of success in a dialect, of which there is at least one wherever the operation exists. Of several, the
    /// last is the usual one.
    pub(crate) fn successes(&self, dialect: &Dialect) -> Result<Vec<&Success>> {
        let found: Vec<_> =
            self.answers.iter().filter(|success| success.availability.includes(dialect)).collect();
        ensure!(!found.is_empty(), "{} has no success in {dialect}", self.id);
        Ok(found)
    }
}

impl Payload {
    fn new(content: &Ordered<MediaType>) -> Result<Self> {
        let (media_type, body) = content.iter().next().context("`content` is empty")?;
        let schema = body.schema.reference.as_deref();
        Ok(Self {
            media_type: media_type.to_owned(),
            schema: schema.and_then(|name| name.strip_prefix("#/components/schemas/")).map(str::to_owned),
        })
    }
}

/// An operation as it is written; what only validators of other tools need is not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawOperation {
    operation_id: String,
    summary: String,
    #[serde(default)]
    parameters: Vec<Parameter>,
    request_body: Option<RequestBody>,
    responses: Ordered<Answer>,
    #[serde(default, rename = "x-availability")]
    availability: Availability,
    #[serde(rename = "x-repeat")]
    repeat: Repeat,
    #[serde(rename = "x-answer-limit")]
    answer_limit: u64,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    #[serde(rename = "in")]
    place: String,
    #[serde(default, rename = "x-availability")]
    availability: Availability,
}

#[derive(Deserialize)]
struct RequestBody {
    content: Ordered<MediaType>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, rename = "x-availability")]
    availability: Availability,
    content: Option<Ordered<MediaType>>,
}

#[derive(Deserialize)]
struct MediaType {
    schema: SchemaReference,
}

#[derive(Deserialize)]
struct SchemaReference {
    #[serde(rename = "$ref")]
    reference: Option<String>,
}
