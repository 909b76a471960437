//! Ctrl-C, once and again, and what can be done afterwards.

use std::{io::Read as _, net::TcpListener, process::Stdio};

use insta::assert_snapshot;
use partwise_testkit::content::noise;

use crate::{
    sandbox::{Ran, Sandbox, signal},
    scene::{BETWEEN_PRESSES, KEY, Scene, interrupt_twice, line_of, plain, stderr_of},
};

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
    signal(&child, &["INT"]);
    scene.server.signal(&["CONT"]);
    let stopped = Ran::of(child.wait_with_output().unwrap()).refused(75);
    assert_snapshot!(plain(&stopped, &scene, &listed).replace("within 59 min", "within 60 min"), @"
    stopping: requests in flight have 5 s to be answered; Ctrl-C again cancels the upload on the service
    stopped: SOME of 24 MiB of big.bin are on the service
    hint: the same command resumes from there within 60 min; `partwise uploads cancel UPLOAD` gives it up
    ");
    let id = scene.upload(&[]).json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
}

#[test]
fn ctrl_c_twice_cancels_on_the_service() {
    let scene = Scene::new();
    let (mut child, listed) = (scene.stalled(), scene.listed().unwrap());
    let saved = scene.saved();
    let part = &saved["route"]["parts"]["acknowledged"][0]["id"];
    assert!(part.is_string(), "{saved}");
    let mut stderr = stderr_of(&mut child);
    interrupt_twice(&child, &mut stderr);
    scene.server.signal(&["CONT"]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(line_of(&mut stderr).ends_with("the upload was cancelled\n"));
    scene.assert_nothing_left();
    let path = format!("/v1/uploads/{}/complete", listed["id"].as_str().unwrap());
    let answer = scene.post(&path, &serde_json::json!({ "part_ids": [part] }).to_string());
    assert!(answer.contains("is cancelled"), "{answer}");
}

#[test]
fn a_cancel_that_the_service_did_not_hear_is_no_cancel() {
    let scene = Scene::new();
    let (mut child, listed) = (scene.stalled(), scene.listed().unwrap());
    let mut stderr = stderr_of(&mut child);
    interrupt_twice(&child, &mut stderr);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let said = line_of(&mut stderr) + &line_of(&mut stderr);
    assert_snapshot!(plain(&said, &scene, &listed), @"
    error: cannot upload big.bin at ORIGIN/v1: the upload was given up, but the service did not say that it is cancelled
    hint: `partwise uploads cancel UPLOAD` tells the service
    ");
    scene.server.signal(&["CONT"]);
    let cancel = ["uploads", "cancel", listed["id"].as_str().unwrap(), "--endpoint", &scene.server.origin];
    assert!(scene.sandbox.run_with(&cancel, &[KEY]).done().contains("cancelled"));
    scene.assert_nothing_left();
}

#[test]
fn a_third_ctrl_c_waits_for_nothing() {
    let scene = Scene::new();
    let (mut child, listed) = (scene.stalled(), scene.listed().unwrap());
    let mut stderr = stderr_of(&mut child);
    interrupt_twice(&child, &mut stderr);
    std::thread::sleep(BETWEEN_PRESSES);
    signal(&child, &["INT"]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let said = line_of(&mut stderr) + &line_of(&mut stderr);
    assert_snapshot!(plain(&said, &scene, &listed), @"
    error: the upload of big.bin was given up, and it is not known whether the service heard of it
    hint: `partwise uploads list` shows what is unfinished, and `partwise uploads cancel` ends it
    ");
    scene.server.signal(&["CONT"]);
}

#[test]
fn what_it_took_is_told_of_a_run_that_was_stopped_too() {
    let scene = Scene::new();
    scene.killed();
    let mut command = scene.sandbox.command(&scene.arguments(&["--stats"]));
    scene.server.signal(&["STOP"]);
    let mut child = command.envs([KEY]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = stderr_of(&mut child);
    assert!(line_of(&mut stderr).starts_with("resuming "));
    signal(&child, &["INT"]);
    assert!(line_of(&mut stderr).starts_with("stopping"));
    scene.server.signal(&["CONT"]);
    let ran = child.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(75));
    let stats: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(
        (&stats["object"], &stats["attempts"]["create_upload"]),
        (&"upload.statistics".into(), &0.into())
    );
}

#[test]
fn one_press_of_ctrl_c_that_comes_twice_cancels_nothing() {
    let scene = Scene::new();
    let mut child = scene.stalled();
    let mut stderr = stderr_of(&mut child);
    signal(&child, &["INT"]);
    assert!(line_of(&mut stderr).starts_with("stopping"));
    signal(&child, &["INT"]);
    assert_eq!(child.wait().unwrap().code(), Some(75));
    scene.server.signal(&["CONT"]);
    assert!(scene.listed().is_some());
}

#[test]
fn a_supervisor_that_asks_twice_stops_it_and_cancels_nothing() {
    let scene = Scene::new();
    let mut child = scene.stalled();
    let mut stderr = stderr_of(&mut child);
    signal(&child, &["TERM"]);
    assert!(line_of(&mut stderr).starts_with("stopping"));
    signal(&child, &["TERM"]);
    assert_eq!(child.wait().unwrap().code(), Some(75));
    scene.server.signal(&["CONT"]);
    assert!(scene.listed().is_some());
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
    signal(&child, &["INT"]);
    let stopped = Ran::of(child.wait_with_output().unwrap()).refused(75);
    assert_snapshot!(stopped, @"
    stopping: requests in flight have 5 s to be answered; Ctrl-C again cancels the upload on the service
    stopped: it is not known whether a.txt is a file on the service by now
    hint: the same command looks for it before it sends anything again
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
