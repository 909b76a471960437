//! The operations on files, one file each.

mod create;
mod delete;
mod download;
mod import;
mod list;
mod retrieve;

pub use create::CreateFile;
pub use delete::DeleteFile;
pub use download::{ByteRange, ContentRange, DownloadFile, DownloadHead};
pub use import::ImportFile;
pub use list::{ListFiles, Order};
pub use retrieve::RetrieveFile;

use http::{HeaderValue, Response, header};
use partwise_models::File;

use crate::{Api, Body, Dialect, EncodeError, OperationId, json::json_response};

/// The answer to a request that made a file. Azure's dated versions say where it is.
fn created_response(operation: OperationId, file: &File, api: &Api) -> Result<Response<Body>, EncodeError> {
    let mut response = json_response(operation.success(api.dialect()), file)?;
    if matches!(api.dialect(), Dialect::AzureDated { .. }) {
        let uri = OperationId::RetrieveFile.uri(api, Some(&file.id), &[])?.to_string();
        let location =
            HeaderValue::try_from(uri).map_err(|source| EncodeError::Header { name: "location", source })?;
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
