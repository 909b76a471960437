//! The comparison of a content that is handed out with the file's object.

use std::task::{Context, Poll, ready};

use futures_util::{FutureExt as _, future::BoxFuture};
use partwise_models::File;
use partwise_protocol::{
    ContentCheck, ContentRange, DownloadFile, DownloadHead, DownloadWarning, RetrieveFile,
};

use crate::{Client, Error};

/// Compares the content of one answer with the file's object, which it retrieves when there is a doubt.
pub(super) struct Check {
    client: Client,
    file_id: String,
    content: ContentCheck,
    object: Object,
    /// Whether the content passed before all of it was there.
    has_passed: bool,
}

enum Object {
    NotAsked,
    Asked(BoxFuture<'static, Result<Option<File>, Error>>),
    /// `None` when the service does not give it.
    Known(Option<File>),
}

impl Check {
    /// Checks an answer with all of the content. `None` where only a part was asked for, and came.
    pub(super) fn new(client: &Client, operation: &DownloadFile, head: &DownloadHead) -> Option<Self> {
        let is_whole = head.range.is_none_or(ContentRange::is_everything);
        is_whole.then(|| Self {
            client: client.clone(),
            file_id: operation.file_id.clone(),
            content: ContentCheck::new(head),
            object: Object::NotAsked,
            has_passed: false,
        })
    }

    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.content.read(bytes);
    }

    /// Judges the content before it is handed out, where its length is announced and it may be something else.
    pub(super) fn poll_begun(&mut self, announced: u64, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.has_passed && self.content.is_suspicious() {
            ready!(self.poll_judge(announced, cx))?;
        }
        self.has_passed = true;
        Poll::Ready(Ok(()))
    }

    /// Judges the content after its last byte.
    pub(super) fn poll_ended(
        &mut self,
        received: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<DownloadWarning>, Error>> {
        if self.content.wants_object() { self.poll_judge(received, cx) } else { Poll::Ready(Ok(None)) }
    }

    fn poll_judge(
        &mut self,
        length: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<DownloadWarning>, Error>> {
        loop {
            match &mut self.object {
                Object::NotAsked => {
                    let asking = retrieve(self.client.clone(), RetrieveFile::new(&self.file_id));
                    self.object = Object::Asked(asking.boxed());
                }
                Object::Asked(asking) => self.object = Object::Known(ready!(asking.poll_unpin(cx))?),
                Object::Known(file) => return Poll::Ready(Ok(self.content.judge(length, file.as_ref())?)),
            }
        }
    }
}

/// The object, or `None` from a service that does not give it.
async fn retrieve(client: Client, operation: RetrieveFile) -> Result<Option<File>, Error> {
    match client.call(&operation).await {
        Ok(file) => Ok(Some(file)),
        Err(Error::Refused(refusal)) if !refusal.is_transient() => Ok(None),
        Err(error) => Err(error),
    }
}
