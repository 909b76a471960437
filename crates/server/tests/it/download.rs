//! Content on its way out.

use http::{Response, StatusCode};
use partwise_protocol::operations::{ByteRange, DownloadFile};
use proptest::prelude::*;

use crate::world::{Caller, World, printed};

pub(crate) async fn file_of_parts(caller: &Caller, sizes: &[usize]) -> (String, Vec<u8>) {
    let content: Vec<u8> = (0..sizes.iter().sum()).map(|index: usize| (index * 31 % 251) as u8).collect();
    let (mut parts, mut rest) = (Vec::new(), &content[..]);
    for size in sizes {
        let (part, behind) = rest.split_at(*size);
        parts.push(part);
        rest = behind;
    }
    (caller.create_file_of_parts("x.bin", &parts).await.id, content)
}

async fn get(caller: &Caller, id: &str, first: u64, last: Option<u64>) -> Response<bytes::Bytes> {
    let mut request = DownloadFile::new(id);
    request.range = Some(ByteRange::From { first, last });
    caller.send_operation(&request).await
}

#[tokio::test]
async fn a_range_goes_across_parts() {
    let world = World::new().await;
    let caller = world.caller();
    let (id, content) = file_of_parts(&caller, &[3, 1, 4]).await;
    for first in 0..content.len() {
        for last in first..content.len() {
            let response = get(&caller, &id, first as u64, Some(last as u64)).await;
            assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
            assert_eq!(response.headers()["content-range"], format!("bytes {first}-{last}/8"));
            assert_eq!(response.body(), &content[first..=last]);
        }
    }
    assert_eq!(get(&caller, &id, 6, None).await.body(), &content[6..]);
    assert_eq!(get(&caller, &id, 6, Some(99)).await.body(), &content[6..]);
}

#[tokio::test]
async fn a_range_behind_the_end_is_refused_with_the_length() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.create_file("x.bin", b"0123456789").await;
    insta::assert_snapshot!(printed(&get(&caller, &file.id, 10, None).await));
}

#[tokio::test]
async fn a_range_may_be_counted_from_the_end() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.create_file("x.bin", b"0123456789").await;
    for (range, status, content_range, content) in [
        ("bytes=-1", 206, "bytes 9-9/10", "9"),
        ("bytes=-4", 206, "bytes 6-9/10", "6789"),
        ("bytes=-10", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=-11", 206, "bytes 0-9/10", "0123456789"),
        ("Bytes = -99999999999999999999999", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=8-99999999999999999999999", 206, "bytes 8-9/10", "89"),
    ] {
        let request = caller.plain("GET", &format!("/files/{}/content", file.id)).header("range", range);
        let response = caller.send(request.body(bytes::Bytes::new()).unwrap()).await;
        assert_eq!(response.status().as_u16(), status, "{range}");
        assert_eq!(response.headers()["content-range"], content_range, "{range}");
        assert_eq!(response.body(), content, "{range}");
    }
    for range in ["bytes=-0", "bytes=99999999999999999999999-"] {
        let request = caller.plain("GET", &format!("/files/{}/content", file.id)).header("range", range);
        let response = caller.send(request.body(bytes::Bytes::new()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(response.headers()["content-range"], "bytes */10", "{range}");
    }
}

#[tokio::test]
async fn a_range_that_is_none_gets_everything() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.create_file("x.bin", b"0123456789").await;
    for range in ["bytes=1-2,4-5", "lines=1-2", "bytes=5-1", "nonsense"] {
        let request = caller.plain("GET", &format!("/files/{}/content", file.id)).header("range", range);
        let response = caller.send(request.body(bytes::Bytes::new()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK, "{range}");
        assert_eq!(response.body(), "0123456789");
    }
}

#[tokio::test]
async fn a_range_counts_only_for_the_content_that_it_was_meant_for() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.create_file("x.bin", b"0123456789").await;
    let mut request = DownloadFile::new(&file.id);
    request.range = Some(ByteRange::From { first: 5, last: None });
    request.if_range = Some(format!("\"{}\"", file.id));
    assert_eq!(caller.send_operation(&request).await.body(), "56789");
    request.if_range = Some("\"another\"".into());
    assert_eq!(caller.send_operation(&request).await.body(), "0123456789");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn what_went_up_in_parts_of_any_size_comes_down_from_memory_and_from_disk(
        sizes in prop::collection::vec(1usize..1_500_000, 1..5), on_disk: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let world = if on_disk { World::in_folder(folder.path()).await } else { World::new().await };
            let caller = world.caller();
            let (id, content) = file_of_parts(&caller, &sizes).await;
            assert_eq!(caller.download(&id).await.unwrap(), content);
            let middle = content.len() as u64 / 2;
            assert_eq!(get(&caller, &id, middle, None).await.body(), &content[middle as usize..]);
        });
    }
}
