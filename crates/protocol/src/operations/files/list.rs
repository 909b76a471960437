//! `GET /files`: the files of the account, a page at a time.

use std::{fmt, ops::RangeInclusive};

use bytes::Bytes;
use http::{Request, Response, header};
use partwise_models::{File, FileList, Purpose, TypeDiscriminator};

use super::{FileListEnd, FileListWriter};
use crate::{
    Api, Dialect, Operation,
    error::{DecodeError, EncodeError, ResponseError, beginning},
    json::{bare_request, read_response},
    operations::{OperationId, Route, route::query_pairs},
    transport::Body,
};

/// The numbers of files that a page may be asked to hold.
const LIMITS: RangeInclusive<u32> = 1..=10_000;

/// Lists files.
///
/// Azure's older dated versions page nothing: of the parameters they get `purpose` alone, and their answer needs `object` and
/// `data` alone, of which [`page_of`](Self::page_of) takes a page; what a service says beside them is written where it is set. [`OperationId::takes_field`] says where the others are.
///
/// Of a parameter that a request repeats, the first counts; an empty one counts as absent.
///
/// To read all pages, repeat with `after` = [`FileList::last_id`] while [`FileList::has_more`] is true. Stop when
/// it is missing or a page repeats its last identifier: some services ignore `after`.
///
/// ```
/// use partwise_models::Purpose;
/// use partwise_protocol::{Api, Operation, operations::{ListFiles, Order}};
///
/// let list = ListFiles::new().purpose(Purpose::Batch).order(Order::Ascending);
/// let request = list.encode_request(&Api::openai())?;
/// assert_eq!(request.uri(), "https://api.openai.com/v1/files?purpose=batch&order=asc");
/// # Ok::<(), partwise_protocol::error::EncodeError>(())
/// ```
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
///
/// ```
/// use partwise_protocol::operations::{ListFiles, Order};
///
/// assert_eq!(Order::Ascending.as_str(), "asc");
/// // Without one, services list the newest file first.
/// assert_eq!(ListFiles::new().order, None);
/// ```
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

    /// Returns `true` if the documents of this dialect have pages: Azure's dated versions before 2025-04-01 list all files in one
    /// answer.
    #[must_use]
    pub fn has_pages(dialect: &Dialect) -> bool {
        Self::ID.takes_field("after", dialect)
    }

    /// Takes the page that this asks for out of a list of all files: for gateways, whose callers know pages and whose service has
    /// none.
    ///
    /// Files of one second are in the order of their identifiers, so that pages of several lists fit together. `has_more` stays true
    /// where the list says so of itself.
    ///
    /// ```
    /// use partwise_models::{File, FileList};
    /// use partwise_protocol::operations::{ListFiles, Order};
    ///
    /// let all = || FileList::new(["file-1", "file-2", "file-3"].map(File::new).to_vec());
    /// let request = ListFiles::new().order(Order::Ascending).limit(1).after("file-1");
    /// let page = request.page_of(all())?;
    /// assert_eq!((page.data[0].id.as_str(), page.has_more), ("file-2", Some(true)));
    /// # Ok::<(), partwise_protocol::error::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// [`DecodeError::Invalid`] when the file that the page comes after is not in the list: its place is unknown then.
    pub fn page_of(&self, mut list: FileList) -> Result<FileList, DecodeError> {
        let place = |file: &File| (file.created_at, file.id.clone());
        list.data.sort_by_cached_key(place);
        if self.order != Some(Order::Ascending) {
            list.data.reverse();
        }
        if let Some(after) = &self.after {
            let at = list.data.iter().position(|file| file.id == *after);
            let at = at.ok_or_else(|| DecodeError::Invalid {
                field: "after",
                problem: format!(
                    "must be the identifier of a file in the list, and is {:?}",
                    beginning(after)
                ),
            })?;
            list.data.drain(..=at);
        }
        if let Some(purpose) = &self.purpose {
            list.data.retain(|file| file.purpose.as_ref().is_none_or(|its| its == purpose));
        }
        let limit = self.limit.unwrap_or(*LIMITS.end());
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        list.has_more = Some(list.data.len() > limit || list.has_more == Some(true));
        list.data.truncate(limit);
        list.first_id = list.data.first().map(|file| file.id.clone());
        list.last_id = list.data.last().map(|file| file.id.clone());
        Ok(list)
    }

    /// Sets [`purpose`](#structfield.purpose).
    #[must_use]
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = Some(purpose);
        self
    }

    /// Sets [`limit`](#structfield.limit).
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sets [`order`](#structfield.order).
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = Some(order);
        self
    }

    /// Sets [`after`](#structfield.after).
    #[must_use]
    pub fn after(mut self, after: impl Into<String>) -> Self {
        self.after = Some(after.into());
        self
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
        if Self::has_pages(api.dialect()) {
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
        let (mut purpose, mut limit, mut order, mut after) = (None, None, None, None);
        for (name, value) in query_pairs(request.uri()) {
            let first = match name.as_str() {
                "purpose" => &mut purpose,
                "limit" => &mut limit,
                "order" => &mut order,
                "after" => &mut after,
                _ => continue,
            };
            first.get_or_insert(value);
        }
        // Clients and proxies send what was not set as an empty text.
        let [purpose, limit, order, after] =
            [purpose, limit, order, after].map(|value| value.filter(|value| !value.is_empty()));
        Ok(Self {
            purpose: purpose.map(Purpose::from),
            limit: limit.map(|value| read_limit(&value)).transpose()?,
            order: order.map(|value| read_order(&value)).transpose()?,
            after,
        })
    }

    fn encode_response(list: &FileList, api: &Api) -> Result<Response<Body>, EncodeError> {
        let object = list.object.as_ref().unwrap_or(&TypeDiscriminator::List);
        let mut writer = FileListWriter::with_object(api, object)?;
        for file in &list.data {
            writer.push(file)?;
        }
        let (first_id, last_id) = (list.first_id.as_deref(), list.last_id.as_deref());
        let text = writer.finish(FileListEnd { first_id, last_id, has_more: list.has_more })?;
        let mut response = FileListWriter::head(api).map(|()| Body::from(text));
        let length = response.body().content_length();
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        Ok(response)
    }
}

fn read_limit(value: &str) -> Result<u32, DecodeError> {
    let limit = value.parse().ok().filter(|limit| LIMITS.contains(limit));
    limit.ok_or_else(|| DecodeError::Invalid { field: "limit", problem: out_of_limits(&beginning(value)) })
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
            problem: format!("must be asc or desc, and is {:?}", beginning(value)),
        }),
    }
}
