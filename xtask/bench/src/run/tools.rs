//! The peers, found or installed when they are first asked for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

/// Somebody to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Curl,
    Python,
    Node,
    AsyncOpenai,
    Nginx,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Python => "openai-python",
            Self::Node => "openai-node",
            Self::AsyncOpenai => "async-openai",
            Self::Nginx => "nginx",
        }
    }
}

/// How a peer is started.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    program: PathBuf,
    script: Option<PathBuf>,
    version: String,
}

impl Tool {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.script);
        command
    }
}

/// A peer that cannot be had here.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Missing {
    pub(crate) name: &'static str,
    pub(crate) why: String,
}

/// Who was asked for so far.
#[derive(Debug)]
pub(crate) struct Tools {
    /// Where they are installed.
    folder: PathBuf,
    /// What drives them.
    peers: PathBuf,
    known: RefCell<BTreeMap<Peer, Result<Tool, Missing>>>,
}

impl Tools {
    pub(crate) fn new(folder: &Path, peers: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let (folder, peers) = (folder.canonicalize()?, peers.canonicalize()?);
        Ok(Self { folder, peers, known: RefCell::default() })
    }

    /// Finds or installs a peer.
    pub(crate) fn get(&self, peer: Peer) -> Result<Tool, Missing> {
        if let Some(known) = self.known.borrow().get(&peer) {
            return known.clone();
        }
        let tool = self.prepare(peer).map_err(|error| {
            let missing = Missing { name: peer.name(), why: format!("{error:#}") };
            eprintln!("{} does not take part: {}", missing.name, missing.why);
            missing
        });
        self.known.borrow_mut().insert(peer, tool.clone());
        tool
    }

    /// The versions of those that were asked for and found.
    pub(crate) fn versions(&self) -> Vec<String> {
        let known = self.known.borrow();
        let found = known.iter().filter_map(|(peer, tool)| Some((peer.name(), tool.as_ref().ok()?)));
        found.map(|(name, tool)| format!("{name} {}", tool.version)).collect()
    }

    fn prepare(&self, peer: Peer) -> Result<Tool> {
        match peer {
            Peer::Curl => {
                let said = said(Command::new("curl").arg("--version"))?;
                let version = said.split_whitespace().nth(1).unwrap_or_default().to_owned();
                Ok(Tool { program: "curl".into(), script: None, version })
            }
            Peer::Nginx => {
                let said = said(Command::new("nginx").arg("-V"))?;
                ensure!(said.contains("http_dav_module"), "nginx is built without its WebDAV module");
                let version = said.lines().next().and_then(|line| line.split_once("nginx/"));
                let version = version.map_or("", |(_, version)| version).to_owned();
                Ok(Tool { program: "nginx".into(), script: None, version })
            }
            Peer::Python => self.python(),
            Peer::Node => self.node(),
            Peer::AsyncOpenai => self.async_openai(),
        }
    }

    fn python(&self) -> Result<Tool> {
        let (venv, requirements) = (self.folder.join("venv"), self.peers.join("requirements.txt"));
        let program = venv.join("bin/python");
        if !program.exists() {
            said(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        }
        let mut pip = Command::new(&program);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        said(pip.arg(&requirements))?;
        let pinned = fs::read_to_string(requirements)?;
        let pinned = pinned.trim().split_once("==").map_or(pinned.trim(), |(_, version)| version);
        let version = format!("{pinned} ({})", said(Command::new(&program).arg("--version"))?);
        Ok(Tool { program, script: Some(self.peers.join("upload.py")), version })
    }

    fn node(&self) -> Result<Tool> {
        let node = said(Command::new("node").arg("--version"))?;
        let folder = self.folder.join("node");
        fs::create_dir_all(&folder)?;
        for name in ["package.json", "upload.mjs"] {
            fs::copy(self.peers.join(name), folder.join(name))?;
        }
        let mut npm = Command::new("npm");
        said(npm.args(["install", "--silent", "--no-audit", "--no-fund"]).current_dir(&folder))?;
        let package = fs::read_to_string(folder.join("node_modules/openai/package.json"))?;
        let package: serde_json::Value = serde_json::from_str(&package)?;
        let version = format!("{} (Node {node})", package["version"].as_str().unwrap_or_default());
        Ok(Tool { program: "node".into(), script: Some(folder.join("upload.mjs")), version })
    }

    fn async_openai(&self) -> Result<Tool> {
        let (target, source) = (self.folder.join("async-openai"), self.peers.join("async-openai"));
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
            .arg(source.join("Cargo.toml"));
        said(cargo.arg("--target-dir").arg(&target).current_dir(&self.folder))?;
        let lock = fs::read_to_string(source.join("Cargo.lock"))?;
        let entry = lock.split_once("name = \"async-openai\"\nversion = \"");
        let version = entry.and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default().to_owned();
        Ok(Tool { program: target.join("release/async-openai-upload"), script: None, version })
    }
}

/// Runs it to its end, and gives back what it wrote, to whichever of the two.
pub(crate) fn said(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{name} cannot start"))?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
    ensure!(output.status.success(), "{name} fails: {text}");
    Ok(text)
}
