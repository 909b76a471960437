//! The emulator of Azure Blob Storage.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::process::{Process, tethered};
use super::{BUCKET, Service, Store, signature, tools};
use crate::workspace::run;

const VERSION: &str = "3.37.0";
const ACCOUNT: &str = "partwise";
const KEY: &[u8] = b"the key of an account for tests";

pub(super) fn start(root: &Path, folder: &Path) -> Result<Store> {
    let program = install(&tools(root)?.join("azurite"))?;
    let key = STANDARD.encode(KEY);
    let mut command = tethered("node");
    command.arg(program).args(["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]);
    command.args(["--silent", "--disableTelemetry"]).current_dir(folder);
    command.env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{key}"));
    let mut azurite = Process::start("azurite", &mut command, folder)?;
    let port = azurite.wait_for_told_port()?;
    azurite.wait_for_port(port)?;
    signature::make_container(port, ACCOUNT, KEY, BUCKET)?;
    let environment = vec![
        ("AZURE_STORAGE_ENDPOINT", format!("http://127.0.0.1:{port}/{ACCOUNT}")),
        ("AZURE_ALLOW_HTTP", "true".to_owned()),
        ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
        ("AZURE_STORAGE_ACCOUNT_KEY", key),
    ];
    Ok(Store::new(Service::Azurite, environment, vec![azurite]))
}

/// Installs the emulator in a folder, unless it is there, and returns its program.
fn install(folder: &Path) -> Result<PathBuf> {
    let package = folder.join("node_modules/azurite");
    if !is_installed(&package) {
        fs::create_dir_all(folder)?;
        // Without it npm installs in a folder above that has one.
        fs::write(folder.join("package.json"), "{\"private\": true}\n")?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--loglevel=error", "--no-audit", "--no-fund", "--ignore-scripts"]);
        npm.arg(format!("azurite@{VERSION}")).current_dir(folder);
        run(&mut npm, "node and npm are needed, and the package azurite")?;
    }
    Ok(package.join("dist/src/blob/main.js"))
}

fn is_installed(package: &Path) -> bool {
    let manifest = fs::read(package.join("package.json")).unwrap_or_default();
    serde_json::from_slice::<Value>(&manifest).is_ok_and(|manifest| manifest["version"] == VERSION)
}
