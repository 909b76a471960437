//! Downloads: content as it comes, and whole files to a target.

mod check;
mod driver;
mod file;
mod flights;
mod stream;

pub use self::{file::FileDownload, stream::Download};
