//! Head and body of every success, in every dialect.

use bytes::Bytes;
use http::Response;
use partwise_models::{CompleteUploadRequest, CreateUploadRequest, Purpose, Upload};
use partwise_protocol::{
    AddUploadPart, Api, ByteRange, CancelUpload, CompleteUpload, CreateUpload, DeleteFile, DownloadFile,
    ListFiles, Operation, RetrieveFile,
};

use crate::world::{Caller, World, azure, azure_v1, boundary, new_file, openai, printed};

/// What all answers of a conversation look like.
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
    let id = partwise_protocol::CreateFile::decode_response(created).unwrap().id;
    world.advance(1);
    said.say(&new_file(Purpose::FineTune, "later.jsonl", b"{}")).await;
    said.say(&ListFiles::new()).await;
    said.say(&RetrieveFile::new(&id)).await;
    said.say(&DownloadFile::new(&id)).await;
    let mut some = DownloadFile::new(&id);
    some.range = Some(ByteRange { first: 3, last: Some(5) });
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
