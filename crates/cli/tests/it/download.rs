//! `partwise files download`: whole or not at all, and from where an earlier run was.

use std::{
    io::Read as _,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use insta::assert_snapshot;
use partwise_testkit::{content::noise, range_server::RangeServer};

use crate::{
    sandbox::{Ran, Sandbox, signal},
    scene::until,
};

#[test]
fn nothing_is_replaced_without_force() {
    let sandbox = Sandbox::new();
    let id = sandbox.stored("new.txt", "new");
    sandbox.write("out", "old");
    std::fs::create_dir(sandbox.path("folder")).unwrap();
    let download =
        |arguments: &[&str]| sandbox.run(&[&["files", "download", "--local", &id], arguments].concat());
    assert_snapshot!(download(&["-o", "out"]).refused(1), @"
    error: out is there already
    hint: --force replaces it
    ");
    assert_snapshot!(download(&["-o", "folder"]).refused(1), @"
    error: folder is a directory
    hint: give the name of the file to write
    ");
    assert_snapshot!(download(&["-o", "none/out"]).refused(1), @"
    error: cannot write none/out: No such file or directory (os error 2)
    hint: make the folder first
    ");
    assert_eq!(sandbox.read("out"), b"old");
    download(&["-o", "out", "--force"]).done();
    assert_eq!(sandbox.read("out"), b"new");
}

#[test]
fn a_dash_is_standard_output() {
    let sandbox = Sandbox::new();
    let content = noise(2 << 20);
    let id = sandbox.stored("data.bin", &content);
    let output = sandbox.command(&["files", "download", "--local", &id, "-o", "-"]).output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, content);
    assert_eq!(output.stderr, b"");
}

#[test]
fn a_reader_that_goes_away_has_what_it_wanted() {
    let sandbox = Sandbox::new();
    let id = sandbox.stored("data.bin", noise(2 << 20));
    let mut command = sandbox.command(&["files", "download", "--local", &id, "-o", "-"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_refused() {
    let sandbox = Sandbox::new();
    std::os::unix::fs::symlink("none", sandbox.path("out")).unwrap();
    let ran = sandbox.run(&["files", "download", "--local", "file-1", "-o", "out"]);
    assert_snapshot!(ran.refused(1), @"
    error: out is a link to a file that is not there
    hint: give the name of the file to write
    ");
}

#[cfg(unix)]
#[test]
fn what_lies_beside_and_is_nothing_of_ours_is_neither_written_nor_followed() {
    let sandbox = Sandbox::new();
    let id = sandbox.stored("new.txt", "new");
    let download =
        |more: &[&str]| sandbox.run(&[&["files", "download", "--local", &id, "-o", "out"], more].concat());
    sandbox.write("precious", "precious");
    let link = |name: &str| std::os::unix::fs::symlink("precious", sandbox.path(name)).unwrap();
    for name in ["out.partwise", "out.partwise-journal"] {
        link(name);
        let said = format!(
            "error: {name} is there, and no earlier run has left it\nhint: move it away, write the download somewhere else, or let --force replace it\n"
        );
        assert_eq!(download(&[]).refused(1), said);
        std::fs::remove_file(sandbox.path(name)).unwrap();
        sandbox.write(name, "somebody's");
        assert_eq!(download(&[]).refused(1), said);
        assert_eq!(sandbox.read(name), b"somebody's");
        std::fs::remove_file(sandbox.path(name)).unwrap();
    }
    link("out.partwise");
    link("out.partwise-journal");
    download(&["--force"]).done();
    assert_eq!((sandbox.read("out"), sandbox.read("precious")), (b"new".to_vec(), b"precious".to_vec()));
    assert!(!std::fs::symlink_metadata(sandbox.path("out")).unwrap().is_symlink());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let sandbox = Sandbox::new();
    let id = sandbox.stored("data.bin", noise(1 << 20));
    let ran = sandbox.run(&["files", "download", "--local", &id, "-o", "/dev/full"]);
    assert_snapshot!(ran.refused(1), @"
    error: cannot write /dev/full: No space left on device (os error 28)
    hint: make room there, or write it somewhere else
    ");
}

#[test]
fn a_download_that_is_stopped_before_anything_has_come_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut command = sandbox.command(&["files", "download", "file-1", "-o", "out", "--endpoint", &endpoint]);
    let child =
        command.env("OPENAI_API_KEY", "k").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (_connection, _) = silent.accept().unwrap();
    assert_eq!(names(&sandbox), ["out.partwise", "out.partwise-journal"]);
    signal(&child, &["INT"]);
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_snapshot!(ran.refused(75), @"stopped: nothing of file-1 can be resumed; the next run starts over");
    assert!(names(&sandbox).is_empty());
}

#[test]
fn a_download_that_is_refused_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    sandbox.stored("a.txt", "x");
    let ran = sandbox.run(&["files", "download", "--local", "file-none", "-o", "out"]);
    assert!(ran.refused(1).starts_with("error: cannot download file-none: the service refused"));
    assert!(!names(&sandbox).iter().any(|name| name.starts_with("out")));
}

const MIB: usize = 1 << 20;
const LENGTH: usize = 24 * MIB;
/// What has come when nothing more comes: whole pieces, so that none of it waits to be written.
const COME: usize = 10 * MIB;

/// A service that stops in the midst of a file, and a folder to download it to.
struct Scene {
    sandbox: Sandbox,
    server: RangeServer,
}

impl Scene {
    fn new() -> Self {
        Self { sandbox: Sandbox::new(), server: RangeServer::new(LENGTH) }
    }

    fn command(&self, id: &str, more: &[&str]) -> Command {
        let download = ["files", "download", id, "-o", "out", "--endpoint", &self.server.origin];
        let mut command = self.sandbox.command(&[&download[..], more].concat());
        command.env("OPENAI_API_KEY", "k").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn download(&self, id: &str, more: &[&str]) -> Ran {
        Ran::of(self.command(id, more).output().unwrap())
    }

    /// A download of which some has come and was saved, and that gets no more.
    fn stalled(&self) -> Child {
        self.server.allow(COME);
        // Two ranges at once would share what comes, and leave a piece of each half full.
        let child = self.command("file-1", &["--parallel", "1"]).spawn().unwrap();
        until(|| self.saved() == COME);
        child
    }

    /// How many bytes the last line of the journal knows of.
    fn saved(&self) -> usize {
        let journal = std::fs::read_to_string(self.sandbox.path("out.partwise-journal")).unwrap_or_default();
        let Some(line) = journal.lines().last() else { return 0 };
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let ranges = line["written"].as_array().cloned().unwrap_or_default();
        ranges.iter().map(|range| (range[1].as_u64().unwrap() - range[0].as_u64().unwrap()) as usize).sum()
    }

    /// One that was killed, from a service that is well.
    fn killed() -> Self {
        let scene = Self::new();
        let mut child = scene.stalled();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(names(&scene.sandbox), ["out.partwise", "out.partwise-journal"]);
        scene.server.asked();
        scene.server.allow(usize::MAX);
        scene
    }

    /// That the file is there, nothing else is, and so many bytes were asked for.
    #[track_caller]
    fn assert_done(&self, asked: usize) {
        assert!(self.sandbox.read("out") == self.server.content(), "the file is another");
        assert_eq!(names(&self.sandbox), ["out"]);
        assert_eq!(self.server.asked(), asked);
    }
}

fn names(sandbox: &Sandbox) -> Vec<String> {
    let folder = std::fs::read_dir(sandbox.path("")).unwrap();
    let mut names: Vec<_> = folder.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_download_in_ranges_asks_for_every_byte_once() {
    let scene = Scene::new();
    assert_eq!(scene.download("file-1", &["--parallel", "3"]).done(), "");
    scene.assert_done(LENGTH);
}

#[test]
fn a_killed_download_is_gone_on_with_and_only_what_is_missing_is_asked_for() {
    let scene = Scene::killed();
    let ran = scene.download("file-1", &[]);
    assert_snapshot!(ran.stderr, @"resuming file-1: 10 MiB of 24 MiB are written");
    ran.done();
    scene.assert_done(LENGTH - COME);
}

#[test]
fn ctrl_c_keeps_what_has_come() {
    let scene = Scene::new();
    let child = scene.stalled();
    assert_snapshot!(scene.download("file-1", &[]).refused(1), @"
    error: another run of partwise is downloading to out
    hint: wait for it, or stop it first
    ");
    signal(&child, &["INT"]);
    let stopped = Ran::of(child.wait_with_output().unwrap()).refused(75);
    assert_snapshot!(stopped, @"
    stopped: 10 MiB of 24 MiB of file-1 are in out.partwise
    hint: the same command resumes from there; --no-resume starts over
    ");
    scene.server.asked();
    scene.server.allow(usize::MAX);
    scene.download("file-1", &[]).done();
    scene.assert_done(LENGTH - COME);
}

#[test]
fn on_request_it_begins_anew() {
    let scene = Scene::killed();
    let ran = scene.download("file-1", &["--no-resume"]);
    assert_eq!(ran.stderr, "");
    ran.done();
    scene.assert_done(LENGTH);
}

#[test]
fn a_file_that_has_changed_since_begins_anew() {
    let scene = Scene::killed();
    scene.server.change_etag();
    let ran = scene.download("file-1", &[]);
    assert_snapshot!(ran.stderr, @"
    resuming file-1: 10 MiB of 24 MiB are written
    the file changed while it was downloaded: its ETag is another: starting over
    ");
    ran.done();
    // The answer that showed it had begun to send the whole file.
    scene.assert_done(LENGTH + LENGTH);
}

#[test]
fn ranges_that_do_not_fit_together_are_given_up_for_one_answer() {
    let scene = Scene::new();
    scene.server.let_etags_differ();
    let ran = scene.download("file-1", &[]);
    assert_snapshot!(ran.stderr, @"the file changed while it was downloaded: its ETag is another: starting over, without ranges");
    ran.done();
    assert!(scene.sandbox.read("out") == scene.server.content(), "the file is another");
    assert_eq!(names(&scene.sandbox), ["out"]);
}

#[test]
fn a_file_that_is_not_found_any_more_leaves_what_has_come() {
    let scene = Scene::killed();
    scene.server.set_gone(true);
    let said = scene.download("file-1", &[]).refused(1).replace(&scene.server.origin, "ORIGIN");
    assert_snapshot!(said, @"
    resuming file-1: 10 MiB of 24 MiB are written
    error: cannot download file-1 at ORIGIN/v1: the service refused: 404 Not Found: No such File object
    hint: something else may be answering: is ORIGIN/v1 the right endpoint? 10 MiB of 24 MiB of file-1 are in out.partwise, and the same command resumes from there; --no-resume starts over
    ");
    assert_eq!(names(&scene.sandbox), ["out.partwise", "out.partwise-journal"]);
    scene.server.set_gone(false);
    scene.download("file-1", &[]).done();
    scene.assert_done(LENGTH - COME);
}

#[test]
fn what_an_earlier_run_left_of_another_file_is_no_beginning_of_this_one() {
    let scene = Scene::killed();
    let ran = scene.download("file-2", &[]);
    assert_snapshot!(ran.stderr, @"what an earlier run left of out cannot be gone on with (it is of file-1, not of file-2): starting over");
    ran.done();
    scene.assert_done(LENGTH);
}

#[test]
fn a_journal_that_cannot_be_read_is_no_reason_to_fail() {
    let scene = Scene::killed();
    scene.sandbox.write("out.partwise-journal", "{\"version\": 99}\n");
    let ran = scene.download("file-1", &[]);
    assert_snapshot!(ran.stderr, @"what an earlier run left of out cannot be gone on with (it has version 99, and this release reads version 1): starting over");
    ran.done();
    scene.assert_done(LENGTH);
}

#[test]
fn of_several_runs_that_start_together_one_downloads() {
    let scene = Scene::new();
    scene.server.allow(COME);
    let mut all: Vec<_> = (0..4).map(|_| scene.command("file-1", &[]).spawn().unwrap()).collect();
    while all.iter_mut().filter_map(|child| child.try_wait().unwrap()).count() < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    scene.server.allow(usize::MAX);
    let ran: Vec<_> = all.into_iter().map(|child| Ran::of(child.wait_with_output().unwrap())).collect();
    let refused = ran.iter().filter(|ran| ran.stderr.contains("another run of partwise")).count();
    assert_eq!((refused, ran.iter().filter(|ran| ran.status == 0).count()), (3, 1));
    scene.assert_done(LENGTH);
}
