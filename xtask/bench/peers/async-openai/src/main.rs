//! Uploads a file in parts with async-openai, several at a time, each read whole into memory: the client has no other way.
//!
//! Usage: async-openai-upload `BASE_URL` FILE `PART_SIZE` PARALLEL

use anyhow::{Context as _, Result};
use async_openai::{
    Client,
    config::OpenAIConfig,
    types::{
        InputSource,
        uploads::{AddUploadPartRequest, CompleteUploadRequest, CreateUploadRequest, UploadPurpose},
    },
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [base, path, part_size, parallel] = &arguments[..] else {
        anyhow::bail!("usage: async-openai-upload BASE_URL FILE PART_SIZE PARALLEL");
    };
    let (part_size, parallel): (u64, usize) = (part_size.parse()?, parallel.parse()?);
    let length = std::fs::metadata(path)?.len();
    let client = Client::with_config(OpenAIConfig::new().with_api_base(base.as_str()).with_api_key("key"));
    let request = CreateUploadRequest {
        filename: "large.bin".into(),
        purpose: UploadPurpose::Assistants,
        bytes: length,
        mime_type: "application/octet-stream".into(),
        ..CreateUploadRequest::default()
    };
    let upload = client.uploads().create(request).await?;
    let part_ids = stream::iter(0..length.div_ceil(part_size))
        .map(|index| {
            let (client, id) = (&client, &upload.id);
            async move {
                let start = index * part_size;
                let mut bytes = vec![0; usize::try_from(part_size.min(length - start))?];
                let mut file = tokio::fs::File::open(path).await?;
                file.seek(std::io::SeekFrom::Start(start)).await?;
                file.read_exact(&mut bytes).await.context("the file became shorter")?;
                let data = InputSource::Bytes { filename: "part".into(), bytes: bytes.into() };
                let part = client.uploads().add_part(id, AddUploadPartRequest { data }).await?;
                anyhow::Ok(part.id)
            }
        })
        .buffered(parallel)
        .try_collect()
        .await?;
    client.uploads().complete(&upload.id, CompleteUploadRequest { part_ids, md5: None }).await?;
    Ok(())
}
