//! `--adopt`: takes a file of the service for an upload whose outcome is unknown.

use partwise_models::{File, FileState};
use partwise_protocol::{Comparison, Plan, RetrieveFile};

use super::open;
use crate::{
    args::UploadArguments,
    connect::Connected,
    report::{Report, say},
};

/// The file with this identifier, once all that can be compared is the same: name, size, purpose, and the content where
/// the service serves it.
pub(super) async fn adopt(
    arguments: &UploadArguments,
    id: &str,
    plan: &Plan,
    connected: &Connected,
) -> Result<File, Report> {
    let what = format!("cannot adopt {id} for {}", arguments.file.display());
    let explained = |error| connected.explain.report(&what, &error);
    let source = open(arguments)?;
    let file = connected.client.call(&RetrieveFile::new(id)).await.map_err(explained)?;
    let length = arguments.file.metadata().map_err(|cause| Report::because(&what, &cause))?.len();
    if let Some(difference) = difference(&file, plan, length) {
        return Err(Report::failed(format!("{what}: {difference}")));
    }
    match connected.client.compare(id, source).await.map_err(explained)? {
        Comparison::Equal => say(&format!("{id} has the same name, size, purpose and content")),
        Comparison::NotServed => say(&format!(
            "{id} has the same name, size and purpose; the service does not serve its content, so that was not compared"
        )),
        Comparison::Different => return Err(Report::failed(format!("{what}: its content is another"))),
        Comparison::Unknown => {
            return Err(Report::failed(format!("{what}: its content could not be read to its end"))
                .hint("try again; --send-again uploads the file again instead"));
        }
    }
    Ok(file)
}

/// What shows that the file is another one, if anything does.
fn difference(file: &File, plan: &Plan, length: u64) -> Option<String> {
    if file.status == Some(FileState::Error) {
        let details = file.status_details.as_deref().unwrap_or("it does not say why");
        return Some(format!("the service rejected its content: {details}"));
    }
    if let Some(bytes) = file.bytes.filter(|bytes| *bytes != length) {
        return Some(format!("it has {bytes} bytes, and the file has {length}"));
    }
    if let Some(name) = file.filename.as_deref().filter(|name| *name != plan.filename) {
        return Some(format!("its name is {name}"));
    }
    let purpose = file.purpose.as_ref().filter(|purpose| **purpose != plan.purpose)?;
    Some(format!("its purpose is {purpose}"))
}
