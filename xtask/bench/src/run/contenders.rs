//! Who uploads, and with which command.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Context;
use super::scene::Scene;
use super::tools::Tools;

type Commands = Box<dyn Fn(&Scene) -> Result<Command>>;

/// Somebody who uploads.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    command: Commands,
}

impl Contender {
    fn new(name: &'static str, command: impl Fn(&Scene) -> Result<Command> + 'static) -> Self {
        Self { name, command: Box::new(command) }
    }

    pub(crate) fn command(&self, scene: &Scene) -> Result<Command> {
        (self.command)(scene)
    }
}

/// The command `partwise upload` with these flags besides.
pub(crate) fn partwise(context: &Context, name: &'static str, flags: &'static [&'static str]) -> Contender {
    let partwise = context.partwise.clone();
    Contender::new(name, move |scene| Ok(upload(&partwise, scene, flags)))
}

fn upload(partwise: &Path, scene: &Scene, flags: &[&str]) -> Command {
    let mut command = Command::new(partwise);
    command.arg("upload").arg(&scene.file).args(["--purpose", "assistants", "--endpoint", &scene.base()]);
    command.arg("--state").arg(scene.scratch.join("state")).env("OPENAI_API_KEY", "key");
    command.args(["--parallel", &scene.parallel.to_string()]);
    if let Some(size) = scene.part_size {
        command.args(["--part-size", &size.to_string()]);
    }
    if let Some(certificate) = &scene.certificate {
        command.arg("--ca-cert").arg(certificate);
    }
    command.args(flags);
    command
}

/// A loop of this binary: `hyper` or `raw`, with a parallelism of its own if it has one.
pub(crate) fn own_loop(name: &'static str, subcommand: &'static str, parallel: Option<u16>) -> Contender {
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

/// curl with a file for each part, `parallel` at a time.
pub(crate) fn curl(tools: &Tools, name: &'static str, parallel: Option<u16>) -> Option<Contender> {
    let curl = tools.curl.clone()?;
    Some(Contender::new(name, move |scene| {
        let mut config = String::new();
        for part in scene.parts()? {
            let part = part.to_str().context("a path that is text")?;
            if !config.is_empty() {
                config.push_str("next\n");
            }
            config.push_str(&format!(
                "url = \"{}/uploads/upload_1/parts\"\nform = \"data=@{part}\"\nheader = \"Authorization: Bearer key\"\noutput = \"/dev/null\"\nsilent\nfail\nhttp1.1\n",
                scene.base()
            ));
            if let Some(certificate) = &scene.certificate {
                config.push_str(&format!("cacert = \"{}\"\n", certificate.display()));
            }
        }
        let path = scene.scratch.join("curl.config");
        fs::write(&path, config)?;
        let mut command = Command::new(&curl);
        if let Some(parallel) = parallel {
            command.args(["--parallel", "--parallel-max", &parallel.to_string()]);
        }
        command.arg("--config").arg(path);
        Ok(command)
    }))
}

/// The official Python client, one part after the other: it has no other way.
pub(crate) fn python(tools: &Tools) -> Option<Contender> {
    let (python, script) = tools.python.clone()?;
    Some(Contender::new("openai-python", move |scene| {
        let mut command = Command::new(&python);
        command.arg(&script).arg(scene.base()).arg(&scene.file).arg(scene.cut().to_string());
        if let Some(certificate) = &scene.certificate {
            command.env("SSL_CERT_FILE", certificate);
        }
        Ok(command)
    }))
}

/// The official Node client, from streams, several at a time.
pub(crate) fn node(tools: &Tools) -> Option<Contender> {
    let (node, script) = tools.node.clone()?;
    Some(Contender::new("openai-node", move |scene| {
        let mut command = Command::new(&node);
        command.arg(&script).arg(scene.base()).arg(&scene.file);
        command.args([scene.cut().to_string(), scene.parallel.to_string()]);
        if let Some(certificate) = &scene.certificate {
            command.env("NODE_EXTRA_CA_CERTS", certificate);
        }
        Ok(command)
    }))
}

/// async-openai, several parts at a time.
pub(crate) fn async_openai(tools: &Tools) -> Option<Contender> {
    let executable = tools.async_openai.clone()?;
    Some(Contender::new("async-openai", move |scene| {
        let mut command = Command::new(&executable);
        command
            .arg(scene.base())
            .arg(&scene.file)
            .args([scene.cut().to_string(), scene.parallel.to_string()]);
        if let Some(certificate) = &scene.certificate {
            command.env("SSL_CERT_FILE", certificate);
        }
        Ok(command)
    }))
}

/// `partwise files download` into a file.
pub(crate) fn download(context: &Context) -> Contender {
    let partwise = context.partwise.clone();
    Contender::new("partwise", move |scene| {
        let mut command = Command::new(&partwise);
        command
            .args(["files", "download", "file-1", "--force", "--output"])
            .arg(scene.scratch.join("copy.bin"));
        command.args(["--endpoint", &scene.base()]).env("OPENAI_API_KEY", "key");
        Ok(command)
    })
}

/// curl into a file.
pub(crate) fn curl_download(tools: &Tools) -> Option<Contender> {
    let curl = tools.curl.clone()?;
    Some(Contender::new("curl", move |scene| {
        let mut command = Command::new(&curl);
        command.args(["--silent", "--fail", "--output"]).arg(scene.scratch.join("copy.bin"));
        command.arg(format!("{}/files/file-1/content", scene.base()));
        Ok(command)
    }))
}
