//! Uploads a file, lists what is there, waits until the file is processed, downloads it and deletes it: with this crate alone.
//!
//! ```sh
//! OPENAI_API_KEY=… cargo run -p partwise --example five_jobs -- notes.md
//! ```
#![allow(clippy::print_stdout, reason = "it is what a command does")]

use std::{env, error::Error};

use partwise::{Client, Purpose};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: five_jobs FILE")?;
    let client = Client::from_env()?;
    let file = client.upload_file(&path, Purpose::Assistants).await?;
    let first_page = client.files().purpose(Purpose::Assistants).next_page().await?;
    println!("{} files on the first page", first_page.unwrap_or_default().len());
    let file = client.wait_until_processed(&file.id).await?;
    let length = client.download_file(&file.id, format!("{path}.copy")).await?;
    println!("{length} bytes, deleted: {}", client.delete_file(&file.id).await?);
    Ok(())
}
