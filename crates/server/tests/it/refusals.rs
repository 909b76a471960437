//! Rejected requests, and the messages that they are answered with.

use bytes::Bytes;
use partwise_models::{CreateUploadRequest, ExpiresAfter, ExpiryAnchor, ImportFileRequest, Purpose};
use partwise_protocol::{
    Api, Operation,
    operations::{CreateUpload, ImportFile},
};

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
        (Purpose::FineTune, "x.txt", "{}"),
        (Purpose::Assistants, "x.txt", ""),
    ] {
        said.push(refusal(&caller, &new_file(purpose, filename, content.as_bytes())).await);
    }
    insta::assert_snapshot!(said.join("\n"));
    assert!(world.objects().await.is_empty());
}

#[tokio::test]
async fn a_batch_file_may_have_any_name_where_the_live_service_took_it_unless_the_server_is_strict() {
    for (is_strict, takes_any) in [(false, true), (true, false)] {
        let world = World::with(|builder| builder.strict(is_strict)).await;
        for (api, takes_any) in [(openai(), takes_any), (azure_v1(), false), (azure("2024-10-21"), false)] {
            let caller = world.caller_of(api);
            let is_taken = caller.call(&new_file(Purpose::Batch, "x.txt", b"{}")).await.is_ok();
            assert_eq!(is_taken, takes_any, "{}", caller.api);
            let upload = caller.call(&upload_request(Purpose::Batch, "requests", 1)).await;
            assert_eq!(upload.is_ok(), takes_any, "{}", caller.api);
            let named = caller.call(&new_file(Purpose::Batch, "x.jsonl", b"{}")).await;
            assert!(named.is_ok(), "{}", caller.api);
        }
    }
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
        ("DELETE", "/files/file-1/content", "", ""),
        ("PATCH", "/files/import", "", ""),
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

#[tokio::test]
async fn a_json_error_names_its_field() {
    let world = World::new().await;
    let caller = world.caller();
    let mut said = String::new();
    let whole = "\"filename\":\"a.jsonl\",\"purpose\":\"batch\",\"bytes\":1,\"mime_type\":\"t\"";
    for body in [
        "{\"filename\":\"a.jsonl\",\"purpose\":\"batch\",\"mime_type\":\"t\"}".to_owned(),
        "{\"filename\":7}".to_owned(),
        "{\"purpose\":[]}".to_owned(),
        "{\"bytes\":-1}".to_owned(),
        "{\"bytes\":1.5}".to_owned(),
        format!("{{\"bytes\":\"{}\"}}", "x".repeat(100_000)),
        "{\"bytes\":1,\"bytes\":1}".to_owned(),
        "{\"mime_type\":null}".to_owned(),
        format!("{{{whole},\"expires_after\":{{\"anchor\":\"created_at\"}}}}"),
        format!("{{{whole},\"expires_after\":3600}}"),
        format!("{{{}}}", whole.replace("batch", "training")),
        format!("{{{}}}", whole.replace(":1", ":0")),
        "[]".to_owned(),
        "{\"filename\":".to_owned(),
    ] {
        let request = caller.plain("POST", "/uploads").body(Bytes::from(body)).unwrap();
        let response = caller.send(request).await;
        said += &format!("{} {}\n", response.status().as_u16(), String::from_utf8_lossy(response.body()));
    }
    insta::assert_snapshot!(said);
    assert!(world.objects().await.is_empty());
}

#[tokio::test]
async fn names_in_json_are_as_long_as_in_forms() {
    let world = World::new().await;
    let caller = world.caller();
    let mut said = Vec::new();
    let name = |length: usize| "x".repeat(length - 6) + ".jsonl";
    for (filename, mime_type) in [(name(513), "t".to_owned()), (name(512), "t".repeat(256))] {
        let request = CreateUploadRequest::new(filename, Purpose::Batch, 1, mime_type);
        let refused = caller.call(&CreateUpload::new(request)).await.unwrap_err();
        said.push(format!("{} ({})", told(&refused), refused.error.param.as_deref().unwrap()));
    }
    let import = ImportFileRequest::new(Purpose::FineTune, name(513), "https://storage.test/x.jsonl");
    let dated = world.caller_of(azure("2024-10-21"));
    let refused = dated.call(&ImportFile::new(import)).await.unwrap_err();
    said.push(format!("{} ({})", told(&refused), refused.error.target.as_deref().unwrap()));
    insta::assert_snapshot!(said.join("\n"), @r"
    400: `filename` has 513 bytes: the longest has 512 (filename)
    400: `mime_type` has 256 bytes: the longest has 255 (mime_type)
    400: `filename` has 513 bytes: the longest has 512 (filename)
    ");
    let request = CreateUploadRequest::new(name(512), Purpose::Batch, 1, "t".repeat(255));
    caller.call(&CreateUpload::new(request)).await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_one_line_whatever_was_sent() {
    let world = World::new().await;
    let caller = world.caller();
    let mut said = String::new();
    for (method, path) in
        [("GET", "/files/a%0Ab%1B%5B2J"), ("POST", "/uploads/a%0D%E2%80%A8b/cancel"), ("GET", "/%0A")]
    {
        let response = caller.send(caller.plain(method, path).body(Bytes::new()).unwrap()).await;
        said += &format!("{}\n", told(&partwise_protocol::error::ApiError::decode_response(&response)));
    }
    for (purpose, filename) in [(Purpose::FineTune, "a\nb"), (Purpose::from("a\nb"), "a.jsonl")] {
        said += &format!("{}\n", refusal(&caller, &upload_request(purpose, filename, 1)).await);
    }
    insta::assert_snapshot!(said, @r"
    404: there is no file `a\nb\u{1b}[2J`
    404: there is no upload `a\r\u{2028}b`
    404: there is nothing at `/v1/%0A`
    400: a file with the purpose `fine-tune` must have a name that ends with .jsonl, and is named `a\nb`
    400: `a\nb` is not a purpose to send a file with: take one of fine-tune, batch, assistants, evals, user_data, vision
    ");
}

#[tokio::test]
async fn a_refusal_shows_the_beginning_of_what_was_sent_and_no_more() {
    let world = World::new().await;
    let caller = world.caller();
    let long = "x".repeat(30_000);
    let mut said = String::new();
    for (method, path, body) in [
        ("GET", format!("/files/{long}"), String::new()),
        ("POST", format!("/uploads/{long}/cancel"), String::new()),
        ("GET", format!("/{long}"), String::new()),
        ("PUT", format!("/files/{long}"), String::new()),
        (
            "POST",
            "/uploads".to_owned(),
            format!("{{\"filename\":\"a\",\"purpose\":\"{long}\",\"bytes\":1,\"mime_type\":\"t\"}}"),
        ),
        (
            "POST",
            "/uploads".to_owned(),
            format!(
                "{{\"filename\":\"a\",\"purpose\":\"evals\",\"bytes\":1,\"mime_type\":\"t\",\"expires_after\":\
                 {{\"anchor\":\"{long}\",\"seconds\":3600}}}}"
            ),
        ),
    ] {
        let response = caller.send(caller.plain(method, &path).body(Bytes::from(body)).unwrap()).await;
        said += &format!("{} {}\n", response.status().as_u16(), String::from_utf8_lossy(response.body()));
    }
    let long = "x".repeat(60_000);
    let anchor = "--b\r\nContent-Disposition: form-data; name=expires_after[anchor]\r\n\r\ncreated_at\r\n";
    for (field, value) in [
        ("purpose", long.clone()),
        ("expires_after[seconds]", long.clone()),
        ("expires_after", format!("\"{long}\"")),
    ] {
        let anchor = if field.ends_with("[seconds]") { anchor } else { "" };
        let purpose = if field == "purpose" { &long } else { "assistants" };
        let text = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n")
        };
        let other = if field == "purpose" { String::new() } else { text(field, &value) };
        let form = format!(
            "{}{anchor}{other}--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\na\r\n--b--",
            text("purpose", purpose)
        );
        let request =
            caller.plain("POST", "/files").header("content-type", "multipart/form-data; boundary=b");
        let response = caller.send(request.body(Bytes::from(form)).unwrap()).await;
        said += &format!("{} {}\n", response.status().as_u16(), String::from_utf8_lossy(response.body()));
    }
    let name = "x".repeat(512);
    said += &format!("{}\n", refusal(&caller, &upload_request(Purpose::FineTune, &name, 1)).await);
    let dated = http::Request::get(format!("/openai/files?api-version={long}")).body(Bytes::new()).unwrap();
    said += &String::from_utf8_lossy(caller.send(dated).await.body());
    insta::assert_snapshot!(said, @r#"
    404 {"error":{"message":"there is no file `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`","type":"invalid_request_error","param":"id","code":null}}
    404 {"error":{"message":"there is no upload `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`","type":"invalid_request_error","param":"id","code":null}}
    404 {"error":{"message":"there is nothing at `/v1/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`","type":"invalid_request_error","param":null,"code":null}}
    405 {"error":{"message":"`/v1/files/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` does not take PUT","type":"invalid_request_error","param":null,"code":null}}
    400 {"error":{"message":"`xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is not a purpose to send a file with: take one of fine-tune, batch, assistants, evals, user_data, vision","type":"invalid_request_error","param":"purpose","code":null}}
    400 {"error":{"message":"`xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is not what a lifetime can start from: take created_at","type":"invalid_request_error","param":"expires_after","code":null}}
    400 {"error":{"message":"`xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is not a purpose to send a file with: take one of fine-tune, batch, assistants, evals, user_data, vision","type":"invalid_request_error","param":"purpose","code":null}}
    400 {"error":{"message":"`expires_after` must have a whole number of seconds, and has `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`","type":"invalid_request_error","param":"expires_after","code":null}}
    400 {"error":{"message":"`expires_after` must be an object with an anchor and seconds: invalid type: string \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… at line 1 column 60002","type":"invalid_request_error","param":"expires_after","code":null}}
    400: a file with the purpose `fine-tune` must have a name that ends with .jsonl, and is named `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`
    {"error":{"code":"notFound","message":"`xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is not an api-version: it must be a date such as 2024-10-21, perhaps with -preview behind it","target":"api-version"}}
    "#);
}
