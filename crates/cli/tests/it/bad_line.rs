//! Lines that go silent, and processes that are stopped: what is silence, and what only looks like it.

use std::{
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use partwise_testkit::{proxy::Proxy, runtime::background};
use serde_json::Value;

use crate::{
    sandbox::{Ran, Sandbox, signal},
    scene::{KEY, Scene, until},
};

const MIB: u64 = 1 << 20;
/// What a connection without a byte is given.
const STALL: Duration = Duration::from_secs(20);

/// A server behind a line on which the file takes some seconds over four connections.
fn scene() -> (Scene, Proxy) {
    let scene = Scene::new();
    let _runtime = background().enter();
    let line = Proxy::limited(scene.address().parse().unwrap(), 2 * MIB);
    (scene, line)
}

fn started(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    let mut command = sandbox.command(arguments);
    command.envs([KEY]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn upload(scene: &Scene, line: &Proxy) -> Child {
    let origin = line.origin();
    let upload = ["upload", "big.bin", "--purpose", "assistants", "--json", "--stats", "--endpoint", &origin];
    let child = started(&scene.sandbox, &[&upload[..], &["--part-size", "2MiB", "--parallel", "4"]].concat());
    until(|| line.passed() > 3 * MIB);
    child
}

/// The id of the file, and the retries by reason.
fn ended(child: Child) -> (String, Value) {
    let said = Ran::of(child.wait_with_output().unwrap()).done();
    let objects: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (objects[0]["id"].as_str().unwrap().to_owned(), objects[1]["retries"].clone())
}

#[test]
fn an_upload_whose_connections_go_silent_replaces_each_once() {
    let (scene, line) = scene();
    let child = upload(&scene, &line);
    line.go_silent();
    let (silent, before) = (Instant::now(), line.accepted());
    let (id, retries) = ended(child);
    assert!(silent.elapsed() > STALL / 2, "{:?}", silent.elapsed());
    let timeouts = retries["timeout"].as_u64().unwrap();
    assert!((1..=4).contains(&timeouts) && retries["total"] == timeouts, "{retries}");
    assert!(line.accepted() - before <= 6, "{} connections", line.accepted() - before);
    scene.assert_done(&id);
}

#[test]
fn a_download_whose_connections_go_silent_goes_on_over_others() {
    let (scene, line) = scene();
    let id = scene.upload(&[]).json()["id"].as_str().unwrap().to_owned();
    let origin = line.origin();
    let child = started(&scene.sandbox, &["files", "download", &id, "-o", "back.bin", "--endpoint", &origin]);
    until(|| line.passed() > 3 * MIB);
    line.go_silent();
    let (silent, before) = (Instant::now(), line.accepted());
    Ran::of(child.wait_with_output().unwrap()).done();
    assert!(silent.elapsed() > STALL / 2, "{:?}", silent.elapsed());
    assert!(line.accepted() - before <= 6, "{} connections", line.accepted() - before);
    assert!(scene.sandbox.read("back.bin") == scene.content);
}

#[test]
fn time_in_which_an_upload_is_stopped_is_no_silence() {
    let (scene, line) = scene();
    let child = upload(&scene, &line);
    signal(&child, &["STOP"]);
    sleep(STALL + Duration::from_secs(6));
    signal(&child, &["CONT"]);
    let (id, retries) = ended(child);
    assert_eq!(retries["total"], 0, "{retries}");
    scene.assert_done(&id);
}

#[test]
fn an_upload_that_was_stopped_and_then_finds_nobody_goes_on_when_the_service_is_back() {
    let (scene, line) = scene();
    let child = upload(&scene, &line);
    signal(&child, &["STOP"]);
    sleep(Duration::from_secs(12));
    line.refuse();
    signal(&child, &["CONT"]);
    sleep(Duration::from_secs(8));
    line.accept_again();
    let (id, _) = ended(child);
    scene.assert_done(&id);
}
