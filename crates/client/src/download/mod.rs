//! Downloads: content as it comes, and whole files to a target.

mod builder;
mod check;
mod file;
mod job;
mod path;
mod receive;
mod request;
mod stream;
mod unbegun;

pub use self::{
    builder::DownloadBuilder,
    file::FileDownload,
    path::{DownloadEvent, DownloadPathError, NotResumable, PathDownload, PreparedPathDownload},
    request::{DownloadReader, DownloadRequest},
    stream::Download,
};
