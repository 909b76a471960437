//! Uploads over transports of the caller's, with connections that end. Run alone, the package has a client without the feature `hyper`.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use hyper_util::{client::legacy, rt::TokioExecutor};
use partwise::{
    Api, Client, Credential, Purpose,
    protocol::{
        Dialect,
        operations::OperationId,
        transport::{Failure, FailureKind},
    },
};
use partwise_server::{
    Keys, Server, Store,
    testing::{Fault, Faults},
};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

const MIB: usize = 1 << 20;

async fn server() -> Server {
    Server::builder(Store::memory()).keys(Keys::any()).build().await.unwrap()
}

fn builder(base: &str) -> partwise::ClientBuilder {
    Client::builder(Api::with_base(base, Dialect::OpenAi).unwrap(), Credential::key("key").unwrap())
}

/// The second part is dropped, and what came of the third is not told.
fn interruptions() -> Faults {
    let faults = Faults::new();
    faults.on(OperationId::AddUploadPart).nth(2, Fault::Drop);
    faults.on(OperationId::AddUploadPart).nth(3, Fault::LoseAnswer);
    faults
}

async fn uploads_in_parts(client: Client, faults: &Faults) {
    let content: Vec<u8> = (0..3 * MIB).map(|at| (at % 251) as u8).collect();
    let upload = client.upload("a.jsonl", content.clone(), Purpose::Batch).part_size(MIB as u64);
    let file = upload.parallel(1).await.unwrap();
    // The beginning, three parts and the one without an answer, and the completion.
    assert_eq!(faults.executed(), 6);
    assert!(client.download(&file.id).bytes(3 * MIB as u64).await.unwrap() == content);
}

#[tokio::test]
async fn an_upload_over_a_service_in_process_survives_connections_that_end() {
    let faults = interruptions();
    let client = builder("http://localhost/v1").transport(faults.around(server().await)).build();
    uploads_in_parts(client, &faults).await;
}

#[tokio::test]
async fn an_upload_over_a_pool_that_says_what_its_errors_mean_survives_connections_that_end() {
    let (faults, listener) = (interruptions(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let (serving, server) = (faults.clone(), server().await);
    tokio::spawn(async move { serving.serve(server, listener).await });
    let pooled = legacy::Client::builder(TokioExecutor::new()).build_http();
    let service = pooled.map_err(|error: legacy::Error| {
        let kind = if error.is_connect() { FailureKind::Connect } else { FailureKind::Interrupted };
        Failure::with_cause(kind, error)
    });
    uploads_in_parts(builder(&base).transport(service).build(), &faults).await;
}
