//! What is shown of an upload or a download while it goes on.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, sleep},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use console::measure_text_width;
use partwise_testkit::{
    range_server::RangeServer,
    scripted::{Answer, Scripted},
};
use serde_json::Value;

use crate::{
    sandbox::{Ran, Sandbox, signal},
    scene::{KEY, LENGTH, Scene, until},
    terminal::{self, Terminal},
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
fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
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
fn a_variable_that_is_set_to_nothing_asks_for_no_log() {
    let (sandbox, service) = (Sandbox::new(), slow());
    sandbox.write("a.txt", "abc");
    let mut command =
        sandbox.command(&["upload", "a.txt", "--purpose", "assistants", "--endpoint", &service.origin]);
    command.envs([KEY, ("PARTWISE_LOG", "")]);
    assert!(!terminal::run(command, 80).frames.is_empty());
}

#[test]
fn a_name_keeps_its_spaces() {
    let (sandbox, service) = (Sandbox::new(), slow());
    let name = "two  spaces\t.txt";
    sandbox.write(name, "abc");
    let upload = ["upload", name, "--purpose", "assistants", "--endpoint", &service.origin];
    let mut command = sandbox.command(&upload);
    command.envs([KEY]);
    let screen = terminal::run(command, 80);
    assert!(
        screen.frames.iter().all(|frame| frame.starts_with("two  spaces\u{fffd}.txt ")),
        "{:?}",
        screen.frames
    );
    let ran = sandbox.run_with(&[&upload[..], &["--progress", "json"]].concat(), &[KEY]);
    for line in ran.stderr.lines() {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["name"], name);
    }
    assert!(ran.stderr.contains("done"), "{}", ran.stderr);
}

#[test]
fn a_content_on_the_terminal_stays_as_it_came() {
    let sandbox = Sandbox::new();
    for to in ["standard output", "its name"] {
        let is_asked = AtomicBool::new(false);
        let service = Scripted::new(move |request| {
            sleep(Duration::from_millis(500));
            if request.line.ends_with("/content") && !is_asked.swap(true, Ordering::SeqCst) {
                return Answer::json("503 Service Unavailable", r#"{"error": {"message": "busy"}}"#);
            }
            Answer::with("200 OK", "", "first\nlast, and no more")
        });
        let terminal = Terminal::new(80);
        let output = if to == "its name" { &terminal.name } else { "-" };
        let download = ["files", "download", "file-1", "-o", output, "--endpoint", &service.origin];
        let mut command = sandbox.command(&download);
        command.envs([KEY]).stdout(terminal.side()).stderr(terminal.side());
        let screen = terminal.run(command, |_, _| ());
        let told = "the service answered 503 Service Unavailable: trying again\r\n";
        assert_eq!((screen.status, screen.drawn), (0, format!("{told}first\r\nlast, and no more")), "{to}");
    }
}

#[test]
fn a_signal_leaves_its_report_as_the_last_lines_of_the_screen() {
    let scene = Scene::new();
    let terminal = Terminal::new(100);
    let mut command = scene.sandbox.command(&scene.arguments(&["--part-size", "64KiB"]));
    command.envs([KEY]).stdout(Stdio::null()).stderr(terminal.side());
    let screen = thread::scope(|scope| {
        let stalled = scope.spawn(|| {
            until(|| scene.listed().is_some_and(|listed| listed["bytes_acknowledged"].as_u64() > Some(0)));
            scene.server.signal(&["STOP"]);
        });
        let mut is_signalled = false;
        terminal.run(command, |child, _| {
            if stalled.is_finished() && !is_signalled {
                is_signalled = true;
                signal(child, &["INT"]);
            }
        })
    });
    scene.server.signal(&["CONT"]);
    assert_eq!(screen.status, 75, "{}", screen.drawn);
    let [stopping, stopped, hint] = &screen.lines[..] else { panic!("{:?}", screen.lines) };
    assert!(stopping.starts_with("stopping: "), "{stopping}");
    assert!(stopped.starts_with("stopped: ") && hint.starts_with("hint: "), "{stopped} {hint}");
    assert!(screen.frames.last().unwrap().ends_with("  stopping"), "{:?}", screen.frames);
    assert!(screen.drawn.ends_with(&format!("{hint}\r\n")), "{:?}", screen.drawn);
}

#[test]
fn ctrl_c_on_a_download_to_standard_output_leaves_no_line() {
    let (sandbox, server) = (Sandbox::new(), RangeServer::new(3 << 20));
    server.allow(1 << 20);
    let terminal = Terminal::new(80);
    let mut command =
        sandbox.command(&["files", "download", "file-1", "-o", "-", "--endpoint", &server.origin]);
    command.envs([KEY]).stdout(Stdio::null()).stderr(terminal.side());
    let mut is_signalled = false;
    let screen = terminal.run(command, |child, drawn| {
        if drawn.contains(" written") && !is_signalled {
            is_signalled = true;
            signal(child, &["INT"]);
        }
    });
    assert_eq!((screen.status, &screen.lines[..]), (130, &[][..]));
    assert!(screen.drawn.ends_with("\r\u{1b}[2K"), "{:?}", screen.drawn);
}

#[test]
fn an_upload_that_expires_before_its_end_is_warned_of() {
    let sandbox = Sandbox::new();
    sandbox.write("a.bin", vec![0; 3 << 20]);
    let service = Scripted::new(|request| match &*request.line {
        "POST /v1/uploads" => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let expires_at = now + 15;
            let upload = format!(r#"{{"id": "upload_1", "status": "pending", "expires_at": {expires_at}}}"#);
            Answer::json("200 OK", &upload)
        }
        line if line.ends_with("/parts") => {
            sleep(Duration::from_secs(1));
            Answer::json("200 OK", &format!(r#"{{"id": "part_{}"}}"#, request.number))
        }
        _ => Answer::json("401 Unauthorized", "{}"),
    });
    let upload = ["upload", "a.bin", "--purpose", "assistants", "--endpoint", &service.origin];
    let slow = ["--route", "parts", "--part-size", "64KiB", "--parallel", "2"];
    let mut command = sandbox.command(&[&upload[..], &slow].concat());
    let mut child = command.envs([KEY]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = lines(&mut child).skip_while(|line| !line.starts_with("warning: "));
    let warning = lines.next().unwrap();
    assert!(warning.starts_with("warning: at this rate the rest takes "), "{warning}");
    assert!(warning.contains(" but the upload expires in "), "{warning}");
    let hint =
        "hint: a faster connection, fewer other transfers over it, or a run without --parallel 2 would help";
    assert_eq!(lines.next().unwrap(), hint);
    child.kill().unwrap();
    child.wait().unwrap();
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

#[test]
fn json_is_told_while_nobody_reads_the_content() {
    const ALL: u64 = 3 << 20;
    let (sandbox, server) = (Sandbox::new(), RangeServer::new(ALL as usize));
    let download = ["files", "download", "file-1", "-o", "-", "--endpoint", &server.origin];
    let mut command = sandbox.command(&[&download[..], &["--progress", "json"]].concat());
    let mut child = command.envs([KEY]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (send, receive) = mpsc::channel();
    let told = lines(&mut child);
    thread::spawn(move || told.for_each(|line| send.send(line).unwrap()));
    let next =
        || serde_json::from_str::<Value>(&receive.recv_timeout(Duration::from_secs(60)).unwrap()).unwrap();
    let receiving = |object: &Value| object["state"] == "receiving" && object["bytes_written"] != ALL;
    let mut objects = std::iter::repeat_with(next).filter(receiving);
    let (first, second, third) = (objects.next().unwrap(), objects.next().unwrap(), objects.next().unwrap());
    assert_eq!(first["bytes_total"], ALL);
    assert_eq!(second["bytes_written"], third["bytes_written"]);
    let mut content = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut content).unwrap();
    assert!(content == server.content());
    assert!(child.wait().unwrap().success());
    let last: Value = serde_json::from_str(&receive.iter().last().unwrap()).unwrap();
    assert_eq!((&last["state"], &last["bytes_written"]), (&"done".into(), &ALL.into()));
}
