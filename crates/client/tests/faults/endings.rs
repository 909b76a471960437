//! Faults that nothing can survive: the right error, and a checkpoint to go on from.

use std::time::Duration;

use http::StatusCode;
use partwise::{
    Error,
    stack::{StackOptions, Timeouts},
};
use partwise_protocol::{
    multipart::Boundary,
    operations::{AddUploadPart, RetrieveFile},
    retry::RetryPolicy,
    transport::{FailureKind, SourceRange},
    upload::UploadError,
};
use partwise_server::testing::Schedule;
use partwise_testkit::{
    errors::line,
    proxy::{ConnectionFault as Fault, Ending},
};
use tokio::{net::TcpSocket, time::timeout};

use crate::world::{KIB, SAFETY, Security, World, assert_only_the_rest, plan};

/// Uploads to a service that is gone from the third connection on; then it is back.
async fn goes_on_later(security: Security, fault: Fault) {
    let world = World::new(security).await;
    let cut = Fault::Cut { after: 700 * KIB, by: Ending::Reset };
    let dying = world.proxy(Schedule::new().first(2, cut).every(fault));
    // One after the other, so that what is done by the end is for the proxy to say.
    let mut in_turn = plan();
    in_turn.parallel = 1.into();
    let upload = world.client(dying.address).upload_as(in_turn, world.source()).prepare().await.unwrap();
    let error = upload.save_to(world.checkpoint()).run().await.unwrap_err();
    let kind = error.failure().unwrap_or_else(|| panic!("{fault:?}, {security:?}: {}", line(&error)));
    assert!(
        matches!(kind, FailureKind::Interrupted | FailureKind::Timeout | FailureKind::Connect),
        "{kind:?}"
    );
    assert!(world.files().await.is_empty());
    let saved = world.checkpoint().load().unwrap().expect("it can be gone on with");
    let (acknowledged, length) = saved.acknowledged();
    assert!(acknowledged > 0, "{fault:?}, {security:?}: nothing had been done");
    drop(dying);

    let proxy = world.proxy(Schedule::new());
    let upload =
        world.client(proxy.address).upload_as(plan(), world.source()).resume(saved).prepare().await.unwrap();
    let file = upload.save_to(world.checkpoint()).run().await.unwrap();
    world.assert_whole(&file).await;
    assert_only_the_rest(proxy.taken(), length - acknowledged);
    assert_eq!(world.checkpoint().load().unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_dies_leaves_a_checkpoint_and_later_only_the_rest_is_sent() {
    for security in [Security::Plain, Security::Tls] {
        for fault in [Fault::Cut { after: 0, by: Ending::Reset }, Fault::Cut { after: 300, by: Ending::Fin }]
        {
            goes_on_later(security, fault).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_no_good_is_what_is_reported() {
    for security in [Security::Plain, Security::Tls] {
        let world = World::new(security).await;
        let client = world.client_with(world.front, "another-key", StackOptions::new());
        let error = client.upload_as(plan(), world.source()).await.unwrap_err();
        assert_eq!(error.rejection().unwrap().status, StatusCode::UNAUTHORIZED, "{}", line(&error));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_not_there_at_all_is_what_is_reported() {
    let world = World::new(Security::Plain).await;
    // Taken, so that nobody else gets it, and nobody listens.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = taken.local_addr().unwrap();
    let error = world.client(gone).upload_as(plan(), world.source()).await.unwrap_err();
    let Error::Upload(transfer) = &error else { panic!("{}", line(&error)) };
    assert!(matches!(**transfer, UploadError::Failed { .. }), "{}", line(&error));
    assert_eq!(error.failure(), Some(FailureKind::Connect), "{}", line(&error));
}

/// The most common handshake of a service that is being restarted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_is_reset_is_over_at_once() {
    let world = World::new(Security::Tls).await;
    let mut timeouts = Timeouts::default();
    timeouts.connect = Duration::from_secs(3600);
    for after in [0, 1, 100] {
        let proxy = world.proxy(Schedule::new().every(Fault::Cut { after, by: Ending::Reset }));
        let client =
            world.client_that_waits(proxy.address, timeouts).to_builder().retry(RetryPolicy::never()).build();
        for _ in 0..20 {
            let asked = timeout(SAFETY, client.call(&RetrieveFile::new("file-1"))).await;
            let error = asked.expect("it ends").unwrap_err();
            assert_eq!(error.failure(), Some(FailureKind::Connect), "{}", line(&error));
        }
    }
}

/// Whether the request had left is a race, and either answer to it is right; that trying again may help is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_that_is_closed_at_once_is_never_the_end() {
    let world = World::new(Security::Plain).await;
    let part = AddUploadPart::new("upload_1", SourceRange::new(0, 9), Boundary::from_entropy([7; 16]));
    for fault in [0, 1]
        .into_iter()
        .flat_map(|after| [Fault::Cut { after, by: Ending::Fin }, Fault::Cut { after, by: Ending::Reset }])
    {
        let proxy = world.proxy(Schedule::new().every(fault));
        let client = world.client(proxy.address).to_builder().retry(RetryPolicy::never()).build();
        for number in 0..200 {
            let error = client.call_with(&part, world.source()).await.unwrap_err();
            let kind = error.failure();
            let is_transient = kind.is_some_and(FailureKind::is_transient);
            assert!(is_transient, "{fault:?}, try {number}: {kind:?}: {}", line(&error));
        }
    }
}
