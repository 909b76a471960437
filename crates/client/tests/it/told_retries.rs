//! Failed attempts of single operations, told while they go on.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use partwise_protocol::{
    operations::{OperationId, RetrieveFile},
    retry::RetryPolicy,
    upload::RetryReason,
};
use partwise_testkit::http1::{answer, read_request};

use crate::peer::{A_FILE, Peer, options};

#[tokio::test]
async fn each_failed_attempt_of_a_single_operation_is_told_before_the_next() {
    let peer = Peer::start(|mut stream, connection| async move {
        let mut asked = connection;
        while read_request(&mut stream).await.is_some() {
            match asked {
                // No answer at all.
                0 => return,
                1 => answer(&mut stream, 429, "retry-after-ms: 7\r\n", "{}").await,
                _ => answer(&mut stream, 200, "", A_FILE).await,
            }
            asked += 1;
        }
    })
    .await;
    let told = Arc::<Mutex<Vec<_>>>::default();
    let log = told.clone();
    let mut policy = RetryPolicy::default();
    policy.base_wait = Duration::from_millis(1);
    let client = peer
        .client(options())
        .to_builder()
        .retry(policy)
        .on_retry(move |retry| log.lock().unwrap().push(*retry))
        .build();
    client.call(&RetrieveFile::new("file-1")).await.unwrap();
    let told = told.lock().unwrap();
    let seen: Vec<_> = told.iter().map(|retry| (retry.reason, retry.attempt.number)).collect();
    assert_eq!(seen, [(RetryReason::Interrupted, 1), (RetryReason::Http429, 2)]);
    assert_eq!((told[0].status, told[0].is_asked_for), (None, false));
    assert_eq!(told[1].status.map(|status| status.as_u16()), Some(429));
    assert_eq!((told[1].wait, told[1].is_asked_for), (Duration::from_millis(7), true));
    assert!(told.iter().all(|retry| retry.attempt.operation == OperationId::RetrieveFile));
}
