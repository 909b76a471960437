//! A coded answer that is decoded while it comes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use partwise_net::{
    BoxError,
    coding::{Coding, Decoder, STEP},
};

use crate::service::AnyBody;

/// So much is decoded before it is handed out, when it is there.
const WORTH_HANDING_OUT: usize = 64 * 1024;

/// The decoded bytes of a coded body. How many they are is known only at their end.
pub(crate) struct DecodedBody {
    coding: Coding,
    coded: AnyBody,
    /// What has come and is not decoded yet.
    pending: Bytes,
    /// `None` before the first byte, and behind the last.
    decoder: Option<Decoder>,
    is_ended: bool,
}

/// A body that is not what its header says.
#[derive(Debug, thiserror::Error)]
#[error("the content came coded ({coding}), and cannot be decoded")]
pub(crate) struct Undecodable {
    coding: Coding,
    source: io::Error,
}

impl DecodedBody {
    pub(crate) fn new(coding: Coding, coded: AnyBody) -> Self {
        Self { coding, coded, pending: Bytes::new(), decoder: None, is_ended: false }
    }

    /// Decodes what has come, as far as it is worth handing out.
    fn decode_pending(&mut self) -> Result<Vec<u8>, Undecodable> {
        let mut plain = Vec::new();
        while !self.pending.is_empty() && plain.len() < WORTH_HANDING_OUT {
            let piece = self.pending.split_to(self.pending.len().min(STEP));
            let decoder = self.decoder.get_or_insert_with(|| Decoder::new(self.coding));
            let decoded = decoder.decode(&piece);
            plain.extend(decoded.map_err(|source| Undecodable { coding: self.coding, source })?);
        }
        Ok(plain)
    }

    fn finish(&mut self) -> Result<Vec<u8>, Undecodable> {
        self.is_ended = true;
        let Some(decoder) = self.decoder.take() else { return Ok(Vec::new()) };
        decoder.finish().map_err(|source| Undecodable { coding: self.coding, source })
    }
}

impl Body for DecodedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while !self.is_ended {
            let plain = match self.pending.is_empty() {
                false => self.decode_pending(),
                true => match ready!(Pin::new(&mut self.coded).poll_frame(cx)?) {
                    Some(frame) => {
                        self.pending = frame.into_data().unwrap_or_default();
                        continue;
                    }
                    None => self.finish(),
                },
            };
            match plain {
                Ok(plain) if plain.is_empty() => {}
                Ok(plain) => return Poll::Ready(Some(Ok(Frame::data(plain.into())))),
                Err(error) => {
                    self.is_ended = true;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.is_ended
    }
}
