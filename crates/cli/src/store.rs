//! The store of `--local` and `serve`.

use std::{error::Error, fs, io, path::PathBuf};

use partwise::stack::{StackOptions, TlsError};
use partwise_protocol::transport::causes;
use partwise_server::{Durability, OpenError, Store};
use percent_encoding::percent_decode_str;

use crate::{connect::trusting, explain::CERTIFICATES, report::Report};

/// The values that `--store` takes.
const KINDS: &str =
    "give a folder, file:///…, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX, gs://BUCKET/PREFIX or memory://";
/// Where stores elsewhere have their credentials and endpoints from.
const SETTINGS: &str =
    "credentials, regions and endpoints come from AWS_…, AZURE_STORAGE_… and GOOGLE_… variables";

/// A store as `--store` names it, by the scheme of its URL.
enum Named<'a> {
    /// A folder, by its path: no URL.
    Path,
    /// Nothing that outlives the process.
    Memory,
    /// Nothing, and yet it has a path.
    MemoryPath,
    /// A folder, by what stands behind `file://` or `file:`.
    File(&'a str),
    /// A bucket or a container, by its URL.
    Cloud,
    /// A URL with another scheme.
    Unknown(&'a str),
}

impl<'a> Named<'a> {
    fn of(named: &'a str) -> Self {
        let Some((scheme, rest)) = named.split_once(':') else { return Self::Path };
        let behind = rest.strip_prefix("//");
        match scheme.to_ascii_lowercase().as_str() {
            "memory" if matches!(behind.unwrap_or(rest), "" | "/") => Self::Memory,
            "memory" => Self::MemoryPath,
            "file" => Self::File(behind.unwrap_or(rest)),
            "s3" | "az" | "gs" if behind.is_some() => Self::Cloud,
            _ if behind.is_some() => Self::Unknown(scheme),
            _ => Self::Path,
        }
    }
}

/// The store that the arguments name, and the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The value of `--store`.
    pub(crate) named: Option<String>,
    /// Certificates to trust besides the system's.
    pub(crate) ca_cert: Option<PathBuf>,
    /// Whether one elsewhere is tried out first.
    pub(crate) is_probed: bool,
}

impl Settings {
    /// Refuses what has a meaning for stores elsewhere alone.
    fn refuse_for_here(&self) -> Result<(), Report> {
        let message = if self.ca_cert.is_some() {
            "--ca-cert has no meaning for a store on this machine: nothing goes over the network"
        } else if !self.is_probed {
            "--no-store-probe has no meaning for a store on this machine: only those elsewhere are tried out"
        } else {
            return Ok(());
        };
        Err(Report::usage(message).hint("name a store elsewhere with --store, or leave the flag out"))
    }
}

/// A store that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Store,
    /// Its identity from run to run: the path of its folder without links and dots, or its URL. `None` when it ends with this
    /// process.
    pub(crate) identity: Option<String>,
}

/// The treatment of a folder that holds no store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Make,
    Refuse,
}

/// Opens the store that `--store` names, by default a folder among the platform's application data.
pub(crate) fn open(settings: &Settings, durability: Durability, missing: Missing) -> Result<Opened, Report> {
    let folder = match settings.named.as_deref() {
        None => default_folder()?,
        Some("") => return Err(Report::usage("--store is empty").hint(KINDS)),
        Some(named) => match Named::of(named) {
            Named::Path => PathBuf::from(named),
            Named::Memory if missing == Missing::Refuse => {
                return Err(Report::usage(format!(
                    "--store: {named}: a store in memory is always a new one"
                ))
                .hint("leave out --require-existing, or name a folder"));
            }
            Named::Memory => {
                settings.refuse_for_here()?;
                return Ok(Opened { store: Store::memory(), identity: None });
            }
            Named::MemoryPath => {
                return Err(
                    Report::usage(format!("--store: {named}: a store in memory has no path")).hint(KINDS)
                );
            }
            Named::File(path) => folder_of(named, path)?,
            Named::Cloud => return open_cloud(named, settings, missing),
            Named::Unknown(scheme) => {
                return Err(Report::usage(format!("--store: there is no kind of store called {scheme}://"))
                    .hint(KINDS));
            }
        },
    };
    settings.refuse_for_here()?;
    let store = match missing {
        Missing::Make => Store::local_with(&folder, durability),
        Missing::Refuse => Store::local_existing(&folder, durability),
    };
    let store = store.map_err(|cause| match &cause {
        OpenError::NoStore { path } => {
            Report::failed(format!("there is no store in {}, and none was to be made", path.display()))
                .hint("is its disk mounted? Leave out --require-existing once to make a new store there")
        }
        cause => unopened(cause),
    })?;
    let folder = fs::canonicalize(&folder)
        .map_err(|cause| Report::because(format!("the store {}", folder.display()), &cause))?;
    Ok(Opened { store, identity: Some(format!("file://{}", folder.display())) })
}

/// A store elsewhere. Nothing is sent to it yet.
fn open_cloud(url: &str, settings: &Settings, missing: Missing) -> Result<Opened, Report> {
    let options = trusting(StackOptions::new(), settings.ca_cert.as_deref())?;
    let store = Store::cloud_with(url, options).map_err(|cause| match &cause {
        OpenError::Url { .. } => Report::usage(format!("--store: {cause}")),
        _ => unopened(&cause),
    })?;
    let store = if missing == Missing::Refuse { store.existing() } else { store };
    let store = if settings.is_probed { store } else { store.without_probe() };
    Ok(Opened { store, identity: Some(url.trim_end_matches('/').to_owned()) })
}

/// The report of a store whose disk has no room left, whatever it was needed for.
pub(crate) fn disk_full(what: Option<&str>) -> Report {
    let before = what.map(|what| format!("{what}: ")).unwrap_or_default();
    Report::failed(format!("{before}the disk of the store is full"))
        .hint("make room there, or name another place with --store")
}

/// The report of a store that cannot be opened.
pub(crate) fn unopened(cause: &(dyn Error + 'static)) -> Report {
    let is_full = |cause: &(dyn Error + 'static)| {
        matches!(
            cause.downcast_ref::<io::Error>().map(io::Error::kind),
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        )
    };
    if causes(cause).any(is_full) {
        return disk_full(None);
    }
    let is_untrusted = |cause: &(dyn Error + 'static)| {
        matches!(cause.downcast_ref(), Some(TlsError::UnknownIssuer | TlsError::CaCertificate))
    };
    if causes(cause).any(is_untrusted) {
        return Report::of(cause).hint(CERTIFICATES);
    }
    match cause.downcast_ref() {
        Some(OpenError::Settings { .. } | OpenError::NoAccess { .. }) => Report::of(cause).hint(SETTINGS),
        Some(OpenError::NoMarkerYet { .. }) => {
            Report::of(cause).hint("leave out --require-existing once to make a new store there")
        }
        Some(OpenError::NoBucket { .. }) => {
            Report::of(cause).hint("make it first: buckets and containers are never made by this command")
        }
        _ => Report::of(cause),
    }
}

/// The folder that a `file:` URL names, whose path stands behind the slashes and may be percent-encoded.
fn folder_of(url: &str, path: &str) -> Result<PathBuf, Report> {
    let wrong = |problem: &str| {
        Err(Report::usage(format!("--store: {url} {problem}"))
            .hint("such a URL looks like file:///srv/my%20files; a plain path will do as well"))
    };
    if path.contains(['?', '#']) {
        return wrong("has a query or a fragment: write %3F for ?, and %23 for #");
    }
    match path.strip_prefix("localhost").unwrap_or(path) {
        path if path.starts_with('/') => match percent_decode_str(path).decode_utf8() {
            Ok(path) if !path.contains('\0') => Ok(PathBuf::from(path.as_ref())),
            _ => wrong("is not the name of a folder"),
        },
        _ => wrong("names another machine, or no whole path"),
    }
}

fn default_folder() -> Result<PathBuf, Report> {
    let places = directories::ProjectDirs::from("", "", "partwise");
    places.map(|places| places.data_dir().join("store")).ok_or_else(|| {
        Report::failed("this system names no folder for application data")
            .hint("say with --store where to keep the files")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_url_names_a_folder() {
        let folder = |path: &str| folder_of(&format!("file://{path}"), path);
        for (path, named) in [
            ("/srv/files", "/srv/files"),
            ("/my%20store", "/my store"),
            ("/s%C3%BC%C3%9F/", "/süß/"),
            ("localhost/srv", "/srv"),
            ("/100%", "/100%"),
        ] {
            assert_eq!(folder(path).expect(path), PathBuf::from(named));
        }
        for (path, problem) in [
            ("srv/files", "names another machine, or no whole path"),
            ("", "names another machine, or no whole path"),
            ("/a?b", "has a query or a fragment"),
            ("/%00", "is not the name of a folder"),
            ("/%ff", "is not the name of a folder"),
        ] {
            let said = folder(path).expect_err(path).lines();
            assert!(said.starts_with(&format!("error: --store: file://{path} {problem}")), "{said}");
        }
    }
}
