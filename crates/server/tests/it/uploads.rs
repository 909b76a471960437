//! Uploads from their first byte to their end.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::StreamBody;
use md5::{Digest, Md5};
use object_store::ObjectStoreExt;
use partwise_models::{ExpiresAfter, ExpiryAnchor, UnixSeconds, UploadStatus};
use partwise_protocol::operations::{CancelUpload, DeleteFile, RetrieveFile};
use tower_service::Service;

use crate::{
    forms::{End, Pieces, send_pieces},
    world::{Caller, HOUR, START, World, azure, complete, new_upload, printed, settle, told},
};

async fn cancel(
    caller: &Caller,
    id: &str,
) -> Result<partwise_models::Upload, partwise_protocol::error::ApiError> {
    caller.call(&CancelUpload::new(id)).await
}

#[tokio::test]
async fn parts_become_a_file_in_the_order_in_which_they_are_named() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("abc.txt", 9).await;
    let last = caller.add_part(&upload, b"ghi").await;
    let first = caller.add_part(&upload, b"abc").await;
    let unnamed = caller.add_part(&upload, b"never").await;
    let middle = caller.add_part(&upload, b"def").await;
    let file = caller.complete(&upload, &[first, middle, last]).await;
    assert_eq!(caller.download(&file.id).await.unwrap(), "abcdefghi");
    assert_eq!(file.bytes, Some(9));
    assert_ne!(unnamed, file.id);
}

#[tokio::test]
async fn the_file_is_as_old_as_its_upload() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 1).await;
    world.advance(100);
    let part = caller.add_part(&upload, b"a").await;
    let file = caller.complete(&upload, &[part]).await;
    assert_eq!(file.created_at, upload.created_at);
    assert_eq!(caller.call(&RetrieveFile::new(&file.id)).await.unwrap(), file);
}

#[tokio::test]
async fn a_part_may_be_named_by_its_block_id() {
    let world = World::new().await;
    let caller = world.caller_of(azure("2024-10-21"));
    let upload = caller.create_upload("a.txt", 2).await;
    let a = caller.try_add_part(&upload, b"a").await.unwrap();
    let b = caller.try_add_part(&upload, b"b").await.unwrap();
    let named = [a.azure_block_id.unwrap(), b.id];
    let file = caller.complete(&upload, &named).await;
    assert_eq!(caller.download(&file.id).await.unwrap(), "ab");
    assert_eq!(world.caller().complete(&upload, &named).await, file, "in every dialect");
}

#[tokio::test]
async fn a_wrong_size_leaves_the_upload_pending() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 4).await;
    let ab = caller.add_part(&upload, b"ab").await;
    let refusal = caller.try_complete(&upload, std::slice::from_ref(&ab)).await.unwrap_err();
    assert_eq!(told(&refusal), "400: the upload is to have 4 bytes, but the parts named have 2 together");
    let refusal = caller.try_complete(&upload, &[]).await.unwrap_err();
    assert_eq!(told(&refusal), "400: the upload is to have 4 bytes, but the parts named have 0 together");
    let cd = caller.add_part(&upload, b"cd").await;
    let file = caller.complete(&upload, &[ab, cd]).await;
    assert_eq!(caller.download(&file.id).await.unwrap(), "abcd");
}

#[tokio::test]
async fn parts_that_are_unknown_foreign_or_repeated_are_refused() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 2).await;
    let other = caller.create_upload("b.txt", 2).await;
    let a = caller.add_part(&upload, b"a").await;
    let foreign = caller.add_part(&other, b"b").await;
    for (parts, message) in [
        (vec![a.clone(), a.clone()], format!("400: the part `{a}` is named twice")),
        (vec![a.clone(), foreign.clone()], format!("400: the upload has no part `{foreign}`")),
        (vec![a.clone(), "part_1".into()], "400: the upload has no part `part_1`".into()),
        (vec![a.clone(), "../x".into()], "400: the upload has no part `../x`".into()),
    ] {
        assert_eq!(told(&caller.try_complete(&upload, &parts).await.unwrap_err()), message);
    }
}

#[tokio::test]
async fn four_hundred_thousand_parts_may_be_named_and_not_many_more() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 8 << 30).await;
    let parts: Vec<_> = (0..420_000).map(|part| format!("part_{part:032x}")).collect();
    for (count, message) in [
        (400_000, format!("400: the upload has no part `{}`", parts[0])),
        (420_000, "413: the request body is larger than the 16777216 bytes that this operation takes".into()),
    ] {
        let refusal = caller.try_complete(&upload, &parts[..count]).await.unwrap_err();
        assert_eq!(told(&refusal), message);
    }
}

/// The body of a completion, in pieces.
fn completion(caller: &Caller, upload_id: &str, body: String) -> http::Request<Bytes> {
    caller.plain("POST", &format!("/uploads/{upload_id}/complete")).body(Bytes::from(body)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_cannot_be_completed_is_refused_before_the_body_is_read() {
    let world = World::new().await;
    let caller = world.caller();
    let cancelled = caller.create_upload("a.txt", 1).await;
    cancel(&caller, &cancelled.id).await.unwrap();
    let pending = caller.create_upload("a.txt", 1).await;
    for (id, status) in [
        ("upload_1", StatusCode::NOT_FOUND),
        (&cancelled.id, StatusCode::BAD_REQUEST),
        (&pending.id, StatusCode::REQUEST_TIMEOUT),
    ] {
        let request = completion(&caller, id, "{\"part_ids\":[".into());
        assert_eq!(send_pieces(&world, request, 8, End::Never).await, status, "{id}");
    }
}

#[tokio::test]
async fn an_upload_that_expires_while_its_parts_are_named_makes_no_file() {
    let world = Arc::new(World::new().await);
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 1).await;
    let part = caller.add_part(&upload, b"a").await;
    let (parts, body) = caller.request(&complete(&upload, &[part])).into_parts();
    let clock = world.clone();
    let late = stream::once(async move {
        clock.advance(HOUR);
        Ok::<_, std::io::Error>(Frame::data(body))
    });
    let request = http::Request::from_parts(parts, StreamBody::new(Box::pin(late)));
    let response = world.server.clone().call(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(world.objects_in("files").await.is_empty());
}

#[tokio::test]
async fn parts_are_named_in_at_most_64_bytes_and_at_most_400_000_times() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 2).await;
    let part = caller.add_part(&upload, b"a").await;
    let mut said = String::new();
    for body in [
        format!("{{\"part_ids\":[\"{part}\",\"{}\"]}}", "x".repeat(64)),
        format!("{{\"part_ids\":[\"{part}\",\"{}\"]}}", "x".repeat(16_000_000)),
        format!("{{\"part_ids\":[\"{part}\",\"{}\"]}}", "\\u0041".repeat(2_000_000)),
        format!("{{\"part_ids\":\"{}\"}}", "x".repeat(16_000_000)),
        format!("{{\"part_ids\":[],\"md5\":\"{}\"}}", "x".repeat(16_000_000)),
        format!("{{\"part_ids\":[{}\"\"]}}", "\"\",".repeat(5_500_000)),
        format!("{{\"part_ids\":[\"{part}\",{}\"\"]}}", format!("\"{part}\",").repeat(100_000)),
        "{\"part_ids\":[7]}".to_owned(),
        "{\"md5\":\"\"}".to_owned(),
        "{\"part_ids\":[],\"part_ids\":[]}".to_owned(),
    ] {
        let response = caller.send(completion(&caller, &upload.id, body)).await;
        said += &format!("{}\n", String::from_utf8_lossy(response.body()).replace(&part, "PART"));
    }
    insta::assert_snapshot!(said, @r#"
    {"error":{"message":"the upload has no part `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`","type":"invalid_request_error","param":"part_ids","code":null}}
    {"error":{"message":"the request body is not the JSON object that this operation takes: `part_ids`: a string of 16000000 bytes, and the longest has 64 at line 1 column 16000055","type":"invalid_request_error","param":"part_ids","code":null}}
    {"error":{"message":"the request body is not the JSON object that this operation takes: `part_ids`: a string of 2000000 bytes, and the longest has 64 at line 1 column 12000055","type":"invalid_request_error","param":"part_ids","code":null}}
    {"error":{"message":"the request body is not the JSON object that this operation takes: `part_ids`: invalid type: string, expected an array of the ids of parts at line 1 column 16000014","type":"invalid_request_error","param":"part_ids","code":null}}
    {"error":{"message":"the request body is not the JSON object that this operation takes: `md5`: a string of 16000000 bytes, and the longest has 64 at line 1 column 16000023","type":"invalid_request_error","param":"md5","code":null}}
    {"error":{"message":"the upload has no part ``","type":"invalid_request_error","param":"part_ids","code":null}}
    {"error":{"message":"the upload has no part ``","type":"invalid_request_error","param":"part_ids","code":null}}
    {"error":{"message":"the request body is not the JSON object that this operation takes: `part_ids`: invalid type: integer `7`, expected the id of a part at line 1 column 14","type":"invalid_request_error","param":"part_ids","code":null}}
    {"error":{"message":"the request body is not the JSON object that this operation takes: missing field `part_ids` at line 1 column 10","type":"invalid_request_error","param":"part_ids","code":null}}
    {"error":{"message":"the request body is not the JSON object that this operation takes: duplicate field `part_ids` at line 1 column 25","type":"invalid_request_error","param":"part_ids","code":null}}
    "#);
    let unnamed = (0..400_001).map(|number| format!("\"part_{number:032}\"")).collect::<Vec<_>>().join(",");
    let response =
        caller.send(completion(&caller, &upload.id, format!("{{\"part_ids\":[{unnamed}]}}"))).await;
    insta::assert_snapshot!(String::from_utf8_lossy(response.body()), @r#"{"error":{"message":"the request body is not the JSON object that this operation takes: `part_ids`: there are more than 400000 ids at line 1 column 16000052","type":"invalid_request_error","param":"part_ids","code":null}}"#);
}

#[tokio::test]
async fn json_bodies_in_flight_are_bounded_in_all() {
    let world = World::with(|builder| builder.json_in_flight(220_000)).await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 1).await;
    let part = caller.add_part(&upload, b"a").await;
    let begun = format!("{{\"part_ids\":[\"{part}\"], \"x\": \"{}", "x".repeat(100_000));
    let slow = completion(&caller, &upload.id, begun);
    let slow = tokio::spawn({
        let (server, pieces) = (world.server.clone(), vec![slow.body().clone()].into_iter());
        let (parts, _) = slow.into_parts();
        let body = Pieces { pieces, end: End::Never };
        async move { server.clone().call(http::Request::from_parts(parts, body)).await }
    });
    settle().await;
    let large = new_upload(&"x".repeat(50_000), 1);
    let refused = caller.send_operation(&large).await;
    insta::assert_snapshot!(printed(&refused), @r#"
    503 Service Unavailable
    content-length: 127
    content-type: application/json
    retry-after: 1
    retry-after-ms: 1000
    x-request-id: req_00000000000000000000000000000006

    {"error":{"message":"too many large requests are in flight: retry in 1 second","type":"server_error","param":null,"code":null}}
    "#);
    caller.create_upload("small.txt", 1).await;
    let of_another = world.stranger().send_operation(&large).await;
    assert_eq!(of_another.status(), StatusCode::BAD_REQUEST, "one tenant has at most half");
    slow.abort();
    assert!(slow.await.unwrap_err().is_cancelled());
    assert_eq!(caller.send_operation(&large).await.status(), StatusCode::BAD_REQUEST, "room is made");
}

#[tokio::test]
async fn what_names_no_parts_has_at_most_1_mib() {
    let world = World::new().await;
    let caller = world.caller();
    let refusal = caller.call(&new_upload(&"x".repeat(1024 * 1024), 1)).await.unwrap_err();
    let message = "413: the request body is larger than the 1048576 bytes that this operation takes";
    assert_eq!(told(&refusal), message);
}

#[tokio::test]
async fn completing_again_with_the_same_parts_answers_the_same() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("ab.txt", 2).await;
    let a = caller.add_part(&upload, b"a").await;
    let b = caller.add_part(&upload, b"b").await;
    let first = caller.try_complete(&upload, &[a.clone(), b.clone()]).await.unwrap();
    world.advance(2 * HOUR);
    assert_eq!(caller.try_complete(&upload, &[a.clone(), b.clone()]).await.unwrap(), first);
    let refusal = caller.try_complete(&upload, &[b, a]).await.unwrap_err();
    assert_eq!(told(&refusal), format!("400: the upload `{}` was completed with other parts", upload.id));
}

#[tokio::test]
async fn completing_again_compares_the_digest_again() {
    for first_names_it in [false, true] {
        let world = World::new().await;
        let caller = world.caller();
        let upload = caller.create_upload("ab.txt", 2).await;
        let part = caller.add_part(&upload, b"ab").await;
        let right: String = Md5::digest(b"ab").iter().map(|byte| format!("{byte:02x}")).collect();
        let mut request = complete(&upload, &[part]);
        request.request.md5 = first_names_it.then(|| right.clone());
        let first = caller.call(&request).await.unwrap();

        let wrong = "0".repeat(32);
        for (digest, told_of_it) in [
            (wrong.clone(), format!("400: the parts named have the MD5 {right}, not {wrong}")),
            ("ab".to_owned(), "400: `md5` is not a digest of 32 hex digits".to_owned()),
        ] {
            request.request.md5 = Some(digest);
            let refusal = caller.call(&request).await.unwrap_err();
            assert_eq!(told(&refusal), told_of_it);
            assert_eq!(refusal.error.param.as_deref(), Some("md5"));
        }
        for digest in [Some(right.to_uppercase()), None] {
            request.request.md5 = digest;
            assert_eq!(caller.call(&request).await.unwrap(), first);
        }
    }
}

#[tokio::test]
async fn a_digest_that_was_compared_is_not_computed_again() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("ab.txt", 2).await;
    let part = caller.add_part(&upload, b"ab").await;
    let mut request = complete(&upload, &[part]);
    request.request.md5 = Some(Md5::digest(b"ab").iter().map(|byte| format!("{byte:02x}")).collect());
    let first = caller.call(&request).await.unwrap();
    for blob in world.objects_in("blobs").await {
        world.objects.delete(&blob.as_str().into()).await.unwrap();
    }
    assert_eq!(caller.call(&request).await.unwrap(), first);
}

#[tokio::test]
async fn completing_a_deleted_file_again_with_a_digest_says_that_it_is_gone() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("ab.txt", 2).await;
    let part = caller.add_part(&upload, b"ab").await;
    let mut request = complete(&upload, &[part]);
    let file = caller.call(&request).await.unwrap().file.unwrap();
    caller.call(&DeleteFile::new(&file.id)).await.unwrap();
    request.request.md5 = Some("0".repeat(32));
    let refusal = caller.call(&request).await.unwrap_err();
    assert_eq!(told(&refusal), format!("404: there is no file `{}`", file.id));
}

#[tokio::test]
async fn an_upload_that_is_over_takes_nothing_more() {
    let world = World::new().await;
    let caller = world.caller();

    let completed = caller.create_upload("a.txt", 1).await;
    let a = caller.add_part(&completed, b"a").await;
    caller.complete(&completed, &[a]).await;
    let cancelled = caller.create_upload("a.txt", 1).await;
    let b = caller.add_part(&cancelled, b"a").await;
    assert_eq!(cancel(&caller, &cancelled.id).await.unwrap().status, Some(UploadStatus::Cancelled));
    let expired = caller.create_upload("a.txt", 1).await;
    let c = caller.add_part(&expired, b"a").await;
    world.advance(HOUR);

    let over = |id: &str, status: &str| {
        format!("400: the upload `{id}` is {status}: nothing can be done with it any more")
    };
    for (upload, status) in [(&completed, "completed"), (&cancelled, "cancelled"), (&expired, "expired")] {
        let refusal = caller.try_add_part(upload, b"b").await.unwrap_err();
        assert_eq!(told(&refusal), over(&upload.id, status));
    }
    assert_eq!(
        told(&caller.try_complete(&cancelled, &[b]).await.unwrap_err()),
        over(&cancelled.id, "cancelled")
    );
    assert_eq!(told(&caller.try_complete(&expired, &[c]).await.unwrap_err()), over(&expired.id, "expired"));
    assert_eq!(told(&cancel(&caller, &completed.id).await.unwrap_err()), over(&completed.id, "completed"));
    assert_eq!(told(&cancel(&caller, &expired.id).await.unwrap_err()), over(&expired.id, "expired"));
    let again = cancel(&caller, &cancelled.id).await.unwrap();
    assert_eq!(again.status, Some(UploadStatus::Cancelled), "a second cancel is answered like the first");
}

#[tokio::test]
async fn an_upload_expires_to_the_second() {
    let world = World::new().await;
    for (caller, lifetime) in [(world.caller(), HOUR), (world.caller_of(azure("2024-10-21")), 2 * HOUR)] {
        let now = world.now();
        let upload = caller.create_upload("a.txt", 1).await;
        assert_eq!(upload.expires_at, Some(UnixSeconds(now + lifetime)));
        world.advance(lifetime - 1);
        let part = caller.add_part(&upload, b"a").await;
        world.advance(1);
        assert_eq!(caller.try_complete(&upload, &[part]).await.unwrap_err().status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn the_file_of_an_upload_lives_as_long_as_was_asked_for() {
    let world = World::new().await;
    let caller = world.caller();
    let mut request = new_upload("a.txt", 1);
    request.request.expires_after = Some(ExpiresAfter::new(ExpiryAnchor::CreatedAt, HOUR));
    let upload = caller.call(&request).await.unwrap();
    let part = caller.add_part(&upload, b"a").await;
    let file = caller.complete(&upload, &[part]).await;
    assert_eq!(file.expires_at, Some(UnixSeconds(START + HOUR)));
    world.advance(HOUR - 1);
    assert_eq!(caller.download(&file.id).await.unwrap(), "a");
    world.advance(1);
    assert_eq!(caller.download(&file.id).await.unwrap_err().status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_digest_is_checked_in_either_case_and_a_wrong_one_leaves_the_upload_pending() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 6).await;
    let def = caller.add_part(&upload, b"def").await;
    let abc = caller.add_part(&upload, b"abc").await;
    let digest: String = Md5::digest(b"abcdef").iter().map(|byte| format!("{byte:02X}")).collect();

    let mut request = complete(&upload, &[abc, def]);
    request.request.md5 = Some("0".repeat(32));
    let refusal = caller.call(&request).await.unwrap_err();
    let zeros = "0".repeat(32);
    assert_eq!(
        told(&refusal),
        format!("400: the parts named have the MD5 {}, not {zeros}", digest.to_lowercase())
    );
    request.request.md5 = Some("what?".into());
    assert_eq!(
        told(&caller.call(&request).await.unwrap_err()),
        "400: `md5` is not a digest of 32 hex digits"
    );
    request.request.md5 = Some(digest);
    assert_eq!(caller.call(&request).await.unwrap().status, Some(UploadStatus::Completed));
}

#[tokio::test]
async fn a_cancelled_upload_needs_no_body_and_takes_any_type_of_it() {
    let world = World::new().await;
    let caller = world.caller();
    for (content_type, body) in [(None, ""), (Some("application/json"), ""), (Some("text/plain"), "whatever")]
    {
        let upload = caller.create_upload("a.txt", 1).await;
        let mut request = caller.plain("POST", &format!("/uploads/{}/cancel", upload.id));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let response = caller.send(request.body(Bytes::from(body)).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK, "{content_type:?}");
    }
}
