//! Stores elsewhere, by their URLs: S3 and what speaks its protocol, Azure Blob Storage, Google Cloud Storage.

mod connector;

use std::{fmt, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig,
    aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder,
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    path::Path,
    prefix::PrefixStore,
};
use partwise_transport_hyper::stack::{StackOptions, Timeouts};
use url::Url;

use self::connector::StackConnector;
use crate::{open::OpenError, store::Store};

/// The connections to a store: requests beyond wait for one.
const CONNECTIONS: usize = 256;
/// How often a request is sent again that the store could not serve, and for how long: about half a minute, in which a client of
/// this server waits for its answer.
const RETRIES: usize = 8;
const LONGEST_RETRYING: Duration = Duration::from_secs(30);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A store answers within seconds; assembling a blob of many pieces may take it longer.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);

/// The service that a URL names by its scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    S3,
    Azure,
    Google,
}

/// A place in a store elsewhere, as a URL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    provider: Provider,
    /// The bucket or the container.
    bucket: String,
    /// What the names of all objects begin with; empty for the whole bucket.
    prefix: Path,
}

impl Store {
    /// A store in S3 (`s3://BUCKET/PREFIX`), Azure Blob Storage (`az://CONTAINER/PREFIX`) or Google Cloud Storage
    /// (`gs://BUCKET/PREFIX`), with or without a prefix.
    ///
    /// Credentials, regions and endpoints come from the environment, by the names that `object_store` reads: `AWS_…` with
    /// `AWS_ENDPOINT_URL` for what speaks S3's protocol elsewhere, `AZURE_STORAGE_…`, `GOOGLE_…`. Plain http is refused unless
    /// `AWS_ALLOW_HTTP=true` (`AZURE_…`, `GOOGLE_…`) allows it. Nothing is sent before the server is
    /// [built](crate::Builder::build), which finds out whether the store can be relied on.
    ///
    /// # Errors
    /// [`OpenError::Url`] when the URL names no such store, [`OpenError::Settings`] when what the environment says is not enough, or
    /// cannot be used.
    pub fn cloud(url: &str) -> Result<Self, OpenError> {
        Self::cloud_with(url, StackOptions::new())
    }

    /// A store as of [`cloud`](Self::cloud), reached with these proxies and certificates. Timeouts and the number of connections are
    /// the store's own.
    ///
    /// # Errors
    /// As of [`cloud`](Self::cloud).
    pub fn cloud_with(url: &str, options: StackOptions) -> Result<Self, OpenError> {
        let place = Place::parse(url)?;
        let timeouts = Timeouts::default().answer(LONGEST_ANSWER).lookup(LONGEST_ANSWER);
        let connector = StackConnector::new(options.timeouts(timeouts).connections(CONNECTIONS));
        let objects = place.open(connector);
        let objects =
            objects.map_err(|source| OpenError::Settings { url: url.to_owned(), source: source.into() })?;
        Ok(Self::remote(objects, place.to_string()))
    }
}

impl Provider {
    const ALL: [Self; 3] = [Self::S3, Self::Azure, Self::Google];

    fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Azure => "az",
            Self::Google => "gs",
        }
    }
}

impl Place {
    fn parse(text: &str) -> Result<Self, OpenError> {
        let wrong = |problem: &'static str| OpenError::Url { url: without_secrets(text), problem };
        let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
        let provider = Provider::ALL.into_iter().find(|provider| provider.scheme() == url.scheme());
        let provider = provider.ok_or_else(|| wrong("has a scheme that is none of s3, az and gs"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("has a name or a key in it: credentials come from the environment"));
        }
        if url.query().is_some() || url.fragment().is_some() || url.port().is_some() {
            return Err(wrong("has more than a bucket and a prefix: endpoints come from the environment"));
        }
        let bucket = url.host_str().unwrap_or_default().to_owned();
        if bucket.is_empty() {
            return Err(wrong("names no bucket"));
        }
        let prefix =
            Path::from_url_path(url.path()).map_err(|_| wrong("has a prefix that no object can have"))?;
        Ok(Self { provider, bucket, prefix })
    }

    fn open(&self, connector: StackConnector) -> object_store::Result<Arc<dyn ObjectStore>> {
        let backoff =
            BackoffConfig { init_backoff: FIRST_WAIT, max_backoff: LONGEST_WAIT, ..BackoffConfig::default() };
        let retry = RetryConfig { backoff, max_retries: RETRIES, retry_timeout: LONGEST_RETRYING };
        Ok(match self.provider {
            Provider::S3 => {
                let builder = AmazonS3Builder::from_env().with_bucket_name(&self.bucket);
                self.below(builder.with_http_connector(connector).with_retry(retry).build()?)
            }
            Provider::Azure => {
                let builder = MicrosoftAzureBuilder::from_env().with_container_name(&self.bucket);
                self.below(builder.with_http_connector(connector).with_retry(retry).build()?)
            }
            Provider::Google => {
                let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&self.bucket);
                // There it is allowed by default.
                if std::env::var_os("GOOGLE_ALLOW_HTTP").is_none() {
                    builder =
                        builder.with_config(GoogleConfigKey::Client(ClientConfigKey::AllowHttp), "false");
                }
                self.below(builder.with_http_connector(connector).with_retry(retry).build()?)
            }
        })
    }

    fn below(&self, objects: impl ObjectStore) -> Arc<dyn ObjectStore> {
        if self.prefix.as_ref().is_empty() {
            return Arc::new(objects);
        }
        Arc::new(PrefixStore::new(objects, self.prefix.clone()))
    }
}

/// A URL without what may be a key in it.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://…@{place}"),
        (None, Some((_, place))) => format!("…@{place}"),
        _ => url.to_owned(),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.provider.scheme(), self.bucket, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_bucket_and_a_prefix() {
        for (url, shown) in [
            ("s3://bucket", "s3://bucket/"),
            ("s3://bucket/", "s3://bucket/"),
            ("az://container/a/b/", "az://container/a/b"),
            ("gs://bucket/teams%20of/files", "gs://bucket/teams of/files"),
        ] {
            assert_eq!(Place::parse(url).unwrap().to_string(), shown, "{url}");
        }
    }

    #[test]
    fn a_url_that_names_no_store_says_what_is_wrong() {
        for (url, problem) in [
            ("bucket", "is not a URL"),
            ("https://bucket.s3.amazonaws.com", "has a scheme that is none of s3, az and gs"),
            ("s3://", "names no bucket"),
            ("s3:///prefix", "names no bucket"),
            ("s3://key:secret@bucket", "has a name or a key in it: credentials come from the environment"),
            (
                "s3://bucket:9000/a",
                "has more than a bucket and a prefix: endpoints come from the environment",
            ),
            (
                "s3://bucket/a?region=b",
                "has more than a bucket and a prefix: endpoints come from the environment",
            ),
            ("s3://bucket/a//b", "has a prefix that no object can have"),
        ] {
            match Place::parse(url) {
                Err(OpenError::Url { problem: said, url: shown }) => {
                    assert_eq!(said, problem, "{url}");
                    assert!(!shown.contains("secret") && !shown.contains("region"), "{shown}");
                }
                other => panic!("{url}: {other:?}"),
            }
        }
    }
}
