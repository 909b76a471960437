//! A service in axum that answers with the wire types: it knows one file, opens uploads, and keeps in its answer to `POST /v1/uploads`
//! what a client sent that the types do not know.
//!
//! ```sh
//! cargo run -p partwise-models --example axum_service -- 127.0.0.1:8091
//! curl http://127.0.0.1:8091/v1/files/file-1
//! ```
#![allow(clippy::print_stdout, reason = "it is what a command does")]

use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use partwise_models::{
    CreateUploadRequest, Error, ErrorResponse, File, FileState, Purpose, Upload, UploadStatus,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A request or an answer beside members that are not of the API.
#[derive(Serialize, Deserialize)]
struct Extended<T> {
    #[serde(flatten)]
    known: T,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("usage: axum_service ADDRESS")?;
    let service = Router::new().route("/v1/files/{id}", get(file)).route("/v1/uploads", post(upload));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, service).await?)
}

async fn file(Path(id): Path<String>) -> Response {
    if id != "file-1" {
        let error = Error::message(format!("there is no file {id}"));
        return json(StatusCode::NOT_FOUND, &ErrorResponse::new(error));
    }
    let file = File::new(id).bytes(5).filename("notes.md").purpose(Purpose::Assistants);
    json(StatusCode::OK, &file.status(FileState::Processed))
}

async fn upload(body: String) -> Response {
    match serde_json::from_str::<Extended<CreateUploadRequest>>(&body) {
        Ok(Extended { known, rest }) => {
            let known = Upload::new("upload_1").filename(known.filename).status(UploadStatus::Pending);
            json(StatusCode::OK, &Extended { known, rest })
        }
        Err(error) => json(StatusCode::BAD_REQUEST, &ErrorResponse::new(Error::message(error.to_string()))),
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let text = serde_json::to_string(value).expect("the wire types are always JSON");
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}
