//! Our server against nginx: the same bytes from the same client, stored on the same disk, and read again.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::run::claims::{Bound, Claim};
use crate::run::figures::{Figure, named, ratio};
use crate::run::machine;
use crate::run::runs::{Measured, Run, in_turn, observed};
use crate::run::scene::{GIB, MIB, noise};
use crate::run::server_process::Server;
use crate::run::table::Columns;
use crate::run::tools::{Missing, Peer, Tool};
use crate::run::{Context, Found};

/// Enough that a tick of the kernel's clock, which is 10 ms, is little of what a run takes.
const STORED: u64 = 2 * GIB;
const LITTLE: u64 = 256 * MIB;
/// So large a file, so often.
const READ: u64 = 256 * MIB;
const READS: u32 = 32;
/// Of nginx's processor time.
const CPU: f64 = 1.30;
/// Of nginx's bytes a second.
const THROUGHPUT: f64 = 0.90;
/// Peaks differ by how many of the threads that write have come to be needed at once.
const SAME_MIB: f64 = 4.0;

const NGINX: &str = "nginx";
const NONE: &str = "partwise serve --durability none";
const STRICT: &str = "partwise serve --durability strict";

/// A server that is compared.
enum Kind {
    Nginx(Tool),
    Partwise { name: &'static str, durability: &'static str },
}

impl Kind {
    fn name(&self) -> String {
        match self {
            Self::Nginx(_) => NGINX.to_owned(),
            Self::Partwise { name, .. } => (*name).to_owned(),
        }
    }

    fn start(&self, context: &Context) -> Result<Server> {
        match self {
            Self::Nginx(nginx) => Server::nginx(nginx, context.scratch()),
            Self::Partwise { durability, .. } => {
                Server::partwise(&context.partwise, durability, context.scratch())
            }
        }
    }
}

pub(super) fn all(context: &Context) -> Result<Vec<Found>> {
    Ok(vec![stored(context)?, read(context)?])
}

/// nginx, if it can be had, and ours.
fn kinds(context: &Context, ours: &[(&'static str, &'static str)]) -> (Vec<Kind>, Vec<Missing>) {
    let nginx = context.tools.get(Peer::Nginx);
    let ours = ours.iter().map(|(name, durability)| Kind::Partwise { name, durability });
    match nginx {
        Ok(nginx) => (std::iter::once(Kind::Nginx(nginx)).chain(ours).collect(), Vec::new()),
        Err(missing) => (ours.collect(), vec![missing]),
    }
}

fn stored(context: &Context) -> Result<Found> {
    let (kinds, missing) = kinds(context, &[(NONE, "none"), (STRICT, "strict")]);
    let measured =
        in_turn(&kinds, context.rounds(), Kind::name, |kind| after_itself(|| store(context, kind, STORED)))?;
    let ours = Kind::Partwise { name: NONE, durability: "none" };
    let little = in_turn(&[ours], context.few_rounds(), Kind::name, |kind| store(context, kind, LITTLE))?;
    let cpu = ratio(&measured, NONE, NGINX, |run| run.service_cpu_s);
    let throughput = ratio(&measured, NGINX, NONE, Run::wall_s);
    let claims = vec![
        Claim::new("processor time against nginx's PUT", cpu, Bound::AtMost(CPU)),
        Claim::new("throughput against nginx's PUT", throughput, Bound::AtLeast(THROUGHPUT)),
        Claim::new(
            "MiB that storing 2 GiB takes more than 256 MiB",
            growth(&measured, little.first()),
            Bound::AtMost(SAME_MIB),
        ),
    ];
    let place = if context.about.files.is_memory() {
        "in memory, so that no disk takes part"
    } else {
        "on the same disk"
    };
    let setting = format!(
        "2 GiB of noise in parts of 64 MiB, 4 at a time, written to the server by the raw loop over plain HTTP on loopback: `PUT` of 32 files to nginx, `POST` of 32 parts to us. Each run has a new server and an empty folder {place}, with nothing waiting to be written, and comes after another of the same that is not counted. nginx syncs nothing, which is what `--durability none` is; what `strict` takes, which syncs each part before it answers, depends on the disk and has no bound."
    );
    Ok(Found { title: "Server, storing", setting, measured, columns: Columns::Servers, missing, claims })
}

/// Somebody else's run leaves the memory cut into other pieces than this one finds after itself, which was seen to decide
/// over a third of the processor time of storing.
fn after_itself(run: impl Fn() -> Result<Run>) -> Result<Run> {
    run()?;
    run()
}

/// How much more memory the same server had for the whole: the highest peak of each.
fn growth(measured: &[Measured], little: Option<&Measured>) -> Option<Figure> {
    let peak = |of: &Measured| of.runs.iter().filter_map(|run| run.service_peak_kib).max();
    let (large, little) = (peak(named(measured, NONE)?)?, peak(little?)?);
    Figure::steady((large as f64 - little as f64) / 1024.0)
}

fn store(context: &Context, kind: &Kind, bytes: u64) -> Result<Run> {
    let server = kind.start(context)?;
    let file = noise(context.scratch(), bytes)?;
    let mut raw = Command::new(std::env::current_exe()?);
    raw.args(["raw", &server.origin]).arg(file);
    match kind {
        Kind::Nginx(_) => raw.args(["--form", "put", "--path", "/part-"]),
        Kind::Partwise { .. } => raw.args(["--path", &server.begin_upload(bytes)?]),
    };
    settled(&server, &raw, bytes)
}

/// Runs a client once nothing waits to be written to the disk.
fn settled(server: &Server, client: &Command, bytes: u64) -> Result<Run> {
    machine::settle()?;
    let run = observed(client, bytes, || server.cpu_s())?;
    Ok(Run { service_peak_kib: Some(server.peak_kib()?), ..run })
}

fn read(context: &Context) -> Result<Found> {
    const OURS: &str = "partwise serve";
    let (kinds, missing) = kinds(context, &[(OURS, "none")]);
    let measured = in_turn(&kinds, context.many_rounds(), Kind::name, |kind| {
        after_itself(|| read_again(context, kind))
    })?;
    let cpu = ratio(&measured, OURS, NGINX, |run| run.service_cpu_s);
    let claims = vec![Claim::new("processor time against nginx's static file", cpu, Bound::AtMost(CPU))];
    let setting = format!(
        "A stored file of 256 MiB, read once so that it is in the page cache, and then {READS} times by 4 connections over plain HTTP on loopback; the reader discards it in the kernel. Each run comes after another of the same that is not counted."
    );
    Ok(Found { title: "Server, reading", setting, measured, columns: Columns::Servers, missing, claims })
}

fn read_again(context: &Context, kind: &Kind) -> Result<Run> {
    let server = kind.start(context)?;
    let file = noise(context.scratch(), READ)?;
    let path = match kind {
        Kind::Nginx(_) => {
            fs::copy(&file, server.root.join("file"))?;
            "/file".to_owned()
        }
        Kind::Partwise { .. } => {
            let mut upload = Command::new(&context.partwise);
            upload.arg("upload").arg(&file).args([
                "--purpose",
                "user_data",
                "--json",
                "--no-resume",
                "--endpoint",
            ]);
            upload.arg(format!("{}/v1", server.origin)).env("OPENAI_API_KEY", "key");
            upload.arg("--state").arg(context.scratch().join("state"));
            let output = upload.output()?;
            let stored: serde_json::Value = serde_json::from_slice(&output.stdout)
                .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
            format!("/v1/files/{}/content", stored["id"].as_str().context("a file has an id")?)
        }
    };
    // What writing has left in the cache is in smaller pieces for some than for others, which costs more than anything else.
    machine::settle()?;
    forget(&server.root)?;
    let get = |count: u32| {
        let mut get = Command::new(std::env::current_exe()?);
        get.args(["get", &server.origin, &path, "--count", &count.to_string()]);
        Ok::<_, anyhow::Error>(get)
    };
    ensure!(get(1)?.status()?.success(), "the file cannot be read");
    settled(&server, &get(READS)?, READ * u64::from(READS))
}

/// Drops what the page cache has of the files in this folder.
fn forget(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
        } else {
            posix_fadvise(fs::File::open(path)?, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        }
    }
    Ok(())
}
