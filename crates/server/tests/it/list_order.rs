//! The order of files of one second, and what a follower sees who asks again and again for what is new.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use object_store::{ObjectStore, memory::InMemory};
use partwise_models::{File, UnixSeconds};
use partwise_protocol::{
    Operation,
    operations::{CreateFile, DeleteFile, ListFiles, Order},
};
use partwise_server::{Builder, Keys, ResponseBody, Server, Tenant};
use proptest::prelude::*;
use tokio::sync::mpsc;
use tower_service::Service;

use crate::world::{Caller, KEY, START, World, settle};

fn builder(objects: &Arc<dyn ObjectStore>) -> Builder {
    let keys = Keys::new([(KEY, Tenant::new("team-a").unwrap())]);
    Server::builder(objects.clone()).keys(keys)
}

/// A server with the system's random numbers whose clock says what `clock` holds.
async fn server_at(objects: &Arc<dyn ObjectStore>, clock: &Arc<AtomicU64>) -> Server {
    let clock = clock.clone();
    builder(objects).clock(move || UnixSeconds(clock.load(Ordering::SeqCst))).build().await.unwrap()
}

fn objects() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn ids(files: &[File]) -> Vec<&str> {
    files.iter().map(|file| file.id.as_str()).collect()
}

async fn page(caller: &Caller, order: Order, limit: u32, after: Option<&str>) -> (Vec<File>, bool) {
    let mut request = ListFiles::new();
    (request.order, request.limit) = (Some(order), Some(limit));
    request.after = after.map(str::to_owned);
    let page = caller.call(&request).await.unwrap();
    (page.data, page.has_more.unwrap())
}

async fn all(caller: &Caller, order: Order, limit: u32) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    loop {
        let (page, has_more) = page(caller, order, limit, files.last().map(|file| file.id.as_str())).await;
        files.extend(page);
        if !has_more {
            return files;
        }
    }
}

/// Asks for what is new behind each file that is made, one after the other; says what it saw.
async fn follow(makers: &[Caller], reader: &Caller, count: usize) -> (Vec<String>, Vec<String>) {
    let (mut made, mut seen) = (Vec::new(), Vec::<String>::new());
    for index in 0..count {
        made.push(makers[index % makers.len()].create_file(&format!("{index}"), b"x").await.id);
        let (page, _) = page(reader, Order::Ascending, 10_000, seen.last().map(String::as_str)).await;
        seen.extend(page.into_iter().map(|file| file.id));
    }
    (made, seen)
}

#[tokio::test]
async fn a_follower_misses_no_file_of_a_second_that_stands_still() {
    let clock = Arc::new(AtomicU64::new(START));
    let maker = Caller::of(server_at(&objects(), &clock).await);
    let (made, seen) = follow(std::slice::from_ref(&maker), &maker, 60).await;
    assert_eq!(seen, made);
    let files = all(&maker, Order::Descending, 7).await;
    assert!(files.iter().all(|file| file.created_at == Some(UnixSeconds(START))));
    assert_eq!(ids(&files), made.iter().rev().map(String::as_str).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_follower_misses_no_file_that_two_servers_make_in_turn() {
    let objects = objects();
    let (first, second) =
        (builder(&objects).build().await.unwrap(), builder(&objects).build().await.unwrap());
    let makers = [Caller::of(first), Caller::of(second)];
    let reader = Caller::of(builder(&objects).build().await.unwrap());
    let (made, seen) = follow(&makers, &reader, 60).await;
    assert_eq!(seen, made);
}

#[tokio::test]
async fn a_clock_that_was_set_far_back_is_followed() {
    let clock = Arc::new(AtomicU64::new(START));
    let caller = Caller::of(server_at(&objects(), &clock).await);
    caller.create_file("before", b"x").await;
    clock.store(START - 3600, Ordering::SeqCst);
    let file = caller.create_file("after", b"x").await;
    assert_eq!(file.created_at, Some(UnixSeconds(START - 3600)));
}

#[tokio::test]
async fn a_clock_that_was_set_back_a_little_keeps_the_order() {
    let clock = Arc::new(AtomicU64::new(START));
    let caller = Caller::of(server_at(&objects(), &clock).await);
    let first = caller.create_file("first", b"x").await;
    clock.store(START - 1, Ordering::SeqCst);
    let second = caller.create_file("second", b"x").await;
    assert!(first.id < second.id);
}

#[tokio::test]
async fn a_clock_that_is_no_clock_makes_files_that_can_be_read() {
    for time in [0, 1, (1 << 40) - 1, 1 << 40, u64::MAX] {
        let clock = Arc::new(AtomicU64::new(time));
        let caller = Caller::of(server_at(&objects(), &clock).await);
        let file = caller.create_file("a", b"abc").await;
        let next = caller.create_file("b", b"def").await;
        assert_eq!(caller.download(&file.id).await.unwrap(), "abc", "{time}");
        assert_eq!(ids(&all(&caller, Order::Ascending, 1).await), [&*file.id, &*next.id], "{time}");
        let upload = caller.create_upload("u", 1).await;
        if let Ok(part) = caller.try_add_part(&upload, b"x").await {
            let file = caller.complete(&upload, &[part.id]).await;
            assert_eq!(caller.download(&file.id).await.unwrap(), "x", "{time}");
        }
    }
}

/// A create whose body is sent piece by piece.
struct Sending {
    body: mpsc::UnboundedSender<Bytes>,
    answer: tokio::task::JoinHandle<Response<ResponseBody>>,
}

impl Sending {
    /// Sends a whole form but for its last byte.
    async fn begin(world: &World, filename: &str, content: &[u8]) -> (Self, Bytes) {
        let caller = world.caller();
        let request =
            caller.request(&crate::world::new_file(partwise_models::Purpose::Assistants, filename, content));
        let (parts, mut whole) = request.into_parts();
        let last = whole.split_off(whole.len() - 1);
        let (body, pieces) = mpsc::unbounded_channel::<Bytes>();
        let frames = stream::unfold(pieces, |mut pieces| async move {
            let piece = pieces.recv().await?;
            Some((Ok::<_, std::io::Error>(Frame::data(piece)), pieces))
        });
        let request = http::Request::from_parts(parts, StreamBody::new(frames.boxed()));
        let mut server = world.server.clone();
        let answer = tokio::spawn(async move { server.call(request).await.unwrap() });
        body.send(whole).unwrap();
        // Until the server waits for more.
        settle().await;
        (Self { body, answer }, last)
    }

    async fn end(self, last: Bytes) -> File {
        self.body.send(last).unwrap();
        drop(self.body);
        let (parts, body) = self.answer.await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        CreateFile::decode_response(Response::from_parts(parts, body)).unwrap()
    }
}

#[tokio::test]
async fn a_small_file_stands_where_its_last_byte_came() {
    let world = World::new().await;
    let (slow, last) = Sending::begin(&world, "slow", b"abc").await;
    world.advance(5);
    let quick = world.caller().create_file("quick", b"x").await;
    world.advance(5);
    let slow = slow.end(last).await;
    assert_eq!(slow.created_at, Some(UnixSeconds(START + 10)));
    assert_eq!(ids(&all(&world.caller(), Order::Ascending, 10).await), [&*quick.id, &*slow.id]);
    assert_eq!(world.caller().download(&slow.id).await.unwrap(), "abc");
}

#[tokio::test]
async fn a_large_file_stands_where_its_first_bytes_were_written() {
    let world = World::new().await;
    // More than one piece of a store that is no folder.
    let content = vec![7; 18 << 20];
    let (large, last) = Sending::begin(&world, "large", &content).await;
    world.advance(5);
    let quick = world.caller().create_file("quick", b"x").await;
    let large = large.end(last).await;
    assert_eq!(large.created_at, Some(UnixSeconds(START)));
    assert_eq!(ids(&all(&world.caller(), Order::Ascending, 10).await), [&*large.id, &*quick.id]);
    assert_eq!(world.caller().download(&large.id).await.unwrap(), content);
}

#[derive(Clone, Debug)]
enum Step {
    Create,
    Delete(prop::sample::Index),
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Create),
        2 => any::<prop::sample::Index>().prop_map(Step::Delete),
        1 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Files come and go between the pages; those that were there all the time are seen once, in order.
    #[test]
    fn pages_show_what_stays_once_and_in_order_while_files_come_and_go(
        before in 1usize..20, between in prop::collection::vec(step(), 0..20), limit in 1u32..4, up: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let clock = Arc::new(AtomicU64::new(START));
            let caller = Caller::of(server_at(&objects(), &clock).await);
            let mut alive = Vec::new();
            for index in 0..before {
                alive.push(caller.create_file(&format!("{index}"), b"x").await.id);
            }
            let mut staying = alive.clone();
            let order = if up { Order::Ascending } else { Order::Descending };
            let (mut between, mut seen) = (between.into_iter(), Vec::<String>::new());
            loop {
                let (files, has_more) = page(&caller, order, limit, seen.last().map(String::as_str)).await;
                seen.extend(files.into_iter().map(|file| file.id));
                if !has_more {
                    break;
                }
                match between.next() {
                    Some(Step::Create) => alive.push(caller.create_file("new", b"x").await.id),
                    Some(Step::Delete(index)) if !alive.is_empty() => {
                        let gone = alive.swap_remove(index.index(alive.len()));
                        caller.call(&DeleteFile::new(&gone)).await.unwrap();
                        staying.retain(|id| *id != gone);
                    }
                    Some(Step::Wait) => drop(clock.fetch_add(1, Ordering::SeqCst)),
                    _ => {}
                }
            }
            let mut sorted = seen.clone();
            sorted.sort();
            sorted.dedup();
            if !up {
                sorted.reverse();
            }
            assert_eq!(seen, sorted);
            assert!(staying.iter().all(|id| seen.contains(id)), "{seen:?} lacks one of {staying:?}");
        });
    }
}
