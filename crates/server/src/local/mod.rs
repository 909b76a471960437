//! A folder on a local disk as an object store.
//!
//! Gives what it makes to its owner alone, keeps a reserve for records that take something away, notices that its disk is not
//! mounted any more, and never takes what it cannot see for something that is not there.

mod folders;
mod listing;
mod presence;
mod reserve;
mod staged;
mod upload;

use std::{
    fmt,
    fs::{self, File, Metadata},
    io,
    path::{Path as FsPath, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    local::LocalFileSystem, path::Path,
};

use self::{folders::Folders, presence::Presence, reserve::Reserve, staged::Staged, upload::Upload};
pub(crate) use self::{listing::is_folder, presence::NotThere, staged::private};
use crate::layout;

/// The name that errors have of a store that is a folder.
pub(crate) const NAME: &str = "local folder";

/// The folder. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct LocalFolder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// Set when writes are synced before they are answered.
    is_synced: bool,
    paths: LocalFileSystem,
    folders: Folders,
    presence: Presence,
    reserve: Reserve,
}

impl LocalFolder {
    /// The folder at `root`, which is there.
    pub(crate) fn new(root: &FsPath, is_synced: bool) -> Result<Self> {
        let paths = LocalFileSystem::new_with_prefix(root)?;
        let root = root.canonicalize().map_err(|error| failed("found", root, error))?;
        let presence = Presence::new(root.clone(), root.join(layout::MARKER));
        let reserve = Reserve::new(root.join(layout::RESERVE));
        let folders = Folders::new(root.clone(), is_synced);
        Ok(Self(Arc::new(Inner { root, is_synced, paths, folders, presence, reserve })))
    }

    /// Where it is, without links and dots.
    pub(crate) fn root(&self) -> &FsPath {
        &self.0.root
    }

    /// From now on a folder in which this one's marker does not stand is not this one.
    pub(crate) async fn remember(&self) -> Result<()> {
        self.run(|folder| {
            folder.0.presence.remember().map_err(|error| failed("identified", &folder.0.root, error))
        })
        .await
    }

    /// Says whether the folder is there and the one that it was.
    pub(crate) async fn check(&self) -> Result<()> {
        self.run(|folder| folder.0.presence.check().map_err(not_there)).await
    }

    /// Makes the reserve whole, as far as there is room.
    pub(crate) async fn fill_reserve(&self) {
        let filled = self.run(|folder| {
            folder.0.presence.check().map_err(not_there)?;
            folder.0.reserve.fill().map_err(|error| failed("filled", folder.0.reserve.folder(), error))
        });
        if let Err(error) = filled.await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the reserve is not whole");
        }
    }

    /// Creates an object in the room of a piece of the reserve; `false` when the reserve is used up.
    ///
    /// # Errors
    /// As of `put_opts`; when the disk had no room even so, the piece is given back to it, and the next may do.
    pub(crate) async fn create_from_reserve(&self, location: &Path, payload: PutPayload) -> Result<bool> {
        let path = self.0.paths.path_to_filesystem(location)?;
        let create = move |folder: Self| {
            folder.0.presence.check().map_err(not_there)?;
            match folder.0.reserve.spend(&folder.0.folders, &path, folder.0.is_synced).transpose() {
                None => Ok(false),
                Some(taken) => folder.fill(&path, taken, &payload).map(|()| true),
            }
        };
        self.run(create).await
    }

    /// Creates an object in the room of `other`, which goes.
    ///
    /// # Errors
    /// As of `put_opts`, and when `other` has another name in the file system; `other` may be gone then.
    pub(crate) async fn create_in_place_of(
        &self,
        other: &Path,
        location: &Path,
        payload: PutPayload,
    ) -> Result<()> {
        let (other, path) = (self.path_of(other)?, self.path_of(location)?);
        let create = move |folder: Self| {
            folder.0.presence.check().map_err(not_there)?;
            let taken = Staged::take_over(&other, None, &path, folder.0.is_synced);
            folder.fill(&path, taken, &payload)
        };
        self.run(create).await
    }

    /// Makes an object of a file that has room for it.
    fn fill(&self, path: &FsPath, taken: io::Result<Staged>, payload: &PutPayload) -> Result<()> {
        let written = taken.and_then(|mut staged| {
            payload.iter().try_for_each(|bytes| staged.write_all(bytes))?;
            staged.truncate()?;
            staged.publish_new()
        });
        self.acknowledged(path, written)
    }

    /// Fails where the entry of an object cannot be looked at. One that cannot be opened, and whose entry can be looked at, is an
    /// object with a fault of its own; else its folder is at fault.
    pub(crate) async fn check_entry(&self, object: &Path) -> Result<()> {
        let path = self.0.paths.path_to_filesystem(object)?;
        self.run(move |_| match fs::symlink_metadata(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("looked at", &path, error)),
            _ => Ok(()),
        })
        .await
    }

    /// Says whether a folder stands for this path.
    pub(crate) async fn is_folder(&self, folder: &Path) -> bool {
        let Ok(path) = self.0.paths.path_to_filesystem(folder) else { return false };
        self.run(move |_| Ok(path.is_dir())).await.unwrap_or(false)
    }

    /// Makes what was removed from the folder of `object` stay removed when the power fails.
    pub(crate) async fn sync_folder_of(&self, object: &Path) -> Result<()> {
        let path = self.0.paths.path_to_filesystem(object)?;
        self.run(move |folder| {
            if !folder.0.is_synced {
                return Ok(());
            }
            match folders::sync_parent(&path) {
                // Nothing comes back to a folder that is gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    folder.0.presence.check().map_err(not_there)?;
                    folder.check_way_of(&path).map_err(|error| failed("synced", &path, error))
                }
                synced => synced.map_err(|error| failed("synced", &path, error)),
            }
        })
        .await
    }

    /// The paths of the objects in the folder that stands for `prefix`, and in folders of uploads in it.
    pub(crate) fn names(&self, prefix: &Path) -> BoxStream<'static, Result<Path>> {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let (folder, prefix) = (self.clone(), prefix.clone());
        tokio::task::spawn_blocking(move || {
            let listed = folder
                .path_of(&prefix)
                .and_then(|path| listing::pass_on(&folder.0.folders, &path, &prefix, &sender));
            // What is not mounted lists as empty.
            if let Err(error) = folder.0.presence.check().map_err(not_there).and(listed) {
                let _ = sender.blocking_send(Err(error));
            }
        });
        let batches = stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|batch| (batch, receiver))
        });
        let paths = |batch: Vec<Path>| stream::iter(batch.into_iter().map(Ok));
        batches.map_ok(paths).try_flatten().boxed()
    }

    /// The names of everything in the root.
    pub(crate) async fn root_names(&self) -> Result<Vec<String>> {
        let names = |root: &FsPath| -> io::Result<Vec<String>> {
            let entries = fs::read_dir(root)?;
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        };
        self.run(move |folder| names(folder.root()).map_err(|error| failed("listed", folder.root(), error)))
            .await
    }

    fn path_of(&self, prefix: &Path) -> Result<PathBuf> {
        match prefix.as_ref() {
            "" => Ok(self.0.root.clone()),
            _ => self.0.paths.path_to_filesystem(prefix),
        }
    }

    /// Removes the folder that stands for `prefix` if it is empty.
    pub(crate) async fn remove_empty(&self, prefix: &Path) {
        let Ok(path) = self.0.paths.path_to_filesystem(prefix) else { return };
        // One that is not empty, or gone, is as it should be.
        let _ = self.run(move |_| Ok(fs::remove_dir(path).is_ok())).await;
    }

    /// Does what blocks on a thread for it.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = self.clone();
        tokio::task::spawn_blocking(move || work(folder)).await?
    }

    fn put(&self, path: &FsPath, payload: &PutPayload, mode: &PutMode) -> Result<()> {
        self.0.presence.check().map_err(not_there)?;
        let written = Staged::create(&self.0.folders, path, self.0.is_synced).and_then(|mut staged| {
            payload.iter().try_for_each(|bytes| staged.write_all(bytes))?;
            match mode {
                PutMode::Create => staged.publish_new(),
                _ => staged.publish(),
            }
        });
        self.acknowledged(path, written)
    }

    /// The result of a write, which is an error when it went to another disk.
    fn acknowledged(&self, path: &FsPath, written: io::Result<()>) -> Result<()> {
        self.0.presence.check().map_err(not_there)?;
        match written {
            Ok(()) => self.0.folders.sync_way(path).map_err(|error| failed("synced", path, other(error))),
            Err(source) => Err(self.not_written(path, source)),
        }
    }

    fn not_written(&self, path: &FsPath, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::AlreadyExists {
            return Error::AlreadyExists { path: path.display().to_string(), source: source.into() };
        }
        failed("written", path, source)
    }

    /// Fails where what is not found in the folder of `object` may be there: on a disk that is not mounted.
    fn check_way_of(&self, object: &FsPath) -> io::Result<()> {
        object.parent().map_or(Ok(()), |folder| self.0.folders.check_way(folder))
    }

    fn open(&self, path: PathBuf, location: Path, options: &GetOptions) -> Result<GetResult> {
        let opened = File::open(&path).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        let (file, metadata) = match opened {
            Ok((file, metadata)) if metadata.is_file() => (file, metadata),
            Ok(_) => return Err(self.missing(&path, io::ErrorKind::IsADirectory.into())),
            Err(error) => return Err(self.missing(&path, error)),
        };
        self.0.presence.check_now_and_then().map_err(not_there)?;
        let meta = ObjectMeta {
            location,
            last_modified: sane(written(&metadata)).into(),
            size: metadata.len(),
            e_tag: None,
            version: None,
        };
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(|error| failed("read", &path, other(error)))?,
            None => 0..meta.size,
        };
        let payload = GetResultPayload::File(file, path);
        Ok(GetResult { payload, meta, range, attributes: Default::default(), extensions: Default::default() })
    }

    fn delete(&self, path: &FsPath) -> Result<()> {
        fs::remove_file(path).map_err(|error| self.missing(path, error))
    }

    /// The error of what could not be found or used. On a disk that is not mounted nothing is to be found.
    fn missing(&self, path: &FsPath, error: io::Error) -> Error {
        if let Err(gone) = self.0.presence.check() {
            return not_there(gone);
        }
        if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) {
            return failed("used", path, error);
        }
        match self.check_way_of(path) {
            Ok(()) => Error::NotFound { path: path.display().to_string(), source: error.into() },
            Err(error) => failed("used", path, error),
        }
    }
}

#[async_trait]
impl ObjectStore for LocalFolder {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if matches!(options.mode, PutMode::Update(_)) {
            return Err(Error::NotSupported { source: "objects are never changed".into() });
        }
        let path = self.0.paths.path_to_filesystem(location)?;
        self.run(move |folder| folder.put(&path, &payload, &options.mode)).await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.0.paths.path_to_filesystem(location)?;
        let upload = self.run(move |folder| Upload::begin(folder, path)).await?;
        Ok(Box::new(upload))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let path = self.0.paths.path_to_filesystem(location)?;
        let location = location.clone();
        self.run(move |folder| folder.open(path, location, &options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let folder = self.clone();
        let deletions = locations.map(move |location| {
            let folder = folder.clone();
            async move {
                let location = location?;
                let path = folder.0.paths.path_to_filesystem(&location)?;
                folder.run(move |folder| folder.delete(&path)).await?;
                Ok(location)
            }
        });
        deletions.buffered(10).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let folder = self.clone();
        let objects = self.names(&prefix.cloned().unwrap_or_default()).then(move |path| {
            let folder = folder.clone();
            async move { folder.head(&path?).await }
        });
        let is_there = |found: &Result<_>| !matches!(found, Err(Error::NotFound { .. }));
        objects.filter(move |found| std::future::ready(is_there(found))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        let path = self.path_of(&prefix)?;
        let names = self.run(move |folder| listing::names(&folder.0.folders, &path, &prefix)).await;
        self.check().await?;
        let names = names?;
        let mut objects = Vec::new();
        for path in names.files {
            match self.head(&path).await {
                Err(Error::NotFound { .. }) => {}
                found => objects.push(found?),
            }
        }
        Ok(ListResult { common_prefixes: names.folders, objects, extensions: Default::default() })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotSupported { source: "objects are never copied".into() })
    }
}

impl fmt::Display for LocalFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.root.display())
    }
}

/// A failure of the system, and where.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be {what}", path.display())]
struct Failed {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The error of what failed there, or of a folder that is not there.
fn failed(what: &'static str, path: &FsPath, source: io::Error) -> Error {
    let source = match source.downcast() {
        Ok(gone) => return not_there(gone),
        Err(source) => source,
    };
    let source = Box::new(Failed { what, path: path.to_owned(), source });
    Error::Generic { store: NAME, source }
}

fn not_there(error: NotThere) -> Error {
    Error::Generic { store: NAME, source: Box::new(error) }
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

/// When a file was written here: restoring a backup sets the time of its content back, but not that of its entry.
fn written(metadata: &Metadata) -> SystemTime {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    #[cfg(unix)]
    let modified = {
        use std::os::unix::fs::MetadataExt as _;
        let changed = Duration::from_secs(metadata.ctime().try_into().unwrap_or(0));
        modified.max(SystemTime::UNIX_EPOCH.checked_add(changed).unwrap_or(modified))
    };
    modified
}

/// A time that every calendar has: the time of a file can be set to any number.
fn sane(time: SystemTime) -> SystemTime {
    const CENTURIES: Duration = Duration::from_secs(1 << 36);
    time.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + CENTURIES)
}
