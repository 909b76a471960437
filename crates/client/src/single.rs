//! Single operations under short names.

use std::time::Duration;

use partwise_models::{File, FileState};
use partwise_protocol::operations::{DeleteFile, RetrieveFile};
use tokio::time::{Instant, sleep};

use crate::{Client, Error};

/// The first pause between two looks at a file, which grows to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// No service is waited for longer.
const LONGEST_PROCESSING: Duration = Duration::from_secs(30 * 60);

impl Client {
    /// Retrieves a file's object.
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    pub async fn file(&self, id: &str) -> Result<File, Error> {
        self.call(&RetrieveFile::new(id)).await
    }

    /// Deletes a file, and returns whether the service has deleted it. It says no, for instance, of one that was gone before.
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    pub async fn delete_file(&self, id: &str) -> Result<bool, Error> {
        let answer = self.call(&DeleteFile::new(id)).await?;
        // Azure up to 2024-06-01 answers without a body.
        Ok(answer.and_then(|deleted| deleted.deleted).unwrap_or(true))
    }

    /// Waits until the service has processed a file, looking every half a second at first and every five seconds later, for at
    /// most 30 minutes, or as long as [`with_timeout`](Self::with_timeout) says.
    ///
    /// # Errors
    /// [`Error::NotProcessed`] when the service has rejected the content or deleted the file, [`Error::StillProcessing`] when it was
    /// not ready in time; else as for [`call`](Self::call).
    pub async fn wait_until_processed(&self, id: &str) -> Result<File, Error> {
        let (began, limit) = (Instant::now(), self.timeout.unwrap_or(LONGEST_PROCESSING));
        let mut pause = FIRST_PAUSE;
        let mut latest = None;
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
            match file.status {
                Some(FileState::Processed) => return Ok(file),
                Some(FileState::Error | FileState::Deleting | FileState::Deleted) => {
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
