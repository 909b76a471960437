//! The file of keys of a server.

use std::{
    error::Error,
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read as _},
    path::Path,
};

use partwise_server::Keys;

use crate::report::Report;

/// Bytes that the file may have: tens of thousands of keys.
const MOST: u64 = 4 * 1024 * 1024;

/// Something that is not read as a file of keys.
#[derive(Debug)]
enum NoKeyFile {
    TooLong,
    /// It may be a pipe, which would be waited for, or a folder.
    NotAFile,
}

/// Reads the keys when the server starts; from a pipe too, such as a shell makes for `<(command)`.
pub(crate) fn read(path: &Path) -> Result<Keys, Report> {
    File::open(path).map_err(|cause| failed(path, &cause)).and_then(|file| parse(path, file))
}

/// Reads them once more, on a thread that may wait for the disk. Nothing but a file is read: requests and signals do not wait for
/// the writer of a pipe.
pub(crate) async fn read_again(path: &Path) -> Result<Keys, Report> {
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let file = open_at_once(&path).map_err(|cause| failed(&path, &cause))?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(failed(&path, &NoKeyFile::NotAFile));
        }
        parse(&path, file)
    });
    reading.await.unwrap_or_else(|cause| Err(Report::of(&cause)))
}

/// Opens what stands there without waiting for another process.
fn open_at_once(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default());
    }
    options.open(path)
}

fn parse(path: &Path, file: File) -> Result<Keys, Report> {
    let mut text = String::new();
    let read = file.take(MOST + 1).read_to_string(&mut text).map_err(|cause| failed(path, &cause))?;
    if read as u64 > MOST {
        return Err(failed(path, &NoKeyFile::TooLong));
    }
    Keys::of_lines(&text).map_err(|cause| failed(path, &cause))
}

fn failed(path: &Path, cause: &(dyn Error + 'static)) -> Report {
    Report::because(format!("--api-key-file {}", path.display()), cause)
}

impl fmt::Display for NoKeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "it has more than {} MiB", MOST >> 20),
            Self::NotAFile => f.write_str("it is no regular file, and nothing else is read again"),
        }
    }
}

impl Error for NoKeyFile {}
