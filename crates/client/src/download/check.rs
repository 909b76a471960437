//! The comparison of a content that is handed out with the file's object.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use partwise_models::File;
use partwise_protocol::{
    download::{ContentCheck, DownloadWarning},
    operations::{ContentRange, DownloadFile, DownloadHead, RetrieveFile},
    transport::{Failure, FailureKind},
};
use tokio::{
    task::JoinSet,
    time::{Sleep, sleep},
};

use crate::{Client, Error};

/// Compares the content of one answer with the file's object.
pub(super) struct Check {
    content: ContentCheck,
    object: Object,
    /// Ends the wait for an object that is not required.
    limit: Option<Pin<Box<Sleep>>>,
    /// Whether the content passed before all of it was there.
    has_passed: bool,
}

/// The file's object, which comes while the content does.
pub(super) enum Object {
    /// One task, which ends with this.
    Asked(JoinSet<Result<Option<File>, Error>>),
    /// `None` when the service does not give it. Without a result when the error was handed out.
    Known(Option<Result<Option<File>, Error>>),
}

impl Object {
    /// Asks for the object.
    pub(super) fn ask(client: &Client, operation: &DownloadFile) -> Self {
        let mut task = JoinSet::new();
        task.spawn(retrieve(client.clone(), RetrieveFile::new(&operation.file_id)));
        Self::Asked(task)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Asked(task) = self {
            let retrieved = match ready!(task.poll_join_next(cx)) {
                Some(Ok(retrieved)) => retrieved,
                Some(Err(stopped)) => Err(Failure::with_cause(FailureKind::Other, stopped).into()),
                None => Ok(None),
            };
            *self = Self::Known(Some(retrieved));
        }
        Poll::Ready(())
    }
}

impl Check {
    /// Checks an answer with all of the content. `None` where only a part was asked for, and came.
    pub(super) fn new(
        client: &Client,
        operation: &DownloadFile,
        head: &DownloadHead,
        object: Option<Object>,
    ) -> Option<Self> {
        let is_whole = head.range.is_none_or(ContentRange::is_everything);
        is_whole.then(|| Self {
            content: ContentCheck::new(head),
            object: object.unwrap_or_else(|| Object::ask(client, operation)),
            limit: None,
            has_passed: false,
        })
    }

    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.content.read(bytes);
    }

    /// Whether what has come is to be held until more of it has come.
    pub(super) fn wants_more(&self) -> bool {
        self.content.wants_more()
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
        self.poll_judge(received, cx)
    }

    fn poll_judge(
        &mut self,
        length: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<DownloadWarning>, Error>> {
        let is_required = self.content.requires_object();
        if self.object.poll(cx).is_pending() {
            if is_required {
                return Poll::Pending;
            }
            let limit = self.limit.get_or_insert_with(|| Box::pin(sleep(ContentCheck::PATIENCE)));
            ready!(limit.as_mut().poll(cx));
            self.object = Object::Known(Some(Ok(None)));
        }
        let Object::Known(known) = &mut self.object else { return Poll::Pending };
        if is_required && matches!(known, Some(Err(_))) {
            if let Some(Err(error)) = known.take() {
                return Poll::Ready(Err(error));
            }
        }
        let file = known.as_ref().and_then(|known| known.as_ref().ok()?.as_ref());
        Poll::Ready(Ok(self.content.judge(length, file)?))
    }
}

/// The object, or `None` from a service that does not give it.
async fn retrieve(client: Client, operation: RetrieveFile) -> Result<Option<File>, Error> {
    match client.call(&operation).await {
        Ok(file) => Ok(Some(file)),
        Err(Error::Rejected(refusal)) if !refusal.is_transient() => Ok(None),
        Err(error) => Err(error),
    }
}
