//! The answer to a list, which is written as the store is read.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Response, header};
use partwise_protocol::{
    Api,
    operations::{FileListEnd, FileListWriter, ListFiles},
};

use super::body::ResponseBody;
use crate::{listing::FilePage, refusal::Refusal};

/// The most files on a page whose request does not limit it, where the documents know pages.
const DEFAULT_LIMIT: u32 = 10_000;
/// A list of up to about so many bytes is answered whole, with its length.
const WHOLE: usize = 64 * 1024;
/// The pieces of a longer one.
const PIECE: usize = 16 * 1024;

/// The most files that a request asks for.
pub(super) fn limit(request: &ListFiles, api: &Api) -> usize {
    // Clients of Azure's older versions read one answer and take it for everything.
    let default = if ListFiles::has_pages(api.dialect()) { DEFAULT_LIMIT as usize } else { usize::MAX };
    request.limit.map_or(default, |limit| limit as usize)
}

/// Answers with the files of this page: whole when they are few, else in pieces, each of which is read when the one before it has
/// been taken.
pub(super) async fn answer(page: FilePage, api: &Api) -> Result<Response<ResponseBody>, Refusal> {
    let is_paged = ListFiles::has_pages(api.dialect());
    let list = Listing { page, writer: FileListWriter::new(api)?, is_paged, ends: None };
    let (text, rest) = list.write(WHOLE).await?;
    let mut response = FileListWriter::head(api);
    let Some(rest) = rest else {
        response.headers_mut().insert(header::CONTENT_LENGTH, text.len().into());
        return Ok(response.map(|()| ResponseBody::bytes(text)));
    };
    let rest = stream::try_unfold(Some(rest), |list| async {
        let Some(list) = list else { return Ok(None) };
        list.write(PIECE).await.map(Some)
    });
    let pieces = stream::once(async { Ok(text) }).chain(rest);
    Ok(response.map(|()| ResponseBody::pieces(pieces)))
}

/// A list that is being written.
struct Listing {
    page: FilePage,
    writer: FileListWriter,
    is_paged: bool,
    /// The first file and the last one so far.
    ends: Option<(String, String)>,
}

impl Listing {
    /// Writes until there are more than `enough` bytes. Returns them, and what is still to be written.
    async fn write(mut self, enough: usize) -> Result<(Bytes, Option<Self>), Refusal> {
        while self.writer.pending() <= enough {
            let Some(file) = self.page.next().await? else {
                return Ok((self.finish()?, None));
            };
            self.writer.push(&file)?;
            let first = self.ends.map_or_else(|| file.id.clone(), |(first, _)| first);
            self.ends = Some((first, file.id));
        }
        Ok((self.writer.take(), Some(self)))
    }

    fn finish(self) -> Result<Bytes, Refusal> {
        let mut end = FileListEnd::default();
        // Said in every dialect: clients and proxies stop at its false, and go round in circles without it.
        end.has_more = Some(self.page.has_more());
        if let Some((first, last)) = self.ends.as_ref().filter(|_| self.is_paged) {
            (end.first_id, end.last_id) = (Some(first.as_str()), Some(last.as_str()));
        }
        Ok(self.writer.finish(end)?)
    }
}
