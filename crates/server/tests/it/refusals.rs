//! What is refused, and in which words.

use bytes::Bytes;
use partwise_models::{CreateUploadRequest, ExpiresAfter, ExpiryAnchor, ImportFileRequest, Purpose};
use partwise_protocol::{Api, CreateUpload, ImportFile, Operation};

use crate::world::{Caller, World, azure, azure_v1, new_file, openai, printed, told};

fn upload_request(purpose: Purpose, filename: &str, bytes: u64) -> CreateUpload {
    CreateUpload::new(CreateUploadRequest::new(filename, purpose, bytes, "application/jsonl"))
}

async fn refusal<O: Operation>(caller: &Caller, operation: &O) -> String
where
    O::Response: std::fmt::Debug,
{
    told(&caller.call(operation).await.unwrap_err())
}

#[tokio::test]
async fn an_upload_that_cannot_become_a_file_is_refused_at_once() {
    let world = World::new().await;
    let caller = world.caller();
    let mut said = Vec::new();
    for request in [
        upload_request(Purpose::from("training"), "x.jsonl", 1),
        upload_request(Purpose::BatchOutput, "x.jsonl", 1),
        upload_request(Purpose::FineTune, "x.json", 1),
        upload_request(Purpose::FineTune, "x.jsonl", 0),
        upload_request(Purpose::FineTune, "x.jsonl", 8 * 1024 * 1024 * 1024 + 1),
    ] {
        said.push(refusal(&caller, &request).await);
    }
    for (anchor, seconds) in
        [(ExpiryAnchor::CreatedAt, 3599), (ExpiryAnchor::CreatedAt, 2_592_001), ("now".into(), 3600)]
    {
        let mut request = upload_request(Purpose::FineTune, "x.jsonl", 1);
        request.request.expires_after = Some(ExpiresAfter::new(anchor, seconds));
        said.push(refusal(&caller, &request).await);
    }
    insta::assert_snapshot!(said.join("\n"));
    assert!(world.objects().await.is_empty());
    for bytes in [1, 8 * 1024 * 1024 * 1024] {
        caller.call(&upload_request(Purpose::FineTune, "x.jsonl", bytes)).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_may_not_be_stored_leaves_nothing() {
    let world = World::new().await;
    let caller = world.caller();
    let mut said = Vec::new();
    for (purpose, filename, content) in [
        (Purpose::from("training"), "x.jsonl", "{}"),
        (Purpose::FineTuneResults, "x.jsonl", "{}"),
        (Purpose::Batch, "x.txt", "{}"),
        (Purpose::Assistants, "x.txt", ""),
    ] {
        said.push(refusal(&caller, &new_file(purpose, filename, content.as_bytes())).await);
    }
    insta::assert_snapshot!(said.join("\n"));
    assert!(world.objects().await.is_empty());
}

#[tokio::test]
async fn a_part_has_at_most_64_mib() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("x.bin", 1).await;
    let largest = vec![0; 64 * 1024 * 1024];
    caller.add_part(&upload, &largest).await;
    let refusal = caller.try_add_part(&upload, &[largest, vec![0]].concat()).await.unwrap_err();
    assert_eq!(told(&refusal), "413: `data` is larger than the 67108864 bytes that it may have");
    assert_eq!(world.objects_in("blobs").await.len(), 1);
    assert_eq!(world.objects_in("part-").await.len(), 1);
}

#[tokio::test]
async fn nothing_is_fetched_from_elsewhere() {
    let world = World::new().await;
    let caller = world.caller_of(azure("2024-10-21"));
    let request = ImportFileRequest::new(Purpose::FineTune, "x.jsonl", "https://storage.test/x.jsonl");
    let response = caller.send_operation(&ImportFile::new(request)).await;
    insta::assert_snapshot!(printed(&response));
}

/// Every refusal that is about the request's form and not about what is stored.
async fn odd_requests(api: Api) -> String {
    let world = World::new().await;
    let caller = world.caller_of(api);
    let version = caller
        .api
        .dialect()
        .api_version()
        .map(|version| format!("?api-version={version}"))
        .unwrap_or_default();
    let mut text = String::new();
    for (method, path, content_type, body) in [
        ("GET", "/nowhere", "", ""),
        ("GET", "/uploads", "", ""),
        ("PUT", "/files", "", ""),
        ("POST", "/files/file-1", "", ""),
        ("GET", "/files/file-1", "", ""),
        ("GET", "/files/file-1/content", "", ""),
        ("GET", "/files/..%2F..%2Fpartwise", "", ""),
        ("DELETE", "/files/upload_1", "", ""),
        ("POST", "/uploads/upload_1/cancel", "", ""),
        ("POST", "/uploads/upload_1/complete", "application/json", "{\"part_ids\":[]}"),
        ("POST", "/uploads/upload_1/complete", "application/json", "{}"),
        ("POST", "/uploads", "application/json", "{\"filename\":\"x.jsonl\",\"purpose\":\"batch\"}"),
        ("POST", "/uploads", "application/json", "not json"),
        ("POST", "/uploads", "application/json", "{\"bytes\":\"6\"}"),
        (
            "POST",
            "/uploads",
            "application/json",
            "{\"filename\":\"\",\"purpose\":\"batch\",\"bytes\":1,\"mime_type\":\"txt\"}",
        ),
        (
            "POST",
            "/uploads",
            "application/json",
            "{\"filename\":\"a.jsonl\",\"purpose\":\"batch\",\"bytes\":1,\"mime_type\":\"\"}",
        ),
        ("POST", "/uploads/upload_1/parts", "multipart/form-data; boundary=b", ""),
        ("POST", "/files", "application/json", "{}"),
        ("POST", "/files", "multipart/form-data", ""),
        ("POST", "/files", "", ""),
    ] {
        let path = format!("{path}{version}");
        let mut request = caller.plain(method, &path);
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        let response = caller.send(request.body(Bytes::from(body)).unwrap()).await;
        let allow =
            response.headers().get("allow").map(|allow| format!(" (Allow: {})", allow.to_str().unwrap()));
        let body = String::from_utf8_lossy(response.body());
        text += &format!("{method} {path}\n  {}{}\n  {body}\n", response.status(), allow.unwrap_or_default());
    }
    assert!(world.objects().await.is_empty());
    text
}

#[tokio::test]
async fn odd_requests_are_refused_as_openai() {
    insta::assert_snapshot!(odd_requests(openai()).await);
}

#[tokio::test]
async fn odd_requests_are_refused_as_azure_2024_10_21() {
    insta::assert_snapshot!(odd_requests(azure("2024-10-21")).await);
}

#[tokio::test]
async fn odd_requests_are_refused_as_azure_v1() {
    insta::assert_snapshot!(odd_requests(azure_v1()).await);
}

#[tokio::test]
async fn a_path_of_no_family_or_without_its_version_is_refused() {
    let world = World::new().await;
    let mut text = String::new();
    for path in [
        "/",
        "/files",
        "/v2/files",
        "/openai/files",
        "/openai/files?api-version=latest",
        "/openai/uploads?api-version=2024-06-01",
    ] {
        let request =
            http::Request::get(path).header("api-key", crate::world::KEY).body(Bytes::new()).unwrap();
        let response = world.caller().send(request).await;
        text +=
            &format!("GET {path}\n  {}\n  {}\n", response.status(), String::from_utf8_lossy(response.body()));
    }
    insta::assert_snapshot!(text);
}
