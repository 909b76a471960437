//! Single operations under short names.

use std::time::Duration;

use partwise_models::{File, FileState};
use partwise_protocol::{
    Operation as _,
    error::ApiErrorKind,
    operations::{DeleteFile, RetrieveFile},
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
        let mut retries = Retries::new(self, DeleteFile::ID).repeating(Repeat::Harmless);
        let deleting = self.delete_with(DeleteFile::new(id), &mut retries);
        let deleted = within(self.deadline(), deleting).await;
        deleted.map_err(|error| retries.explained(error))
    }

    async fn delete_with(&self, operation: DeleteFile, retries: &mut Retries<'_>) -> Result<bool, Error> {
        // An earlier attempt may have been executed.
        let mut may_be_gone = false;
        loop {
            let call = retries.start().await?;
            match self.execute_once(&operation, None, retries.attempt()).await {
                Ok(answer) => {
                    retries.succeeded(call);
                    // Azure up to 2024-06-01 answers without a body.
                    let is_deleted = answer.into_body().and_then(|deleted| deleted.deleted);
                    return Ok(may_be_gone || is_deleted.unwrap_or(true));
                }
                Err(failed) if may_be_gone && is_unknown_file(&failed.error) => {
                    retries.succeeded(call);
                    return Ok(true);
                }
                Err(failed) => {
                    may_be_gone |= may_be_executed(&failed.error);
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
fn is_unknown_file(error: &Error) -> bool {
    matches!(error, Error::Rejected(rejection) if rejection.kind() == ApiErrorKind::NotFound && rejection.is_of_the_api())
}
