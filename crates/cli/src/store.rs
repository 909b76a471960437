//! The store of `--local` and `serve`.

use std::{fs, path::PathBuf};

use partwise_server::{Durability, Store};

use crate::report::Report;

/// A store that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Store,
    /// What it is known by from run to run: the path of its folder without links and dots. `None` when it ends with this
    /// process.
    pub(crate) identity: Option<String>,
}

/// Opens the store that `--store` names, by default a folder among the platform's application data.
pub(crate) fn open(named: Option<&str>, durability: Durability) -> Result<Opened, Report> {
    let folder = match named {
        None => default_folder()?,
        Some(named) => match named.split_once("://") {
            None => PathBuf::from(named),
            Some(("memory", "" | "/")) => return Ok(Opened { store: Store::memory(), identity: None }),
            Some(("file", path)) if path.starts_with('/') => PathBuf::from(path),
            Some((scheme, _)) => {
                return Err(Report::usage(format!("--store: there is no kind of store called {scheme}://"))
                    .hint("give a folder, file:///… or memory://; S3 and Azure stores are not there yet"));
            }
        },
    };
    let store = Store::local_with(&folder, durability).map_err(|cause| Report::of(&cause))?;
    let folder = fs::canonicalize(&folder)
        .map_err(|cause| Report::because(format!("the store {}", folder.display()), &cause))?;
    Ok(Opened { store, identity: Some(format!("file://{}", folder.display())) })
}

fn default_folder() -> Result<PathBuf, Report> {
    let places = directories::ProjectDirs::from("", "", "partwise");
    places.map(|places| places.data_dir().join("store")).ok_or_else(|| {
        Report::failed("this system names no folder for application data")
            .hint("say with --store where to keep the files")
    })
}
