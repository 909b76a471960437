//! A gateway in axum that speaks OpenAI's dialect and forwards to Azure OpenAI, dated or v1, over reqwest. Content streams through in
//! both directions, and the caller's key goes along.
//!
//! ```sh
//! cargo run -p partwise-protocol --example gateway -- 127.0.0.1:8090 https://NAME.openai.azure.com 2024-10-21
//! curl http://127.0.0.1:8090/v1/files -H "Authorization: Bearer $AZURE_OPENAI_API_KEY" -F purpose=batch -F file=@batch.jsonl
//! ```
#![allow(clippy::print_stdout, reason = "it is what a command does")]

use std::{error::Error, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request, extract::State, response::Response};
use bytes::Bytes;
use futures_util::{
    future::{Either, select},
    stream,
};
use http::StatusCode;
use http_body_util::{BodyExt as _, Limited};
use partwise_protocol::{
    Api, Credential, Dialect,
    error::ApiError,
    operations::{Translation, TranslationStep},
    transport,
};
use reqwest::redirect::Policy;
use tokio::{net::TcpListener, sync::mpsc};

struct Gateway {
    from: Api,
    to: Api,
    http: reqwest::Client,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (listen, to) = match &arguments[..] {
        [listen, endpoint] => (listen, Api::azure_v1(endpoint)?),
        [listen, endpoint, version] => (listen, Api::azure(endpoint, version)?),
        _ => return Err("LISTEN-ADDRESS ENDPOINT [API-VERSION]".into()),
    };
    let listener = TcpListener::bind(listen).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let from = Api::with_base(&format!("{origin}/v1"), Dialect::OpenAi)?;
    // What is silent for ten minutes is given up; how long a transfer takes has no limit.
    let http = reqwest::Client::builder().redirect(Policy::none()).read_timeout(Duration::from_secs(600));
    let gateway = Arc::new(Gateway { from, to, http: http.build()? });
    println!("listening on {origin}");
    Ok(axum::serve(listener, Router::new().fallback(forward).with_state(gateway)).await?)
}

async fn forward(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let credential = Credential::extract(&request);
    let (head, mut body) = request.into_parts();
    let mut entropy = [0; 16];
    if let Err(error) = getrandom::fill(&mut entropy) {
        return in_memory(failed(error).encode_response(&gateway.from).unwrap_or_default());
    }
    let mut translation = match Translation::new(gateway.from.clone(), gateway.to.clone(), head, entropy) {
        Ok(translation) => translation,
        Err(error) => {
            return in_memory(ApiError::from(error).encode_response(&gateway.from).unwrap_or_default());
        }
    };
    let sent = send(&gateway, credential, &mut translation, &mut body).await;
    match sent {
        Ok(answer) => receive(&translation, answer.into()).await,
        Err(error) => in_memory(translation.rejection(*error)),
    }
}

/// Sends the request while it comes, and waits for the head of its answer.
async fn send(
    gateway: &Gateway,
    credential: Option<Credential>,
    translation: &mut Translation,
    body: &mut Body,
) -> Result<reqwest::Response, Box<ApiError>> {
    let TranslationStep::Request(mut head) = next(translation, body).await? else {
        return Err(failed("the request has no head"));
    };
    if let Some(credential) = credential {
        credential.apply(&gateway.to, &mut head);
    }
    let (pieces, coming) = mpsc::channel::<Bytes>(1);
    let content = match next(translation, body).await? {
        TranslationStep::Body(first) => {
            let pieces = stream::unfold((Some(first), coming), |(first, mut coming)| async move {
                let piece = if first.is_some() { first } else { coming.recv().await };
                Some((Ok::<_, BoxError>(piece?), (None, coming)))
            });
            reqwest::Body::wrap_stream(pieces)
        }
        _ => reqwest::Body::default(),
    };
    let request = head.map(|()| content).try_into().map_err(failed)?;
    let pass = async move {
        while let TranslationStep::Body(piece) = next(translation, body).await? {
            // The service takes no more: its answer, or a failure, says why.
            if pieces.send(piece).await.is_err() {
                break;
            }
        }
        Ok::<_, Box<ApiError>>(())
    };
    // A request that does not pass to its end is dropped before its end, so that the service takes it for broken off.
    match select(pin!(pass), pin!(gateway.http.execute(request))).await {
        Either::Left((passed, answer)) => {
            passed?;
            answer.await.map_err(failed)
        }
        Either::Right((answer, _)) => answer.map_err(failed),
    }
}

/// The next step that is not to read more.
async fn next(translation: &mut Translation, body: &mut Body) -> Result<TranslationStep, Box<ApiError>> {
    loop {
        match translation.poll().map_err(|error| Box::new(error.into()))? {
            TranslationStep::NeedInput => match body.frame().await {
                Some(frame) => translation.push(frame.map_err(failed)?.into_data().unwrap_or_default()),
                None => translation.finish_input(),
            },
            step => return Ok(step),
        }
    }
}

/// The answer in the caller's dialect: content as it comes, and all else from memory.
async fn receive(translation: &Translation, answer: http::Response<reqwest::Body>) -> Response {
    let (head, body) = answer.into_parts();
    if translation.is_content(head.status) {
        let answer = translation.answer(http::Response::from_parts(head, Bytes::new()));
        return if answer.status().is_success() {
            answer.map(|_| Body::new(body))
        } else {
            in_memory(answer)
        };
    }
    let limit = usize::try_from(translation.operation().answer_limit()).unwrap_or(usize::MAX);
    match Limited::new(body, limit).collect().await {
        Ok(body) => in_memory(translation.answer(http::Response::from_parts(head, body.to_bytes()))),
        Err(error) => in_memory(translation.rejection(*failed(error))),
    }
}

fn in_memory(response: http::Response<transport::Body>) -> Response {
    response.map(|body| body.into_bytes().unwrap_or_default().into())
}

type BoxError = Box<dyn Error + Send + Sync>;

fn failed(error: impl Into<BoxError>) -> Box<ApiError> {
    let causes: Vec<String> = transport::causes(&*error.into()).map(ToString::to_string).collect();
    Box::new(ApiError::new(StatusCode::BAD_GATEWAY, causes.join(": ")))
}
