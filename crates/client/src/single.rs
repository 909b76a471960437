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
    /// most 30 minutes. Wrap it in a timeout of the runtime's to wait less.
    ///
    /// # Errors
    /// [`Error::NotProcessed`] when the service has rejected the content or deleted the file, [`Error::StillProcessing`] when it was
    /// not ready in time; else as for [`call`](Self::call).
    pub async fn wait_until_processed(&self, id: &str) -> Result<File, Error> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let file = self.file(id).await?;
            match file.status {
                Some(FileState::Processed) => return Ok(file),
                Some(FileState::Error | FileState::Deleting | FileState::Deleted) => {
                    return Err(Error::NotProcessed { file: Box::new(file) });
                }
                _ if began.elapsed() >= LONGEST_PROCESSING => {
                    return Err(Error::StillProcessing { file: Box::new(file), after: began.elapsed() });
                }
                _ => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
