//! Creating an object in a store whose answers may not be what it did.
//!
//! Over a network the answer to a write that was carried out can be lost, or be a failure. The next attempt then finds the object
//! there, and it is our own. S3 says that something is there, too (409), to one of two writes that meet, although the other may
//! fail as well, so that nothing is there. So it is what stands at the place that decides, never what the store has answered.

use std::time::Duration;

use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload, path::Path};
use tokio::time::sleep;

use crate::store::{Created, Store, StoreError};

/// How often an object is created that a store says it has and does not show, or of which the answers are lost.
const TRIES: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// What stands at the place of an object that is to be created.
enum Standing {
    /// The same bytes. Records that decide something have a [nonce](crate::record::Nonce), so that nobody else wrote them.
    Ours,
    Another,
    Nothing,
}

impl Store {
    /// Creates an object, unless it is there.
    ///
    /// # Errors
    /// Those of the store. [`StoreError::Unsettled`] when it says that the object is there, and does not show it. The object may have
    /// been created all the same: a request that got an answer would know.
    pub(crate) async fn create_object(
        &self,
        path: &Path,
        payload: PutPayload,
    ) -> Result<Created, StoreError> {
        let mut left = if self.is_exact() { 1 } else { TRIES };
        let mut wait = FIRST_WAIT;
        loop {
            let error = match self.try_create(path, payload.clone()).await {
                Ok(()) => return Ok(Created::Now),
                Err(object_store::Error::AlreadyExists { .. }) if self.is_exact() => {
                    return Ok(Created::Before);
                }
                Err(error) => error,
            };
            let is_there = matches!(error, object_store::Error::AlreadyExists { .. });
            let error = StoreError::from(error);
            if !is_there && (self.is_exact() || !error.is_passing()) {
                return self.noted(Err(error));
            }
            match self.standing(path, &payload).await? {
                Standing::Ours => return Ok(Created::Now),
                Standing::Another => return Ok(Created::Before),
                Standing::Nothing => left -= 1,
            }
            // What the store could not serve for half a minute is not sent for another.
            if left == 0 || !(is_there || error.is_lost()) {
                return Err(if is_there { StoreError::Unsettled { path: path.clone() } } else { error });
            }
            sleep(wait).await;
            wait *= 2;
        }
    }

    async fn try_create(&self, path: &Path, payload: PutPayload) -> object_store::Result<()> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        self.objects.put_opts(path, payload, options).await.map(drop)
    }

    async fn standing(&self, path: &Path, ours: &PutPayload) -> Result<Standing, StoreError> {
        let answer = match self.objects.get(path).await {
            Ok(answer) => answer,
            Err(object_store::Error::NotFound { .. }) => return Ok(Standing::Nothing),
            Err(error) => return Err(error.into()),
        };
        // A large one of another writer is not read.
        if answer.meta.size != ours.content_length() as u64 {
            return Ok(Standing::Another);
        }
        let found = answer.bytes().await?;
        let is_ours = ours.iter().flatten().eq(found.iter());
        Ok(if is_ours { Standing::Ours } else { Standing::Another })
    }
}
