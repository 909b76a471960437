//! The ten operations of the API, in both directions, and the table of their methods, paths and statuses.

mod account;
mod any;
mod files;
mod route;
mod translation;
mod uploads;

pub(crate) use self::route::match_path;
pub use self::{
    account::Account,
    any::AnyOperation,
    files::{
        ByteRange, ContentRange, CreateFile, DeleteFile, DownloadFile, DownloadHead, FileListEnd,
        FileListWriter, ImportFile, ListFiles, Order, RetrieveFile,
    },
    route::{Route, RouteError},
    translation::{TranslateError, Translation, TranslationStep},
    uploads::{AddUploadPart, CancelUpload, CompleteUpload, CreateUpload},
};
pub use crate::generated::{OperationId, PathPart};
