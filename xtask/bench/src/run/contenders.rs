//! Who uploads or downloads, and with which command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::scene::Scene;
use super::tools::{Missing, Peer, Tools};
use super::{Context, machine};

type Commands = Box<dyn Fn(&Scene) -> Result<Command>>;

/// Somebody who is measured.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) effect: Effect,
    command: Commands,
}

/// What has to have come about in the end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effect {
    /// The sink has seen the whole file.
    Uploads,
    /// The file is there, byte by byte.
    Downloads,
    Nothing,
}

impl Contender {
    fn new(name: impl Into<String>, command: impl Fn(&Scene) -> Result<Command> + 'static) -> Self {
        Self { name: name.into(), effect: Effect::Uploads, command: Box::new(command) }
    }

    fn with(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }

    /// What is to be run next; what the run before has left is put away.
    pub(crate) fn command(&self, scene: &Scene) -> Result<Command> {
        (self.command)(scene)
    }
}

/// How many parts `partwise upload` sends at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parallel {
    /// As many as everyone.
    OfScene,
    /// As many as these.
    Fixed(u16),
    /// As many as it likes.
    Unsaid,
}

/// `partwise upload` with these flags besides.
pub(crate) fn partwise(
    context: &Context,
    name: impl Into<String>,
    parallel: Parallel,
    flags: &'static [&'static str],
) -> Contender {
    let partwise = context.partwise.clone();
    Contender::new(name, move |scene| upload(&partwise, scene, parallel, flags))
}

fn upload(partwise: &Path, scene: &Scene, parallel: Parallel, flags: &[&str]) -> Result<Command> {
    let state = scene.scratch.join("state");
    if state.exists() {
        fs::remove_dir_all(&state)?;
    }
    let mut command = Command::new(partwise);
    command.arg("upload").arg(&scene.file).args(["--purpose", "assistants", "--endpoint", &scene.base()]);
    command.arg("--state").arg(state).env("OPENAI_API_KEY", "key");
    let parallel = match parallel {
        Parallel::OfScene => Some(scene.parallel),
        Parallel::Fixed(parallel) => Some(parallel),
        Parallel::Unsaid => None,
    };
    if let Some(parallel) = parallel {
        command.args(["--parallel", &parallel.to_string()]);
    }
    if let Some(size) = scene.part_size {
        command.args(["--part-size", &size.to_string()]);
    }
    if let Some(certificate) = &scene.certificate {
        command.arg("--ca-cert").arg(certificate);
    }
    command.args(flags);
    Ok(command)
}

/// A loop of this binary: `hyper` or `raw`, with a parallelism of its own if it has one.
pub(crate) fn own_loop(name: &str, subcommand: &'static str, parallel: Option<u16>) -> Contender {
    Contender::new(name, move |scene| {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([subcommand, &scene.origin]).arg(&scene.file);
        command.args(["--part-size", &scene.cut().to_string()]);
        command.args(["--parallel", &parallel.unwrap_or(scene.parallel).to_string()]);
        if let Some(certificate) = &scene.certificate {
            command.arg("--ca-cert").arg(certificate);
        }
        Ok(command)
    })
}

/// The MD5 of the file and nothing else.
pub(crate) fn md5(name: &str) -> Contender {
    let contender = Contender::new(name, |scene| {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("md5").arg(&scene.file);
        Ok(command)
    });
    contender.with(Effect::Nothing)
}

/// curl with a file for each part, `parallel` at a time.
pub(crate) fn curl(tools: &Tools, name: &str, parallel: Option<u16>) -> Result<Contender, Missing> {
    let curl = tools.get(Peer::Curl)?;
    Ok(Contender::new(name, move |scene| {
        let path = scene.scratch.join("curl.config");
        fs::write(&path, curl_config(scene, "")?)?;
        let mut command = curl.command();
        if let Some(parallel) = parallel {
            command.args(["--parallel", "--parallel-max", &parallel.to_string()]);
        }
        command.arg("--config").arg(path);
        Ok(command)
    }))
}

/// curl with a file for each part, one after the other, each of which it tries again.
pub(crate) fn curl_retrying(tools: &Tools) -> Result<Contender, Missing> {
    let curl = tools.get(Peer::Curl)?;
    Ok(Contender::new("curl --retry 5", move |scene| {
        let path = scene.scratch.join("curl.config");
        fs::write(&path, curl_config(scene, "retry = 5\nretry-all-errors\nshow-error\n")?)?;
        let mut command = curl.command();
        // Its status is otherwise that of the last part alone.
        command.arg("--fail-early").arg("--config").arg(path);
        Ok(command)
    }))
}

fn curl_config(scene: &Scene, more: &str) -> Result<String> {
    let mut requests = Vec::new();
    for part in scene.parts()? {
        let part = part.to_str().context("a path that is text")?;
        let mut request = format!(
            "url = \"{}{}\"\nform = \"data=@{part}\"\nheader = \"Authorization: Bearer key\"\noutput = \"/dev/null\"\nsilent\nfail\nhttp1.1\n{more}",
            scene.origin, scene.parts_at
        );
        if let Some(certificate) = &scene.certificate {
            request.push_str(&format!("cacert = \"{}\"\n", certificate.display()));
        }
        requests.push(request);
    }
    Ok(requests.join("next\n"))
}

/// The official Python client, one part after the other: it has no other way.
pub(crate) fn python(tools: &Tools) -> Result<Contender, Missing> {
    python_with(tools, "0")
}

/// The same with as many retries as it has by itself.
pub(crate) fn python_retrying(tools: &Tools) -> Result<Contender, Missing> {
    python_with(tools, "2")
}

fn python_with(tools: &Tools, retries: &'static str) -> Result<Contender, Missing> {
    let python = tools.get(Peer::Python)?;
    Ok(Contender::new(Peer::Python.name(), move |scene| {
        let mut command = python.command();
        command.arg(scene.base()).arg(&scene.file).arg(scene.cut().to_string()).arg(retries);
        if let Some(certificate) = &scene.certificate {
            command.env("SSL_CERT_FILE", certificate);
        }
        Ok(command)
    }))
}

/// The official Node client, from streams, several at a time.
pub(crate) fn node(tools: &Tools) -> Result<Contender, Missing> {
    several_at_once(tools, Peer::Node, "NODE_EXTRA_CA_CERTS")
}

/// async-openai, several parts at a time.
pub(crate) fn async_openai(tools: &Tools) -> Result<Contender, Missing> {
    several_at_once(tools, Peer::AsyncOpenai, "SSL_CERT_FILE")
}

fn several_at_once(tools: &Tools, peer: Peer, trust: &'static str) -> Result<Contender, Missing> {
    let tool = tools.get(peer)?;
    Ok(Contender::new(peer.name(), move |scene| {
        let mut command = tool.command();
        command.arg(scene.base()).arg(&scene.file);
        command.args([scene.cut().to_string(), scene.parallel.to_string()]);
        if let Some(certificate) = &scene.certificate {
            command.env(trust, certificate);
        }
        Ok(command)
    }))
}

/// `partwise files download` into a file, with these flags besides.
pub(crate) fn download(context: &Context, name: &str, flags: &'static [&'static str]) -> Contender {
    let partwise = context.partwise.clone();
    let contender = Contender::new(name, move |scene| {
        let mut command = Command::new(&partwise);
        command.args(["files", "download", "file-1", "--output"]).arg(fresh_copy(scene)?);
        command.args(["--endpoint", &scene.base()]).args(flags).env("OPENAI_API_KEY", "key");
        Ok(command)
    });
    contender.with(Effect::Downloads)
}

/// curl into a file.
pub(crate) fn curl_download(tools: &Tools) -> Result<Contender, Missing> {
    let curl = tools.get(Peer::Curl)?;
    let contender = Contender::new("curl", move |scene| {
        let mut command = curl.command();
        command.args(["--silent", "--fail", "--output"]).arg(fresh_copy(scene)?);
        command.arg(format!("{}/files/file-1/content", scene.base()));
        Ok(command)
    });
    Ok(contender.with(Effect::Downloads))
}

/// Where a download goes: a new folder, with nothing to go on from. Nothing waits to be written to the disk.
fn fresh_copy(scene: &Scene) -> Result<PathBuf> {
    let copy = scene.copy();
    let folder = copy.parent().context("a file is in a folder")?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir(folder)?;
    machine::settle()?;
    Ok(copy)
}
