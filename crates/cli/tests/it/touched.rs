//! Files that are written, or only touched, while they are uploaded, so that their modification time does not show it.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use insta::assert_snapshot;
use md5::{Digest as _, Md5};
use partwise_testkit::scripted::{Answer, Request, Scripted};

use crate::sandbox::{Ran, Sandbox};

const LENGTH: usize = 96 * 1024;
const OLD: u8 = b'a';
const NEW: u8 = b'b';

/// Other content, and the modification time put back.
fn rewrite(path: &Path) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let file = File::options().write(true).open(path).unwrap();
    std::io::Write::write_all(&mut &file, &[NEW; LENGTH]).unwrap();
    file.set_modified(modified).unwrap();
}

fn touch(path: &Path) {
    fs::set_permissions(path, PermissionsExt::from_mode(0o640)).unwrap();
}

/// A service that puts parts together in the order in which they came, compares an MD5, and touches the caller's file
/// when it has the second part, or the only request.
fn service(path: PathBuf, change: fn(&Path), serves_content: bool) -> Scripted {
    let stored = Arc::new(Mutex::new(Vec::new()));
    Scripted::new(move |request| {
        let mut stored = stored.lock().unwrap();
        let file = format!(r#"{{"id":"file-1","object":"file","bytes":{LENGTH}}}"#);
        match &request.line[..] {
            "POST /v1/uploads" => Answer::json("200 OK", r#"{"id":"upload_1","status":"pending"}"#),
            "POST /v1/uploads/upload_1/parts" => {
                stored.extend(letters(request));
                if request.number == 2 {
                    change(&path);
                }
                let part = format!(r#"{{"id":"part_{}","object":"upload.part"}}"#, request.number);
                Answer::json("200 OK", &part)
            }
            "POST /v1/uploads/upload_1/complete" => {
                let md5: String = Md5::digest(&stored[..]).iter().map(|byte| format!("{byte:02x}")).collect();
                let asked: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
                if asked["md5"].as_str().is_some_and(|asked| asked != md5) {
                    return Answer::json("400 Bad Request", r#"{"error":{"message":"the md5 differs"}}"#);
                }
                let completed = format!(r#"{{"id":"upload_1","status":"completed","file":{file}}}"#);
                Answer::json("200 OK", &completed)
            }
            "POST /v1/files" => {
                stored.extend(letters(request));
                change(&path);
                Answer::json("200 OK", &file)
            }
            _ if serves_content => Answer::with("200 OK", "", &stored[..]),
            _ => Answer::json("400 Bad Request", r#"{"error":{"message":"not allowed to download"}}"#),
        }
    })
}

/// The content in a form: everything else has other letters in between.
fn letters(request: &Request) -> Vec<u8> {
    let mut runs = request.body.chunk_by(|a, b| a == b);
    let mut content = Vec::new();
    for run in runs.by_ref().filter(|run| run.len() > 1000) {
        content.extend_from_slice(run);
    }
    content
}

fn upload(change: fn(&Path), serves_content: bool, more: &[&str]) -> (Ran, Scripted) {
    let sandbox = Sandbox::new();
    let path = sandbox.write("a.bin", [OLD; LENGTH]);
    let service = service(path, change, serves_content);
    let arguments =
        ["upload", "a.bin", "--purpose", "user_data", "--parallel", "1", "--endpoint", &service.origin];
    let mut ran = sandbox.run_with(&[&arguments[..], more].concat(), &[("OPENAI_API_KEY", "k")]);
    ran.stderr = ran.stderr.replace(&service.origin, "ORIGIN");
    (ran, service)
}

const PARTS: [&str; 4] = ["--route", "parts", "--part-size", "32KiB"];
const SINGLE: [&str; 2] = ["--route", "single"];

#[test]
fn a_file_that_was_rewritten_with_its_time_put_back_is_no_success_on_either_route() {
    let (ran, service) = upload(rewrite, true, &PARTS);
    assert_eq!(ran.status, 1);
    assert_snapshot!(ran.stderr, @"
    error: cannot upload a.bin at ORIGIN/v1: the source changed while it was uploaded: its content is not what was sent
    hint: upload it again when nothing writes to it any more
    ");
    let complete = service.requests().pop().unwrap();
    assert!(String::from_utf8(complete.body).unwrap().contains("md5"));
    let (ran, _) = upload(rewrite, true, &[&PARTS[..], &["--md5"]].concat());
    assert_eq!(ran.status, 1);

    let (ran, _) = upload(rewrite, true, &SINGLE);
    assert_eq!(ran.status, 1);
    assert_snapshot!(ran.stderr, @"
    error: cannot upload a.bin at ORIGIN/v1: the source changed while it was uploaded: its content is not what was sent
    hint: the service made file-1 of what it got: delete it
    ");
}

#[test]
fn a_file_that_was_only_touched_is_a_success_on_either_route() {
    for route in [&PARTS[..], &SINGLE] {
        let (ran, _) = upload(touch, true, route);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    }
}

#[test]
fn what_cannot_be_compared_is_said() {
    let (ran, _) = upload(touch, false, &SINGLE);
    // Where the kernel sends the file, nothing of it passes through the command.
    if cfg!(all(target_os = "linux", target_pointer_width = "64")) {
        assert_eq!(ran.status, 1);
        assert_snapshot!(ran.stderr, @"
        error: cannot upload a.bin at ORIGIN/v1: the file may have changed while it was uploaded, and file-1 cannot be compared with it
        hint: --adopt file-1 takes that file if it is the same, --send-again uploads the file again; the same command looks for the file again
        ");
    }
}
