//! Conversations and races over a store elsewhere, which the environment names. `cargo xtask ci stores` starts stores and runs these
//! by their names; `cargo xtask store SERVICE FOLDER -- COMMAND` runs a command with one.

use std::{
    env, process,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use partwise_protocol::operations::{ByteRange, DownloadFile};
use partwise_server::Store;
use proptest::prelude::*;

use crate::{
    model::{Model, steps},
    races,
    world::World,
};

/// Fewer than in memory: over a socket each takes a second or more.
const CONVERSATIONS: u32 = 16;
/// What a store elsewhere takes in one piece.
const PIECE: usize = 8 * 1024 * 1024;

/// The URL of an empty place in the store that the environment names.
fn place() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let store =
        env::var("PARTWISE_TEST_STORE").expect("PARTWISE_TEST_STORE names a store, as s3://BUCKET/PREFIX");
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{}/{now}-{}-{number}", store.trim_end_matches('/'), process::id())
}

async fn world() -> World<()> {
    World::with_store(Store::cloud(&place()).unwrap(), ()).await
}

async fn two_servers() -> (World<()>, World<()>) {
    let place = place();
    let first = World::with_store(Store::cloud(&place).unwrap(), ()).await;
    let second = first.second_server_over(Store::cloud(&place).unwrap()).await;
    (first, second)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CONVERSATIONS, ..ProptestConfig::default() })]
    #[test]
    #[ignore = "needs PARTWISE_TEST_STORE"]
    fn a_random_conversation_goes_as_the_model_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { Model::new(world().await).converse(steps).await });
    }
}

#[tokio::test]
#[ignore = "needs PARTWISE_TEST_STORE"]
async fn a_part_that_is_stored_in_pieces_comes_back_whole() {
    let world = world().await;
    let caller = world.caller();
    // A part of two pieces and a short one, a part of exactly one piece, and one that is stored at once.
    let lengths = [2 * PIECE + 4321, PIECE, 3];
    let parts: Vec<Vec<u8>> =
        lengths.iter().enumerate().map(|(number, length)| content(number, *length)).collect();
    let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let file = caller.create_file_of_parts("large.bin", &slices).await;
    let whole = parts.concat();
    assert!(caller.download(&file.id).await.unwrap() == whole, "the file has other bytes");
    // From the last bytes of the first piece into the second part.
    let range = PIECE - 5..2 * PIECE + 5000;
    let mut request = DownloadFile::new(&file.id);
    request.range = Some(ByteRange::From { first: range.start as u64, last: Some(range.end as u64 - 1) });
    let answer = caller.send_operation(&request).await;
    assert!(*answer.body() == whole[range], "the range has other bytes");
}

/// Bytes no block of which is like another.
fn content(number: usize, length: usize) -> Vec<u8> {
    let words = (number as u64 + 1..).map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    words.flatten().take(length).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PARTWISE_TEST_STORE"]
async fn of_complete_and_cancel_exactly_one_wins() {
    let (first, second) = two_servers().await;
    races::complete_against_cancel(&first, &second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PARTWISE_TEST_STORE"]
async fn of_two_completes_with_other_parts_exactly_one_wins() {
    let (first, second) = two_servers().await;
    races::complete_with_other_parts(&first, &second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PARTWISE_TEST_STORE"]
async fn of_two_completes_with_the_same_parts_both_get_the_file() {
    let (first, second) = two_servers().await;
    races::complete_with_the_same_parts(&first, &second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PARTWISE_TEST_STORE"]
async fn of_two_deletes_exactly_one_is_told_that_it_did() {
    let (first, second) = two_servers().await;
    races::delete_twice(&first, &second).await;
}
