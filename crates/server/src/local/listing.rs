//! Lists names without a look at the files: a file that cannot be looked at is listed too.

use std::{
    fs::{self, DirEntry},
    io,
    path::Path as FsPath,
};

use object_store::path::Path;
use tokio::sync::mpsc::Sender;

use super::{failed, folders::Folders};
use crate::id::ObjectId;

/// The names that are handed over together.
const BATCH: usize = 1024;

/// What stands in a folder, without names that no object has: those are another program's, or of unfinished writes.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) files: Vec<Path>,
    pub(super) folders: Vec<Path>,
}

/// Passes on the paths of the objects in `folder`, and in the folders of uploads in it, in no certain order.
///
/// # Errors
/// Whatever the system says but that something is not there (any more), and where a link leads nowhere.
pub(super) fn pass_on(
    folders: &Folders,
    folder: &FsPath,
    prefix: &Path,
    receiver: &Sender<object_store::Result<Vec<Path>>>,
) -> object_store::Result<()> {
    let mut batch = Vec::new();
    let Some(entries) = entries(folders, folder)? else { return Ok(()) };
    for entry in entries {
        let entry = entry.map_err(|error| failed("listed", folder, error))?;
        let Some((path, name)) = object_path(prefix, &entry) else { continue };
        // Only folders of uploads hold objects, and only their names need a look.
        match ObjectId::parse(&name) {
            Some(_) if is_folder_of(folders, &entry)? => {
                pass_on(folders, &entry.path(), &path, receiver)?;
            }
            Some(_) => {}
            None => batch.push(path),
        }
        if batch.len() == BATCH {
            let _ = receiver.blocking_send(Ok(std::mem::take(&mut batch)));
        }
        if receiver.is_closed() {
            return Ok(());
        }
    }
    if !batch.is_empty() {
        let _ = receiver.blocking_send(Ok(batch));
    }
    Ok(())
}

/// The names directly in `folder`.
pub(super) fn names(folders: &Folders, folder: &FsPath, prefix: &Path) -> object_store::Result<Names> {
    let mut names = Names::default();
    let Some(entries) = entries(folders, folder)? else { return Ok(names) };
    for entry in entries {
        let entry = entry.map_err(|error| failed("listed", folder, error))?;
        let Some((path, _)) = object_path(prefix, &entry) else { continue };
        match is_folder(&entry) {
            Ok(false) => names.files.push(path),
            // What cannot be looked at fails when it is opened.
            Ok(true) | Err(_) => names.folders.push(path),
        }
    }
    Ok(names)
}

/// The entries of a folder, if it is there. One that a link leads to is there, even if its disk is not mounted.
fn entries(folders: &Folders, folder: &FsPath) -> object_store::Result<Option<fs::ReadDir>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            folders.check_way(folder).map(|()| None).map_err(|error| failed("listed", folder, error))
        }
        Err(error) => Err(failed("listed", folder, error)),
    }
}

/// The path of the object that an entry may be.
fn object_path(prefix: &Path, entry: &DirEntry) -> Option<(Path, String)> {
    let name = entry.file_name().into_string().ok()?;
    // An object with such a character in its name would stand under another name.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_ours = name.bytes().all(is_plain) && !matches!(name.as_str(), "." | "..");
    is_ours.then(|| (prefix.clone().join(name.as_str()), name))
}

fn is_folder_of(folders: &Folders, entry: &DirEntry) -> object_store::Result<bool> {
    let (path, found) = (entry.path(), is_folder(entry));
    match found {
        // It has just gone, or it is a link to nowhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound => folders.check_way(&path).map(|()| false),
        found => found,
    }
    .map_err(|error| failed("looked at", &path, error))
}

/// Says whether an entry is a folder, or leads to one.
pub(crate) fn is_folder(entry: &DirEntry) -> io::Result<bool> {
    let kind = entry.file_type()?;
    if kind.is_symlink() { fs::metadata(entry.path()).map(|found| found.is_dir()) } else { Ok(kind.is_dir()) }
}
