//! Uploads a file to OpenAI, shows how far it is, and goes on where it stopped when it is started again.
//!
//! ```sh
//! OPENAI_API_KEY=… cargo run -p partwise --example upload -- train.jsonl fine-tune
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is what a command does")]

use std::{env, error::Error, path::Path};

use partwise::{CheckpointFile, Client, FileSource};
use partwise_protocol::{Api, Credential, upload::Plan};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (Some(path), Some(purpose)) = (env::args().nth(1), env::args().nth(2)) else {
        return Err("usage: upload FILE PURPOSE".into());
    };
    let client = Client::with_defaults(Api::openai(), Credential::key(&env::var("OPENAI_API_KEY")?)?);

    let source = FileSource::open(&path)?;
    let name = Path::new(&path).file_name().unwrap_or_default().to_string_lossy();
    let plan = Plan::new(name, "application/octet-stream", purpose.as_str().into());
    let checkpoint = CheckpointFile::at(format!("{path}.partwise"));
    let upload = match checkpoint.load()? {
        Some(saved) => client.resume(source, plan, saved).await?,
        None => client.prepare(source, plan).await?,
    };

    let mut progress = upload.progress();
    tokio::spawn(async move {
        while progress.changed().await.is_ok() {
            let now = progress.borrow_and_update();
            eprint!("\r{} of {} bytes", now.bytes_acknowledged + now.bytes_in_flight, now.bytes_total);
        }
        eprintln!();
    });
    let file = upload.save_to(checkpoint).run().await?;
    println!("{}", file.id);
    Ok(())
}
