//! Head and body of every success, in every dialect.

use bytes::Bytes;
use http::Response;
use partwise_models::{CompleteUploadRequest, CreateUploadRequest, Purpose, Upload};
use partwise_protocol::{
    Api, Operation,
    operations::{
        AddUploadPart, ByteRange, CancelUpload, CompleteUpload, CreateUpload, DeleteFile, DownloadFile,
        ListFiles, RetrieveFile,
    },
};

use crate::world::{Caller, World, azure, azure_v1, boundary, new_file, openai, printed};

/// All answers of a conversation, printed.
struct Transcript {
    caller: Caller,
    text: String,
}

impl Transcript {
    async fn say<O: Operation>(&mut self, operation: &O) -> Response<Bytes> {
        let request = self.caller.request(operation);
        let target = request.uri().path_and_query().unwrap().to_string();
        let response = self.caller.send_operation(operation).await;
        self.text += &format!("> {} {target}\n{}\n", request.method(), printed(&response));
        response
    }
}

async fn files(api: Api) -> Transcript {
    let world = World::new().await;
    let mut said = Transcript { caller: world.caller_of(api), text: String::new() };
    said.say(&ListFiles::new()).await;
    let created = said.say(&new_file(Purpose::FineTune, "süß \"train\".jsonl", b"0123456789")).await;
    let id = partwise_protocol::operations::CreateFile::decode_response(created).unwrap().id;
    world.advance(1);
    said.say(&new_file(Purpose::FineTune, "later.jsonl", b"{}")).await;
    said.say(&ListFiles::new()).await;
    said.say(&RetrieveFile::new(&id)).await;
    said.say(&DownloadFile::new(&id)).await;
    let mut some = DownloadFile::new(&id);
    some.range = Some(ByteRange::From { first: 3, last: Some(5) });
    said.say(&some).await;
    said.say(&DeleteFile::new(&id)).await;
    said.say(&DeleteFile::new(&id)).await;
    said
}

async fn uploads(api: Api) -> Transcript {
    let world = World::new().await;
    let mut said = Transcript { caller: world.caller_of(api), text: String::new() };
    let request = CreateUploadRequest::new("train.jsonl", Purpose::FineTune, 6, "application/jsonl");
    let created = said.say(&CreateUpload::new(request.clone())).await;
    let Upload { id, .. } = CreateUpload::decode_response(created).unwrap();
    let mut parts = Vec::new();
    for content in ["def", "abc"] {
        world.advance(1);
        let added = said.say(&AddUploadPart::new(&id, Bytes::from(content), boundary())).await;
        parts.insert(0, AddUploadPart::decode_response(added).unwrap().id);
    }
    said.say(&CompleteUpload::new(&id, CompleteUploadRequest::new(parts))).await;
    let created = said.say(&CreateUpload::new(request)).await;
    let Upload { id, .. } = CreateUpload::decode_response(created).unwrap();
    said.say(&CancelUpload::new(&id)).await;
    said
}

#[tokio::test]
async fn files_speak_openai() {
    insta::assert_snapshot!(files(openai()).await.text);
}

#[tokio::test]
async fn files_speak_azure_2024_06_01() {
    insta::assert_snapshot!(files(azure("2024-06-01")).await.text);
}

#[tokio::test]
async fn files_speak_azure_2024_10_21() {
    insta::assert_snapshot!(files(azure("2024-10-21")).await.text);
}

#[tokio::test]
async fn files_speak_azure_v1() {
    insta::assert_snapshot!(files(azure_v1()).await.text);
}

#[tokio::test]
async fn uploads_speak_openai() {
    insta::assert_snapshot!(uploads(openai()).await.text);
}

#[tokio::test]
async fn uploads_speak_azure_2024_10_21() {
    insta::assert_snapshot!(uploads(azure("2024-10-21")).await.text);
}

#[tokio::test]
async fn uploads_speak_azure_v1() {
    insta::assert_snapshot!(uploads(azure_v1()).await.text);
}

/// The answer of dated versions to a new file of each purpose: its status, and whether it says where the file is.
#[tokio::test]
async fn a_dated_version_answers_a_new_file_by_its_purpose() {
    let world = World::new().await;
    let mut said = String::new();
    for version in [
        "2024-02-01",
        "2024-02-15-preview",
        "2024-05-01-preview",
        "2024-06-01",
        "2024-07-01-preview",
        "2024-09-01-preview",
        "2024-10-21",
        "2025-04-01-preview",
    ] {
        said += version;
        for purpose in [Purpose::Assistants, Purpose::Batch, Purpose::FineTune, Purpose::Evals] {
            let caller = world.caller_of(azure(version));
            let response = caller.send_operation(&new_file(purpose.clone(), "a.jsonl", b"{}")).await;
            let place = if response.headers().contains_key("location") { "+Location" } else { "" };
            said += &format!("  {purpose} {}{place}", response.status().as_u16());
        }
        said += "\n";
    }
    insta::assert_snapshot!(said, @r"
    2024-02-01  assistants 400  batch 400  fine-tune 201+Location  evals 400
    2024-02-15-preview  assistants 200  batch 400  fine-tune 201+Location  evals 400
    2024-05-01-preview  assistants 200  batch 400  fine-tune 201+Location  evals 400
    2024-06-01  assistants 400  batch 400  fine-tune 201+Location  evals 400
    2024-07-01-preview  assistants 200  batch 201+Location  fine-tune 201+Location  evals 400
    2024-09-01-preview  assistants 200  batch 201+Location  fine-tune 201+Location  evals 400
    2024-10-21  assistants 200  batch 201+Location  fine-tune 201+Location  evals 400
    2025-04-01-preview  assistants 200  batch 201+Location  fine-tune 201+Location  evals 201+Location
    ");
}

#[tokio::test]
async fn a_part_has_a_block_id_on_dated_azure_alone() {
    let world = World::new().await;
    for (api, has_one) in [(openai(), false), (azure_v1(), false), (azure("2024-10-21"), true)] {
        let caller = world.caller_of(api);
        let upload = caller.create_upload("a.txt", 1).await;
        let part = caller.try_add_part(&upload, b"a").await.unwrap();
        assert_eq!(part.azure_block_id.is_some(), has_one, "{}", caller.api);
    }
}

#[tokio::test]
async fn of_a_repeated_query_parameter_the_first_counts() {
    let world = World::new().await;
    let caller = world.caller();
    for (path, status) in [
        ("/openai/files?api-version=2024-10-21&api-version=now", 200),
        ("/openai/files?api-version=now&api-version=2024-10-21", 404),
        ("/openai/files?api-version=&api-version=2024-10-21", 404),
        ("/openai/v1/files?api-version=", 200),
        ("/v1/files?order=desc&order=up", 200),
        ("/v1/files?order=up&order=desc", 400),
    ] {
        let mut request = http::Request::get(path).body(Bytes::new()).unwrap();
        caller.sign(&mut request);
        assert_eq!(caller.send(request).await.status().as_u16(), status, "{path}");
    }
}
