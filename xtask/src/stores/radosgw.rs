//! Ceph's S3: a monitor, a store in memory and a gateway.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::ceph_conf::conf;
use super::process::{Process, free_ports, output, tethered};
use super::{BUCKET, Service, Store, s3_environment, signature};

const ACCESS_KEY: &str = "partwise";
const SECRET_KEY: &str = "partwise-secret";
/// A port may be taken by another process between the look for a free one and its use.
const TRIES: usize = 3;

/// The name of each who has a key, with what they may do.
const ENTITIES: [(&str, &[(&str, &str)]); 4] = [
    ("mon.", &[("mon", "allow *")]),
    ("osd.0", &[("mon", "allow profile osd"), ("osd", "allow *")]),
    ("client.admin", &[("mon", "allow *"), ("osd", "allow *")]),
    ("client.gateway", &[("mon", "allow rwx"), ("osd", "allow rwx")]),
];

pub(super) fn start(folder: &Path) -> Result<Store> {
    for program in ["ceph-mon", "ceph-osd", "radosgw"] {
        let version = output(Command::new(program).arg("--version"));
        version.context("Debian's packages ceph-mon, ceph-osd and radosgw are needed")?;
    }
    let mut started = Cluster::start(&folder.join("1"));
    for attempt in 2..=TRIES {
        if started.is_err() {
            started = Cluster::start(&folder.join(attempt.to_string()));
        }
    }
    started
}

struct Cluster {
    folder: PathBuf,
    /// The port of the gateway.
    port: u16,
}

impl Cluster {
    fn start(folder: &Path) -> Result<Store> {
        fs::create_dir(folder)?;
        let (id, [monitor_port, port]) = (new_uuid()?, free_ports()?);
        let cluster = Self { folder: folder.to_owned(), port };
        fs::write(cluster.conf(), conf(folder, &id, monitor_port, port))?;
        cluster.make_keys()?;
        let processes =
            vec![cluster.start_monitor(&id, monitor_port)?, cluster.start_disk()?, cluster.start_gateway()?];
        cluster.make_user()?;
        signature::make_bucket(port, BUCKET, ACCESS_KEY, SECRET_KEY)?;
        let environment = s3_environment(port, ACCESS_KEY, SECRET_KEY);
        Ok(Store::new(Service::Radosgw, environment, processes))
    }

    fn conf(&self) -> PathBuf {
        self.folder.join("ceph.conf")
    }

    fn keyring(&self) -> PathBuf {
        self.folder.join("keyring")
    }

    /// A program of Ceph's with this cluster's settings.
    fn tool(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.conf());
        command
    }

    /// A program that runs as long as the cluster does.
    fn daemon(&self, program: &str) -> Command {
        let mut command = tethered(program);
        command.arg("-c").arg(self.conf()).arg("-f");
        command
    }

    fn make_keys(&self) -> Result<()> {
        fs::write(self.keyring(), "")?;
        for (name, may) in ENTITIES {
            let mut command = Command::new("ceph-authtool");
            command.arg(self.keyring()).args(["--gen-key", "-n", name]);
            for (service, what) in may {
                command.args(["--cap", service, what]);
            }
            output(&mut command)?;
        }
        Ok(())
    }

    fn start_monitor(&self, id: &str, port: u16) -> Result<Process> {
        let map = self.folder.join("monmap");
        let mut make_map = Command::new("monmaptool");
        make_map.args(["--create", "--fsid", id, "--addv", "a", &format!("[v2:127.0.0.1:{port}]")]);
        output(make_map.arg(&map))?;
        let mut make = self.tool("ceph-mon");
        make.args(["--mkfs", "-i", "a", "--monmap"]).arg(&map).arg("--keyring").arg(self.keyring());
        output(&mut make)?;
        let mut monitor = Process::start("monitor", self.daemon("ceph-mon").args(["-i", "a"]), &self.folder)?;
        monitor.wait_for_port(port)?;
        Ok(monitor)
    }

    fn start_disk(&self) -> Result<Process> {
        let id = new_uuid()?;
        output(self.tool("ceph").args(["osd", "new", &id]))?;
        fs::create_dir(self.folder.join("osd"))?;
        output(self.tool("ceph-osd").args(["-i", "0", "--mkfs", "--no-mon-config", "--osd-uuid", &id]))?;
        let mut disk = Process::start("disk", self.daemon("ceph-osd").args(["-i", "0"]), &self.folder)?;
        disk.wait_for(|_| {
            output(self.tool("ceph").args(["osd", "stat"])).ok()?.contains("1 up").then_some(())
        })?;
        Ok(disk)
    }

    fn start_gateway(&self) -> Result<Process> {
        let mut command = self.daemon("radosgw");
        let mut gateway = Process::start("gateway", command.args(["-n", "client.gateway"]), &self.folder)?;
        gateway.wait_for_port(self.port)?;
        Ok(gateway)
    }

    fn make_user(&self) -> Result<()> {
        let mut command = self.tool("radosgw-admin");
        command.args(["-n", "client.gateway", "user", "create", "--uid=test", "--display-name=test"]);
        let keys = [format!("--access-key={ACCESS_KEY}"), format!("--secret-key={SECRET_KEY}")];
        output(command.args(keys)).map(drop)
    }
}

fn new_uuid() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim_end().to_owned())
}
