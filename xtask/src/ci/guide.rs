//! The steps of the server's guide to three servers behind nginx, taken from the page and run as they stand there.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use super::command::{self, Profile};
use super::stores::over;
use crate::stores::process::{free_ports, tethered};
use crate::stores::{BUCKET, Service, Store, tools};
use crate::workspace::{run as run_command, target, virtual_environment};

const GUIDE: &str = "docs/guides/server.md";
const SECTION: &str = "## Three servers behind nginx";
/// The ports on the page: nginx's, and those of the servers.
const PORTS: [&str; 4] = ["8080", "8081", "8082", "8083"];
const AWS: &str = "awscli==1.46.3";
/// The lines of `train.jsonl`, and the bytes of `large.bin`.
const LINES: u32 = 300_000;
const LARGE: usize = 128 << 20;

/// The settings of nginx around those of the guide.
const NGINX: &str = "\
daemon off;
master_process off;
pid nginx.pid;
events {}
http {
    log_format upstreams '$request_method $uri $status $upstream_addr $upstream_status';
    access_log access.log upstreams;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    include partwise.conf;
}
";

/// Goes before the steps. All processes end with the shell, however it ends.
const BEFORE: &str = "\
set -euo pipefail
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
tethered nginx -p \"$PWD\" -c nginx.conf -e error.log &
keep_uploading() {
    while [ ! -e enough ]; do
        partwise upload train.jsonl --purpose fine-tune --no-resume --progress none > /dev/null || touch failed
    done
}
";

/// Goes after them: the content of all files, and the key that was added last, at each server.
const AFTER: &str = "\
partwise files list --json | python -c 'import json, sys
for line in sys.stdin:
    file = json.loads(line)
    print(file[\"id\"], file[\"filename\"])' > files.txt
while read -r id name; do
    partwise files download \"$id\" -o back --force --progress none
    cmp back \"$name\"
done < files.txt
sleep 1
export OPENAI_API_KEY=\"$(tail -n 1 keys.txt | cut -d : -f 2)\"
for port in 8081 8082 8083; do partwise files list --endpoint \"http://127.0.0.1:$port/v1\"; done
";

/// The blocks of the section.
#[derive(Debug, Default, PartialEq, Eq)]
struct Steps {
    /// The shell's, in order.
    scripts: Vec<String>,
    /// Those with the name of a file.
    files: Vec<(String, String)>,
}

pub(super) fn run(root: &Path) -> Result<()> {
    let page = fs::read_to_string(root.join(GUIDE)).with_context(|| format!("cannot read {GUIDE}"))?;
    let steps = Steps::of(&page)?;
    let partwise = command::build(root, Profile::Debug)?;
    let python = virtual_environment(&tools(root)?.join("aws"), [AWS])?;
    let programs = python.parent().context("a Python is in a folder")?;
    let logs = target(root)?.join("stores/logs");
    over(root, &logs, Service::Radosgw, "guide", |store| {
        let folder = logs.join("guide");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(folder.join("temp"))?;
        take(&steps, store, &folder, &partwise, programs)
    })
}

/// Takes the steps in a folder.
fn take(steps: &Steps, store: &Store, folder: &Path, partwise: &Path, programs: &Path) -> Result<()> {
    let ports = free_ports::<{ PORTS.len() }>()?;
    let adapted = |text: &str| {
        let text = text.replace("BUCKET", BUCKET);
        PORTS.iter().zip(ports).fold(text, |text, (port, free)| text.replace(port, &free.to_string()))
    };
    write_sources(folder)?;
    write_tools(folder, partwise)?;
    fs::write(folder.join("nginx.conf"), NGINX)?;
    for (name, text) in &steps.files {
        fs::write(folder.join(name), adapted(text))?;
    }
    fs::write(folder.join("steps.sh"), adapted(&steps.script()))?;

    let mut shell = tethered("bash");
    shell.arg("steps.sh").current_dir(folder).stdin(Stdio::null());
    let path = env::var_os("PATH").unwrap_or_default();
    let mine = [folder.join("bin"), programs.to_owned()];
    shell.env("PATH", env::join_paths(mine.into_iter().chain(env::split_paths(&path)))?);
    shell.env("HOME", folder).env_remove("PARTWISE_API_KEYS");
    let remedy = format!("the logs are in {}", folder.display());
    run_command(store.give_to(&mut shell), &remedy)?;
    ensure!(!folder.join("failed").exists(), "an upload has failed while servers were restarted: {remedy}");
    look_at_results(folder, &ports[1..]).context(remedy)
}

/// Lines for fine-tuning, and bytes no block of which is like another.
fn write_sources(folder: &Path) -> Result<()> {
    let mut lines = BufWriter::new(File::create(folder.join("train.jsonl"))?);
    for number in 0..LINES {
        writeln!(lines, "{{\"messages\": [{{\"role\": \"user\", \"content\": \"{number}\"}}]}}")?;
    }
    lines.flush()?;
    let words = (1u64..).flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    fs::write(folder.join("large.bin"), words.take(LARGE).collect::<Vec<u8>>())?;
    Ok(())
}

/// The commands that the steps find first.
fn write_tools(folder: &Path, partwise: &Path) -> Result<()> {
    fs::create_dir(folder.join("bin"))?;
    let tethered = "exec setpriv --pdeathsig KILL --";
    let partwise = format!("{tethered} {} \"$@\"", partwise.display());
    for (name, text) in [("partwise", partwise.as_str()), ("tethered", &format!("{tethered} \"$@\""))] {
        let tool = folder.join("bin").join(name);
        fs::write(&tool, format!("#!/bin/sh\n{text}\n"))?;
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Both files are there, and each server has answered requests of theirs.
fn look_at_results(folder: &Path, servers: &[u16]) -> Result<()> {
    let files = fs::read_to_string(folder.join("files.txt"))?;
    let names: BTreeSet<_> = files.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    ensure!(names == BTreeSet::from(["large.bin", "train.jsonl"]), "the files are {names:?}");
    let log = fs::read_to_string(folder.join("access.log"))?;
    let with = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    for port in servers {
        let answered = with(&format!(" 200 127.0.0.1:{port} "));
        ensure!(answered > 0, "the server at port {port} has answered nothing");
        eprintln!("the server at port {port} has answered {answered} requests");
    }
    let failed = log.lines().filter(|line| line.split(' ').nth(2).is_some_and(|status| status >= "500"));
    eprintln!("{} files; of {} requests {} had no answer", files.lines().count(), with(""), failed.count());
    Ok(())
}

impl Steps {
    /// Reads the section of a page. A block that is neither run, nor a file, nor called an example is an error.
    fn of(page: &str) -> Result<Self> {
        let (_, section) = page.split_once(&format!("\n{SECTION}\n")).context("the section is not there")?;
        let section = section.split("\n## ").next().unwrap_or_default();
        let mut steps = Self::default();
        let mut rest = section;
        while let Some((_, block)) = rest.split_once("\n```") {
            let (kind, block) = block.split_once('\n').context("a block without an end")?;
            let (text, after) = block.split_once("```").context("a block without an end")?;
            match kind.split_once(' ') {
                None if kind == "sh" => steps.scripts.push(text.to_owned()),
                Some((_, "example")) => {}
                Some((_, name)) => steps.files.push((name.to_owned(), text.to_owned())),
                None => bail!("a block of {kind:?} is neither run nor a file"),
            }
            rest = after;
        }
        ensure!(!steps.scripts.is_empty(), "there are no steps");
        Ok(steps)
    }

    /// All steps. While servers are restarted on purpose, clients go on.
    fn script(&self) -> String {
        let mut script = BEFORE.to_owned();
        for block in &self.scripts {
            if block.contains("kill -TERM") {
                script += "keep_uploading &\nuploading=$!\nsleep 1\n";
                script += block;
                script += "touch enough\nwait \"$uploading\"\n";
            } else {
                script += block;
            }
        }
        script + AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_run_or_written_as_their_first_line_says() {
        let page = "\n## Three servers behind nginx\n\nText\n\n```sh\na\n```\n\n```sh example\nb\n```\n\
                    \n```ini c.service\nd\n```\n\n```sh\ne\n```\n\n## Keys\n\n```sh\nf\n```\n";
        let steps = Steps::of(page).unwrap();
        assert_eq!(steps.scripts, ["a\n", "e\n"]);
        assert_eq!(steps.files, [("c.service".to_owned(), "d\n".to_owned())]);
        let unknown = page.replace("```sh\na", "```console\na");
        assert!(Steps::of(&unknown).unwrap_err().to_string().contains("console"));
        Steps::of("\n## Keys\n").unwrap_err();
    }
}
