//! A store in memory that speaks the dialects of S3, Azure Blob Storage and Google Cloud Storage, as far as `object_store` does:
//! objects, conditional writes, lists in pages, uploads of parts, removals. It is asked in process, through the builders of
//! `object_store`, or over a socket; it counts, and goes wrong as it is told to.
//!
//! It has one bucket (a *container* in Azure's words), which all dialects share, and one caller. It does not know versions,
//! copies, tags, checksums and signatures, and no conditional reads.

mod answer;
mod azure;
mod bucket;
mod fault;
mod list;
mod problem;
mod request;
mod s3;
mod serve;
mod xml;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder,
};

use self::{bucket::Bucket, fault::Faults};
pub use self::{
    fault::{Fault, Requests},
    request::{Dialect, Kind},
    serve::Listening,
};

/// The bucket that there is.
pub const BUCKET: &str = "bucket";
/// The public part of the caller's credentials: an access key of S3, an account of Azure, a token of Google.
pub const KEY: &str = "key";
/// The secret part, where there is one.
const SECRET: &str = "c2VjcmV0";
/// The endpoint of stores in process; every request gets here, whatever its host.
const IN_PROCESS: &str = "http://cloud.fake";

/// A store in memory. Clones share everything.
#[derive(Clone)]
pub struct FakeCloud(Arc<Shared>);

struct Shared {
    bucket: Mutex<Bucket>,
    faults: Mutex<Faults>,
    seen: Mutex<Vec<Seen>>,
    /// The most entries of a page, where that is less than the dialect has.
    page: AtomicUsize,
}

/// A request that the store has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The purpose of the request.
    pub kind: Kind,
    /// The key that it is about, or the keys, with spaces between them; the prefix of a list.
    pub key: String,
    /// The length of its body.
    pub bytes: usize,
    /// The fault that it met.
    pub fault: Option<Fault>,
    /// The status of the answer; `None` when the connection ended instead.
    pub status: Option<u16>,
}

impl FakeCloud {
    /// Makes one that is empty, and well.
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            bucket: Mutex::default(),
            faults: Mutex::default(),
            seen: Mutex::default(),
            page: AtomicUsize::new(usize::MAX),
        }))
    }

    /// Opens the bucket in process, in this dialect. All stores of one cloud have the same objects.
    #[must_use]
    pub fn store(&self, dialect: Dialect) -> Arc<dyn ObjectStore> {
        self.store_of(dialect, BUCKET, KEY)
    }

    /// Opens a bucket that need not be there, with credentials that need not be right.
    ///
    /// # Panics
    /// When `object_store` does not take them.
    #[must_use]
    pub fn store_of(&self, dialect: Dialect, bucket: &str, key: &str) -> Arc<dyn ObjectStore> {
        match dialect {
            Dialect::S3 => {
                let builder = s3(IN_PROCESS).with_bucket_name(bucket).with_access_key_id(key);
                Arc::new(builder.with_http_connector(self.clone()).build().unwrap())
            }
            Dialect::Azure => {
                let builder = azure(IN_PROCESS).with_container_name(bucket).with_account(key);
                Arc::new(builder.with_http_connector(self.clone()).build().unwrap())
            }
            Dialect::Gcs => {
                let builder = gcs(IN_PROCESS).with_bucket_name(bucket).with_bearer_token(key);
                Arc::new(builder.with_http_connector(self.clone()).build().unwrap())
            }
        }
    }

    /// Chooses the requests of a kind, to give them a fault.
    pub fn on(&self, kind: Kind) -> Requests<'_> {
        Requests::new(self, Some(kind))
    }

    /// Chooses all requests, to give them a fault.
    pub fn on_any(&self) -> Requests<'_> {
        Requests::new(self, None)
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.faults().clear();
    }

    /// From now on, an object is missing from the first lists after its creation, so many of them.
    pub fn list_late(&self, lists: u64) {
        self.bucket().lateness.lists = lists;
    }

    /// From now on, an object is missing from lists for so long after its creation.
    pub fn list_late_by(&self, time: Duration) {
        self.bucket().lateness.time = time;
    }

    /// From now on, pages of lists have at most so many entries.
    pub fn limit_pages(&self, entries: usize) {
        self.0.page.store(entries, SeqCst);
    }

    /// The requests since the last [`forget`](Self::forget), in the order of their answers.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    /// The number of requests of a kind since the last [`forget`](Self::forget).
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.0.seen.lock().unwrap().iter().filter(|seen| seen.kind == kind).count()
    }

    /// Forgets the requests that were seen.
    pub fn forget(&self) {
        self.0.seen.lock().unwrap().clear();
    }

    /// The content of an object.
    #[must_use]
    pub fn object(&self, key: &str) -> Option<Bytes> {
        self.bucket().object(key).ok().map(|object| object.content.clone())
    }

    /// The keys of all objects, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.bucket().keys().map(str::to_owned).collect()
    }

    /// The number of uploads of parts that are neither completed nor given up; in Azure's dialect, of keys that have blocks.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.bucket().unfinished()
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.0.bucket.lock().unwrap()
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.faults.lock().unwrap()
    }

    fn note(&self, seen: Seen) {
        self.0.seen.lock().unwrap().push(seen);
    }

    fn page(&self, of_dialect: usize) -> usize {
        self.0.page.load(SeqCst).min(of_dialect)
    }
}

impl fmt::Debug for FakeCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeCloud")
    }
}

/// Begins a store in S3's dialect, to which a connector is missing.
pub fn s3(endpoint: &str) -> AmazonS3Builder {
    let builder = AmazonS3Builder::new().with_endpoint(endpoint).with_allow_http(true).with_retry(retry());
    builder.with_bucket_name(BUCKET).with_access_key_id(KEY).with_secret_access_key(SECRET)
}

/// Begins a store in Azure's dialect, to which a connector is missing.
pub fn azure(endpoint: &str) -> MicrosoftAzureBuilder {
    let builder = MicrosoftAzureBuilder::new().with_endpoint(endpoint.to_owned()).with_allow_http(true);
    builder.with_retry(retry()).with_container_name(BUCKET).with_account(KEY).with_access_key(SECRET)
}

/// Begins a store in Google's dialect, to which a connector is missing.
pub fn gcs(endpoint: &str) -> GoogleCloudStorageBuilder {
    let builder = GoogleCloudStorageBuilder::new().with_base_url(endpoint).with_retry(retry());
    let builder = builder.with_client_options(ClientOptions::new().with_allow_http(true));
    builder.with_bucket_name(BUCKET).with_bearer_token(KEY)
}

/// Retries three times, within milliseconds.
#[must_use]
pub fn retry() -> RetryConfig {
    let (init_backoff, max_backoff) = (Duration::from_millis(1), Duration::from_millis(8));
    let backoff = BackoffConfig { init_backoff, max_backoff, base: 2. };
    RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(10) }
}

/// The URL of the bucket, as `partwise serve --store` takes it.
#[must_use]
pub fn url(dialect: Dialect) -> String {
    let scheme = match dialect {
        Dialect::S3 => "s3",
        Dialect::Azure => "az",
        Dialect::Gcs => "gs",
    };
    format!("{scheme}://{BUCKET}")
}

/// The environment in which a program finds the bucket at this endpoint, and may use it.
#[must_use]
pub fn environment(dialect: Dialect, endpoint: &str) -> Vec<(&'static str, String)> {
    let settings: &[(&str, &str)] = match dialect {
        Dialect::S3 => &[
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_ALLOW_HTTP", "true"),
        ],
        Dialect::Azure => &[
            ("AZURE_STORAGE_ENDPOINT", endpoint),
            ("AZURE_STORAGE_ACCOUNT_NAME", KEY),
            ("AZURE_STORAGE_ACCOUNT_KEY", SECRET),
            ("AZURE_ALLOW_HTTP", "true"),
        ],
        Dialect::Gcs => {
            &[("GOOGLE_BASE_URL", endpoint), ("GOOGLE_BEARER_TOKEN", KEY), ("GOOGLE_ALLOW_HTTP", "true")]
        }
    };
    settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}
