//! Downloads: content as it comes, and whole files to a target.

mod check;
mod file;
mod job;
mod receive;
mod stream;

pub use self::{file::FileDownload, stream::Download};
