//! `partwise files download`: whole or not at all.

use std::{net::TcpListener, process::Stdio};

use insta::assert_snapshot;

use crate::sandbox::{Ran, Sandbox, noise, signal};

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
fn an_interrupted_download_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut command = sandbox.command(&["files", "download", "file-1", "-o", "out", "--endpoint", &endpoint]);
    let child =
        command.env("OPENAI_API_KEY", "k").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (_connection, _) = silent.accept().unwrap();
    let files = || std::fs::read_dir(sandbox.path("")).unwrap().count();
    assert_eq!(files(), 1, "what comes is written to a file beside the target");
    signal(&child, "INT");
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.refused(1), "error: interrupted\n");
    assert_eq!(files(), 0);
}
