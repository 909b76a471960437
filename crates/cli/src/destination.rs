//! Where a download goes: a file that appears only when it is complete, or standard output.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::report::Report;

/// An open destination. Dropped before [`finish`](Self::finish) it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Destination {
    /// As the person wrote it.
    name: String,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Stdout(io::Stdout),
    /// A device, a pipe: there is nothing to replace, so it is written to as it is.
    Special(fs::File),
    Beside {
        temporary: NamedTempFile,
        target: PathBuf,
        replace: bool,
    },
}

impl Destination {
    /// Opens `path` (`-` is standard output) and refuses to replace a file unless `force`.
    pub(crate) fn open(path: &Path, force: bool) -> Result<Self, Report> {
        let name = path.display().to_string();
        if path == Path::new("-") {
            return Ok(Self { name: "standard output".into(), way: Way::Stdout(io::stdout()) });
        }
        let way = match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(Report::failed(format!("{name} is a directory"))
                    .hint("give the name of the file to write"));
            }
            Ok(found) if !found.is_file() => Way::Special(
                fs::OpenOptions::new().write(true).open(path).map_err(|cause| cannot_write(&name, &cause))?,
            ),
            Ok(_) if !force => {
                return Err(Report::failed(format!("{name} is there already")).hint("--force replaces it"));
            }
            // The file that a link points to is replaced, not the link.
            Ok(_) => {
                beside(fs::canonicalize(path).map_err(|cause| cannot_write(&name, &cause))?, true, &name)?
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => beside(path.to_owned(), force, &name)?,
            Err(cause) => return Err(cannot_write(&name, &cause)),
        };
        Ok(Self { name, way })
    }

    /// Whether something has to be cleared away when it is not finished.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self.way, Way::Beside { .. })
    }

    /// Writes all of `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Report> {
        match &mut self.way {
            Way::Stdout(stdout) => stdout.write_all(bytes),
            Way::Special(file) => file.write_all(bytes),
            Way::Beside { temporary, .. } => temporary.write_all(bytes),
        }
        .map_err(|cause| cannot_write(&self.name, &cause))
    }

    /// Makes what was written durable and gives it its name.
    pub(crate) fn finish(self) -> Result<(), Report> {
        let Self { name, way } = self;
        match way {
            Way::Stdout(mut stdout) => stdout.flush(),
            Way::Special(mut file) => file.flush(),
            Way::Beside { temporary, target, replace } => temporary.as_file().sync_all().and_then(|()| {
                let named =
                    if replace { temporary.persist(&target) } else { temporary.persist_noclobber(&target) };
                named.map_err(|refused| refused.error)?;
                sync_folder(folder_of(&target))
            }),
        }
        .map_err(|cause| cannot_write(&name, &cause))
    }
}

/// A temporary file in the target's folder, so that giving it its name is one rename.
fn beside(target: PathBuf, replace: bool, name: &str) -> Result<Way, Report> {
    let folder = folder_of(&target);
    fs::metadata(folder).map_err(|cause| cannot_write(name, &cause))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".partwise-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As any file that a command makes: the umask takes away what others may not do.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let temporary = builder.tempfile_in(folder).map_err(|cause| cannot_write(name, &cause))?;
    Ok(Way::Beside { temporary, target, replace })
}

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the name durable too: on Unix it is the folder's, not the file's.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    // A folder that may be written to but not read cannot be opened, and some file systems sync no folder: the
    // file is complete all the same.
    match fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(cause)
            if matches!(
                cause.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        done => done,
    }
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

fn cannot_write(name: &str, cause: &io::Error) -> Report {
    let report = Report::because(format!("cannot write {name}"), cause);
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            report.hint("make room there, or write it somewhere else")
        }
        io::ErrorKind::AlreadyExists => report.hint("--force replaces it"),
        io::ErrorKind::NotFound => report.hint("make the folder first"),
        _ => report,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("readable")
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_file_appears_only_when_it_is_complete() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        let mut destination = Destination::open(&path, false).expect("free");
        destination.write(b"half").expect("room");
        assert!(!path.exists());
        destination.write(b" and half").expect("room");
        destination.finish().expect("free");
        assert_eq!(fs::read(&path).expect("written"), b"half and half");
        assert_eq!(names_in(folder.path()), ["out"]);
    }

    #[test]
    fn an_unfinished_download_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        fs::write(&path, "old").expect("written");
        let mut destination = Destination::open(&path, true).expect("may replace");
        destination.write(b"half").expect("room");
        drop(destination);
        assert_eq!(fs::read(&path).expect("still there"), b"old");
        assert_eq!(names_in(folder.path()), ["out"]);
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_by_force() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        let late = Destination::open(&path, false).expect("free");
        fs::write(&path, "old").expect("written");
        assert!(Destination::open(&path, false).expect_err("there").lines().contains("--force replaces it"));
        // One that came to be there during the download is as safe.
        assert!(late.finish().expect_err("there").lines().contains("--force replaces it"));
        assert_eq!(fs::read(&path).expect("still there"), b"old");
        Destination::open(&path, true).expect("may replace").finish().expect("replaced");
        assert_eq!(fs::read(&path).expect("replaced"), b"");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_cannot_be_listed_takes_a_download_and_a_missing_one_is_an_error() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("own");
        let path = folder.path().join("out");
        mode(0o300);
        Destination::open(&path, false).expect("free").finish().expect("written");
        mode(0o700);
        assert!(path.exists());
        assert_eq!(
            sync_folder(&folder.path().join("none")).expect_err("no folder").kind(),
            io::ErrorKind::NotFound
        );
    }

    #[cfg(unix)]
    #[test]
    fn by_force_the_target_of_a_link_is_replaced_and_not_the_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("out"), folder.path().join("link"));
        fs::write(&path, "old").expect("written");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        let mut destination = Destination::open(&link, true).expect("may replace");
        destination.write(b"new").expect("room");
        destination.finish().expect("replaced");
        assert_eq!(fs::read(&path).expect("replaced"), b"new");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    }

    #[test]
    fn a_folder_and_a_missing_folder_are_refused_with_a_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(
            Destination::open(folder.path(), true).expect_err("a folder").lines().contains("is a directory")
        );
        let refused =
            Destination::open(&folder.path().join("none/out"), false).expect_err("no folder").lines();
        assert!(
            refused.ends_with("No such file or directory (os error 2)\nhint: make the folder first\n"),
            "{refused}"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named() {
        let mut destination = Destination::open(Path::new("/dev/full"), false).expect("a device");
        let refused = destination.write(b"x").expect_err("full").lines();
        assert_eq!(
            refused,
            "error: cannot write /dev/full: No space left on device (os error 28)\nhint: make room there, or write it somewhere else\n"
        );
    }
}
