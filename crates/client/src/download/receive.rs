//! The content of an answer on its way to a target.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::AtomicU64},
};

use partwise_net::answer::DirectRead;
use partwise_protocol::download::ContentCheck;

use super::Download;
use crate::{
    Error,
    failure::classify,
    retries::FailedAttempt,
    writing::{Filling, Writer},
};

/// The first bytes of a content, as many as are looked at.
pub(super) struct Beginning {
    room: usize,
    bytes: Vec<u8>,
}

impl Beginning {
    /// Of an answer that is written from `offset` on, which only at 0 begins with them.
    pub(super) fn from(offset: u64) -> Self {
        Self { room: if offset == 0 { ContentCheck::BEGINNING } else { 0 }, bytes: Vec::new() }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn read(&mut self, bytes: &[u8]) {
        let taken = self.room.min(bytes.len());
        self.room -= taken;
        self.bytes.extend_from_slice(&bytes[..taken]);
    }
}

/// Writes the bytes of an answer from `offset` on.
pub(super) async fn receive(
    download: Download,
    writer: &Writer,
    offset: u64,
    written: Arc<AtomicU64>,
    beginning: &mut Beginning,
) -> Result<(), Error> {
    let host = download.host_elsewhere().map(str::to_owned);
    let mut filling = writer.fill(offset, written);
    let received = match download.direct().await {
        Ok(body) => read_into(body, &mut filling, beginning).await,
        Err(download) => copy_into(download, &mut filling, beginning).await,
    };
    // What came before it broke need not come again; and what could not be written is not tried again.
    if matches!(received, Err(Error::Target(_))) {
        return received;
    }
    filling.finish().await.map_err(Error::target)?;
    received.map_err(|error| FailedAttempt::at(host.as_deref(), error).error)
}

async fn read_into(
    mut body: Box<dyn DirectRead>,
    filling: &mut Filling,
    beginning: &mut Beginning,
) -> Result<(), Error> {
    loop {
        match poll_fn(|cx| body.poll_read(cx, filling.room())).await {
            Ok(0) => break,
            Ok(count) => {
                beginning.read(&filling.room()[..count]);
                filling.filled(count).await.map_err(Error::target)?;
            }
            Err(error) => return Err(classify(error).into()),
        }
    }
    body.finish().await;
    Ok(())
}

async fn copy_into(
    mut download: Download,
    filling: &mut Filling,
    beginning: &mut Beginning,
) -> Result<(), Error> {
    while let Some(bytes) = download.chunk().await? {
        beginning.read(&bytes);
        filling.push(&bytes).await.map_err(Error::target)?;
    }
    Ok(())
}
