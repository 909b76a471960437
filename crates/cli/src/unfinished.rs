//! The directory of unfinished uploads, and what is said of it when it cannot be used.

use std::{error::Error, path::Path};

use partwise::{CheckpointDir, CheckpointDirError};

use crate::report::Report;

const OTHER_FOLDER: &str = "--state DIR keeps what is unfinished somewhere else";

/// The directory that was named, or the platform's for application state.
pub(crate) fn directory(named: Option<&Path>) -> Result<CheckpointDir, Report> {
    named.map_or_else(
        || CheckpointDir::default().map_err(|error| unusable(&error)),
        |path| Ok(CheckpointDir::at(path)),
    )
}

/// What is said when the directory cannot be used.
pub(crate) fn unusable(error: &CheckpointDirError) -> Report {
    let report = match error.source() {
        Some(cause) => Report::because(error.to_string(), cause),
        None => Report::failed(error.to_string()),
    };
    match error {
        CheckpointDirError::InUse { .. } => report.hint("wait for it, or stop it first"),
        _ => report.hint(OTHER_FOLDER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_where_the_platform_keeps_the_state_of_applications() {
        let places = directories::ProjectDirs::from("", "", "partwise").expect("a home");
        let state = places.state_dir().unwrap_or(places.data_local_dir());
        let unfinished = directory(None).expect("a home");
        assert_eq!(unfinished.path(), state.join("uploads"));
    }
}
