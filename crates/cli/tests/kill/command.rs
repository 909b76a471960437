//! The command, run after run in the same folder.

use std::{
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

use crate::{content::Content, service::Service, state::State};

const SIGKILL: i32 = 9;

/// A folder with a file in it, and the command that uploads it, always the same.
pub(crate) struct Uploader {
    folder: tempfile::TempDir,
    content: Content,
    /// Which service.
    service: Vec<String>,
    /// How.
    flags: &'static [&'static str],
    runs: u32,
}

/// A run of it.
pub(crate) struct Run {
    pub(crate) number: u32,
    child: Child,
}

/// What came of a run that nobody killed.
pub(crate) struct Finished {
    /// The file, and what else was printed.
    pub(crate) objects: Vec<Value>,
    pub(crate) said: String,
}

impl Uploader {
    /// A file of so many mebibytes, and flags that say how it is uploaded.
    pub(crate) fn new(mebibytes: usize, flags: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let content = Content::new(mebibytes).write(&folder.path().join("big.bin"));
        let service = ["--local", "--store", "store"].map(str::to_owned).to_vec();
        Self { folder, content, service, flags, runs: 0 }
    }

    /// A server in this process for it.
    pub(crate) fn serve(&mut self) -> Service {
        let service = Service::start(&self.path("store"));
        self.service = vec!["--endpoint".to_owned(), service.origin.clone()];
        service
    }

    pub(crate) fn state(&self) -> State {
        State(self.path("state"))
    }

    /// The number of the next run.
    pub(crate) fn next(&self) -> u32 {
        self.runs + 1
    }

    pub(crate) fn start(&mut self) -> Run {
        self.runs += 1;
        let upload = ["upload", "big.bin", "--purpose", "assistants", "--state", "state", "--json"];
        let mut command = self.command(&[&upload, self.flags].concat());
        command.env("OPENAI_API_KEY", self.runs.to_string());
        Run { number: self.runs, child: command.spawn().unwrap() }
    }

    /// That the server has this file alone, that it is the one that was sent, and that nothing of its upload is left.
    #[track_caller]
    pub(crate) fn assert_whole(self, id: &str) {
        self.assert_listed(id);
        let mut download = self.command(&["files", "download", id, "-o", "-"]).spawn().unwrap();
        let (state, stdout) = (self.state(), download.stdout.take().unwrap());
        self.content.assert_is(stdout);
        assert!(download.wait().unwrap().success());
        assert_eq!(state.names(), Vec::<String>::new());
    }

    /// That the server has this file and no other.
    #[track_caller]
    pub(crate) fn assert_listed(&self, id: &str) {
        let listed = objects_of(&self.command(&["files", "list", "--json"]).output().unwrap());
        assert_eq!(listed.iter().map(|file| &file["id"]).collect::<Vec<_>>(), [id]);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_partwise"));
        command.current_dir(self.folder.path()).env_clear().env("OPENAI_API_KEY", "key");
        command.args(arguments).args(&self.service);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Run {
    pub(crate) fn is_going_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it, wherever it is.
    #[track_caller]
    pub(crate) fn kill(self) {
        let output = self.kill_or_finish();
        assert_eq!(output.status.signal(), Some(SIGKILL), "it has ended before: {output:?}");
    }

    /// Kills it unless it has just ended.
    pub(crate) fn kill_or_finish(mut self) -> Output {
        self.child.kill().unwrap();
        self.output()
    }

    /// Waits for its end, which is a good one.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Finished {
        let output = self.output();
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        Finished { objects: objects_of(&output), said }
    }

    /// What it has written is little: neither pipe fills up while the other is read.
    fn output(&mut self) -> Output {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
        Output { status: self.child.wait().unwrap(), stdout, stderr }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// What the file is called.
    pub(crate) fn id(&self) -> &str {
        self.objects[0]["id"].as_str().unwrap()
    }
}

/// What a command has printed.
#[track_caller]
fn objects_of(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{output:?}");
    let objects = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    objects.map(Result::unwrap).collect()
}
