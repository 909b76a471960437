//! A folder of its own to run the command in, with an environment of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// A temporary folder that is the working directory, the home and the place of the data of every command run
/// in it. The commands see no other environment than what the test gives them.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
}

/// The output of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the test's.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Where the one checkpoint stands.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        let folder = fs::read_dir(self.path(".local/state/partwise/uploads")).unwrap();
        let mut paths = folder.map(|name| name.unwrap().path());
        paths.find(|path| path.extension().is_some_and(|extension| extension == "checkpoint")).unwrap()
    }

    /// The command with these arguments, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_partwise"));
        command.args(arguments).env_clear().env("HOME", self.folder.path()).current_dir(self.folder.path());
        command.env("XDG_DATA_HOME", self.path("data")).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        Ran::of(self.command(arguments).envs(environment.iter().copied()).output().unwrap())
    }

    /// Uploads a file of the test's to the embedded server and gives back its id.
    pub(crate) fn stored(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        self.write(name, content);
        let ran = self.run(&["upload", "--local", name, "--purpose", "assistants", "--json"]);
        ran.json()["id"].as_str().unwrap().to_owned()
    }

    /// Starts `partwise serve` on a free port over the folder `served`.
    pub(crate) fn serve(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Serving {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0", "--store", "served"]);
        command.args(arguments);
        Self::started(command, environment)
    }

    /// The same, over this store.
    pub(crate) fn serve_store(&self, store: &str, environment: &[(&str, &str)]) -> Serving {
        Self::started(self.command(&["serve", "--listen", "127.0.0.1:0", "--store", store]), environment)
    }

    /// The same, at this address.
    pub(crate) fn serve_at(&self, address: &str) -> Serving {
        Self::started(self.command(&["serve", "--listen", address, "--store", "served"]), &[])
    }

    /// The same, in a shell that has run this before.
    pub(crate) fn serve_within(
        &self,
        before: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Serving {
        let binary = env!("CARGO_BIN_EXE_partwise");
        let mut command =
            self.shell(&format!("{before}; exec {binary} serve --listen 127.0.0.1:0 --store served \"$@\""));
        command.arg("sh").args(arguments);
        Self::started(command, environment)
    }

    /// A shell with this script, where commands are run.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env_clear().env("HOME", self.folder.path());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// A server that is started by this command.
    pub(crate) fn started(mut command: Command, environment: &[(&str, &str)]) -> Serving {
        command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut first_line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first_line).unwrap();
        let Some(origin) = first_line.trim_end().strip_prefix("listening on ").map(str::to_owned) else {
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            panic!("serve said {first_line:?} and {stderr}");
        };
        Serving { child, origin }
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is text");
        let status = output.status.code().expect("the command ends by itself");
        Self { status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// That the command did what it was asked to, and what it wrote to standard output.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.stdout
    }

    /// That it did, and the one object that it printed.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        let stdout = self.done();
        assert_eq!(stdout.lines().count(), 1, "{stdout}");
        serde_json::from_str(&stdout).unwrap()
    }

    /// That it failed with this status, wrote nothing to standard output, and what it said.
    #[track_caller]
    pub(crate) fn refused(self, status: i32) -> String {
        assert_eq!((self.status, self.stdout.as_str()), (status, ""), "{}", self.stderr);
        self.stderr
    }
}

/// A running `partwise serve`, ended when dropped.
pub(crate) struct Serving {
    child: Child,
    pub(crate) origin: String,
}

impl Serving {
    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it signals, one right after the other.
    pub(crate) fn signal(&self, names: &[&str]) {
        signal(&self.child, names);
    }

    /// Asks it to stop, waits until it has, and gives back its exit status and what it said.
    pub(crate) fn stop(self) -> (i32, String) {
        self.signal(&["TERM"]);
        self.ended()
    }

    /// Waits until it has ended by itself, and gives back its exit status and what it said.
    pub(crate) fn ended(mut self) -> (i32, String) {
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code().expect("it ends by itself"), stderr)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends signals, one right after the other, by the names that `kill` knows.
pub(crate) fn signal(child: &Child, names: &[&str]) {
    let commands: Vec<_> = names.iter().map(|name| format!("kill -{name} {}", child.id())).collect();
    let sent = Command::new("sh").args(["-c", &commands.join(" && ")]).status().unwrap();
    assert!(sent.success());
}
