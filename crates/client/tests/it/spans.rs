//! What an upload says to those who trace it.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use partwise_models::Purpose;
use partwise_protocol::{
    retry::RetryPolicy,
    upload::{Plan, RouteChoice},
};
use partwise_testkit::http1::{answer, read_body, read_head, read_request};
use tokio::io::AsyncReadExt as _;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _, registry::LookupSpan};

use crate::peer::{A_PART, MIB, Peer, options, zeros};

#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Fields {
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("-", String::as_str)
    }

    fn line<const N: usize>(&self, names: [&str; N]) -> String {
        names.map(|name| self.get(name).trim_matches('"').to_owned()).join(" ")
    }
}

#[derive(Debug)]
struct Collected {
    id: u64,
    name: &'static str,
    parent: Option<u64>,
    fields: Fields,
}

/// Spans of this crate in the order in which they were opened, and its warnings.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Collected>>>,
    events: Arc<Mutex<Vec<Fields>>>,
}

impl Collector {
    /// Operation, part, number, status and failure of every attempt.
    fn attempts(&self) -> Vec<String> {
        let spans = self.spans.lock().unwrap();
        let attempts = spans.iter().filter(|span| span.name == "attempt");
        attempts.map(|span| span.fields.line(["operation", "part", "number", "status", "failure"])).collect()
    }

    /// The only span of an upload; every attempt lies in it.
    fn upload(&self) -> Fields {
        let spans = self.spans.lock().unwrap();
        let [upload] = &*spans.iter().filter(|span| span.name == "upload").collect::<Vec<_>>() else {
            panic!("{spans:?}")
        };
        assert!(
            spans.iter().all(|span| span.name == "upload" || span.parent == Some(upload.id)),
            "{spans:?}"
        );
        upload.fields.clone()
    }

    fn warnings(&self) -> Vec<Fields> {
        self.events.lock().unwrap().clone()
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("partwise")
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collector {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !is_ours(attributes.metadata()) {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = context.span(id).and_then(|span| Some(span.parent()?.id().into_u64()));
        let span = Collected { id: id.into_u64(), name: attributes.metadata().name(), parent, fields };
        self.spans.lock().unwrap().push(span);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        // Numbers are used again.
        if let Some(span) = self.spans.lock().unwrap().iter_mut().rfind(|span| span.id == id.into_u64()) {
            values.record(&mut span.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if is_ours(event.metadata()) && *event.metadata().level() <= tracing::Level::WARN {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let span = context.event_span(event).map_or("none", |span| span.name());
            fields.0.insert("span", span.to_owned());
            self.events.lock().unwrap().push(fields);
        }
    }
}

fn plan() -> Plan {
    let mut plan = Plan::new("a.jsonl", "application/jsonl", Purpose::Batch);
    (plan.route, plan.part_size, plan.parallel) = (RouteChoice::Parts, Some(MIB), 1.into());
    plan
}

/// Status, more headers, body; none: the connection is closed.
type Answer = Option<(u16, &'static str, &'static str)>;

/// Answers each request line as `answers` says; the number counts requests for parts from 1.
async fn peer(answers: fn(&str, usize) -> Answer) -> Peer {
    let parts = Arc::new(Mutex::new(0));
    Peer::start(move |mut stream, _| {
        let parts = parts.clone();
        async move {
            while let Some((head, _)) = read_request(&mut stream).await {
                let request = head.lines().next().unwrap().to_owned();
                *parts.lock().unwrap() += usize::from(request.contains("/parts "));
                let part = *parts.lock().unwrap();
                let Some((status, headers, body)) = answers(&request, part) else { return };
                answer(&mut stream, status, headers, body).await;
            }
        }
    })
    .await
}

const AN_UPLOAD: &str = r#"{"id":"upload_1","object":"upload","status":"pending"}"#;
const COMPLETED: &str = r#"{"id":"upload_1","object":"upload","status":"completed","file":{"id":"file-1"}}"#;

#[tokio::test]
async fn an_upload_is_a_span_with_one_below_it_for_each_attempt() {
    let seen = Collector::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(seen.clone()));
    let peer = peer(|request, part| match request {
        "POST /v1/uploads HTTP/1.1" => Some((200, "", AN_UPLOAD)),
        _ if request.contains("/complete ") => Some((200, "", COMPLETED)),
        _ if part == 1 => Some((429, "retry-after-ms: 40\r\n", "")),
        _ => Some((200, "", A_PART)),
    })
    .await;
    let mut plan = plan();
    // No backoff of our own, which would be drawn.
    plan.retry.get_or_insert_default().base_wait = Duration::ZERO;
    peer.client(options()).upload_as(plan, zeros(2 * MIB)).await.unwrap();

    let upload = seen.upload();
    assert_eq!(upload.get("service"), format!("\"http://{}/v1\"", peer.address));
    assert_eq!(upload.line(["dialect", "route", "bytes", "id"]), "OpenAI parts 2097152 upload_1");
    assert_eq!(
        upload.line(["attempts", "retries", "bytes_acknowledged", "waited_ms"]),
        "5 1 2097152 40",
        "{upload:?}"
    );
    assert!(upload.get("bytes_sent").parse::<u64>().unwrap() > 2 * MIB);
    assert_eq!(
        seen.attempts(),
        [
            "createUpload - 1 200 -",
            "addUploadPart 1 1 429 -",
            "addUploadPart 1 2 200 -",
            "addUploadPart 2 1 200 -",
            "completeUpload - 1 200 -",
        ]
    );
    let [patience] = &seen.warnings()[..] else { panic!("{:?}", seen.warnings()) };
    assert_eq!(
        patience.line(["message", "operation", "part", "number", "reason", "wait", "window", "span"]),
        "the service asks for patience addUploadPart 1 1 http_429 40ms 1 upload"
    );
}

#[tokio::test]
async fn an_attempt_without_an_answer_is_recorded_with_its_kind_of_failure() {
    let seen = Collector::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(seen.clone()));
    let peer = peer(|request, _| (!request.contains("/parts ")).then_some((200, "", AN_UPLOAD))).await;
    let mut plan = plan();
    plan.retry = Some(RetryPolicy::never());
    peer.client(options()).upload_as(plan, zeros(MIB)).await.unwrap_err();
    assert_eq!(seen.attempts(), ["createUpload - 1 200 -", "addUploadPart 1 1 - interrupted"]);
    assert_eq!(seen.upload().line(["attempts", "retries", "bytes_acknowledged"]), "2 0 0");
}

#[tokio::test]
async fn an_upload_that_is_dropped_has_recorded_what_it_took_and_warned_of_what_is_odd() {
    let seen = Collector::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(seen.clone()));
    let peer = peer(|request, _| match request {
        "POST /v1/uploads HTTP/1.1" => Some((200, "", r#"{"id":"upload_1","created_at":9,"expires_at":8}"#)),
        _ => Some((503, "retry-after: 100\r\n", "")),
    })
    .await;
    let upload = peer
        .client(options())
        .upload_as(plan().retry(RetryPolicy::default()), zeros(MIB))
        .prepare()
        .await
        .unwrap();
    let mut progress = upload.progress();
    tokio::select! {
        ended = upload.run() => panic!("{ended:?}"),
        held = progress.wait_for(|now| now.statistics.overloads == 1) => drop(held.unwrap()),
    }
    assert_eq!(seen.upload().line(["id", "attempts", "retries"]), "upload_1 2 1");
    let messages: Vec<_> = seen.warnings().iter().map(|warning| warning.get("message").to_owned()).collect();
    assert_eq!(
        messages,
        [
            "the service named an expiry before the upload's beginning; it is ignored",
            "the service asks for patience"
        ]
    );
}

#[tokio::test]
async fn a_comparison_of_a_file_with_the_source_is_attempts_of_the_upload() {
    let seen = Collector::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(seen.clone()));
    let file = r#"{"id":"file-1","filename":"a.jsonl","bytes":5,"purpose":"batch"}"#;
    let peer = Peer::start(move |mut stream, _| async move {
        while let Some((head, _)) = read_request(&mut stream).await {
            let list = format!(r#"{{"data":[{file}],"has_more":false}}"#);
            match head.lines().next().unwrap().rsplit_once(' ').unwrap().0 {
                // The file is made, and the answer is lost.
                "POST /v1/files" => return,
                "GET /v1/files/file-1/content" => answer(&mut stream, 200, "", "hello").await,
                "GET /v1/files/file-1" => answer(&mut stream, 200, "", file).await,
                _ => answer(&mut stream, 200, "", &list).await,
            }
        }
    })
    .await;
    let plan = Plan::new("a.jsonl", "application/jsonl", Purpose::Batch).retry(RetryPolicy::default());
    let file = peer.client(options()).upload_as(plan, Bytes::from_static(b"hello")).await.unwrap();
    assert_eq!(file.id, "file-1");
    assert_eq!(
        seen.attempts(),
        [
            "createFile - 1 - interrupted",
            "listFiles - 1 200 -",
            "retrieveFile - 1 200 -",
            "downloadFile - 1 200 -",
        ]
    );
    let upload = seen.upload();
    assert_eq!(
        upload.line(["route", "attempts", "retries", "bytes_acknowledged"]),
        "single 4 0 5",
        "{upload:?}"
    );
}

#[tokio::test]
async fn the_route_of_a_file_that_goes_in_parts_after_all_is_told() {
    let seen = Collector::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(seen.clone()));
    let peer = Peer::start(|mut stream, connection| async move {
        while let Some(head) = read_head(&mut stream).await {
            if connection < 2 {
                // In the middle of the body.
                let _ = stream.read(&mut [0; 1024]).await;
                return;
            }
            let request = head.text.lines().next().unwrap().to_owned();
            let object = match &*request {
                "POST /v1/uploads HTTP/1.1" => AN_UPLOAD,
                _ if request.contains("/complete ") => COMPLETED,
                _ => A_PART,
            };
            if read_body(&mut stream, head).await.is_none() {
                return;
            }
            answer(&mut stream, 200, "", object).await;
        }
    })
    .await;
    let mut plan = Plan::new("a.jsonl", "application/jsonl", Purpose::Batch);
    // The most that goes in one request, and more than the system takes of one.
    plan.parallel = 1.into();
    plan.retry = Some(RetryPolicy::default());
    peer.client(options()).upload_as(plan, zeros(64 * MIB)).await.unwrap();
    assert_eq!(seen.upload().line(["route", "id"]), "parts upload_1");
    let attempts = seen.attempts();
    assert_eq!(
        attempts[..3],
        ["createFile - 1 - interrupted", "createFile - 2 - interrupted", "createUpload - 1 200 -"]
    );
    assert!(attempts.len() > 5, "{attempts:?}");
}
