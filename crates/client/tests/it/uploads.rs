//! The driver, against a service that is as bad as each test needs it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use partwise::{CheckpointFile, Error};
use partwise_models::Purpose;
use partwise_protocol::upload::{Phase, Plan, RouteChoice, UploadError};
use partwise_testkit::{
    errors::line,
    http1::{answer, drain, read_body, read_head},
};
use tokio::{io::AsyncReadExt, net::TcpStream, sync::mpsc};

use crate::peer::{A_PART, MIB, Peer, options, zeros};

const AN_UPLOAD: &str = r#"{"id":"upload_1","object":"upload","status":"pending"}"#;
const CANCELLED: &str = r#"{"id":"upload_1","object":"upload","status":"cancelled"}"#;

fn plan() -> Plan {
    let mut plan = Plan::new("a.jsonl", "application/jsonl", Purpose::Batch);
    (plan.route, plan.part_size, plan.parallel) = (RouteChoice::Parts, Some(16 * MIB), 4.into());
    plan.retry = Some(partwise_protocol::retry::RetryPolicy::never());
    plan
}

/// What a peer does with the parts of an upload; it says every request line.
async fn serve<P, Served>(mut stream: TcpStream, asked: mpsc::UnboundedSender<String>, part: P)
where
    P: Fn(TcpStream) -> Served,
    Served: Future<Output = ()>,
{
    while let Some(head) = read_head(&mut stream).await {
        let request = head.text.lines().next().unwrap().to_owned();
        asked.send(request.clone()).unwrap();
        if request.contains("/parts ") {
            return part(stream).await;
        }
        read_body(&mut stream, head).await.unwrap();
        answer(&mut stream, 200, "", if request.contains("/cancel ") { CANCELLED } else { AN_UPLOAD }).await;
    }
}

/// A peer that takes uploads, and of parts nothing more than the head.
async fn stalling() -> (Peer, mpsc::UnboundedReceiver<String>, Arc<AtomicUsize>) {
    let (asked, was_asked) = mpsc::unbounded_channel();
    let open = Arc::new(AtomicUsize::new(0));
    let count = open.clone();
    let peer = Peer::start(move |stream, _| {
        let count = count.clone();
        serve(stream, asked.clone(), move |stream| {
            let count = count.clone();
            async move {
                count.fetch_add(1, SeqCst);
                let interest = tokio::io::Interest::ERROR | tokio::io::Interest::READABLE;
                loop {
                    let ready = stream.ready(interest).await.unwrap();
                    if ready.is_error() || ready.is_read_closed() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                count.fetch_sub(1, SeqCst);
            }
        })
    })
    .await;
    (peer, was_asked, open)
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn dropping_an_upload_to_a_stalled_service_leaves_nothing_behind() {
    let (peer, _was_asked, open) = stalling().await;
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = alive();
    let client = peer.client(options());
    let mut plan = plan();
    plan.md5 = true;
    let upload = client.upload_as(plan, zeros(64 * MIB)).prepare().await.unwrap();
    let running = tokio::spawn(upload.run());
    until(|| open.load(SeqCst) == 4).await;
    running.abort();
    until(|| open.load(SeqCst) == 0).await;
    drop(client);
    until(|| alive() == before).await;
}

#[tokio::test]
async fn cancelling_tells_the_service_and_ends_what_flies() {
    let (peer, mut was_asked, open) = stalling().await;
    let (cancel, cancelled) = tokio::sync::oneshot::channel::<()>();
    let upload = peer.client(options()).upload_as(plan(), zeros(64 * MIB)).prepare().await.unwrap();
    let upload = upload.cancel_when(async { cancelled.await.unwrap_or_default() });
    let running = tokio::spawn(upload.run());
    until(|| open.load(SeqCst) == 4).await;
    cancel.send(()).unwrap();
    let error = running.await.unwrap().unwrap_err();
    let Error::Upload(error) = error else { panic!("{}", line(&error)) };
    assert!(matches!(*error, UploadError::Cancelled { file_possible: false, .. }), "{error}");
    until(|| open.load(SeqCst) == 0).await;
    let mut last = String::new();
    while let Ok(asked) = was_asked.try_recv() {
        last = asked;
    }
    assert_eq!(last, "POST /v1/uploads/upload_1/cancel HTTP/1.1");
}

#[tokio::test]
async fn cancelling_does_not_wait_for_an_overloaded_service() {
    let (asked, _was_asked) = mpsc::unbounded_channel();
    let peer = Peer::start(move |stream, _| {
        serve(stream, asked.clone(), |mut stream| async move {
            answer(&mut stream, 429, "Retry-After: 60\r\nConnection: close\r\n", "").await;
        })
    })
    .await;
    let (cancel, cancelled) = tokio::sync::oneshot::channel::<()>();
    let mut plan = plan();
    plan.retry = Some(partwise_protocol::retry::RetryPolicy::default());
    let upload = peer.client(options()).upload_as(plan, zeros(64 * MIB)).prepare().await.unwrap();
    let upload = upload.cancel_when(async { cancelled.await.unwrap_or_default() });
    let mut progress = upload.progress();
    let running = tokio::spawn(upload.run());
    progress.wait_for(|now| now.statistics.overloads > 0).await.unwrap();
    cancel.send(()).unwrap();
    let error = running.await.unwrap().unwrap_err();
    let Error::Upload(error) = error else { panic!("{}", line(&error)) };
    assert!(matches!(*error, UploadError::Cancelled { confirmed: true, .. }), "{error}");
}

#[tokio::test]
async fn a_key_that_is_refused_in_the_middle_of_a_part_ends_the_upload_with_the_services_words() {
    let (asked, _was_asked) = mpsc::unbounded_channel();
    let peer = Peer::start(move |stream, _| {
        serve(stream, asked.clone(), |mut stream| async move {
            let refusal = r#"{"error":{"message":"Incorrect API key"}}"#;
            answer(&mut stream, 401, "Connection: close\r\n", refusal).await;
        })
    })
    .await;
    let error = peer.client(options()).upload_as(plan(), zeros(64 * MIB)).await.unwrap_err();
    assert_eq!(error.rejection().unwrap().status, StatusCode::UNAUTHORIZED, "{}", line(&error));
    assert_eq!(error.rejection().unwrap().error.message.as_deref(), Some("Incorrect API key"));
}

#[tokio::test]
async fn a_key_that_expires_under_the_upload_loses_no_part_that_is_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = CheckpointFile::at(folder.path().join("upload.json"));
    let (asked, _was_asked) = mpsc::unbounded_channel();
    let open = Arc::new(AtomicUsize::new(0));
    let rejecting = tokio::sync::watch::Sender::new(false);
    let count = open.clone();
    let peer = Peer::start(move |stream, _| {
        let (count, rejecting) = (count.clone(), rejecting.clone());
        serve(stream, asked.clone(), move |mut stream| {
            let (count, rejecting) = (count.clone(), rejecting.clone());
            async move {
                if count.fetch_add(1, SeqCst) == 0 {
                    until(|| count.load(SeqCst) == 4).await;
                    answer(&mut stream, 401, "Connection: close\r\n", "").await;
                    rejecting.send_replace(true);
                    return;
                }
                let (mut rejected, mut taken) = (rejecting.subscribe(), 0);
                tokio::select! {
                    () = drain(&mut stream, &mut taken) => {}
                    _ = rejected.wait_for(|rejected| *rejected) => {}
                }
                // All of the part has to be there before it is acknowledged, and the client must not end by the rejection.
                let mut buffer = vec![0; 64 * 1024];
                let silence = Duration::from_millis(300);
                while let Ok(Ok(1..)) = tokio::time::timeout(silence, stream.read(&mut buffer)).await {}
                answer(&mut stream, 200, "Connection: close\r\n", A_PART).await;
            }
        })
    })
    .await;
    let upload = peer.client(options()).upload_as(plan(), zeros(64 * MIB)).prepare().await.unwrap();
    let error = upload.save_to(checkpoint.clone()).run().await.unwrap_err();
    assert_eq!(error.rejection().unwrap().status, StatusCode::UNAUTHORIZED, "{}", line(&error));
    assert_eq!(open.load(SeqCst), 4, "nothing new is sent");
    assert_eq!(checkpoint.load().unwrap().unwrap().acknowledged(), (48 * MIB, 64 * MIB));
}

/// A peer that takes parts as fast as they come, and answers none before it may.
async fn withholding() -> (Peer, mpsc::UnboundedReceiver<String>, tokio::sync::watch::Sender<bool>) {
    let (asked, was_asked) = mpsc::unbounded_channel();
    let (answering, may_answer) = tokio::sync::watch::channel(false);
    let peer = Peer::start(move |stream, _| {
        let may_answer = may_answer.clone();
        serve(stream, asked.clone(), move |mut stream| {
            let mut may_answer = may_answer.clone();
            async move {
                let mut taken = 0;
                let reading = drain(&mut stream, &mut taken);
                tokio::select! {
                    () = reading => {}
                    _ = may_answer.wait_for(|may| *may) => {}
                }
                answer(&mut stream, 200, "Connection: close\r\n", A_PART).await;
            }
        })
    })
    .await;
    (peer, was_asked, answering)
}

#[tokio::test]
async fn progress_tells_bytes_that_have_left_before_they_are_acknowledged() {
    let (peer, _was_asked, answering) = withholding().await;
    let upload = peer.client(options()).upload_as(plan(), zeros(32 * MIB)).prepare().await.unwrap();
    let mut progress = upload.progress();
    assert_eq!((progress.borrow().bytes_total, progress.borrow().phase), (32 * MIB, Phase::Creating));
    let running = tokio::spawn(upload.run());
    progress.wait_for(|now| now.bytes_in_flight >= 32 * MIB).await.unwrap();
    assert_eq!(progress.borrow().bytes_acknowledged, 0);
    answering.send(true).unwrap();
    progress.wait_for(|now| now.bytes_acknowledged == 32 * MIB).await.unwrap();
    // This service has no answer to what makes the file.
    running.abort();
}

#[tokio::test]
async fn stopping_keeps_what_is_acknowledged_and_begins_no_part() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = CheckpointFile::at(folder.path().join("upload.json"));
    let (peer, _was_asked, answering) = withholding().await;
    let mut plan = plan();
    plan.parallel = 2.into();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let upload = peer.client(options()).upload_as(plan, zeros(32 * MIB)).prepare().await.unwrap();
    let upload = upload.save_to(checkpoint.clone()).stop_when(async { stopped.await.unwrap_or_default() });
    let mut progress = upload.progress();
    let part = progress.borrow().bytes_total / progress.borrow().parts_total;
    let running = tokio::spawn(upload.run());
    progress.wait_for(|now| now.bytes_in_flight >= 2 * part).await.unwrap();
    stop.send(()).unwrap();
    // Between a signal and its hearing there is no event to wait for: a part that is sent after it would show below.
    tokio::time::sleep(Duration::from_millis(50)).await;
    answering.send(true).unwrap();
    let error = running.await.unwrap().unwrap_err();
    let Error::Upload(error) = error else { panic!("{}", line(&error)) };
    assert!(matches!(*error, UploadError::Stopped { .. }), "{error}");
    assert_eq!(checkpoint.load().unwrap().unwrap().acknowledged(), (2 * part, 32 * MIB));
}

#[tokio::test]
async fn a_checkpoint_is_in_its_place_before_a_part_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = CheckpointFile::at(folder.path().join("upload.json"));
    assert_eq!(checkpoint.load().unwrap(), None);
    let (peer, _was_asked, open) = stalling().await;
    let upload = peer.client(options()).upload_as(plan(), zeros(64 * MIB)).prepare().await.unwrap();
    let running = tokio::spawn(upload.save_to(checkpoint.clone()).run());
    until(|| open.load(SeqCst) == 4).await;
    until(|| checkpoint.load().unwrap().is_some()).await;
    running.abort();
    assert_eq!(checkpoint.load().unwrap().unwrap().upload_id(), Some("upload_1"));
    let names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["upload.json"]);
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_saved_ends_the_upload() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = CheckpointFile::at(folder.path().join("missing").join("upload.json"));
    let (peer, _was_asked, _open) = stalling().await;
    let upload = peer.client(options()).upload_as(plan(), zeros(64 * MIB)).prepare().await.unwrap();
    let error = upload.save_to(checkpoint).run().await.unwrap_err();
    let Error::Upload(error) = error else { panic!("{}", line(&error)) };
    assert!(matches!(*error, UploadError::Save(_)), "{}", line(&error));
}

#[tokio::test]
async fn a_plan_that_cannot_work_is_refused_before_anything_is_sent() {
    let peer = Peer::start(|_, _| async {}).await;
    let error = peer.client(options()).upload_as(plan(), Bytes::new()).await.unwrap_err();
    assert!(matches!(error, Error::Plan(_)), "{}", line(&error));
    assert_eq!(peer.accepted(), 0);
}
