//! Where a download goes: a file that appears only when it is complete, or standard output.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
};

use partwise::DownloadPathError;

use crate::report::Report;

/// Where a download goes.
#[derive(Debug)]
pub(super) enum Destination {
    /// One byte after the other, as they come.
    Stream(Stream),
    /// A file that gets its name when it is complete, if it can have it.
    File,
}

/// Standard output; or a device or a pipe, where there is nothing to replace, so it is written to as it is.
#[derive(Debug)]
pub(super) struct Stream {
    /// As the person wrote it.
    name: String,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Stdout(io::Stdout),
    Special(fs::File),
}

impl Destination {
    /// Looks at `path`; `-` is standard output.
    pub(super) fn at(path: &Path) -> Result<Self, Report> {
        if path == Path::new("-") {
            let sink = Sink::Stdout(io::stdout());
            return Ok(Self::Stream(Stream { name: "standard output".into(), sink }));
        }
        match fs::metadata(path) {
            Ok(found) if !found.is_dir() && !found.is_file() => {
                let name = path.display().to_string();
                let file = fs::OpenOptions::new().write(true).open(path);
                let file = file.map_err(|cause| cannot_write(&name, &cause))?;
                Ok(Self::Stream(Stream { name, sink: Sink::Special(file) }))
            }
            _ => Ok(Self::File),
        }
    }
}

impl Stream {
    /// Says whether a person looks at what is written.
    pub(super) fn is_terminal(&self) -> bool {
        match &self.sink {
            Sink::Stdout(stdout) => stdout.is_terminal(),
            Sink::Special(file) => file.is_terminal(),
        }
    }

    /// Writes all of `bytes`, and says whether anybody still reads.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<bool, Report> {
        let written = match &mut self.sink {
            // What stayed in its buffer would be written when the process is to end at once.
            Sink::Stdout(stdout) => stdout.write_all(bytes).and_then(|()| stdout.flush()),
            Sink::Special(file) => file.write_all(bytes),
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

/// What is said when nothing can be written at the path of a download.
pub(super) fn refused(error: &DownloadPathError) -> Report {
    let report = Report::failed(error.to_string());
    match error {
        DownloadPathError::IsDirectory { .. }
        | DownloadPathError::DanglingLink { .. }
        | DownloadPathError::NoFileName { .. } => report.hint("give the name of the file to write"),
        DownloadPathError::Exists { .. } => report.hint("--force replaces it"),
        DownloadPathError::Foreign { .. } => {
            report.hint("move it away, write the download somewhere else, or let --force replace it")
        }
        DownloadPathError::InUse { .. } => report.hint("wait for it, or stop it first"),
        DownloadPathError::Unwritable { path, source } | DownloadPathError::CannotRename { path, source } => {
            cannot_write(&path.display().to_string(), source)
        }
        _ => report,
    }
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
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_cannot_be_written_is_refused_with_what_to_do() {
        let path = || PathBuf::from("out");
        let there = |kind: io::ErrorKind| DownloadPathError::Unwritable { path: path(), source: kind.into() };
        let said = |error: DownloadPathError| refused(&error).lines();
        insta::assert_snapshot!(said(DownloadPathError::Exists { path: path() }), @"
        error: out is there already
        hint: --force replaces it
        ");
        insta::assert_snapshot!(said(DownloadPathError::IsDirectory { path: path() }), @"
        error: out is a directory
        hint: give the name of the file to write
        ");
        insta::assert_snapshot!(said(DownloadPathError::DanglingLink { path: path() }), @"
        error: out is a link to a file that is not there
        hint: give the name of the file to write
        ");
        insta::assert_snapshot!(said(DownloadPathError::NoFileName { path: "new/".into() }), @r#"
        error: "new/" names no file to download to
        hint: give the name of the file to write
        "#);
        insta::assert_snapshot!(said(there(io::ErrorKind::AlreadyExists)), @"
        error: cannot write out: entity already exists
        hint: --force replaces it
        ");
        insta::assert_snapshot!(said(there(io::ErrorKind::NotFound)), @"
        error: cannot write out: entity not found
        hint: make the folder first
        ");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named() {
        let Ok(Destination::Stream(mut stream)) = Destination::at(Path::new("/dev/full")) else {
            panic!("it is a device")
        };
        let refused = stream.write(b"x").expect_err("full").lines();
        assert_eq!(
            refused,
            "error: cannot write /dev/full: No space left on device (os error 28)\nhint: make room there, or write it somewhere else\n"
        );
    }
}
