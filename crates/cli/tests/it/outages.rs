//! A service that goes away, and comes back or does not.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    thread::sleep,
    time::Duration,
};

use insta::assert_snapshot;

use crate::{
    sandbox::{Ran, Sandbox},
    scene::{KEY, Scene, plain},
};

#[test]
fn an_upload_goes_on_when_the_service_is_back() {
    let scene = Scene::new();
    let child = scene.stalled();
    scene.end_server();
    // Longer than the retries of a request last.
    sleep(Duration::from_secs(20));
    let again = scene.sandbox.serve_at(scene.address());
    let ran = Ran::of(child.wait_with_output().unwrap());
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(again.origin, scene.server.origin);
    scene.assert_done(&id);
}

#[test]
fn an_upload_that_gives_up_says_what_is_kept_and_the_same_command_continues() {
    let scene = Scene::new();
    let listed = scene.killed();
    scene.end_server();
    let ran = scene.upload(&["--give-up-after", "3s"]);
    let said = plain(&ran.refused(75), &scene, &listed);
    let said: Vec<_> =
        said.lines().filter(|line| !line.starts_with("the service cannot be reached")).collect();
    let said = said.join("\n").replace(scene.address(), "ADDRESS");
    let (before, after) = said.split_once(" within ").unwrap();
    let (_, after) = after.split_once(" min;").unwrap();
    assert_snapshot!(format!("{before} within SOME min;{after}"), @"
    resuming UPLOAD: SOME of 24 MiB are stored
    stopped: SOME of 24 MiB of big.bin are on the service; the service could not be reached for 3 seconds; the last attempt failed: cannot connect to ADDRESS: Connection refused (os error 111)
    hint: the same command resumes from there within SOME min; `partwise uploads cancel UPLOAD` gives it up
    ");
    let _again = scene.sandbox.serve_at(scene.address());
    let id = scene.upload(&[]).json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
}

#[test]
fn a_service_that_was_never_there_is_told_of_and_nothing_is_kept() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "abc");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{closed}");
    let upload =
        ["upload", "a.txt", "--purpose", "assistants", "--endpoint", &endpoint, "--give-up-after", "1s"];
    let said = sandbox.run_with(&upload, &[KEY]).refused(1).replace(&closed.to_string(), "ADDRESS");
    assert_snapshot!(said, @"
    the service cannot be reached: next attempt in 1 s
    error: cannot upload a.txt at http://ADDRESS/v1: POST /files failed: the service could not be reached: cannot connect to ADDRESS: Connection refused (os error 111)
    hint: is the service running, and is http://ADDRESS/v1 where it is?
    ");
    assert_snapshot!(sandbox.run(&["uploads", "list"]).stderr, @"nothing is unfinished");
}

#[test]
fn a_download_goes_on_when_the_service_is_back() {
    let scene = Scene::new();
    let id = scene.upload(&[]).json()["id"].as_str().unwrap().to_owned();
    let endpoint = scene.server.origin.clone();
    scene.end_server();
    let download = ["files", "download", &id, "-o", "back.bin", "--endpoint", &endpoint];
    let mut command = scene.sandbox.command(&download);
    let child = command.envs([KEY]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = child.spawn().unwrap();
    sleep(Duration::from_secs(3));
    let _again = scene.sandbox.serve_at(scene.address());
    Ran::of(child.wait_with_output().unwrap()).done();
    assert!(scene.sandbox.read("back.bin") == scene.content);
}

#[test]
fn a_download_of_which_nothing_has_come_is_stopped_too_when_the_service_goes_away() {
    let sandbox = Sandbox::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answers = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut head = BufReader::new(connection.try_clone().unwrap()).lines();
        while head.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        connection.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let endpoint = format!("http://{address}");
    let download = ["files", "download", "file-1", "-o", "out", "--endpoint", &endpoint, "--parallel", "1"];
    let ran = sandbox.run_with(&[&download[..], &["--give-up-after", "2s"]].concat(), &[KEY]);
    answers.join().unwrap();
    let said = ran.refused(75).replace(&address, "ADDRESS");
    assert_snapshot!(said.lines().last().unwrap(), @"stopped: nothing of file-1 can be resumed; the next run starts over; the service could not be reached for 2 seconds; the last attempt failed: cannot connect to ADDRESS: Connection refused (os error 111)");
    assert!(!sandbox.path("out.partwise").exists());
}
