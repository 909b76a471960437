//! Single operations under short names.

use std::time::Duration;

use partwise_models::{DeletedFile, File, FileState, Upload, UploadStatus};
use partwise_protocol::{
    Operation,
    error::{ApiError, ApiErrorKind},
    operations::{CancelUpload, DeleteFile, RetrieveFile},
    transport::Repeat,
};
use tokio::time::{Instant, sleep};

use crate::{Client, Error, deadline::within, retries::Retries};

/// The first pause between two looks at a file, which grows to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// No service is waited for longer.
const LONGEST_PROCESSING: Duration = Duration::from_secs(30 * 60);
/// A service that names no status in so many answers in a row has none.
const MOST_WITHOUT_STATUS: u32 = 4;

/// The end of an operation that may have been executed more than once.
struct End<R> {
    /// The answer; `None` where the service has rejected the last attempt since an earlier one had done what was asked for.
    answer: Option<R>,
    /// Set when an earlier attempt may have been executed.
    may_be_done_before: bool,
}

impl Client {
    /// Retrieves a file's object.
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    pub async fn file(&self, id: &str) -> Result<File, Error> {
        self.call(&RetrieveFile::new(id)).await
    }

    /// Deletes a file, and returns whether the service has deleted it. Of one that was gone before, Azure says that it has not, and
    /// OpenAI rejects the request.
    ///
    /// A request whose answer is lost is retried, since deleting twice does no harm. When the file is gone then, this call is taken
    /// for the one that has deleted it. A [`call`](Self::call) of [`DeleteFile`] is not retried there, and returns the service's own
    /// answer to its only request that may have arrived.
    ///
    /// # Errors
    /// As for [`call`](Self::call); a file that was gone before is of the kind [`NotFound`](crate::ErrorKind::NotFound) where the service
    /// rejects the request.
    pub async fn delete_file(&self, id: &str) -> Result<bool, Error> {
        let answer = self.delete_file_with_answer(id).await?;
        // A service that does not say has done what it was asked for.
        Ok(answer.deleted.unwrap_or(true))
    }

    /// Deletes a file as [`delete_file`](Self::delete_file) does, and returns the service's answer. Where it has no body, and where a
    /// retry finds the file gone, the answer says that the file is deleted.
    ///
    /// ```no_run
    /// # async fn example(client: partwise::Client) -> Result<(), partwise::Error> {
    /// let answer = client.delete_file_with_answer("file-abc123").await?;
    /// println!("{} {:?}", answer.id, answer.deleted);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`delete_file`](Self::delete_file).
    pub async fn delete_file_with_answer(&self, id: &str) -> Result<DeletedFile, Error> {
        let end = self.call_harmless(&DeleteFile::new(id), is_unknown_file).await?;
        // Azure up to 2024-06-01 answers without a body.
        let mut answer = end.answer.flatten().unwrap_or_else(|| DeletedFile::new(id).deleted(true));
        if end.may_be_done_before {
            answer.deleted = Some(true);
        }
        Ok(answer)
    }

    /// Cancels an upload, and returns its object: its parts go away, and nothing can be added to it any more.
    ///
    /// A request whose answer is lost is retried, since cancelling twice does no harm. When the service rejects a retry because the
    /// upload is cancelled, this call is taken for the one that has cancelled it. A [`call`](Self::call) of [`CancelUpload`] is not
    /// retried there.
    ///
    /// ```no_run
    /// # async fn example(client: partwise::Client) -> Result<(), partwise::Error> {
    /// let upload = client.cancel_upload("upload_abc123").await?;
    /// println!("{} {:?}", upload.id, upload.status);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`call`](Self::call). An upload that is completed, or that this key does not know, is an error, on a retry too.
    pub async fn cancel_upload(&self, id: &str) -> Result<Upload, Error> {
        let end = self.call_harmless(&CancelUpload::new(id), is_cancelled_upload).await?;
        Ok(end.answer.unwrap_or_else(|| Upload::new(id).status(UploadStatus::Cancelled)))
    }

    /// Executes an operation that does no harm when it is sent twice, and retries it where its answer was lost. `is_done` says of the
    /// rejection of a retry that an earlier attempt has done what was asked for.
    async fn call_harmless<O: Operation>(
        &self,
        operation: &O,
        is_done: fn(&ApiError) -> bool,
    ) -> Result<End<O::Response>, Error> {
        let mut retries = Retries::new(self, O::ID).repeating(Repeat::Harmless);
        let executed = within(self.deadline(), self.retried_harmless(operation, is_done, &mut retries)).await;
        executed.map_err(|error| retries.explained(error))
    }

    async fn retried_harmless<O: Operation>(
        &self,
        operation: &O,
        is_done: fn(&ApiError) -> bool,
        retries: &mut Retries<'_>,
    ) -> Result<End<O::Response>, Error> {
        let mut may_be_done_before = false;
        loop {
            let call = retries.start().await?;
            match self.execute_once(operation, None, retries.attempt()).await {
                Ok(answer) => {
                    retries.succeeded(call);
                    return Ok(End { answer: Some(answer.into_body()), may_be_done_before });
                }
                Err(failed) if may_be_done_before && failed.error.rejection().is_some_and(is_done) => {
                    retries.succeeded(call);
                    return Ok(End { answer: None, may_be_done_before });
                }
                Err(failed) => {
                    may_be_done_before |= may_be_executed(&failed.error);
                    retries.after(call, failed).await?;
                }
            }
        }
    }

    /// Waits until the service has processed a file, looking every half a second at first and every five seconds later, for at
    /// most 30 minutes, or as long as [`with_timeout`](Self::with_timeout) says.
    ///
    /// # Errors
    /// [`Error::NotProcessed`] when the service has rejected the content or deleted the file, or names no status of it in four answers in a
    /// row, [`Error::StillProcessing`] when it was not ready in time; else as for [`call`](Self::call).
    pub async fn wait_until_processed(&self, id: &str) -> Result<File, Error> {
        let (began, limit) = (Instant::now(), self.timeout.unwrap_or(LONGEST_PROCESSING));
        let mut pause = FIRST_PAUSE;
        let (mut latest, mut silent) = (None, 0);
        loop {
            // What is left is for the next look.
            let left = limit.saturating_sub(began.elapsed());
            let looking = Self { timeout: self.timeout.map(|_| left), ..self.clone() };
            let file = match (looking.file(id).await, latest.take()) {
                (Ok(file), _) => file,
                (Err(Error::TimedOut { .. }), Some(file)) => {
                    return Err(Error::StillProcessing { file, after: began.elapsed() });
                }
                (Err(Error::TimedOut { cause, .. }), None) => return Err(Error::TimedOut { limit, cause }),
                (Err(error), _) => return Err(error),
            };
            silent = if file.status.is_none() { silent + 1 } else { 0 };
            match file.status {
                Some(FileState::Processed) => return Ok(file),
                Some(FileState::Error | FileState::Deleting | FileState::Deleted) => {
                    return Err(Error::NotProcessed { file: Box::new(file) });
                }
                None if silent >= MOST_WITHOUT_STATUS => {
                    return Err(Error::NotProcessed { file: Box::new(file) });
                }
                _ if began.elapsed() >= limit => {
                    return Err(Error::StillProcessing { file: Box::new(file), after: began.elapsed() });
                }
                _ => {}
            }
            latest = Some(Box::new(file));
            sleep(pause.min(limit.saturating_sub(began.elapsed()))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Says whether the service may have executed a request that failed so.
fn may_be_executed(error: &Error) -> bool {
    match error {
        Error::Failed(failure) => !failure.kind.is_before_sending(),
        // What the service itself rejects, or is too busy for, it has not done.
        Error::Rejected(rejection) if rejection.is_of_the_api() => {
            rejection.is_transient() && !rejection.is_overload()
        }
        Error::Rejected(rejection) => rejection.kind() != ApiErrorKind::RateLimited,
        _ => true,
    }
}

/// Says whether the service itself, and nothing in front of it, knows no such file.
fn is_unknown_file(rejection: &ApiError) -> bool {
    rejection.kind() == ApiErrorKind::NotFound && rejection.is_of_the_api()
}

/// Says whether the service states that the upload is cancelled. A 404 does not: another key gets one too, with which the upload may
/// be resumed.
fn is_cancelled_upload(rejection: &ApiError) -> bool {
    rejection.upload_status() == Some(UploadStatus::Cancelled)
}
