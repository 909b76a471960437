//! The peers, found or installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Who is there.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) curl: Option<PathBuf>,
    /// The interpreter, and the script.
    pub(crate) python: Option<(PathBuf, PathBuf)>,
    pub(crate) node: Option<(PathBuf, PathBuf)>,
    pub(crate) async_openai: Option<PathBuf>,
}

impl Tools {
    /// Finds what there is and installs the rest into `folder`; who cannot be had is left out, and that is said.
    pub(crate) fn prepare(folder: &Path, peers: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (folder, peers) = (folder.canonicalize()?, peers.canonicalize()?);
        let or_none = |name: &str, tool: Result<PathBuf>| match tool {
            Ok(tool) => Some(tool),
            Err(error) => {
                eprintln!("{name} does not take part: {error:#}");
                None
            }
        };
        Ok(Self {
            curl: or_none("curl", found("curl")),
            python: or_none("openai-python", python(&folder, &peers))
                .map(|python| (python, peers.join("upload.py"))),
            node: or_none("openai-node", node(&folder, &peers)).map(|script| (PathBuf::from("node"), script)),
            async_openai: or_none("async-openai", async_openai(&folder, &peers)),
        })
    }
}

fn found(name: &str) -> Result<PathBuf> {
    let output =
        Command::new(name).arg("--version").output().with_context(|| format!("{name} is not there"))?;
    ensure!(output.status.success(), "{name} --version fails");
    Ok(name.into())
}

fn python(folder: &Path, peers: &Path) -> Result<PathBuf> {
    let python = folder.join("venv/bin/python");
    if !python.exists() {
        done(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))?;
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    done(pip.arg(peers.join("requirements.txt")))?;
    Ok(python)
}

fn node(folder: &Path, peers: &Path) -> Result<PathBuf> {
    found("node")?;
    let folder = folder.join("node");
    std::fs::create_dir_all(&folder)?;
    for name in ["package.json", "upload.mjs"] {
        std::fs::copy(peers.join(name), folder.join(name))?;
    }
    if !folder.join("node_modules/openai").exists() {
        done(
            Command::new("npm").args(["install", "--silent", "--no-audit", "--no-fund"]).current_dir(&folder),
        )?;
    }
    Ok(folder.join("upload.mjs"))
}

fn async_openai(folder: &Path, peers: &Path) -> Result<PathBuf> {
    let target = folder.join("async-openai");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--quiet", "--manifest-path"])
        .arg(peers.join("async-openai/Cargo.toml"));
    // A lock file of its own would stand in the sources.
    done(cargo.arg("--target-dir").arg(&target).current_dir(folder))?;
    Ok(target.join("release/async-openai-upload"))
}

fn done(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{:?} cannot start", command.get_program()))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{:?} fails: {}", command.get_program(), stderr.trim());
    Ok(())
}
