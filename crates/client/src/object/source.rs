//! Objects as sources.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use object_store::{
    Error, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, path::Path,
};
use partwise_protocol::{
    transport::{SourceChanged, SourceRange},
    upload::SourceStamp,
};

use crate::{AnySource, AsyncSource, IntoSource};

/// An object in a store of the crate [`object_store`], which goes up without a copy on a disk: parts are read by ranges, in the
/// pieces in which the store gives them, and sent as they come.
///
/// Its stamp has the length, the time of the last modification, and the entity tag and the version where the store has them. Every
/// upload takes the stamp first; from then on ranges are only read of an object with the same entity tag. An object that changes
/// meanwhile ends the upload with [`ErrorKind::SourceChanged`](crate::ErrorKind::SourceChanged). The next upload of the same source
/// takes a stamp of its own, and so does a clone.
///
/// The store is one that the caller builds: its crate features (`aws`, `azure`, `gcp`, `http`) are the caller's as well.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use object_store::{ObjectStore, path::Path};
/// use partwise::{Client, ObjectSource, Purpose};
///
/// # async fn example(client: Client, store: Arc<dyn ObjectStore>) -> Result<(), partwise::Error> {
/// let source = ObjectSource::new(store, Path::from("data/train.jsonl"));
/// let file = client.upload("train.jsonl", source, Purpose::FineTune).await?;
/// println!("{}", file.id);
/// # Ok(())
/// # }
/// ```
pub struct ObjectSource {
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// The entity tag of the object when it was last stamped. An upload that began with an earlier one finds out when it stamps the
    /// object at its end.
    e_tag: Mutex<Option<String>>,
}

impl ObjectSource {
    /// The object at `path`. Nothing is asked for yet.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { store, path, e_tag: Mutex::default() }
    }

    /// The path of the object in its store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn tag(&self) -> MutexGuard<'_, Option<String>> {
        self.e_tag.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for ObjectSource {
    fn clone(&self) -> Self {
        Self::new(self.store.clone(), self.path.clone())
    }
}

impl AsyncSource for ObjectSource {
    async fn stamp(&self) -> io::Result<SourceStamp> {
        let meta = self.store.head(&self.path).await?;
        self.tag().clone_from(&meta.e_tag);
        Ok(stamp_of(&meta))
    }

    fn read(&self, range: SourceRange) -> BoxStream<'static, io::Result<Bytes>> {
        if range.is_empty() {
            return stream::empty().boxed();
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.start()..range.end())),
            if_match: self.tag().clone(),
            ..GetOptions::default()
        };
        let (store, path) = (self.store.clone(), self.path.clone());
        let opening = async move { store.get_opts(&path, options).await.map(GetResult::into_stream) };
        stream::once(opening).try_flatten().map_err(of_reading).boxed()
    }
}

impl IntoSource for ObjectSource {
    fn into_source(self) -> AnySource {
        AnySource::from_async(self)
    }
}

fn stamp_of(meta: &ObjectMeta) -> SourceStamp {
    let mut stamp = SourceStamp::new(meta.size);
    stamp.modified = Some(meta.last_modified.to_rfc3339());
    stamp.identity = match (&meta.e_tag, &meta.version) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (Some(tag), Some(version)) => Some(format!("{tag} {version}")),
    };
    stamp
}

fn of_reading(error: Error) -> io::Error {
    match error {
        Error::Precondition { .. } | Error::NotModified { .. } => {
            io::Error::other(SourceChanged::new("another object stands in its place"))
        }
        error => error.into(),
    }
}

impl fmt::Debug for ObjectSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectSource").field("path", &self.path).finish_non_exhaustive()
    }
}
