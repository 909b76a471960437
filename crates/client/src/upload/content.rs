//! The content of an upload, from what its caller gave to a source.

use std::{path::PathBuf, sync::Arc};

use partwise_protocol::{
    transport::SourceError,
    upload::{Parallel, Plan},
};

use crate::{
    AnySource, Client, Error, FileSource, IntoSource,
    reading::Reader,
    source::{AnyReader, Kind, OnceSource, PieceReader, collect, spool},
};

/// The size of the parts of a stream that is sent as it comes, and of the content that is kept in memory instead.
const STREAM_PART: u64 = 8 << 20;

/// Content as the caller gave it.
pub(super) enum GivenContent {
    File(PathBuf),
    Source(AnySource),
    Stream(AnyReader),
}

impl GivenContent {
    /// The source, which has `length` bytes if that was announced. Where a stream may be sent in its order, the plan becomes one
    /// that does.
    pub(super) async fn open(
        self,
        client: &Client,
        plan: &mut Plan,
        length: Option<u64>,
        is_once_enough: bool,
    ) -> Result<(AnySource, Option<PathBuf>), Error> {
        let (source, path) = match (self, length) {
            (Self::Stream(reader), Some(length)) => {
                (open_stream(reader, client, plan, length, is_once_enough).await?, None)
            }
            (Self::Stream(reader), None) => {
                // One byte more than the most shows that there is more.
                let most = client.api().limits().upload.saturating_add(1);
                let spooled = spool(&mut PieceReader::new(reader), most).await;
                (spooled.map_err(SourceError::new)?.into_source(), None)
            }
            (Self::Source(source), _) => (source, None),
            (Self::File(path), _) => {
                (FileSource::open(&path).map_err(SourceError::new)?.into_source(), Some(path))
            }
        };
        if let Some(announced) = length {
            let found = Reader::new(source.clone(), client.reading).stamp().await?.length;
            if found != announced {
                return Err(SourceError::new(LengthError { announced, found }).into());
            }
        }
        Ok((source, path))
    }
}

/// Content has another length than its caller said.
#[derive(Debug, thiserror::Error)]
#[error("{announced} bytes were announced, and the content has {found}")]
struct LengthError {
    announced: u64,
    found: u64,
}

async fn open_stream(
    reader: AnyReader,
    client: &Client,
    plan: &mut Plan,
    length: u64,
    is_once_enough: bool,
) -> Result<AnySource, Error> {
    let in_order = in_order(plan, client.api().limits().part);
    // An upload that is impossible is told of before the stream is read.
    let takes_parts = in_order.goes_in_parts(client.api(), length)?;
    let part_size = in_order.part_size.unwrap_or(STREAM_PART);
    let mut pieces = PieceReader::new(reader);
    let is_small = length <= part_size;
    let may_be_in_order =
        matches!(plan.parallel, Parallel::Adaptive { .. } | Parallel::Fixed(1)) && !plan.md5;
    if !is_small && is_once_enough && may_be_in_order && takes_parts {
        *plan = in_order;
        return Ok(AnySource(Kind::Once(Arc::new(OnceSource::new(pieces, length)))));
    }
    let source = match is_small {
        true => collect(&mut pieces, length).await.map(IntoSource::into_source),
        false => spool(&mut pieces, length).await.map(IntoSource::into_source),
    };
    let source = source.map_err(SourceError::new)?;
    pieces.expect_end(length).await.map_err(SourceError::new)?;
    Ok(source)
}

/// The plan by which a stream is sent as it comes.
fn in_order(plan: &Plan, largest_part: u64) -> Plan {
    let mut plan = plan.clone();
    plan.part_size = plan.part_size.or(Some(STREAM_PART.min(largest_part)));
    plan.parallel = Parallel::InOrder;
    plan
}
