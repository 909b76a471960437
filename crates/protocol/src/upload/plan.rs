//! What is to be uploaded and how; the one place that decides which route a file takes and how it is cut.

use std::time::Duration;

use partwise_models::{ExpiresAfter, Purpose};

use super::cut::{SMALLEST, Sizes, fitting_size};
use crate::{Api, Dialect, multipart::base_name, operations::OperationId, retry::RetryPolicy};

/// No service states a limit. A checkpoint names every part, so this many take tens of megabytes.
const MOST_PARTS: u64 = 1_000_000;

/// Long enough for a gigabyte at 10 Mbit/s, and short enough for a person who waits.
const COMPARE_LIMIT: Duration = Duration::from_secs(15 * 60);

/// What is to be uploaded, and how.
///
/// ```
/// use partwise_models::Purpose;
/// use partwise_protocol::upload::{Parallel, Plan};
///
/// let plan = Plan::new("train.jsonl", "application/jsonl", Purpose::FineTune)
///     .part_size(8 << 20)
///     .parallel(Parallel::Adaptive { most: 4 })
///     .md5(true);
/// assert_eq!(plan.part_size, Some(8 << 20));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The file's name; of a path, only the last component is sent.
    pub filename: String,
    /// The content's media type.
    pub mime_type: String,
    /// What the file is for.
    pub purpose: Purpose,
    /// When the file goes away by itself, if the dialect has that.
    pub expires_after: Option<ExpiresAfter>,
    /// Which route to take.
    pub route: RouteChoice,
    /// The size of a part in bytes; the last one may be smaller. With `None` sizes follow from the line while the file is
    /// sent: each part is what its connection carries in a few seconds, and the last ones are smaller, so that all
    /// connections end together.
    pub part_size: Option<u64>,
    /// How many parts are in flight.
    pub parallel: Parallel,
    /// Whether the service is given the file's MD5 to compare with what it received.
    pub md5: bool,
    /// The policy by which failed requests are retried. `None` is the policy of the client that runs it, and
    /// [`RetryPolicy::DEFAULT`] for a driver of your own.
    pub retry: Option<RetryPolicy>,
    /// How long comparing a file's content with the source may take after an ambiguous request: 15 minutes by default.
    /// What takes longer ends as [`UploadError::CompletionUnknown`](super::UploadError::CompletionUnknown).
    pub compare_limit: Duration,
    /// Whether to start over when the upload of an earlier run has expired before the service took any part of it in this
    /// run. One that expires under the run that sends it ends with [`Expired`](super::UploadError::Expired): starting over
    /// would repeat what was too slow.
    pub restart_when_expired: bool,
}

/// How many parts are in flight: at least one.
///
/// ```
/// use partwise_protocol::upload::Parallel;
///
/// assert_eq!(Parallel::Fixed(8).most(), 8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Parallel {
    /// Exactly this many.
    Fixed(u16),
    /// As many as make the upload faster, found by trying while it runs: eight at first, more as long as that pays, and fewer
    /// where they are no slower.
    Adaptive {
        /// Never more than this.
        most: u16,
    },
    /// One at a time, in the order of the source: no byte is read before all parts before it are acknowledged, so that a source that
    /// cannot go back has to keep one part. Files go in parts however small they are, where the service takes parts; a single
    /// request may have to be read from its beginning again, and so may a comparison after an ambiguous request.
    InOrder,
}

impl Parallel {
    /// The most that may ever be in flight.
    #[must_use]
    pub fn most(self) -> u16 {
        match self {
            Self::Fixed(most) | Self::Adaptive { most } => most,
            Self::InOrder => 1,
        }
    }

    pub(super) fn at_least_one(self) -> Self {
        match self {
            Self::Fixed(parallel) => Self::Fixed(parallel.max(1)),
            Self::Adaptive { most } => Self::Adaptive { most: most.max(1) },
            Self::InOrder => Self::InOrder,
        }
    }
}

impl Default for Parallel {
    /// As many as make the upload faster, up to 16.
    fn default() -> Self {
        Self::Adaptive { most: 16 }
    }
}

impl From<u16> for Parallel {
    /// Exactly this many.
    fn from(parallel: u16) -> Self {
        Self::Fixed(parallel)
    }
}

/// Which route a file takes to the service.
///
/// ```
/// use partwise_models::Purpose;
/// use partwise_protocol::{
///     Api,
///     upload::{Plan, RouteChoice},
/// };
///
/// let plan = Plan::new("requests.jsonl", "application/jsonl", Purpose::Batch);
/// assert!(!plan.goes_in_parts(&Api::openai(), 1000)?);
/// assert!(plan.route(RouteChoice::Parts).goes_in_parts(&Api::openai(), 1000)?);
/// # Ok::<(), partwise_protocol::upload::PlanError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RouteChoice {
    /// Parts where the service takes them for this purpose, unless the file is no larger than one part. Where the size of parts
    /// is left open too, a single request that was interrupted twice in the middle of its body goes in parts as well.
    #[default]
    Automatic,
    /// An upload with parts.
    Parts,
    /// One `POST /files`.
    Single,
}

/// A plan that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// There is nothing to upload.
    #[error("the file is empty, and the service takes no empty files")]
    Empty,
    /// The file has no name.
    #[error("the file has no name")]
    NoFilename,
    /// The content has no media type, and Azure refuses such files.
    #[error("the file has no media type; `application/octet-stream` says that it is not known")]
    NoMimeType,
    /// The file would be cut into more parts than any service takes and a checkpoint can hold.
    #[error("the file would have {parts} parts, and at most {MOST_PARTS} are possible: choose larger ones")]
    TooManyParts {
        /// How many parts there would be.
        parts: u64,
    },
    /// The part size is zero or more than the service takes.
    #[error("the part size must be between 1 and {limit} bytes, and is {part_size}")]
    PartSize {
        /// The size asked for.
        part_size: u64,
        /// The most that the service takes.
        limit: u64,
    },
    /// Nothing may be in flight.
    #[error("at least one part must be allowed in flight")]
    NoParallel,
    /// The file is larger than the service takes.
    #[error("the file has {length} bytes, and the service takes at most {limit} {way}")]
    TooLarge {
        /// The file's length.
        length: u64,
        /// The most that the service takes this way.
        limit: u64,
        /// The way: `in parts` or `in one request`.
        way: &'static str,
    },
    /// The service has no uploads in parts.
    #[error("{dialect} does not take files in parts")]
    NoUploads {
        /// The dialect, in words.
        dialect: String,
    },
    /// MD5 goes with `complete` alone.
    #[error("an MD5 can only be sent with a file in parts, and this one goes in one request")]
    Md5WithoutParts,
}

/// The route that was decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decided {
    Parts(Sizes),
    Single,
}

impl Plan {
    /// A plan with every choice left to the machine.
    #[must_use]
    pub fn new(filename: impl Into<String>, mime_type: impl Into<String>, purpose: Purpose) -> Self {
        Self {
            filename: filename.into(),
            mime_type: mime_type.into(),
            purpose,
            expires_after: None,
            route: RouteChoice::Automatic,
            part_size: None,
            parallel: Parallel::default(),
            md5: false,
            retry: None,
            compare_limit: COMPARE_LIMIT,
            restart_when_expired: false,
        }
    }

    /// Returns `true` if content of this length goes to this service in parts, at least at first.
    ///
    /// # Errors
    /// [`PlanError`] when the plan cannot work for it.
    pub fn goes_in_parts(&self, api: &Api, length: u64) -> Result<bool, PlanError> {
        Ok(matches!(self.decide(api, length)?, Decided::Parts(_)))
    }

    /// Sets [`filename`](#structfield.filename).
    #[must_use]
    pub fn filename(mut self, filename: impl Into<String>) -> Self {
        self.filename = filename.into();
        self
    }

    /// Sets [`mime_type`](#structfield.mime_type).
    #[must_use]
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.mime_type = mime_type.into();
        self
    }

    /// Sets [`purpose`](#structfield.purpose).
    #[must_use]
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// Sets [`expires_after`](#structfield.expires_after).
    #[must_use]
    pub fn expires_after(mut self, expires_after: ExpiresAfter) -> Self {
        self.expires_after = Some(expires_after);
        self
    }

    /// Sets [`route`](#structfield.route).
    #[must_use]
    pub fn route(mut self, route: RouteChoice) -> Self {
        self.route = route;
        self
    }

    /// Sets [`part_size`](#structfield.part_size), in bytes.
    #[must_use]
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.part_size = Some(bytes);
        self
    }

    /// Sets [`parallel`](#structfield.parallel): a number is exactly so many.
    #[must_use]
    pub fn parallel(mut self, parallel: impl Into<Parallel>) -> Self {
        self.parallel = parallel.into();
        self
    }

    /// Sets [`md5`](#structfield.md5).
    #[must_use]
    pub fn md5(mut self, md5: bool) -> Self {
        self.md5 = md5;
        self
    }

    /// Sets [`retry`](#structfield.retry).
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Sets [`compare_limit`](#structfield.compare_limit).
    #[must_use]
    pub fn compare_limit(mut self, limit: Duration) -> Self {
        self.compare_limit = limit;
        self
    }

    /// Sets [`restart_when_expired`](#structfield.restart_when_expired).
    #[must_use]
    pub fn restart_when_expired(mut self, restarts: bool) -> Self {
        self.restart_when_expired = restarts;
        self
    }

    /// The policy that holds for this upload.
    #[must_use]
    pub fn retry_policy(&self) -> &RetryPolicy {
        self.retry.as_ref().unwrap_or(&RetryPolicy::DEFAULT)
    }

    /// The one place where it is decided which way a file of this length goes.
    pub(super) fn decide(&self, api: &Api, length: u64) -> Result<Decided, PlanError> {
        if base_name(&self.filename).is_empty() {
            return Err(PlanError::NoFilename);
        }
        if self.mime_type.is_empty() {
            return Err(PlanError::NoMimeType);
        }
        if length == 0 {
            return Err(PlanError::Empty);
        }
        if self.parallel.most() == 0 {
            return Err(PlanError::NoParallel);
        }
        let largest_part = self.largest_part(api, length)?;
        let dialect = api.dialect();
        let has_uploads = OperationId::CreateUpload.available_in(dialect);
        let in_parts = match self.route {
            RouteChoice::Parts if !has_uploads => {
                return Err(PlanError::NoUploads { dialect: dialect.to_string() });
            }
            RouteChoice::Parts => true,
            RouteChoice::Single => false,
            RouteChoice::Automatic => {
                // MD5 can only be sent with parts, so wanting it is a reason to cut even a small file.
                let needs_parts = self.md5 || self.parallel == Parallel::InOrder;
                has_uploads && self.is_uploadable(dialect) && (length > largest_part || needs_parts)
            }
        };
        let (limit, way) = match in_parts {
            true => (api.limits().upload, "in parts"),
            false => (api.limits().file, "in one request"),
        };
        if length > limit {
            return Err(PlanError::TooLarge { length, limit, way });
        }
        if !in_parts {
            return if self.md5 { Err(PlanError::Md5WithoutParts) } else { Ok(Decided::Single) };
        }
        match length.div_ceil(self.part_size.unwrap_or(api.limits().part)) {
            parts if parts > MOST_PARTS => Err(PlanError::TooManyParts { parts }),
            _ => Ok(Decided::Parts(self.sizes(api, length))),
        }
    }

    /// How a file of this length is cut, or the rest of it that an earlier run has not sent. Whatever is asked for is kept to as
    /// far as the service takes it and a checkpoint can hold it.
    pub(super) fn sizes(&self, api: &Api, length: u64) -> Sizes {
        let limit = api.limits().part.max(1);
        let part_size = self.part_size.map(|size| size.max(length.div_ceil(MOST_PARTS)).clamp(1, limit));
        Sizes::of(part_size, limit, api.limits().parts)
    }

    /// How a file that was to go in one request is cut when the line does not last for it; `None` where it has to go in one
    /// request, or parts would be no smaller.
    pub(super) fn sizes_after_all(&self, api: &Api, length: u64) -> Option<Sizes> {
        let (dialect, create) = (api.dialect(), OperationId::CreateUpload);
        let is_open = self.route == RouteChoice::Automatic && self.part_size.is_none();
        let is_taken = create.available_in(dialect)
            && self.is_uploadable(dialect)
            && (self.expires_after.is_none() || create.takes_field("expires_after", dialect))
            && length <= api.limits().upload;
        (is_open && is_taken && length > SMALLEST.min(api.limits().part)).then(|| self.sizes(api, length))
    }

    /// Whether uploads take this purpose. Of a purpose that we do not know, nothing speaks against it.
    fn is_uploadable(&self, dialect: &Dialect) -> bool {
        matches!(self.purpose, Purpose::Other(_))
            || OperationId::CreateUpload.takes_purpose(&self.purpose, dialect)
    }

    fn largest_part(&self, api: &Api, length: u64) -> Result<u64, PlanError> {
        let limit = api.limits().part;
        match self.part_size {
            Some(part_size) if part_size == 0 || part_size > limit => {
                Err(PlanError::PartSize { part_size, limit })
            }
            Some(part_size) => Ok(part_size),
            None if limit == 0 => Err(PlanError::PartSize { part_size: 0, limit }),
            None => Ok(fitting_size(length, self.parallel.most(), limit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn plan(purpose: Purpose) -> Plan {
        Plan::new("a.jsonl", "application/jsonl", purpose)
    }

    #[test]
    fn small_files_and_purposes_without_uploads_go_in_one_request() {
        let openai = Api::openai();
        let old = Api::azure("https://r.example", "2024-06-01").unwrap();
        let parts = |plan: Plan, api: &Api, length| plan.goes_in_parts(api, length).unwrap();
        assert!(parts(plan(Purpose::Batch), &openai, 100 * MIB));
        assert!(!parts(plan(Purpose::Batch), &openai, 8 * MIB));
        assert!(!parts(plan(Purpose::UserData), &openai, 100 * MIB));
        assert!(!parts(plan(Purpose::FineTune), &old, 100 * MIB));
        assert!(parts(Plan { md5: true, ..plan(Purpose::Batch) }, &openai, 1));
        assert!(parts(Plan { route: RouteChoice::Parts, ..plan(Purpose::UserData) }, &openai, 1));
        assert!(!parts(Plan { route: RouteChoice::Single, ..plan(Purpose::Batch) }, &openai, 100 * MIB));
        assert!(parts(Plan { parallel: Parallel::InOrder, ..plan(Purpose::Batch) }, &openai, 1));
        assert!(!parts(Plan { part_size: Some(10), ..plan(Purpose::Batch) }, &openai, 10));
        assert!(parts(Plan { part_size: Some(10), ..plan(Purpose::Batch) }, &openai, 11));
    }

    #[test]
    fn a_plan_that_cannot_work_is_refused_with_the_reason() {
        let openai = Api::openai();
        let refusal = |plan: Plan, length| plan.decide(&openai, length).unwrap_err().to_string();
        let batch = || plan(Purpose::Batch);
        insta::assert_snapshot!(refusal(batch(), 0), @"the file is empty, and the service takes no empty files");
        insta::assert_snapshot!(refusal(Plan { part_size: Some(0), ..batch() }, 1), @"the part size must be between 1 and 67108864 bytes, and is 0");
        insta::assert_snapshot!(refusal(Plan { part_size: Some(64 * MIB + 1), ..batch() }, 1), @"the part size must be between 1 and 67108864 bytes, and is 67108865");
        insta::assert_snapshot!(refusal(batch(), 9_000_000_000), @"the file has 9000000000 bytes, and the service takes at most 8000000000 in parts");
        insta::assert_snapshot!(refusal(plan(Purpose::UserData), 600 * MIB), @"the file has 629145600 bytes, and the service takes at most 512000000 in one request");
        insta::assert_snapshot!(refusal(Plan { parallel: Parallel::Fixed(0), ..batch() }, 1), @"at least one part must be allowed in flight");
        insta::assert_snapshot!(refusal(Plan { md5: true, route: RouteChoice::Single, ..batch() }, 1), @"an MD5 can only be sent with a file in parts, and this one goes in one request");
        insta::assert_snapshot!(refusal(Plan { filename: "dir/".into(), ..batch() }, 1), @"the file has no name");
        insta::assert_snapshot!(refusal(Plan { mime_type: String::new(), ..batch() }, 1), @"the file has no media type; `application/octet-stream` says that it is not known");
        insta::assert_snapshot!(refusal(Plan { part_size: Some(1), ..batch() }, 1_000_001), @"the file would have 1000001 parts, and at most 1000000 are possible: choose larger ones");
    }
}
