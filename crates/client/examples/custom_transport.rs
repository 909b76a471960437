//! Sends requests over a service of your own: here hyper-util's pooled client, inside a layer that prints what passes.
//! The documentation of `ClientBuilder::transport` says which errors are retried, and how a service tells of its own: timeouts of tower
//! and of reqwest are the examples there.
//!
//! ```sh
//! OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=… \
//!     cargo run -p partwise --example custom_transport
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is what a command does")]

use std::{
    env,
    error::Error,
    task::{Context, Poll},
};

use http::{Request, Response};
use hyper_util::{client::legacy, rt::TokioExecutor};
use partwise::{Client, RequestBody};
use partwise_protocol::{Api, Credential, Dialect, operations::ListFiles};
use tower_service::Service;

/// Prints every request on its way to the service inside.
#[derive(Clone)]
struct Printed<S>(S);

impl<S, B> Service<Request<RequestBody>> for Printed<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> S::Future {
        eprintln!("{} {}", request.method(), request.uri());
        self.0.call(request)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let api = Api::with_base(&env::var("OPENAI_BASE_URL")?, Dialect::OpenAi)?;
    let key = Credential::key(&env::var("OPENAI_API_KEY")?)?;
    let pooled = legacy::Client::builder(TokioExecutor::new()).build_http();
    let client = Client::builder(api, key).transport(Printed(pooled)).build();
    for file in client.call(&ListFiles::new()).await?.data {
        println!("{} {}", file.id, file.filename.unwrap_or_default());
    }
    Ok(())
}
