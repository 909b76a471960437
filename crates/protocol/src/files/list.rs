//! `GET /files`: the files of the account, a page at a time.

use std::{fmt, ops::RangeInclusive};

use bytes::Bytes;
use http::{Request, Response};
use partwise_models::{File, FileList, Purpose, TypeDiscriminator};
use serde::Serialize;

use crate::{
    Api, Body, DecodeError, Dialect, EncodeError, Operation, OperationId, ResponseError, Route,
    json::{bare_request, json_response, read_response},
    route::query_pairs,
};

/// How many files a page may be asked to hold.
const LIMITS: RangeInclusive<u32> = 1..=10_000;

/// Lists files.
///
/// Azure's older dated versions page nothing: of the parameters they get `purpose` alone, and their answer is `object` and
/// `data` alone. [`OperationId::takes_field`] says where the others are.
///
/// To read all pages, repeat with `after` = [`FileList::last_id`] while [`FileList::has_more`] is true. Stop when
/// it is missing or a page repeats its last identifier: some services ignore `after`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListFiles {
    /// Only files with this purpose.
    pub purpose: Option<Purpose>,
    /// At most this many: 1 to 10,000. The service's default is 10,000.
    pub limit: Option<u32>,
    /// By time of creation; the service's default is [`Order::Descending`].
    pub order: Option<Order>,
    /// Only what comes behind the file with this identifier.
    pub after: Option<String>,
}

/// The order of a list, by time of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a list has two ends")]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

impl Order {
    /// The value on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ListFiles {
    /// All files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Operation for ListFiles {
    const ID: OperationId = OperationId::ListFiles;
    type Response = FileList;

    fn encode_request(&self, api: &Api) -> Result<Request<Body>, EncodeError> {
        if let Some(limit) = self.limit.filter(|limit| !LIMITS.contains(limit)) {
            return Err(EncodeError::Invalid { field: "limit", problem: out_of_limits(&limit) });
        }
        let limit = self.limit.map(|limit| limit.to_string());
        let mut query = Vec::new();
        query.extend(self.purpose.as_ref().map(|purpose| ("purpose", purpose.as_str())));
        if pages(api.dialect()) {
            query.extend(limit.as_deref().map(|limit| ("limit", limit)));
            query.extend(self.order.map(|order| ("order", order.as_str())));
            query.extend(self.after.as_deref().map(|after| ("after", after)));
        }
        Ok(bare_request(Self::ID.method(), Self::ID.uri(api, None, &query)?))
    }

    fn decode_response(response: Response<Bytes>) -> Result<FileList, ResponseError> {
        read_response(&response)
    }

    fn decode_request(_: &Route, request: Request<Bytes>) -> Result<Self, DecodeError> {
        let mut list = Self::default();
        for (name, value) in query_pairs(request.uri()) {
            match name.as_str() {
                "purpose" => list.purpose = Some(Purpose::from(value)),
                "limit" => list.limit = Some(read_limit(&value)?),
                "order" => list.order = Some(read_order(&value)?),
                "after" => list.after = Some(value),
                _ => {}
            }
        }
        Ok(list)
    }

    fn encode_response(list: &FileList, api: &Api) -> Result<Response<Body>, EncodeError> {
        let status = Self::ID.success(api.dialect());
        let object = list.object.as_ref().unwrap_or(&TypeDiscriminator::List);
        if !pages(api.dialect()) {
            return json_response(status, &Whole { object, data: &list.data });
        }
        let page = Page {
            object,
            data: &list.data,
            first_id: list.first_id.as_deref(),
            last_id: list.last_id.as_deref(),
            has_more: list.has_more.unwrap_or(false),
        };
        json_response(status, &page)
    }
}

/// A list as it was before there were pages.
#[derive(Serialize)]
struct Whole<'a> {
    object: &'a TypeDiscriminator,
    data: &'a [File],
}

/// A page whose members are all there: clients iterate for ever over one that leaves out `has_more`, and read the two
/// identifiers as required.
#[derive(Serialize)]
struct Page<'a> {
    object: &'a TypeDiscriminator,
    data: &'a [File],
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
    has_more: bool,
}

/// Whether the documents of a dialect know pages.
fn pages(dialect: &Dialect) -> bool {
    ListFiles::ID.takes_field("after", dialect)
}

fn read_limit(value: &str) -> Result<u32, DecodeError> {
    let limit = value.parse().ok().filter(|limit| LIMITS.contains(limit));
    limit.ok_or_else(|| DecodeError::Invalid { field: "limit", problem: out_of_limits(&value) })
}

fn out_of_limits(limit: &dyn fmt::Debug) -> String {
    format!("must be a whole number from {} to {}, and is {limit:?}", LIMITS.start(), LIMITS.end())
}

fn read_order(value: &str) -> Result<Order, DecodeError> {
    match value {
        "asc" => Ok(Order::Ascending),
        "desc" => Ok(Order::Descending),
        _ => Err(DecodeError::Invalid {
            field: "order",
            problem: format!("must be asc or desc, and is {value:?}"),
        }),
    }
}
