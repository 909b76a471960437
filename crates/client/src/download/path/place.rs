//! The path that a download is to have when it is complete.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::TempPath;

use crate::paths::{directory_of, sync_directory};

/// A download cannot be written at the path that was given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadPathError {
    /// The path names no file: it is empty, or ends with a separator or dots.
    #[error("{path:?} names no file to download to")]
    NoFileName {
        /// The path.
        path: PathBuf,
    },
    /// A directory is there.
    #[error("{} is a directory", path.display())]
    IsDirectory {
        /// The path.
        path: PathBuf,
    },
    /// A device, a pipe or a socket is there.
    #[error("{} is a device, a pipe or a socket, and only regular files can be downloaded to", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file is there, and it is not to be replaced.
    #[error("{} is there already", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// A link to nowhere is there.
    #[error("{} is a link to a file that is not there", path.display())]
    DanglingLink {
        /// The path.
        path: PathBuf,
    },
    /// Something that is not an earlier run's is at one of the names beside the path.
    #[error("{} is there, and no earlier run has left it", path.display())]
    Foreign {
        /// The path beside the one that was given.
        path: PathBuf,
    },
    /// Another process is downloading to the same path.
    #[error("another run of partwise is downloading to {}", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// The system cannot write there.
    #[error("cannot write {}", path.display())]
    Unwritable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Everything was downloaded, and the system cannot give it its name. It stays beside the path; another run downloads again what no
    /// checkpoint knows of.
    #[error("cannot write {}", path.display())]
    CannotRename {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The path that a file is to have.
#[derive(Debug)]
pub(super) struct Place {
    /// As the caller wrote it.
    name: PathBuf,
    path: PathBuf,
    replaces: bool,
}

impl Place {
    /// Looks at `path`, and refuses to replace a file unless it `replaces`.
    pub(super) fn at(path: &Path, replaces: bool) -> Result<Self, DownloadPathError> {
        let name = path.to_owned();
        let unwritable = |source| DownloadPathError::Unwritable { path: path.to_owned(), source };
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Err(DownloadPathError::IsDirectory { path: name }),
            Ok(found) if !found.is_file() => Err(DownloadPathError::NotAFile { path: name }),
            Ok(_) if !replaces => Err(DownloadPathError::Exists { path: name }),
            // The file that a link points to is replaced, not the link.
            Ok(_) => Ok(Self { name, path: fs::canonicalize(path).map_err(unwritable)?, replaces }),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(path).is_ok() {
                    return Err(DownloadPathError::DanglingLink { path: name });
                }
                if !names_a_file(path) {
                    return Err(DownloadPathError::NoFileName { path: name });
                }
                fs::metadata(directory_of(path)).map_err(unwritable)?;
                Ok(Self { name, path: path.to_owned(), replaces })
            }
            Err(cause) => Err(unwritable(cause)),
        }
    }

    /// As the caller wrote it.
    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is there may be replaced.
    pub(super) fn replaces(&self) -> bool {
        self.replaces
    }

    pub(super) fn unwritable(&self, source: io::Error) -> DownloadPathError {
        DownloadPathError::Unwritable { path: self.name.clone(), source }
    }

    /// The error when what was downloaded cannot have its name.
    pub(super) fn unnamed(&self, source: io::Error) -> DownloadPathError {
        DownloadPathError::CannotRename { path: self.name.clone(), source }
    }

    /// Gives its name to the file at `complete`, which stays where it is when that cannot be.
    pub(super) fn take(&self, complete: &Path) -> io::Result<()> {
        if self.replaces {
            fs::rename(complete, &self.path)?;
        } else if let Err(refused) = TempPath::try_from_path(complete)?.persist_noclobber(&self.path) {
            refused.path.keep()?;
            return Err(refused.error);
        }
        sync_directory(directory_of(&self.path))
    }
}

/// Returns `true` if the path ends with a file's name, and not with a separator or a dot behind it.
fn names_a_file(path: &Path) -> bool {
    let ends_with =
        |name: &std::ffi::OsStr| path.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes());
    path.file_name().is_some_and(ends_with)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A complete file beside its place.
    fn complete(directory: &Path) -> PathBuf {
        let path = directory.join("complete");
        fs::write(&path, "new").unwrap();
        path
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_by_force() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let late = Place::at(&path, false).unwrap();
        fs::write(&path, "old").unwrap();
        assert!(matches!(Place::at(&path, false), Err(DownloadPathError::Exists { .. })));
        // One that came to be there during the download is as safe, and so is what was downloaded.
        let new = complete(directory.path());
        assert_eq!(late.take(&new).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        Place::at(&path, true).unwrap().take(&new).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(!new.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_cannot_be_listed_takes_a_download_and_a_missing_one_is_an_error() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let mode = |mode| fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        let (path, new) = (directory.path().join("out"), complete(directory.path()));
        mode(0o300);
        Place::at(&path, false).unwrap().take(&new).unwrap();
        mode(0o700);
        assert!(path.exists());
        let missing = sync_directory(&directory.path().join("none")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn by_force_the_target_of_a_link_is_replaced_and_not_the_link() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("out"), directory.path().join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        Place::at(&link, true).unwrap().take(&complete(directory.path())).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_folder_and_a_missing_folder_are_refused_with_a_reason() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(Place::at(directory.path(), true), Err(DownloadPathError::IsDirectory { .. })));
        let Err(DownloadPathError::Unwritable { source, .. }) =
            Place::at(&directory.path().join("none/out"), false)
        else {
            panic!("there is no directory")
        };
        assert_eq!(source.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_is_refused_before_anything_comes() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path().join("none"), &link).unwrap();
        for replaces in [false, true] {
            assert!(matches!(Place::at(&link, replaces), Err(DownloadPathError::DanglingLink { .. })));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_no_place() {
        assert!(matches!(Place::at(Path::new("/dev/null"), true), Err(DownloadPathError::NotAFile { .. })));
    }
}
