//! A store whose disk is full: told at once.

use insta::assert_snapshot;

use crate::{
    sandbox::{Sandbox, noise},
    scripted::{Answer, Scripted},
};

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_of_the_store_ends_an_upload_at_once() {
    use crate::sandbox::Ran;

    // A file system of its own, which one who may not make it cannot fill.
    let script = "mount -t tmpfs -o size=2m none store && exec \"$0\" \"$@\"";
    let can_mount = std::process::Command::new("unshare")
        .args(["-Urm", "sh", "-c", "mount -t tmpfs -o size=2m none /mnt"])
        .output()
        .is_ok_and(|tried| tried.status.success());
    if !can_mount {
        return;
    }
    for (length, more) in [(4 << 20, &[][..]), (8 << 20, &["--part-size", "1MiB", "--route", "parts"])] {
        let sandbox = Sandbox::new();
        sandbox.write("a.bin", noise(length));
        std::fs::create_dir(sandbox.path("store")).unwrap();
        let inner = sandbox.command(&[]);
        let mut command = std::process::Command::new("unshare");
        command.args(["-Urm", "sh", "-c", script]).arg(inner.get_program());
        command
            .args(["upload", "a.bin", "--purpose", "assistants", "--local", "--store", "store"])
            .args(more);
        command.env("HOME", sandbox.path("")).current_dir(sandbox.path(""));
        let said = Ran::of(command.output().unwrap()).refused(1);
        let said = said.lines().next().unwrap();
        insta::allow_duplicates! {
            assert_snapshot!(said, @"error: cannot upload a.bin: the disk of the store is full");
        }
    }
}

#[test]
fn a_service_whose_disk_is_full_is_not_asked_twice() {
    let (sandbox, service) = (
        Sandbox::new(),
        Scripted::new(|_| {
            Answer::json(
                "507 Insufficient Storage",
                r#"{"error": {"message": "no room", "type": "server_error"}}"#,
            )
        }),
    );
    sandbox.write("a.jsonl", "{}\n");
    let upload = ["upload", "a.jsonl", "--purpose", "assistants", "--endpoint", &service.origin];
    let said = sandbox.run_with(&upload, &[("OPENAI_API_KEY", "k")]).refused(1);
    assert_eq!(service.lines(), ["POST /v1/files"]);
    assert_snapshot!(said.replace(&service.origin, "ORIGIN"), @"
    error: cannot upload a.jsonl at ORIGIN/v1: POST /files was refused: 507 Insufficient Storage: no room
    hint: the service has no room left: make room there first
    ");
}
