//! Single operations of a client whose service cannot be reached, in paused time.

use std::{
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use partwise::{Client, RequestBody};
use partwise_models::Purpose;
use partwise_protocol::{
    Api, Credential, Dialect,
    machine::TransferState,
    operations::{ListFiles, RetrieveFile},
    retry::RetryPolicy,
    transport::{Failure, FailureKind},
    upload::{Plan, RetryReason, RouteChoice},
};
use partwise_testkit::errors::line;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::peer::A_FILE;

/// A service that cannot be reached for a while.
#[derive(Clone)]
struct Service {
    attempts: Arc<Mutex<Vec<Instant>>>,
    away: Range<Instant>,
}

impl Service {
    /// One that goes in a second.
    fn away_for(time: Duration) -> Self {
        let from = Instant::now() + Duration::from_secs(1);
        Self { attempts: Arc::default(), away: from..from + time }
    }

    fn client(&self) -> Client {
        let service = self.clone();
        let service = tower::service_fn(move |request: Request<RequestBody>| {
            let service = service.clone();
            async move {
                service.attempts.lock().unwrap().push(Instant::now());
                sleep(Duration::from_millis(20)).await;
                if service.away.contains(&Instant::now()) {
                    return Err(Failure::with_cause(FailureKind::Connect, "no route to host"));
                }
                let _ = request.into_body().collect().await;
                Ok(Response::new(Full::new(Bytes::from_static(A_FILE.as_bytes()))))
            }
        });
        let api = Api::with_base("http://127.0.0.1:1/v1", Dialect::OpenAi).unwrap();
        Client::builder(api, Credential::key("a-secret-key").unwrap()).transport(service).build()
    }

    /// The moments of the attempts while it was away.
    fn attempts_while_away(&self) -> Vec<Instant> {
        let attempts = self.attempts.lock().unwrap();
        attempts.iter().copied().filter(|at| self.away.contains(at)).collect()
    }
}

fn plan() -> Plan {
    let mut plan = Plan::new("report.txt", "text/plain", Purpose::Assistants);
    plan.route = RouteChoice::Single;
    plan
}

#[tokio::test(start_paused = true)]
async fn uploads_and_calls_of_one_client_are_one_storm_or_none() {
    let service = Service::away_for(Duration::from_secs(90));
    let client = service.client();
    client.call(&RetrieveFile::new("file-1")).await.unwrap();
    let (mut uploads, mut calls) = (JoinSet::new(), JoinSet::new());
    for number in 0..1000_u64 {
        let (caller, uploader) = (client.clone(), client.clone());
        let begins = Duration::from_millis(1000 + 90 * number);
        calls.spawn(async move {
            sleep(begins).await;
            caller.call(&RetrieveFile::new("file-1")).await.map_err(|error| line(&error))
        });
        uploads.spawn(async move {
            sleep(begins).await;
            uploader.upload_as(plan(), Bytes::from_static(b"hello")).await.map_err(|error| line(&error))
        });
    }
    let uploads = uploads.join_all().await;
    assert!(uploads.iter().all(Result::is_ok), "{uploads:?}");
    assert!(Instant::now() < service.away.end + Duration::from_secs(7), "all follow soon");
    let calls = calls.join_all().await;
    let reached = calls.iter().filter(|result| result.is_ok()).count();
    assert!((100..1000).contains(&reached), "{reached}: some had the time, and some had not");
    let attempts = service.attempts_while_away();
    assert!(attempts.len() <= 40, "{} attempts", attempts.len());
    // The first ones left before anything was known.
    let apart = attempts[2..].windows(2).map(|two| two[1] - two[0]).min();
    assert!(apart >= Some(Duration::from_secs(1)), "{apart:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_connect_ends_when_its_policy_says() {
    let mut ended = Vec::new();
    for alone in [true, false] {
        let service = Service::away_for(Duration::from_secs(3600));
        let client = service.client();
        client.call(&RetrieveFile::new("file-1")).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        let mut policy = RetryPolicy::default();
        if alone {
            // Nothing is waited for but its own backoff.
            policy.give_up_after = Duration::ZERO;
        }
        let client = client.to_builder().retry(policy).entropy(|| [0x7f; 32]).build();
        let began = Instant::now();
        let error = client.call(&ListFiles::new()).await.unwrap_err();
        assert!(line(&error).contains("no route to host"), "{}", line(&error));
        ended.push((began.elapsed(), service.attempts_while_away().len()));
    }
    let [(alone, all), (together, some)] = ended[..] else { panic!("{ended:?}") };
    assert!(together <= alone, "{ended:?}");
    assert_eq!((all, some), (9, 9), "nothing else waits for this service");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_had_its_turn_says_that_the_service_is_away() {
    let service = Service::away_for(Duration::from_secs(3600));
    // By other numbers the call may have its turn before it gives up.
    let client = service.client().to_builder().entropy(|| [0x7f; 32]).build();
    client.call(&RetrieveFile::new("file-1")).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let uploading = client.clone();
    let upload = tokio::spawn(async move { uploading.upload_as(plan(), Bytes::from_static(b"hello")).await });
    sleep(Duration::from_secs(30)).await;
    let before = service.attempts_while_away().len();
    let mut policy = RetryPolicy::default();
    policy.max_failures = 1;
    let error = client.to_builder().retry(policy).build().call(&ListFiles::new()).await.unwrap_err();
    assert!(
        line(&error).starts_with("the service could not be reached: other requests have not reached it for")
    );
    assert!(service.attempts_while_away().len() <= before + 1);
    upload.abort();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_turn_tells_so_once() {
    let service = Service::away_for(Duration::from_secs(3600));
    let client = service.client().to_builder().entropy(|| [0x7f; 32]).build();
    client.call(&RetrieveFile::new("file-1")).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let upload = client.upload_as(plan(), Bytes::from_static(b"hello")).prepare().await.unwrap();
    let running = tokio::spawn(upload.run());
    sleep(Duration::from_secs(30)).await;
    // An attempt has just failed: the next one leaves in more than four seconds.
    let before = service.attempts_while_away().len();
    while service.attempts_while_away().len() == before {
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_millis(100)).await;
    let told = Arc::<Mutex<Vec<_>>>::default();
    let (log, mut policy) = (told.clone(), RetryPolicy::default());
    (policy.max_failures, policy.base_wait, policy.max_wait) =
        (1000, Duration::from_millis(200), Duration::from_millis(200));
    let client = client
        .to_builder()
        .retry(policy)
        .on_retry(move |retry| log.lock().unwrap().push((Instant::now(), *retry)))
        .build();
    let began = Instant::now();
    let waiting = tokio::time::timeout(Duration::from_secs(4), client.call(&ListFiles::new())).await;
    assert!(waiting.is_err(), "{waiting:?}");
    let told = told.lock().unwrap();
    let [(at, retry)] = told[..] else { panic!("{told:?}") };
    assert_eq!((at, retry.reason, retry.attempt.number), (began, RetryReason::Connect, 1));
    assert!((4..=5).contains(&retry.wait.as_secs()), "{:?}", retry.wait);
    assert_eq!(service.attempts_while_away().len(), before + 1);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn two_calls_in_a_row_without_anything_beside_them_both_send_all_their_attempts() {
    let service = Service::away_for(Duration::from_secs(3600));
    let client = service.client().to_builder().entropy(|| [0x7f; 32]).build();
    client.call(&RetrieveFile::new("file-1")).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    for all in [9, 18] {
        let error = client.call(&ListFiles::new()).await.unwrap_err();
        assert!(line(&error).contains("no route to host"), "{}", line(&error));
        assert_eq!(service.attempts_while_away().len(), all);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_answered_ends_the_outage_for_all() {
    let service = Service::away_for(Duration::from_secs(20));
    let client = service.client();
    client.call(&RetrieveFile::new("file-1")).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let upload = client.upload_as(plan(), Bytes::from_static(b"hello")).prepare().await.unwrap();
    let mut progress = upload.progress();
    let running = tokio::spawn(upload.run());
    progress.wait_for(|now| matches!(now.state, TransferState::Offline(_))).await.unwrap();
    while Instant::now() < service.away.end {
        sleep(Duration::from_millis(100)).await;
    }
    let mut policy = RetryPolicy::never();
    policy.max_failures = 0;
    client.to_builder().retry(policy).build().call(&RetrieveFile::new("file-1")).await.unwrap();
    let answered = Instant::now();
    running.await.unwrap().unwrap();
    assert!(answered.elapsed() <= Duration::from_secs(5), "{:?}", answered.elapsed());
}
