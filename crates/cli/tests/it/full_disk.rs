//! A store whose disk is full: told at once.

use http::StatusCode;
use insta::assert_snapshot;
use partwise_protocol::error::ApiError;
use partwise_server::testing::Fault;
use partwise_testkit::{content::noise, service::FaultyService};

use crate::sandbox::Sandbox;

/// Runs the command over a store on a small file system of its own, which `script` mounts at `store`.
#[cfg(target_os = "linux")]
fn on_a_small_disk(sandbox: &Sandbox, script: &str, arguments: &[&str]) -> crate::sandbox::Ran {
    let inner = sandbox.command(&[]);
    let mut command = std::process::Command::new("unshare");
    command.args(["-Urm", "sh", "-c", script]).arg(inner.get_program()).args(arguments);
    command.env("HOME", sandbox.path("")).current_dir(sandbox.path(""));
    crate::sandbox::Ran::of(command.output().unwrap())
}

/// Returns `true` if a test may mount a file system here. Where it may not, the test says so, and fails in CI.
#[cfg(target_os = "linux")]
fn can_mount() -> bool {
    use std::io::Write as _;

    let mounted = std::process::Command::new("unshare")
        .args(["-Urm", "sh", "-c", "mount -t tmpfs -o size=2m none /mnt"])
        .output()
        .is_ok_and(|tried| tried.status.success());
    if !mounted {
        assert!(std::env::var_os("CI").is_none(), "no file system can be mounted here (unshare -Urm)");
        // The harness shows what a passing test prints to nobody; this goes past it.
        let _ = writeln!(std::io::stderr(), "NOT TESTED: no file system can be mounted here (unshare -Urm)");
    }
    mounted
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_of_the_store_ends_an_upload_at_once() {
    if !can_mount() {
        return;
    }
    let script = "mount -t tmpfs -o size=2m none store && exec \"$0\" \"$@\"";
    for (length, more) in [(4 << 20, &[][..]), (8 << 20, &["--part-size", "1MiB", "--route", "parts"])] {
        let sandbox = Sandbox::new();
        sandbox.write("a.bin", noise(length));
        std::fs::create_dir(sandbox.path("store")).unwrap();
        let upload = ["upload", "a.bin", "--purpose", "assistants", "--local", "--store", "store"];
        let said = on_a_small_disk(&sandbox, script, &[&upload[..], more].concat()).refused(1);
        let said = said.lines().next().unwrap();
        insta::allow_duplicates! {
            assert_snapshot!(said, @"error: cannot upload a.bin: the disk of the store is full");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_store_whose_disk_was_full_before_is_told_so() {
    if !can_mount() {
        return;
    }
    let script = "mount -t tmpfs -o size=64k none store && { head -c 1M /dev/zero > store/filler 2> said; exec \"$0\" \"$@\"; }";
    for arguments in [&["files", "list"][..], &["upload", "a.bin", "--purpose", "assistants"]] {
        let sandbox = Sandbox::new();
        sandbox.write("a.bin", noise(100_000));
        std::fs::create_dir(sandbox.path("store")).unwrap();
        let ran =
            on_a_small_disk(&sandbox, script, &[arguments, &["--local", "--store", "store/s"]].concat());
        assert_eq!(ran.status, 1);
        assert!(
            ran.stderr.ends_with(
                "the disk of the store is full\nhint: make room there, or name another place with --store\n"
            ),
            "{}",
            ran.stderr
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_store_on_a_full_disk_is_listed_downloaded_from_and_deleted_from() {
    if !can_mount() {
        return;
    }
    // Fills what is left of the disk down to the last page, before each command.
    let script = r#"
        set -e
        mount -t tmpfs -o size=4m none store
        partwise() { command=$1; shift; "$BIN" "$command" "$@" --local --store store/s; }
        full() { for size in 1M 4k; do head -c 8M /dev/zero | dd bs=$size >> store/filler 2> /dev/null || true; done; }
        for name in a b c; do partwise upload $name --purpose assistants --json > $name.json; done
        full; partwise files list --json > listed
        for name in a b c; do
            id=$(sed 's/.*"id":"\([^"]*\)".*/\1/' $name.json)
            full; partwise files download $id -o $name.back
            full; partwise files delete $id
        done
        full; partwise files list --json > left
    "#;
    let sandbox = Sandbox::new();
    for name in ["a", "b", "c"] {
        sandbox.write(name, noise(100_000));
    }
    std::fs::create_dir(sandbox.path("store")).unwrap();
    let inner = sandbox.command(&[]);
    let mut command = std::process::Command::new("unshare");
    command.args(["-Urm", "sh", "-c", script]).env("BIN", inner.get_program());
    command.env("HOME", sandbox.path("")).current_dir(sandbox.path(""));
    crate::sandbox::Ran::of(command.output().unwrap()).done();
    assert_eq!(sandbox.read("listed").split(|byte| *byte == b'\n').count(), 4);
    assert!(sandbox.read("left").is_empty());
    for name in ["a", "b", "c"] {
        assert_eq!(sandbox.read(&format!("{name}.back")), noise(100_000));
    }
}

#[test]
fn a_service_whose_disk_is_full_is_not_asked_twice() {
    let (sandbox, service) = (Sandbox::new(), FaultyService::start());
    let full = ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "no room");
    service.faults.on_any().first(1, Fault::Answer(Box::new(full)));
    sandbox.write("a.jsonl", "{}\n");
    let upload = ["upload", "a.jsonl", "--purpose", "assistants", "--endpoint", &service.origin()];
    let said = sandbox.run_with(&upload, &[("OPENAI_API_KEY", "k")]).refused(1);
    assert_eq!(service.faults.executed(), 0, "a second request would have been executed");
    assert_snapshot!(said.replace(&service.origin(), "ORIGIN"), @"
    error: cannot upload a.jsonl at ORIGIN/v1: POST /files was refused: 507 Insufficient Storage: no room
    hint: the service has no room left: make room there first
    ");
}
