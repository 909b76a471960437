//! Uploads a file to Azure OpenAI with a token of Microsoft Entra, which is fetched again before it expires: an upload of
//! hours outlives it.
//!
//! ```sh
//! AZURE_OPENAI_ENDPOINT=https://NAME.openai.azure.com \
//!     cargo run -p partwise --example azure_token -- train.jsonl
//! ```
#![allow(clippy::print_stdout, reason = "it is what a command does")]

use std::{
    env,
    error::Error,
    time::{Duration, SystemTime},
};

use partwise::{Api, Client, Purpose, RefreshingToken};
use tokio::process::Command;

const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

/// The token and the moment at which it expires, from Azure's command line.
async fn token() -> Result<(String, SystemTime), Box<dyn Error + Send + Sync>> {
    let query = "[accessToken, expires_on]";
    let asked = ["account", "get-access-token", "--scope", SCOPE, "--query", query, "--output", "tsv"];
    let answer = Command::new("az").args(asked).output().await?;
    if !answer.status.success() {
        return Err(String::from_utf8_lossy(&answer.stderr).trim().into());
    }
    let answer = String::from_utf8(answer.stdout)?;
    let (token, expires_on) = answer.trim().split_once('\t').ok_or("az printed no token and time")?;
    Ok((token.to_owned(), SystemTime::UNIX_EPOCH + Duration::from_secs(expires_on.parse()?)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: azure_token FILE")?;
    let api = Api::azure(&env::var("AZURE_OPENAI_ENDPOINT")?, "2024-10-21")?;
    let client = Client::builder(api, RefreshingToken::new(token)).build();
    let file = client.upload_file(path, Purpose::FineTune).await?;
    println!("{} {:?}", file.id, file.status);
    Ok(())
}
