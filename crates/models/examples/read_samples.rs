//! Reads documented JSON and writes it again, to see what of it the types hold. `cargo xtask samples` runs it.
//!
//! Each line of the input is the name of a type, a tab, and a JSON text without line breaks. Each line of the
//! output answers one: `ok`, a tab and the JSON as it was written again; or `error`, a tab and what was wrong.

use std::io::{self, BufRead, Write};

use partwise_models::{
    CompleteUploadRequest, CreateUploadRequest, DeletedFile, Error, ErrorResponse, ExpiresAfter, File,
    FileList, ImportFileRequest, InnerError, Upload, UploadPartResource,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn main() -> io::Result<()> {
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (name, json) = line.split_once('\t').unwrap_or((&line, ""));
        match read_and_write(name, json) {
            Ok(written) => writeln!(output, "ok\t{written}")?,
            Err(error) => writeln!(output, "error\t{error}")?,
        }
    }
    Ok(())
}

fn read_and_write(name: &str, json: &str) -> Result<String, String> {
    let again = match name {
        "CompleteUploadRequest" => again::<CompleteUploadRequest>,
        "CreateUploadRequest" => again::<CreateUploadRequest>,
        "DeletedFile" => again::<DeletedFile>,
        "Error" => again::<Error>,
        "ErrorResponse" => again::<ErrorResponse>,
        "ExpiresAfter" => again::<ExpiresAfter>,
        "File" => again::<File>,
        "FileList" => again::<FileList>,
        "ImportFileRequest" => again::<ImportFileRequest>,
        "InnerError" => again::<InnerError>,
        "Upload" => again::<Upload>,
        "UploadPartResource" => again::<UploadPartResource>,
        _ => return Err(format!("there is no type `{name}`")),
    };
    again(json).map_err(|error| error.to_string())
}

fn again<T: DeserializeOwned + Serialize>(json: &str) -> serde_json::Result<String> {
    serde_json::to_string(&serde_json::from_str::<T>(json)?)
}
