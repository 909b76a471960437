//! The operations on files, one file each.

mod create;
mod delete;
mod download;
mod download_head;
mod import;
mod list;
mod list_writer;
mod retrieve;

pub use create::CreateFile;
pub use delete::DeleteFile;
pub use download::{ByteRange, ContentRange, DownloadFile};
pub use download_head::DownloadHead;
pub use import::ImportFile;
pub use list::{ListFiles, Order};
pub use list_writer::{FileListEnd, FileListWriter};
pub use retrieve::RetrieveFile;

use http::{Response, header};
use partwise_models::File;

use crate::{
    Api, Dialect,
    error::EncodeError,
    json::{insert, json_response},
    operations::OperationId,
    transport::Body,
};

/// The answer to a request that made a file. Azure's dated versions say where it is.
fn created_response(operation: OperationId, file: &File, api: &Api) -> Result<Response<Body>, EncodeError> {
    let mut response = json_response(operation.success(api.dialect()), file)?;
    if matches!(api.dialect(), Dialect::AzureDated { .. }) {
        let uri = OperationId::RetrieveFile.uri(api, Some(&file.id), &[])?;
        insert(response.headers_mut(), header::LOCATION, &uri.to_string())?;
    }
    Ok(response)
}
