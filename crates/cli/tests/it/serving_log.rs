//! The log of `partwise serve` under the filter that it has by default.

use std::{fs, path::Path, thread::sleep, time::Duration};

use insta::assert_snapshot;

use crate::{
    sandbox::Sandbox,
    serving::{FORM, HEAD, KEYS, ask, connect, list, post, status_on},
};

/// The numbers behind this name, one of each line.
fn numbers(said: &str, name: &str) -> Vec<u32> {
    let number = |line: &str| line.split(name).nth(1)?.split(' ').next()?.parse().ok();
    said.lines().map(|line| number(line).unwrap_or_else(|| panic!("{name} is in {line}"))).collect()
}

/// The lines without their times.
fn without_times(said: &str) -> Vec<&str> {
    said.lines().map(|line| line.split_once('Z').unwrap().1.trim_start()).collect()
}

#[test]
fn a_failure_of_the_server_is_one_line_with_its_request_and_its_cause() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&[], &[KEYS]);
    let mut stream = connect(&server);
    assert_eq!(status_on(&mut stream, &(post("") + FORM)), "HTTP/1.1 200 OK");
    let listed = list(&server, "the-right-key");
    let id = listed.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();
    remove_blobs(&sandbox.path("served"));
    let answer = ask(&server, &format!("/v1/files/{id}/content"), HEAD);
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    let request = answer.split("x-request-id: ").nth(1).unwrap().lines().next().unwrap();
    assert!(ask(&server, "/v1/files/file-none", HEAD).starts_with("HTTP/1.1 404"));
    let (_, said) = server.stop();
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in ["ERROR", "partwise_server", request, "method=GET", "downloadFile", "No such file"] {
        assert!(said.contains(part), "{part} is in {said}");
    }
    assert!(!said.contains("the-right-key"), "{said}");
}

/// Removes what is no record.
fn remove_blobs(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            remove_blobs(&path);
        } else if path.components().any(|part| part.as_os_str() == "blobs") {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn what_is_to_be_logged_is_what_the_variable_says_when_it_is_set() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&[], &[KEYS, ("PARTWISE_LOG", "off")]);
    assert!(list(&server, "a-wrong-key").starts_with("HTTP/1.1 401"));
    assert_eq!(server.stop(), (0, String::new()));
}

#[test]
fn rejected_keys_are_told_with_their_number_and_sender_and_not_shown() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&[], &[KEYS]);
    for _ in 0..5 {
        assert!(list(&server, "a-wrong-key").starts_with("HTTP/1.1 401"));
    }
    // The others share lines, as many as come within a second, or up to the end.
    let (_, said) = server.stop();
    assert_snapshot!(without_times(&said)[0], @r#"WARN partwise_server::auth::rejections: wrong keys were rejected count=1 addresses=1 peer="127.0.0.1""#);
    assert_eq!(numbers(&said, "count=").iter().sum::<u32>(), 5, "{said}");
    assert!(!said.contains("a-wrong-key"), "{said}");
}

#[test]
fn all_connections_that_were_turned_away_are_told() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&["--max-connections", "1"], &[KEYS]);
    let mut established = connect(&server);
    assert_eq!(
        status_on(&mut established, &format!("GET /v1/files HTTP/1.1\r\n{HEAD}\r\n")),
        "HTTP/1.1 200 OK"
    );
    for _ in 0..6 {
        let answer = list(&server, "the-right-key");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
    let (_, said) = server.stop();
    assert_snapshot!(without_times(&said)[0], @"WARN partwise_server::serve::admission: connections were turned away connections=1 reason=all 1 connections of this server are taken: try again later");
    assert_eq!(numbers(&said, "connections=").iter().sum::<u32>(), 6, "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn connections_that_cannot_be_accepted_are_told_as_failures_at_most_once_a_second() {
    use rustix::process::{Pid, Resource, prlimit};

    let sandbox = Sandbox::new();
    let server = sandbox.serve(&[], &[KEYS]);
    let mut established = connect(&server);
    let request = format!("GET /v1/files HTTP/1.1\r\n{HEAD}\r\n");
    assert_eq!(status_on(&mut established, &request), "HTTP/1.1 200 OK");
    let process = Pid::from_raw(server.id().try_into().unwrap());
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    // Another administrator takes the rest.
    limit.current = Some(3);
    let before = prlimit(process, Resource::Nofile, limit).unwrap();
    let _waiting = connect(&server);
    sleep(Duration::from_millis(1500));
    prlimit(process, Resource::Nofile, before).unwrap();
    assert!(list(&server, "the-right-key").starts_with("HTTP/1.1 200"), "it goes on when there is room");
    let (status, said) = server.stop();
    assert_eq!(status, 0);
    let said: String =
        said.lines().filter(|line| line.contains("serve::")).map(|line| format!("{line}\n")).collect();
    let tries = numbers(&said, "count=");
    assert!(tries.len() <= 3 && tries[0] == 1 && tries.iter().sum::<u32>() > 5, "{said}");
    assert_snapshot!(without_times(&said)[0], @"ERROR partwise_server::serve::failures: no connection can be accepted count=1 error=Too many open files (os error 24)");
}
