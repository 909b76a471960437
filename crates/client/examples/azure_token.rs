//! Uploads a file to Azure OpenAI with a token of Microsoft Entra, which is fetched anew before it expires: an upload of
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
    sync::Arc,
    time::{Duration, SystemTime},
};

use partwise::{Client, FileSource};
use partwise_models::Purpose;
use partwise_protocol::{Api, Credential, upload::Plan};
use tokio::{process::Command, sync::Mutex};

const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// Tokens are good for an hour or more.
const KEEP: Duration = Duration::from_secs(30 * 60);

/// The last token, and when it was fetched: on the wall clock, since the monotonic one stands still while the machine sleeps.
type Kept = Mutex<Option<(Credential, SystemTime)>>;

async fn token(kept: Arc<Kept>) -> Result<Credential, Box<dyn Error + Send + Sync>> {
    let mut kept = kept.lock().await;
    if let Some((token, since)) = &*kept {
        if since.elapsed().is_ok_and(|age| age < KEEP) {
            return Ok(token.clone());
        }
    }
    let asked =
        ["account", "get-access-token", "--scope", SCOPE, "--query", "accessToken", "--output", "tsv"];
    let answer = Command::new("az").args(asked).output().await?;
    if !answer.status.success() {
        return Err(String::from_utf8_lossy(&answer.stderr).trim().into());
    }
    let token = Credential::token(std::str::from_utf8(&answer.stdout)?)?;
    *kept = Some((token.clone(), SystemTime::now()));
    Ok(token)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: azure_token FILE")?;
    let api = Api::azure(&env::var("AZURE_OPENAI_ENDPOINT")?, "2024-10-21")?;
    let kept = Arc::new(Kept::default());
    let client = Client::with_defaults(api, move || token(kept.clone()));

    let plan = Plan::new("train.jsonl", "application/jsonl", Purpose::FineTune);
    let file = client.upload(FileSource::open(path)?, plan).await?;
    println!("{} {:?}", file.id, file.status);
    Ok(())
}
