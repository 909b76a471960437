//! Stopping an upload in any way, and going on with it.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    process::{Child, ChildStderr, Stdio},
    time::{Duration, Instant},
};

use insta::assert_snapshot;

use crate::sandbox::{Ran, Sandbox, Serving, noise, signal};

const MIB: usize = 1 << 20;
const LENGTH: usize = 24 * MIB;
const KEY: (&str, &str) = ("OPENAI_API_KEY", "key");

/// A server, a file, and a command that uploads it in many parts.
struct Scene {
    sandbox: Sandbox,
    server: Serving,
    content: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let content = noise(LENGTH);
        sandbox.write("big.bin", &content);
        let server = sandbox.serve(&[], &[]);
        Self { sandbox, server, content }
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let upload =
            ["upload", "big.bin", "--purpose", "assistants", "--json", "--endpoint", &self.server.origin];
        [&upload[..], more].concat()
    }

    fn upload(&self, more: &[&str]) -> Ran {
        self.sandbox.run_with(&self.arguments(more), &[KEY])
    }

    /// An upload of which the service has a part and takes no more.
    fn stalled(&self) -> Child {
        let mut command = self.sandbox.command(&self.arguments(&["--part-size", "64KiB"]));
        let child = command.envs([KEY]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until(|| self.listed().is_some_and(|listed| listed["bytes_acknowledged"].as_u64() > Some(0)));
        self.server.signal("STOP");
        child
    }

    /// An upload that was killed in its midst, on a service that is well.
    fn killed(&self) -> serde_json::Value {
        let mut child = self.stalled();
        child.kill().unwrap();
        child.wait().unwrap();
        self.server.signal("CONT");
        self.listed().unwrap()
    }

    /// The one upload that is unfinished.
    fn listed(&self) -> Option<serde_json::Value> {
        let listed = self.sandbox.run(&["uploads", "list", "--json"]).done();
        assert!(listed.lines().count() <= 1, "{listed}");
        listed.lines().next().map(|line| serde_json::from_str(line).unwrap())
    }

    /// That the file is there as it was, and nothing of the upload is left here.
    #[track_caller]
    fn assert_done(&self, id: &str) {
        let download = ["files", "download", id, "-o", "copy", "--endpoint", &self.server.origin];
        self.sandbox.run_with(&download, &[KEY]).done();
        assert!(self.sandbox.read("copy") == self.content, "the file is another");
        self.assert_nothing_left();
    }

    #[track_caller]
    fn assert_nothing_left(&self) {
        let folder = std::fs::read_dir(self.sandbox.path(".local/state/partwise/uploads")).unwrap();
        let names: Vec<_> = folder.map(|name| name.unwrap().file_name()).collect();
        assert!(names.is_empty(), "{names:?}");
    }
}

fn until(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it never comes");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn stderr_of(child: &mut Child) -> BufReader<ChildStderr> {
    BufReader::new(child.stderr.take().unwrap())
}

fn line_of(stderr: &mut BufReader<ChildStderr>) -> String {
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    line
}

/// A report without what differs from run to run.
fn plain(said: &str, scene: &Scene, listed: &serde_json::Value) -> String {
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

#[test]
fn a_killed_upload_is_gone_on_with_by_the_same_command() {
    let scene = Scene::new();
    let listed = scene.killed();
    assert_eq!((&listed["running"], &listed["bytes"]), (&false.into(), &LENGTH.into()));
    let ran = scene.upload(&[]);
    assert_snapshot!(plain(&ran.stderr, &scene, &listed), @"going on with UPLOAD, which an earlier run began: SOME of 24 MiB are there");
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
    assert_snapshot!(scene.sandbox.run(&["uploads", "list"]).stderr, @"nothing is unfinished");
}

#[test]
fn ctrl_c_stops_so_that_it_can_be_gone_on_with() {
    let scene = Scene::new();
    let child = scene.stalled();
    let listed = scene.listed().unwrap();
    assert_eq!(listed["running"], true);
    let other = scene.upload(&[]).refused(1);
    assert_snapshot!(plain(&other, &scene, &listed), @"
    error: another run of partwise is uploading FOLDER/big.bin to ORIGIN/v1
    hint: wait for it, or stop it first
    ");
    signal(&child, "INT");
    scene.server.signal("CONT");
    let stopped = Ran::of(child.wait_with_output().unwrap()).refused(75);
    assert_snapshot!(plain(&stopped, &scene, &listed).replace("within 59 min", "within 60 min"), @"
    stopping: what is under way has 5 s to arrive; Ctrl-C again cancels the upload on the service
    stopped: SOME of 24 MiB of big.bin are on the service
    hint: the same command goes on from there within 60 min; `partwise uploads cancel UPLOAD` gives it up
    ");
    let id = scene.upload(&[]).json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
}

#[test]
fn ctrl_c_twice_cancels_on_the_service() {
    let scene = Scene::new();
    let mut child = scene.stalled();
    let mut stderr = stderr_of(&mut child);
    signal(&child, "INT");
    assert!(line_of(&mut stderr).starts_with("stopping"));
    signal(&child, "INT");
    assert!(line_of(&mut stderr).starts_with("cancelling"));
    scene.server.signal("CONT");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(line_of(&mut stderr).ends_with("the upload was cancelled\n"));
    scene.assert_nothing_left();
}

#[test]
fn a_supervisor_that_asks_twice_stops_it_and_cancels_nothing() {
    let scene = Scene::new();
    let mut child = scene.stalled();
    let mut stderr = stderr_of(&mut child);
    signal(&child, "TERM");
    assert!(line_of(&mut stderr).starts_with("stopping"));
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(75));
    scene.server.signal("CONT");
    assert!(scene.listed().is_some());
}

#[test]
fn on_request_it_begins_anew() {
    let scene = Scene::new();
    scene.killed();
    let ran = scene.upload(&["--no-resume"]);
    assert_eq!(ran.stderr, "");
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
}

#[test]
fn a_file_that_has_changed_since_begins_anew_and_is_told_of() {
    let mut scene = Scene::new();
    scene.killed();
    scene.content.truncate(LENGTH / 2);
    scene.sandbox.write("big.bin", &scene.content);
    let ran = scene.upload(&[]);
    assert_snapshot!(ran.stderr, @"the file has changed since an earlier run began to upload it (its length was 25165824 bytes and is 12582912): beginning anew");
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
}

#[test]
fn flags_that_an_earlier_run_contradicts_are_not_ignored() {
    let scene = Scene::new();
    scene.killed();
    assert_snapshot!(scene.upload(&["--part-size", "1MiB"]).refused(1), @"
    error: an earlier run began to upload this file in parts of 64 KiB, and --part-size differs
    hint: without that flag it is gone on with; --no-resume begins anew
    ");
    assert_snapshot!(scene.upload(&["--route", "single"]).refused(1), @"
    error: an earlier run began to upload this file in parts, not as --route single
    hint: without that flag it is gone on with; --no-resume begins anew
    ");
    scene.upload(&["--part-size", "64KiB", "--route", "parts", "--md5"]).done();
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_told_of() {
    let scene = Scene::new();
    scene.killed();
    let folder = scene.sandbox.path(".local/state/partwise/uploads");
    let mut names = std::fs::read_dir(folder).unwrap().map(|name| name.unwrap().path());
    let checkpoint =
        names.find(|path| path.extension().is_some_and(|extension| extension == "checkpoint")).unwrap();
    std::fs::write(&checkpoint, r#"{"version":7,"from":"the future"}"#).unwrap();
    assert_snapshot!(scene.upload(&[]).refused(1), @"
    error: cannot go on with the upload that an earlier run began: the checkpoint has version 7, and this release reads version 1; begin anew or use the release that wrote it
    hint: --no-resume begins anew
    ");
    let table = scene.sandbox.run(&["uploads", "list"]).done();
    assert!(table.contains("unreadable"), "{table}");
    let id = scene.listed().unwrap()["id"].as_str().unwrap().to_owned();
    let cancel = ["uploads", "cancel", &id, "--endpoint", &scene.server.origin];
    let ran = scene.sandbox.run_with(&cancel, &[KEY]);
    assert_snapshot!(ran.stderr.replace(&id, "ID"), @"ID is forgotten here; what it may have left on the service expires there");
    scene.assert_nothing_left();
}

#[test]
fn the_embedded_server_is_known_by_its_folder_however_that_is_written() {
    let sandbox = Sandbox::new();
    let content = noise(LENGTH);
    sandbox.write("big.bin", &content);
    std::fs::create_dir(sandbox.path("deep")).unwrap();
    let upload = |store: &str, more: &[&str]| {
        let arguments =
            ["upload", "big.bin", "--purpose", "assistants", "--json", "--local", "--store", store];
        sandbox.command(&[&arguments[..], more].concat())
    };
    let mut child = upload("shelf", &["--part-size", "64KiB"]).stdout(Stdio::null()).spawn().unwrap();
    until(|| sandbox.run(&["uploads", "list"]).done().contains("running"));
    child.kill().unwrap();
    child.wait().unwrap();
    let ran = Ran::of(upload("deep/../shelf", &[]).output().unwrap());
    assert!(ran.stderr.starts_with("going on with upload_"), "{}", ran.stderr);
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    sandbox.run(&["files", "download", &id, "-o", "copy", "--local", "--store", "shelf"]).done();
    assert!(sandbox.read("copy") == content);
}

#[test]
fn a_request_whose_fate_is_unknown_is_looked_for_by_the_next_run() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", noise(100_000));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let arguments = ["upload", "a.txt", "--purpose", "assistants", "--endpoint", &endpoint];
    let mut command = sandbox.command(&arguments);
    let child = command.envs([KEY]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (_connection, _) = silent.accept().unwrap();
    signal(&child, "INT");
    let stopped = Ran::of(child.wait_with_output().unwrap()).refused(75);
    assert_snapshot!(stopped, @"
    stopping: what is under way has 5 s to arrive; Ctrl-C again cancels the upload on the service
    stopped: it is not known whether a.txt has arrived
    hint: the same command looks for it before it sends it again
    ");
    let table = sandbox.run(&["uploads", "list"]).done();
    assert!(table.contains("local-"), "{table}");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(line_of(&mut stderr_of(&mut child)).starts_with("an earlier run may have sent this file"));
    let (mut connection, _) = silent.accept().unwrap();
    let mut request = [0; 3];
    connection.read_exact(&mut request).unwrap();
    assert_eq!(&request, b"GET");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_store_in_memory_leaves_nothing_to_go_on_from() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x");
    sandbox.run(&["upload", "a.txt", "--purpose", "assistants", "--local", "--store", "memory://"]).done();
    assert!(!sandbox.path(".local").exists());
}

#[test]
fn an_upload_that_was_begun_can_be_cancelled() {
    let scene = Scene::new();
    let listed = scene.killed();
    let id = listed["id"].as_str().unwrap();
    let cancel = |id: &str, more: &[&str]| {
        scene.sandbox.run_with(&[&["uploads", "cancel", id], more].concat(), &[KEY])
    };
    let there = ["--endpoint", &scene.server.origin];
    assert_snapshot!(plain(&cancel(id, &["--local"]).refused(1), &scene, &listed), @"
    error: UPLOAD is at ORIGIN/v1, and this command speaks to file://FOLDER/data/partwise/store
    hint: name that service: --endpoint URL, or --local with its --store
    ");
    assert!(cancel("upload_0", &there).refused(1).contains("there is no upload `upload_0`"));
    assert_snapshot!(plain(&cancel(id, &there).done(), &scene, &listed), @"
    id       UPLOAD
    status   cancelled
    ");
    scene.assert_nothing_left();
    assert!(
        cancel(id, &[&there[..], &["--json"]].concat()).json()["status"] == "cancelled",
        "it may be repeated"
    );
}

#[test]
fn where_nothing_can_be_remembered_nothing_is_begun() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x");
    let upload = ["upload", "a.txt", "--purpose", "assistants", "--local", "--state", "a.txt"];
    assert_snapshot!(sandbox.run(&upload).refused(1), @"
    error: a.txt is not a folder
    hint: --state DIR keeps what is unfinished somewhere else
    ");
    assert_snapshot!(sandbox.run(&["uploads", "list", "--state", "a.txt"]).refused(1), @"
    error: a.txt is not a folder
    hint: --state DIR keeps what is unfinished somewhere else
    ");
    assert_eq!(sandbox.run(&["files", "list", "--local", "--json"]).done(), "");
    let listed = sandbox.run(&["uploads", "list", "--state", "nowhere", "--json"]);
    assert_eq!(listed.done(), "");
    assert!(!sandbox.path("nowhere").exists());
}
