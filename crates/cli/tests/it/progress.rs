//! What is shown of an upload or a download while it goes on.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    thread::sleep,
    time::Duration,
};

use console::measure_text_width;
use serde_json::Value;

use crate::{
    range_server::RangeServer,
    sandbox::{Ran, Sandbox},
    scene::{KEY, LENGTH, Scene},
    scripted::{Answer, Scripted},
    terminal,
};

const FILE: &str = r#"{"id": "file-1", "object": "file", "bytes": 3}"#;

/// A service that takes a moment for a file.
fn slow() -> Scripted {
    Scripted::new(|_| {
        sleep(Duration::from_millis(1500));
        Answer::json("200 OK", FILE)
    })
}

/// The lines of the child's standard error, as they come.
fn lines(child: &mut Child) -> impl Iterator<Item = String> {
    BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap)
}

fn acknowledged(scene: &Scene) -> u64 {
    scene.listed().unwrap()["bytes_acknowledged"].as_u64().unwrap()
}

#[test]
fn a_terminal_has_one_line_that_changes_and_is_gone_in_the_end() {
    let (sandbox, service) = (Sandbox::new(), slow());
    let name = "学習データ\u{1b}[2J.txt";
    sandbox.write(name, "abc");
    let upload = ["upload", name, "--purpose", "assistants", "--endpoint", &service.origin];
    for columns in [40, 120] {
        let mut command = sandbox.command(&upload);
        command.env(KEY.0, KEY.1);
        let screen = terminal::run(command, columns);
        assert_eq!((screen.status, &screen.lines[..]), (0, &[][..]), "{:?}", screen.frames);
        assert!(!screen.frames.is_empty());
        for frame in &screen.frames {
            assert!(measure_text_width(frame) < columns.into(), "{frame}");
            assert!(!frame.contains(char::is_control), "{frame:?}");
        }
        let (name, doing) = match columns {
            40 => ("学習デ…2J.txt", "  assembling ("),
            _ => ("学習データ\u{fffd}[2J.txt", "  the service is assembling the file ("),
        };
        let is_told = |frame: &String| frame.starts_with(name) && frame.contains(doing);
        assert!(screen.frames.iter().any(is_told), "{:?}", screen.frames);
        let widest = screen.frames.iter().map(|frame| measure_text_width(frame)).max().unwrap();
        assert!(widest > usize::from(columns) * 3 / 4, "the line does not follow the terminal: {widest}");
    }
}

#[test]
fn a_terminal_has_no_such_line_when_none_is_wanted() {
    let (sandbox, service) = (Sandbox::new(), slow());
    sandbox.write("a.txt", "abc");
    for (arguments, environment) in
        [(&["--progress", "none"][..], ("A", "B")), (&[], ("TERM", "dumb")), (&[], ("PARTWISE_LOG", "off"))]
    {
        let upload = ["upload", "a.txt", "--purpose", "assistants", "--endpoint", &service.origin];
        let mut command = sandbox.command(&[&upload[..], arguments].concat());
        command.envs([KEY, environment]);
        let screen = terminal::run(command, 80);
        assert_eq!((screen.status, screen.frames, screen.lines), (0, vec![], vec![]));
    }
}

#[test]
fn lines_that_stay_are_above_the_one_that_changes() {
    let sandbox = Sandbox::new();
    let service = Scripted::new(|request| {
        sleep(Duration::from_millis(500));
        match request.number {
            0 => Answer::json("503 Service Unavailable", r#"{"error": {"message": "busy"}}"#),
            _ => Answer::with("200 OK", "", "abc"),
        }
    });
    let mut command =
        sandbox.command(&["files", "download", "file-1", "-o", "out", "--endpoint", &service.origin]);
    command.env(KEY.0, KEY.1);
    let screen = terminal::run(command, 80);
    let told = ["the service answered 503 Service Unavailable: trying again"];
    assert_eq!((screen.status, &screen.lines[..]), (0, &told.map(str::to_owned)[..]));
    assert_eq!(screen.frames[0], "file-1  connecting");
}

#[test]
fn a_log_tells_an_outage_that_lasts_and_how_much_is_stored() {
    let scene = Scene::new();
    let mut child = scene.stalled();
    scene.end_server();
    let line = lines(&mut child).find(|line| line.contains("offline")).unwrap();
    let tenths = (acknowledged(&scene) * 10) >> 20;
    let stored = format!("{}.{}/24.0 MiB stored", tenths / 10, tenths % 10);
    let (before, after) = line.split_once(", offline for ").unwrap();
    assert!(before.starts_with("big.bin: ") && before.ends_with(&format!("%, {stored}")), "{line}, {stored}");
    assert!(after.contains(" s: next attempt in ") || after.ends_with(" s: trying now"), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn json_tells_an_outage_and_its_end() {
    let scene = Scene::new();
    let mut child = scene.stalled_with(&["--progress", "json"]);
    scene.end_server();
    let mut objects = lines(&mut child)
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let is_offline =
        |object: &Value| object["state"] == "offline" && object["since_ms"].as_u64() > Some(2000);
    let offline = objects.find(is_offline).unwrap();
    assert_eq!((&offline["object"], &offline["name"]), (&"upload.progress".into(), &"big.bin".into()));
    assert_eq!((&offline["rate"], &offline["time_left_ms"]), (&Value::Null, &Value::Null));
    assert_eq!(offline["bytes_acknowledged"], acknowledged(&scene));
    assert_eq!(offline["bytes_total"], LENGTH as u64);
    assert!(offline["next_attempt_in_ms"].as_u64().unwrap() <= 10_000, "{offline}");
    let _again = scene.sandbox.serve_at(scene.address());
    let last = objects.last().unwrap();
    assert_eq!((&last["state"], &last["bytes_acknowledged"]), (&"done".into(), &(LENGTH as u64).into()));
    Ran::of(child.wait_with_output().unwrap()).done();
}

#[test]
fn json_tells_of_a_download_what_is_written() {
    let (sandbox, server) = (Sandbox::new(), RangeServer::new(3 << 20));
    for output in ["out", "-"] {
        let download = ["files", "download", "file-1", "-o", output, "--endpoint", &server.origin];
        let mut command = sandbox.command(&[&download[..], &["--progress", "json"]].concat());
        let mut child = command.envs([KEY]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let objects: Vec<Value> =
            lines(&mut child).map(|line| serde_json::from_str(&line).unwrap()).collect();
        assert!(child.wait().unwrap().success(), "{objects:?}");
        let [first, .., end] = &objects[..] else { panic!("{objects:?}") };
        assert_eq!(first["object"], "download.progress");
        assert_eq!(first["state"], "connecting");
        assert_eq!((&end["state"], &end["bytes_total"]), (&"done".into(), &(3 << 20).into()));
        assert_eq!(end["bytes_written"], 3 << 20);
    }
}
