//! A large object, written piece by piece.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures_util::FutureExt;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use super::{LocalFolder, failed, not_there, staged::Staged};

#[derive(Debug)]
pub(super) struct Upload {
    folder: LocalFolder,
    path: PathBuf,
    /// `None` once it is complete or aborted.
    staged: Arc<Mutex<Option<Staged>>>,
    offset: u64,
}

impl Upload {
    pub(super) fn begin(folder: LocalFolder, path: PathBuf) -> Result<Self> {
        folder.0.presence.check().map_err(not_there)?;
        let staged = Staged::create(&folder.0.folders, &path, folder.0.is_synced)
            .map_err(|error| folder.not_written(&path, error))?;
        Ok(Self { folder, path, staged: Arc::new(Mutex::new(Some(staged))), offset: 0 })
    }
}

fn lock(staged: &Mutex<Option<Staged>>) -> MutexGuard<'_, Option<Staged>> {
    staged.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_over() -> Error {
    Error::Generic { store: super::NAME, source: "the object is complete or aborted".into() }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (folder, path, staged, offset) =
            (self.folder.clone(), self.path.clone(), self.staged.clone(), self.offset);
        self.offset += data.content_length() as u64;
        async move {
            let write = move |_| {
                let mut staged = lock(&staged);
                let staged = staged.as_mut().ok_or_else(is_over)?;
                let written =
                    staged.seek(offset).and_then(|()| data.iter().try_for_each(|b| staged.write_all(b)));
                written.map_err(|error| failed("written", &path, error))
            };
            folder.run(write).await
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = lock(&self.staged).take().ok_or_else(is_over)?;
        let path = self.path.clone();
        self.folder
            .run(move |folder| {
                folder.0.presence.check().map_err(not_there)?;
                folder.acknowledged(&path, staged.publish())
            })
            .await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn abort(&mut self) -> Result<()> {
        // Completing it takes the file along, whether that comes to an end or not.
        let Some(staged) = lock(&self.staged).take() else { return Ok(()) };
        self.folder
            .run(move |_| {
                drop(staged);
                Ok(())
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use object_store::{MultipartUpload as _, ObjectStoreExt as _, path::Path};

    use super::*;

    #[tokio::test]
    async fn an_object_that_could_not_be_completed_is_aborted_without_an_error() {
        let home = tempfile::tempdir().unwrap();
        let folder = LocalFolder::new(home.path(), false).unwrap();
        let mut upload = folder.put_multipart(&Path::from("a/object")).await.unwrap();
        upload.put_part("bytes".into()).await.unwrap();
        std::fs::create_dir(home.path().join("a/object")).unwrap();
        upload.complete().await.unwrap_err();
        upload.abort().await.unwrap();
        assert_eq!(std::fs::read_dir(home.path().join("a")).unwrap().count(), 1, "the file is gone");
    }
}
