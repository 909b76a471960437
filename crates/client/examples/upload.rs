//! Uploads a file to OpenAI or Azure OpenAI, shows how far it is, and resumes when it is started again.
//!
//! ```sh
//! OPENAI_API_KEY=… cargo run -p partwise --example upload -- train.jsonl fine-tune
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is what a command does")]

use std::{env, error::Error};

use partwise::{CheckpointFile, Client};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (Some(path), Some(purpose)) = (env::args().nth(1), env::args().nth(2)) else {
        return Err("usage: upload FILE PURPOSE".into());
    };
    let client = Client::from_env()?;
    let checkpoint = CheckpointFile::at(format!("{path}.partwise"));
    let mut upload = client.upload_file(path, purpose.as_str().into());
    if let Some(saved) = checkpoint.load()? {
        upload = upload.resume(saved);
    }
    let upload = upload.save_to(checkpoint).on_progress(|now| {
        eprint!("\r{} of {} bytes", now.bytes_acknowledged + now.bytes_in_flight, now.bytes_total);
    });
    println!("{}", upload.await?.id);
    Ok(())
}
