//! A standard error that nobody reads holds nothing up.

use std::{
    io::{ErrorKind, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Stdio},
    time::Duration,
};

use partwise_server::testing::Fault;
use partwise_testkit::service::FaultyService;

use crate::{
    sandbox::{Sandbox, signal},
    scene::{KEY, Scene, until},
};

/// A standard error that has no room, and its reader, who never reads.
fn full() -> (Stdio, UnixStream) {
    let (mut theirs, ours) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let error = std::iter::repeat_with(|| theirs.write_all(&[b'.'; 256])).find_map(Result::err).unwrap();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    theirs.set_nonblocking(false).unwrap();
    (OwnedFd::from(theirs).into(), ours)
}

/// The exit status of a command, which ends.
fn ended(child: &mut Child) -> Option<i32> {
    until(|| child.try_wait().unwrap().is_some());
    child.wait().unwrap().code()
}

#[test]
fn an_upload_ends_although_nobody_reads_its_progress() {
    for progress in ["json", "plain", "bar"] {
        let sandbox = Sandbox::new();
        let service = FaultyService::start();
        service.faults.on_any().every(Fault::Delay(Duration::from_millis(1500)));
        sandbox.write("a.txt", "abc");
        let upload = ["upload", "a.txt", "--purpose", "assistants", "--endpoint", &service.origin()];
        let mut command = sandbox.command(&[&upload[..], &["--progress", progress]].concat());
        let (stderr, _reader) = full();
        let child = command.envs([KEY]).stdout(Stdio::piped()).stderr(stderr);
        let mut child = child.spawn().unwrap();
        assert_eq!(ended(&mut child), Some(0), "{progress}");
    }
}

#[test]
fn ctrl_c_stops_an_upload_although_nobody_reads_its_progress() {
    for name in ["INT", "TERM"] {
        let scene = Scene::new();
        let arguments = scene.arguments(&["--part-size", "64KiB", "--progress", "json"]);
        let mut command = scene.sandbox.command(&arguments);
        let (stderr, _reader) = full();
        let mut child = command.envs([KEY]).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        until(|| scene.listed().is_some_and(|listed| listed["bytes_acknowledged"].as_u64() > Some(0)));
        scene.server.signal(&["STOP"]);
        signal(&child, &[name]);
        assert_eq!(ended(&mut child), Some(75));
        assert!(scene.listed().is_some());
    }
}

#[test]
fn an_error_that_nobody_reads_does_not_keep_the_command() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["files", "download", "file-1", "-o", "missing/out"]);
    let (stderr, _reader) = full();
    let mut child = command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
    assert_eq!(ended(&mut child), Some(1));
}
