//! Uploads that are dropped: nothing of them is left, and they can be gone on with.

use std::time::Duration;

use partwise::stack::Timeouts;
use partwise_server::testing::Schedule;
use partwise_testkit::proxy::ConnectionFault as Fault;
use tokio::{
    runtime::Runtime,
    time::{sleep, timeout},
};

use crate::world::{KIB, SAFETY, Security, World, assert_only_the_rest, plan};

/// Everything but the client runs in a runtime of its own, so that what is alive in the client's is the client's.
struct Runtimes {
    world: Runtime,
    client: Runtime,
}

impl Runtimes {
    fn new() -> Self {
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(1).enable_all().build().unwrap()
        };
        Self { world: runtime(), client: runtime() }
    }

    /// Waits for what must come.
    fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let waiting = async {
            while !condition() {
                sleep(Duration::from_millis(2)).await;
            }
        };
        let came = self.world.block_on(async { timeout(SAFETY, waiting).await });
        came.unwrap_or_else(|_| panic!("{what} never comes"));
    }
}

/// Drops an upload whose connections all hang, and goes on with it when the service is well again.
fn dropped_at(fault: Fault, parts: u64, part_size: u64, security: Security) {
    let runtimes = Runtimes::new();
    let alive = || runtimes.client.metrics().num_alive_tasks();
    let world = runtimes.world.block_on(World::with_file_of(parts * part_size, security));
    let proxy = runtimes.world.block_on(async { world.proxy(Schedule::new().every(fault)) });
    let mut plan = plan();
    (plan.md5, plan.part_size) = (true, Some(part_size));

    // What ends, ends because it was dropped, and not because it has waited long enough.
    let hour = Duration::from_secs(3600);
    let mut timeouts = Timeouts::default();
    (timeouts.stall, timeouts.answer, timeouts.lookup) = (hour, hour, hour);
    let client = world.client_that_waits(proxy.address, timeouts);
    let upload = runtimes.client.block_on(client.upload_as(plan.clone(), world.source()).prepare()).unwrap();
    let running = runtimes.client.spawn(upload.save_to(world.checkpoint()).run());
    runtimes.until("the fault", || proxy.faults() >= 3 || running.is_finished());
    assert!(!running.is_finished(), "{fault:?}, {security:?}: it should hang");
    running.abort();
    runtimes.until("the end of all connections", || proxy.open() == 0);
    drop(client);
    runtimes.until("the end of all tasks", || alive() == 0);

    let saved = world.checkpoint().load().unwrap().expect("the checkpoint is kept");
    let (acknowledged, length) = saved.acknowledged();
    assert!(acknowledged > 0, "{fault:?}, {security:?}: nothing had been done");
    let proxy = runtimes.world.block_on(async { world.proxy(Schedule::new()) });
    let file = runtimes.client.block_on(async {
        let upload = world
            .client(proxy.address)
            .upload_as(plan, world.source())
            .resume(saved)
            .prepare()
            .await
            .unwrap();
        upload.save_to(world.checkpoint()).run().await.unwrap()
    });
    assert_only_the_rest(proxy.taken(), length - acknowledged);
    runtimes.until("the end of all tasks", || alive() == 0);
    runtimes.world.block_on(world.assert_whole(&file));
    assert_eq!(world.checkpoint().load().unwrap(), None);
}

/// More of a part is missing than the kernels take, so the client is in the middle of writing.
#[test]
fn an_upload_to_a_peer_that_has_stopped_reading_is_gone_at_once_when_it_is_dropped() {
    for security in [Security::Plain, Security::Tls] {
        dropped_at(Fault::Stall { after: 2048 * KIB }, 8, 1536 * KIB, security);
    }
}

#[test]
fn an_upload_to_a_peer_that_has_stopped_answering_is_gone_at_once_when_it_is_dropped() {
    for security in [Security::Plain, Security::Tls] {
        dropped_at(Fault::StallAnswers { after: 4 * KIB }, 48, 64 * KIB, security);
    }
}
