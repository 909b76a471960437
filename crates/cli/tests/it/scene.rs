//! An upload in the midst, which can be killed, stopped and gone on with.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, ChildStderr, Stdio},
    time::{Duration, Instant},
};

use partwise_protocol::upload::Checkpoint;
use partwise_testkit::content::noise;

use crate::sandbox::{Ran, Sandbox, Serving, signal};

const MIB: usize = 1 << 20;
pub(crate) const LENGTH: usize = 24 * MIB;
pub(crate) const KEY: (&str, &str) = ("OPENAI_API_KEY", "key");

/// A server, a file, and a command that uploads it in many parts.
pub(crate) struct Scene {
    pub(crate) sandbox: Sandbox,
    pub(crate) server: Serving,
    pub(crate) content: Vec<u8>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with_keys(&[])
    }

    /// The same, with a server that takes the keys that its environment names.
    pub(crate) fn with_keys(environment: &[(&str, &str)]) -> Self {
        let sandbox = Sandbox::new();
        let content = noise(LENGTH);
        sandbox.write("big.bin", &content);
        let server = sandbox.serve(&[], environment);
        Self { sandbox, server, content }
    }

    pub(crate) fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let upload =
            ["upload", "big.bin", "--purpose", "assistants", "--json", "--endpoint", &self.server.origin];
        [&upload[..], more].concat()
    }

    pub(crate) fn upload(&self, more: &[&str]) -> Ran {
        self.sandbox.run_with(&self.arguments(more), &[KEY])
    }

    /// An upload of which the service has a part and takes no more.
    pub(crate) fn stalled(&self) -> Child {
        self.stalled_with(&[])
    }

    /// The same, with more arguments.
    pub(crate) fn stalled_with(&self, more: &[&str]) -> Child {
        let arguments = [&["--part-size", "64KiB"], more].concat();
        let mut command = self.sandbox.command(&self.arguments(&arguments));
        let child = command.envs([KEY]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until(|| self.listed().is_some_and(|listed| listed["bytes_acknowledged"].as_u64() > Some(0)));
        self.server.signal(&["STOP"]);
        child
    }

    /// An upload that was killed in its midst, on a service that is well.
    pub(crate) fn killed(&self) -> serde_json::Value {
        let mut child = self.stalled();
        child.kill().unwrap();
        child.wait().unwrap();
        self.server.signal(&["CONT"]);
        self.listed().unwrap()
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> &str {
        self.server.origin.strip_prefix("http://").unwrap()
    }

    /// Ends the server, and waits until nothing listens at its address any more.
    pub(crate) fn end_server(&self) {
        self.server.signal(&["KILL"]);
        until(|| TcpStream::connect(self.address()).is_err());
    }

    /// The one upload that is unfinished.
    pub(crate) fn listed(&self) -> Option<serde_json::Value> {
        let listed = self.sandbox.run(&["uploads", "list", "--json"]).done();
        assert!(listed.lines().count() <= 1, "{listed}");
        listed.lines().next().map(|line| serde_json::from_str(line).unwrap())
    }

    /// Where the one checkpoint stands.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.sandbox.checkpoint()
    }

    /// What it says, as JSON.
    pub(crate) fn saved(&self) -> serde_json::Value {
        let checkpoint = Checkpoint::from_json(&std::fs::read(self.checkpoint()).unwrap()).unwrap();
        serde_json::to_value(checkpoint).unwrap()
    }

    /// Lets the upload that is unfinished expire on the service.
    pub(crate) fn expire(&self) {
        let tenants = std::fs::read_dir(self.sandbox.path("served/tenants")).unwrap();
        let uploads =
            tenants.flat_map(|tenant| std::fs::read_dir(tenant.unwrap().path().join("uploads")).unwrap());
        let records: Vec<_> = uploads.map(|upload| upload.unwrap().path().join("created.json")).collect();
        let [record] = &records[..] else { panic!("{records:?}") };
        let mut upload: serde_json::Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
        assert!(upload["expires_at"].is_u64(), "{upload}");
        upload["expires_at"] = 1.into();
        std::fs::write(record, upload.to_string()).unwrap();
    }

    /// What the service answers to a request of the test's own.
    pub(crate) fn post(&self, path: &str, body: &str) -> String {
        let host = self.server.origin.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer key\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// That the file is there as it was, and nothing of the upload is left here.
    #[track_caller]
    pub(crate) fn assert_done(&self, id: &str) {
        let download = ["files", "download", id, "-o", "copy", "--endpoint", &self.server.origin];
        self.sandbox.run_with(&download, &[KEY]).done();
        assert!(self.sandbox.read("copy") == self.content, "the file is another");
        self.assert_nothing_left();
    }

    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        let folder = std::fs::read_dir(self.sandbox.path(".local/state/partwise/uploads")).unwrap();
        let names: Vec<_> = folder.map(|name| name.unwrap().file_name()).collect();
        assert!(names.is_empty(), "{names:?}");
    }
}

pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it never comes");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn stderr_of(child: &mut Child) -> BufReader<ChildStderr> {
    BufReader::new(child.stderr.take().unwrap())
}

pub(crate) fn line_of(stderr: &mut BufReader<ChildStderr>) -> String {
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    line
}

/// What comes sooner is no press of its own.
pub(crate) const BETWEEN_PRESSES: Duration = Duration::from_millis(600);

/// Two presses of Ctrl-C, as a person would.
pub(crate) fn interrupt_twice(child: &Child, stderr: &mut BufReader<ChildStderr>) {
    signal(child, &["INT"]);
    assert!(line_of(stderr).starts_with("stopping"));
    std::thread::sleep(BETWEEN_PRESSES);
    signal(child, &["INT"]);
    assert!(line_of(stderr).starts_with("cancelling"));
}

/// A report without what differs from run to run.
pub(crate) fn plain(said: &str, scene: &Scene, listed: &serde_json::Value) -> String {
    let folder = std::fs::canonicalize(scene.sandbox.path("")).unwrap();
    let said = said
        .replace(listed["id"].as_str().unwrap(), "UPLOAD")
        .replace(&scene.server.origin, "ORIGIN")
        .replace(folder.to_str().unwrap(), "FOLDER");
    let mut pieces = said.split(" of 24 MiB");
    let mut plain = pieces.next().unwrap().to_owned();
    for piece in pieces {
        // How much had arrived: a number and its unit.
        let words = plain.rsplitn(3, ' ').last().unwrap().to_owned();
        plain = format!("{words} SOME of 24 MiB{piece}");
    }
    plain
}
