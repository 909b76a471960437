//! The operations on uploads, one file each.

mod cancel;
mod complete;
mod completion;
mod create;
mod part;

pub use cancel::CancelUpload;
pub use complete::CompleteUpload;
pub use create::CreateUpload;
pub use part::AddUploadPart;
