//! The store of `--local` and `serve`.

use std::path::PathBuf;

use partwise_server::Store;

use crate::report::Report;

/// Opens the store that `--store` names, by default a folder among the platform's application data.
pub(crate) fn open(named: Option<&str>) -> Result<Store, Report> {
    let folder = match named {
        None => default_folder()?,
        Some(named) => match named.split_once("://") {
            None => PathBuf::from(named),
            Some(("memory", "" | "/")) => return Ok(Store::memory()),
            Some(("file", path)) if path.starts_with('/') => PathBuf::from(path),
            Some((scheme, _)) => {
                return Err(Report::usage(format!("--store: there is no kind of store called {scheme}://"))
                    .hint("give a folder, file:///… or memory://; S3 and Azure stores are not there yet"));
            }
        },
    };
    Store::local(folder).map_err(|cause| Report::of(&cause))
}

fn default_folder() -> Result<PathBuf, Report> {
    let places = directories::ProjectDirs::from("", "", "partwise");
    places.map(|places| places.data_dir().join("store")).ok_or_else(|| {
        Report::failed("this system names no folder for application data")
            .hint("say with --store where to keep the files")
    })
}
