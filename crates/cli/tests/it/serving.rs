//! `partwise serve` under callers who want too much, and under signals.

use std::{
    fs,
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::TcpStream,
    thread::sleep,
    time::{Duration, Instant},
};

use insta::assert_snapshot;

use crate::sandbox::{Ran, Sandbox, Serving};

pub(crate) const KEYS: (&str, &str) = ("PARTWISE_API_KEYS", "the-right-key");

/// A connection that fails a test instead of waiting for ever.
pub(crate) fn connect(server: &Serving) -> TcpStream {
    let stream = TcpStream::connect(server.origin.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// The answer to a request on a connection of its own; nothing when that is closed.
pub(crate) fn ask(server: &Serving, path: &str, headers: &str) -> String {
    let mut stream = connect(server);
    let request = format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    let (mut answer, _) = (String::new(), stream.write_all(request.as_bytes()));
    match stream.read_to_string(&mut answer) {
        Ok(_) => answer,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => answer,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn list(server: &Serving, key: &str) -> String {
    ask(server, "/v1/files", &format!("Host: localhost\r\nAuthorization: Bearer {key}\r\n"))
}

/// Lists with this key until the answer has this status; a minute is more than it can take.
fn until(server: &Serving, key: &str, status: &str) {
    let begin = Instant::now();
    loop {
        let answer = list(server, key);
        if answer.starts_with(&format!("HTTP/1.1 {status}")) {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{key} has no {status}: {answer}");
        sleep(Duration::from_millis(10));
    }
}

/// The status of an answer on a connection that is kept.
pub(crate) fn status_on(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut status, mut line, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut status).unwrap();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    status.trim_end().to_owned()
}

pub(crate) const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n\
    --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nabc\r\n--b--\r\n";
pub(crate) const HEAD: &str = "Host: localhost\r\nAuthorization: Bearer the-right-key\r\n";

pub(crate) fn post(more: &str) -> String {
    let form = "Content-Type: multipart/form-data; boundary=b";
    format!("POST /v1/files HTTP/1.1\r\n{HEAD}{more}{form}\r\nContent-Length: {}\r\n\r\n", FORM.len())
}

#[test]
#[cfg(target_os = "linux")]
fn silent_connections_take_nothing_from_those_who_are_there() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve_within("ulimit -Sn 128; ulimit -Hn 256", &[], &[KEYS]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().collect::<Vec<_>>()[3..5], ["256", "256"]);

    let mut established = connect(&server);
    let mut both = |when: &str| {
        let list = format!("GET /v1/files HTTP/1.1\r\n{HEAD}\r\n");
        assert_eq!(status_on(&mut established, &list), "HTTP/1.1 200 OK", "{when}");
        assert_eq!(status_on(&mut established, &(post("") + FORM)), "HTTP/1.1 200 OK", "{when}");
    };
    both("before");
    let silent: Vec<_> = (0..400).map(|_| connect(&server)).collect();
    both("while they are there");
    let answer = list(&server, "the-right-key");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(silent);
    until(&server, "the-right-key", "200");
    both("afterwards");
    let (status, said) = server.stop();
    assert_eq!(status, 0);
    let is_told =
        |line: &str| line.contains("connections were turned away") && line.contains("all 32 connections");
    assert!(!said.is_empty() && said.lines().all(is_told), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn many_lists_at_once_do_not_open_more_files_than_there_may_be() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve_within("ulimit -Sn 256; ulimit -Hn 256", &["--durability", "none"], &[KEYS]);
    let mut stream = connect(&server);
    for _ in 0..100 {
        assert_eq!(status_on(&mut stream, &(post("") + FORM)), "HTTP/1.1 200 OK");
    }
    drop(stream);
    let lists = || {
        let mut stream = connect(&server);
        for _ in 0..5 {
            let list = format!("GET /v1/files HTTP/1.1\r\n{HEAD}\r\n");
            assert_eq!(status_on(&mut stream, &list), "HTTP/1.1 200 OK");
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..30 {
            scope.spawn(lists);
        }
    });
    assert_eq!(server.stop(), (0, String::new()));
}

#[test]
#[cfg(target_os = "linux")]
fn the_files_that_may_be_open_bound_the_connections_that_may_be_asked_for() {
    let sandbox = Sandbox::new();
    let binary = env!("CARGO_BIN_EXE_partwise");
    let mut shell = sandbox.shell(&format!(
        "ulimit -n 256; exec {binary} serve --store memory:// --listen 127.0.0.1:0 --max-connections 33"
    ));
    let ran = Ran::of(shell.output().unwrap());
    assert_snapshot!(ran.refused(1), @"
    error: --max-connections 33: the limit of 256 open files has room for 32
    hint: raise the hard limit: ulimit -Hn, or LimitNOFILE= in a unit of systemd
    ");
}

#[test]
fn limits_are_numbers_that_can_be_meant() {
    let sandbox = Sandbox::new();
    let refused = |arguments: &[&str]| sandbox.run(&[&["serve"], arguments].concat()).refused(2);
    assert_snapshot!(refused(&["--max-connections", "0"]), @"error: invalid value '0' for '--max-connections <N>': give 1 to 1000000");
    assert_snapshot!(refused(&["--max-connections-per-peer", "many"]), @"error: invalid value 'many' for '--max-connections-per-peer <N>': give 1 to 1000000");
    assert_snapshot!(refused(&["--write-stall-timeout", "0"]), @"error: invalid value '0' for '--write-stall-timeout <SECONDS>': give 1 to 86400 seconds");
    assert_snapshot!(refused(&["--shutdown-timeout", "100000"]), @"error: invalid value '100000' for '--shutdown-timeout <SECONDS>': give 1 to 86400 seconds");
    assert_snapshot!(refused(&["--shutdown-timeout", "5m"]), @"error: invalid value '5m' for '--shutdown-timeout <SECONDS>': give 1 to 86400 seconds");
    assert_snapshot!(refused(&["--min-rate", "fast"]), @"error: invalid value 'fast' for '--min-rate <SIZE>': a size is a whole number of bytes, or one with a unit: 64MiB, 64MB, 512k");
}

#[test]
fn keys_are_read_again_when_it_is_told_to() {
    let sandbox = Sandbox::new();
    sandbox.write("keys", "first-key\n");
    let server = sandbox.serve(&["--api-key-file", "keys"], &[]);
    until(&server, "first-key", "200");
    sandbox.write("keys", "second-key\n");
    server.signal(&["HUP"]);
    until(&server, "second-key", "200");
    until(&server, "first-key", "401");
    sandbox.write("keys", "third-key\nThe Team:secret-key\n");
    server.signal(&["HUP"]);
    // It has looked at the file when it has looked at the next one.
    sleep(Duration::from_secs(1));
    until(&server, "second-key", "200");
    sandbox.write("keys", "fourth-key\n");
    server.signal(&["HUP"]);
    until(&server, "fourth-key", "200");
    let (status, said) = server.stop();
    let said: Vec<_> = said.lines().filter(|line| !line.contains("WARN")).collect();
    assert_eq!(status, 0);
    assert_snapshot!(said.join("\n"), @"
    SIGHUP: keys were read again from keys
    SIGHUP: the keys from before still count: --api-key-file keys: line 2 has no tenant name before its colon: take 1 to 64 lower-case letters, digits, `-` and `_`, with the key behind the colon
    SIGHUP: keys were read again from keys
    ");
}

#[test]
#[cfg(unix)]
fn what_stands_in_the_place_of_the_key_file_holds_nothing_up() {
    let sandbox = Sandbox::new();
    sandbox.write("keys", "the-right-key\n");
    let server = sandbox.serve(&["--api-key-file", "keys"], &[]);
    let replaced = |script: &str| {
        assert!(sandbox.shell(&format!("rm -rf keys; {script}")).status().unwrap().success());
        server.signal(&["HUP"]);
        // It has looked at what is there.
        sleep(Duration::from_millis(500));
        assert!(list(&server, "the-right-key").starts_with("HTTP/1.1 200"), "{script}");
    };
    replaced("mkfifo keys");
    replaced("ln -s /dev/zero keys");
    replaced("mkdir keys");
    replaced("head -c 5000000 /dev/zero > keys");
    replaced("true");
    let (status, said) = server.stop();
    assert_eq!(status, 0);
    assert_snapshot!(said, @"
    SIGHUP: the keys from before still count: --api-key-file keys: it is no regular file, and nothing else is read again
    SIGHUP: the keys from before still count: --api-key-file keys: it is no regular file, and nothing else is read again
    SIGHUP: the keys from before still count: --api-key-file keys: it is no regular file, and nothing else is read again
    SIGHUP: the keys from before still count: --api-key-file keys: it has more than 4 MiB
    SIGHUP: the keys from before still count: --api-key-file keys: No such file or directory (os error 2)
    ");
}

#[test]
fn without_a_file_of_keys_there_is_nothing_to_read_again() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&[], &[KEYS]);
    server.signal(&["HUP"]);
    sleep(Duration::from_secs(1));
    assert!(list(&server, "the-right-key").starts_with("HTTP/1.1 200"));
    let (status, said) = server.stop();
    assert_eq!(status, 0);
    assert_snapshot!(said, @"SIGHUP: no file of keys to read again: without --api-key-file, keys change with a restart");
}

/// A connection whose request the server has begun to serve, and that then says nothing more.
fn stalled(server: &Serving) -> TcpStream {
    let mut stream = connect(server);
    stream.write_all(post("Expect: 100-continue\r\n").as_bytes()).unwrap();
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100");
    stream
}

#[test]
fn it_stops_although_callers_stand_still_and_says_how_many_it_cut_off() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&["--shutdown-timeout", "1"], &[KEYS]);
    let _stalled = [stalled(&server), stalled(&server)];
    // Nobody reads this file, which no buffer on the way can hold.
    let mut unread = connect(&server);
    let large = FORM.replace("abc", &"x".repeat(64 << 20));
    let head = post("").replace(&FORM.len().to_string(), &large.len().to_string());
    assert_eq!(status_on(&mut unread, &(head + &large)), "HTTP/1.1 200 OK");
    let listed = list(&server, "the-right-key");
    let id = listed.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();
    unread.write_all(format!("GET /v1/files/{id}/content HTTP/1.1\r\n{HEAD}\r\n").as_bytes()).unwrap();
    unread.read_exact(&mut [0; 12]).unwrap();
    let _silent = connect(&server);
    let (status, said) = server.stop();
    assert_eq!(status, 0);
    assert_snapshot!(said, @"stopped after 1 s: 3 requests were cut off");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&["--shutdown-timeout", "3600"], &[KEYS]);
    let _stalled = stalled(&server);
    server.signal(&["TERM"]);
    sleep(Duration::from_millis(1500));
    server.signal(&["TERM"]);
    let (status, said) = server.ended();
    assert_eq!(status, 1);
    assert_snapshot!(said, @"
    error: interrupted
    hint: 1 request was cut off
    ");
}

#[test]
fn without_keys_a_page_of_another_name_reaches_nothing() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&[], &[]);
    let ask =
        |host: &str| ask(&server, "/v1/files", &format!("Host: {host}\r\nAuthorization: Bearer any\r\n"));
    assert!(ask("rebound.example:8080").starts_with("HTTP/1.1 403"));
    assert!(ask("localhost:8080").starts_with("HTTP/1.1 200"));
}
