//! How requests get to a store: over the connections that this project makes everywhere.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use http::{HeaderValue, Response, StatusCode, header, uri::Scheme};
use http_body_util::{BodyExt as _, Limited};
use object_store::{
    ClientConfigKey, ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
        HttpService,
    },
};
use partwise_protocol::transport::{Failure, FailureKind};
use partwise_transport_hyper::{
    failure_kind,
    stack::{AnswerBody, Proxy, Stack, StackError, StackOptions},
};
use tower_service::Service as _;

const USER_AGENT: &str = concat!("partwise/", env!("CARGO_PKG_VERSION"));
/// The longest wait that a store may ask for. Others wait longer than a client of this server would.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Settings of `object_store` that our connections do not have, and that must not be overlooked.
const UNKNOWN: [(ClientConfigKey, &str); 6] = [
    (
        ClientConfigKey::AllowInvalidCertificates,
        "certificates are always checked: name the store's own in SSL_CERT_FILE",
    ),
    (ClientConfigKey::NoSystemCertificates, "certificates to trust are named in SSL_CERT_FILE"),
    (ClientConfigKey::ProxyUrl, "proxies are named by HTTPS_PROXY, HTTP_PROXY and NO_PROXY"),
    (ClientConfigKey::ProxyExcludes, "proxies are named by HTTPS_PROXY, HTTP_PROXY and NO_PROXY"),
    (ClientConfigKey::ProxyCaCertificate, "certificates to trust are named in SSL_CERT_FILE"),
    (ClientConfigKey::Http2Only, "stores are reached over HTTP/1.1"),
];

/// Where clouds tell their machines and containers what they are.
const METADATA: [&str; 7] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "[fd00:ec2::254]",
    "[fd00:ec2::23]",
    "metadata.google.internal",
    "metadata",
];

/// The longest text of an answer that says to wait.
const LONGEST_TEXT: usize = 64 * 1024;

/// Makes clients for a store, which share their connections.
#[derive(Debug)]
pub(super) struct StackConnector {
    stack: Stack,
    /// For what this machine is told on the spot, such as the keys of its role: never through a proxy.
    direct: Stack,
}

impl StackConnector {
    pub(super) fn new(options: StackOptions) -> Self {
        let direct = Stack::new(StackOptions::new().proxy(Proxy::none()).connections(2));
        Self { stack: Stack::new(options), direct }
    }
}

impl HttpConnector for StackConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        for (key, instead) in UNKNOWN {
            if options.get_config_value(&key).is_some_and(|value| is_set(&value)) {
                let source = format!("the setting `{}` cannot be used: {instead}", key.as_ref()).into();
                return Err(object_store::Error::Generic { store: "HTTP", source });
            }
        }
        let allows_plain_http = options.get_config_value(&ClientConfigKey::AllowHttp);
        let allows_plain_http = allows_plain_http.is_some_and(|value| is_set(&value));
        let user_agent = options.get_config_value(&ClientConfigKey::UserAgent);
        let user_agent = user_agent.and_then(|name| HeaderValue::try_from(name).ok());
        Ok(HttpClient::new(StackService {
            stack: self.stack.clone(),
            direct: self.direct.clone(),
            allows_plain_http,
            user_agent: user_agent.unwrap_or(HeaderValue::from_static(USER_AGENT)),
        }))
    }
}

#[derive(Debug)]
struct StackService {
    stack: Stack,
    direct: Stack,
    allows_plain_http: bool,
    user_agent: HeaderValue,
}

/// A store at a plain http address that nobody has allowed.
#[derive(Debug, thiserror::Error)]
#[error(
    "the store is at a plain http address: allow that with AWS_ALLOW_HTTP=true, AZURE_ALLOW_HTTP=true or GOOGLE_ALLOW_HTTP=true"
)]
struct PlainHttp;

#[async_trait]
impl HttpService for StackService {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if request.uri().scheme() != Some(&Scheme::HTTPS) && !self.allows_plain_http {
            return Err(HttpError::new(
                HttpErrorKind::Unknown,
                Failure::with_cause(FailureKind::Unsent, PlainHttp),
            ));
        }
        request.headers_mut().entry(header::USER_AGENT).or_insert_with(|| self.user_agent.clone());
        let is_metadata = request.uri().host().is_some_and(|host| METADATA.contains(&host));
        let mut stack = if is_metadata { self.direct.clone() } else { self.stack.clone() };
        let answer = stack.call(request).await.map_err(classified)?;
        if let Some(wait) = asked_wait(&answer) {
            // Read first, so that the connection is free for others meanwhile.
            let (parts, body) = answer.into_parts();
            let text = Limited::new(body, LONGEST_TEXT).collect().await;
            let text = text.map_err(|error| HttpError::new_boxed(HttpErrorKind::Interrupted, error))?;
            tokio::time::sleep(wait).await;
            return Ok(Response::from_parts(parts, text.to_bytes().into()));
        }
        Ok(answer.map(|body| HttpResponseBody::new(body.map_err(classified))))
    }
}

/// The meaning of a setting that may be off.
fn is_set(value: &str) -> bool {
    !["false", "0", "off", "no", "n", ""].contains(&value.trim().to_ascii_lowercase().as_str())
}

/// The wait that an answer asks for which is to be tried again; `object_store` has waits of its own, and adds them.
fn asked_wait(answer: &Response<AnswerBody>) -> Option<Duration> {
    let is_asked =
        [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&answer.status());
    let seconds =
        answer.headers().get(header::RETRY_AFTER).filter(|_| is_asked)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// An error by what it says about the request. An answer that was lost is never taken for a request that was not sent: below us, a
/// create would be sent again, and find itself.
fn classified(error: StackError) -> HttpError {
    let source: Box<dyn Error + Send + Sync> = error.into();
    let failure = Failure::of(source, failure_kind);
    let kind = match failure.kind {
        FailureKind::Connect => HttpErrorKind::Connect,
        FailureKind::Timeout => HttpErrorKind::Timeout,
        FailureKind::Interrupted => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, failure)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, path::Path};
    use partwise_testkit::cloud::{Dialect, FakeCloud, Fault, Kind, Listening, azure, gcs, s3};

    use super::*;

    /// A cloud at a socket, and a store in it that is reached over our connections.
    async fn store(dialect: Dialect) -> (FakeCloud, Listening, Arc<dyn ObjectStore>) {
        let cloud = FakeCloud::new();
        let listening = cloud.listen().await;
        let (endpoint, connector) = (listening.endpoint(), StackConnector::new(StackOptions::new()));
        let store: Arc<dyn ObjectStore> = match dialect {
            Dialect::S3 => Arc::new(s3(&endpoint).with_http_connector(connector).build().unwrap()),
            Dialect::Azure => Arc::new(azure(&endpoint).with_http_connector(connector).build().unwrap()),
            Dialect::Gcs => Arc::new(gcs(&endpoint).with_http_connector(connector).build().unwrap()),
        };
        (cloud, listening, store)
    }

    async fn create(store: &dyn ObjectStore, content: &'static str) -> object_store::Result<()> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        store.put_opts(&Path::from("a"), content.into(), options).await.map(drop)
    }

    async fn get(store: &dyn ObjectStore) -> object_store::Result<bytes::Bytes> {
        store.get(&Path::from("a")).await?.bytes().await
    }

    #[tokio::test]
    async fn an_answer_that_is_lost_is_not_taken_for_a_request_that_was_not_sent() {
        for dialect in Dialect::ALL {
            let (cloud, _listening, store) = store(dialect).await;
            // The connection is one that has served before.
            create(&*store, "first").await.unwrap();
            store.delete(&Path::from("a")).await.unwrap();
            cloud.forget();
            cloud.on(Kind::Create).every(Fault::LoseAnswer);
            let error = create(&*store, "second").await.unwrap_err();
            assert!(matches!(error, Error::Generic { .. }), "{dialect:?}: {error}");
            assert_eq!(cloud.count(Kind::Create), 1, "{dialect:?}");
            cloud.on(Kind::Get).first(1, Fault::LoseAnswer);
            assert_eq!(get(&*store).await.unwrap(), "second", "{dialect:?}");
        }
    }

    #[tokio::test]
    async fn the_wait_that_a_store_asks_for_is_kept() {
        for dialect in Dialect::ALL {
            let (cloud, _listening, store) = store(dialect).await;
            create(&*store, "x").await.unwrap();
            for status in [429, 503] {
                cloud.on(Kind::Get).first(1, Fault::RejectFor { status, seconds: 1 });
                let began = Instant::now();
                assert_eq!(get(&*store).await.unwrap(), "x", "{dialect:?}");
                let waited = began.elapsed();
                assert!((1000..5000).contains(&waited.as_millis()), "{dialect:?}, {status}: {waited:?}");
            }
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_short_is_resumed() {
        for dialect in Dialect::ALL {
            let (cloud, _listening, store) = store(dialect).await;
            create(&*store, "0123456789").await.unwrap();
            cloud.on(Kind::Get).first(2, Fault::Truncate(3));
            assert_eq!(get(&*store).await.unwrap(), "0123456789", "{dialect:?}");
            assert_eq!(cloud.count(Kind::Get), 3, "{dialect:?}");
            cloud.on(Kind::Get).every(Fault::Truncate(0));
            get(&*store).await.unwrap_err();
        }
    }
}
