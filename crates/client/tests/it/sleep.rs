//! A machine that sleeps while requests are under way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use partwise::Client;
use partwise_models::Purpose;
use partwise_protocol::{
    machine::TransferState,
    operations::RetrieveFile,
    retry::RetryPolicy,
    upload::{Plan, RouteChoice},
};
use partwise_testkit::http1::{answer, answer_all, read_request};

use crate::peer::{A_FILE, A_PART, MIB, Peer, options, zeros};

/// How long this machine has slept, as its tests say.
#[derive(Clone, Default)]
struct Sleep(Arc<AtomicU64>);

impl Sleep {
    fn sleeps(&self, seconds: u64) {
        self.0.fetch_add(seconds, SeqCst);
    }

    fn clock(&self) -> impl Fn() -> Duration + Send + Sync + 'static {
        let slept = self.0.clone();
        move || Duration::from_secs(slept.load(SeqCst))
    }

    /// A client on this machine.
    fn client(&self, peer: &Peer) -> Client {
        peer.client(options().sleep_clock(self.clock())).to_builder().sleep_clock(self.clock()).build()
    }
}

fn policy(max_failures: u32) -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    (policy.max_failures, policy.max_failures_before_contact) = (max_failures, max_failures);
    policy.base_wait = Duration::from_millis(1);
    policy
}

#[tokio::test]
async fn an_idle_connection_from_before_a_sleep_is_not_used_again() {
    let peer = Peer::start(|stream, _| answer_all(stream, A_FILE)).await;
    let sleep = Sleep::default();
    let client = sleep.client(&peer);
    for (slept, connections) in [(0, 1), (0, 1), (60, 2), (0, 2), (3600, 3)] {
        sleep.sleeps(slept);
        client.call(&RetrieveFile::new("file-1")).await.unwrap();
        assert_eq!(peer.accepted(), connections);
    }
}

#[tokio::test]
async fn a_single_operation_that_a_sleep_interrupts_spends_no_budget() {
    let sleep = Sleep::default();
    let peer = Peer::start({
        let sleep = sleep.clone();
        move |mut stream, connection| {
            let sleep = sleep.clone();
            async move {
                read_request(&mut stream).await.unwrap();
                match connection {
                    0..10 => sleep.sleeps(60),
                    _ => answer(&mut stream, 200, "", A_FILE).await,
                }
            }
        }
    })
    .await;
    sleep
        .client(&peer)
        .to_builder()
        .retry(policy(1))
        .build()
        .call(&RetrieveFile::new("file-1"))
        .await
        .unwrap();
    assert_eq!(peer.accepted(), 11);
}

#[tokio::test]
async fn an_upload_that_sleeps_interrupt_spends_no_budget_and_waits_for_nothing() {
    let sleep = Sleep::default();
    let interrupted = Arc::new(AtomicUsize::new(0));
    let peer = Peer::start({
        let sleep = sleep.clone();
        move |mut stream, _| {
            let (sleep, interrupted) = (sleep.clone(), interrupted.clone());
            async move {
                while let Some((head, _)) = read_request(&mut stream).await {
                    let line = head.lines().next().unwrap();
                    let body = match line {
                        _ if line.contains("/complete ") => {
                            r#"{"id":"upload_1","status":"completed","file":{"id":"file-1","bytes":8388608}}"#
                        }
                        _ if !line.contains("/parts ") => r#"{"id":"upload_1","status":"pending"}"#,
                        _ if interrupted.fetch_add(1, SeqCst) < 20 => return sleep.sleeps(60),
                        _ => A_PART,
                    };
                    answer(&mut stream, 200, "", body).await;
                }
            }
        }
    })
    .await;
    let mut plan = Plan::new("a.bin", "application/octet-stream", Purpose::Assistants);
    (plan.route, plan.part_size, plan.parallel) = (RouteChoice::Parts, Some(MIB), 4.into());
    plan.retry = Some(policy(1));
    let client = sleep.client(&peer);
    let upload = client.upload_as(plan, zeros(8 * MIB)).prepare().await.unwrap();
    let progress = upload.progress();
    upload.run().await.unwrap();
    let progress = progress.borrow().clone();
    assert!(!matches!(progress.state, TransferState::Offline(_)), "{:?}", progress.state);
    assert_eq!(progress.statistics.retries.total, 20);
    assert!(progress.statistics.waited() < Duration::from_secs(1), "{:?}", progress.statistics.waited());
}
