//! Where a download goes: a file that appears only when it is complete, or standard output.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use tempfile::TempPath;

use crate::report::Report;

/// Where a download goes.
#[derive(Debug)]
pub(super) enum Destination {
    /// One byte after the other, as they come.
    Stream(Stream),
    /// A file that gets its name when it is complete.
    File(Target),
}

/// Standard output; or a device or a pipe, where there is nothing to replace, so it is written to as it is.
#[derive(Debug)]
pub(super) struct Stream {
    /// As the person wrote it.
    name: String,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Stdout(io::Stdout),
    Special(fs::File),
}

/// The name that a file is to have.
#[derive(Debug)]
pub(super) struct Target {
    /// As the person wrote it.
    name: String,
    path: PathBuf,
    replace: bool,
}

impl Destination {
    /// Looks at `path` (`-` is standard output) and refuses to replace a file unless `force`.
    pub(super) fn open(path: &Path, force: bool) -> Result<Self, Report> {
        let name = path.display().to_string();
        if path == Path::new("-") {
            let way = Way::Stdout(io::stdout());
            return Ok(Self::Stream(Stream { name: "standard output".into(), way }));
        }
        let cannot = |cause: io::Error| cannot_write(&name, &cause);
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                Err(Report::failed(format!("{name} is a directory"))
                    .hint("give the name of the file to write"))
            }
            Ok(found) if !found.is_file() => {
                let file = fs::OpenOptions::new().write(true).open(path).map_err(cannot)?;
                Ok(Self::Stream(Stream { name, way: Way::Special(file) }))
            }
            Ok(_) if !force => {
                Err(Report::failed(format!("{name} is there already")).hint("--force replaces it"))
            }
            // The file that a link points to is replaced, not the link.
            Ok(_) => {
                let path = fs::canonicalize(path).map_err(cannot)?;
                Ok(Self::File(Target { name, path, replace: true }))
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(path).is_ok() {
                    return Err(Report::failed(format!("{name} is a link to a file that is not there"))
                        .hint("give the name of the file to write"));
                }
                fs::metadata(folder_of(path)).map_err(cannot)?;
                Ok(Self::File(Target { name, path: path.to_owned(), replace: force }))
            }
            Err(cause) => Err(cannot(cause)),
        }
    }
}

impl Stream {
    /// Says whether a person looks at what is written.
    pub(super) fn is_terminal(&self) -> bool {
        match &self.way {
            Way::Stdout(stdout) => stdout.is_terminal(),
            Way::Special(file) => file.is_terminal(),
        }
    }

    /// Writes all of `bytes`, and says whether anybody still reads.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<bool, Report> {
        let written = match &mut self.way {
            // What stayed in its buffer would be written when the process is to end at once.
            Way::Stdout(stdout) => stdout.write_all(bytes).and_then(|()| stdout.flush()),
            Way::Special(file) => file.write_all(bytes),
        };
        self.is_read(written)
    }

    /// When the reader goes away (`| head -1`) it has what it wanted.
    fn is_read(&self, written: io::Result<()>) -> Result<bool, Report> {
        match written {
            Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(cause) => Err(cannot_write(&self.name, &cause)),
            Ok(()) => Ok(true),
        }
    }
}

impl Target {
    /// As the person wrote it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is there may be replaced.
    pub(super) fn replaces(&self) -> bool {
        self.replace
    }

    /// Gives its name to the file at `complete`, which stays where it is when that cannot be.
    pub(super) fn take(&self, complete: &Path) -> io::Result<()> {
        if self.replace {
            fs::rename(complete, &self.path)?;
        } else if let Err(refused) = TempPath::try_from_path(complete)?.persist_noclobber(&self.path) {
            refused.path.keep()?;
            return Err(refused.error);
        }
        sync_folder(folder_of(&self.path))
    }
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
    // file is complete anyway.
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

pub(super) fn cannot_write(name: &str, cause: &io::Error) -> Report {
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

    fn target(path: &Path, force: bool) -> Result<Target, Report> {
        match Destination::open(path, force)? {
            Destination::File(target) => Ok(target),
            Destination::Stream(stream) => panic!("{stream:?} is no file"),
        }
    }

    /// A complete file beside its target.
    fn complete(folder: &Path) -> PathBuf {
        let path = folder.join("complete");
        fs::write(&path, "new").expect("room");
        path
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_by_force() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        let late = target(&path, false).expect("free");
        fs::write(&path, "old").expect("written");
        assert!(target(&path, false).expect_err("there").lines().contains("--force replaces it"));
        // One that came to be there during the download is as safe, and so is what was downloaded.
        let new = complete(folder.path());
        let refused = late.take(&new).expect_err("there");
        assert!(cannot_write("out", &refused).lines().contains("--force replaces it"));
        assert_eq!(fs::read(&path).expect("still there"), b"old");
        target(&path, true).expect("may replace").take(&new).expect("replaced");
        assert_eq!(fs::read(&path).expect("replaced"), b"new");
        assert!(!new.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_cannot_be_listed_takes_a_download_and_a_missing_one_is_an_error() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("own");
        let (path, new) = (folder.path().join("out"), complete(folder.path()));
        mode(0o300);
        target(&path, false).expect("free").take(&new).expect("written");
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
        target(&link, true).expect("may replace").take(&complete(folder.path())).expect("replaced");
        assert_eq!(fs::read(&path).expect("replaced"), b"new");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    }

    #[test]
    fn a_folder_and_a_missing_folder_are_refused_with_a_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(target(folder.path(), true).expect_err("a folder").lines().contains("is a directory"));
        let refused = target(&folder.path().join("none/out"), false).expect_err("no folder").lines();
        assert!(
            refused.ends_with("No such file or directory (os error 2)\nhint: make the folder first\n"),
            "{refused}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_is_refused_before_anything_comes() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("none"), &link).expect("linked");
        for force in [false, true] {
            let refused = target(&link, force).expect_err("it leads nowhere").lines();
            assert!(refused.contains("is a link to a file that is not there"), "{refused}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named() {
        let Ok(Destination::Stream(mut stream)) = Destination::open(Path::new("/dev/full"), false) else {
            panic!("it is a device")
        };
        let refused = stream.write(b"x").expect_err("full").lines();
        assert_eq!(
            refused,
            "error: cannot write /dev/full: No space left on device (os error 28)\nhint: make room there, or write it somewhere else\n"
        );
    }
}
