//! What is unfinished here: shown, and ended.

use insta::assert_snapshot;

use crate::{
    sandbox::Sandbox,
    scene::{KEY, Scene, plain},
};

#[test]
fn a_checkpoint_that_cannot_be_read_is_told_of() {
    let scene = Scene::new();
    scene.killed();
    std::fs::write(scene.checkpoint(), r#"{"version":7,"from":"the future"}"#).unwrap();
    assert_snapshot!(scene.upload(&[]).refused(1), @"
    error: cannot go on with the upload that an earlier run began: the checkpoint has version 7, and this release reads versions 1 to 2; begin anew or use the release that wrote it
    hint: --no-resume begins anew
    ");
    let table = scene.sandbox.run(&["uploads", "list"]).done();
    assert!(table.contains("unreadable"), "{table}");
    let id = scene.listed().unwrap()["id"].as_str().unwrap().to_owned();
    // Neither a service nor a key is needed for it.
    let ran = scene.sandbox.run(&["uploads", "cancel", &id]);
    assert_snapshot!(ran.stderr.replace(&id, "ID"), @"ID is forgotten here; what it may have left on the service expires there");
    scene.assert_nothing_left();
}

#[test]
fn an_upload_that_was_begun_can_be_cancelled() {
    let scene = Scene::new();
    let listed = scene.killed();
    let id = listed["id"].as_str().unwrap();
    let cancel = |id: &str, more: &[&str]| {
        scene.sandbox.run_with(&[&["uploads", "cancel", id], more].concat(), &[KEY])
    };
    let there = ["--endpoint", &scene.server.origin];
    assert_snapshot!(plain(&cancel(id, &["--local"]).refused(1), &scene, &listed), @"
    error: UPLOAD is at ORIGIN/v1 (OpenAI), and this command speaks to file://FOLDER/data/partwise/store (OpenAI)
    hint: name that service: --provider, --endpoint and --api-version, or --local with its --store
    ");
    let azure = [&there[..], &["--provider", "azure"]].concat();
    let ran = scene
        .sandbox
        .run_with(&[&["uploads", "cancel", id], &azure[..]].concat(), &[("AZURE_OPENAI_API_KEY", "key")]);
    assert!(ran.refused(1).contains("and this command speaks to"));
    assert!(cancel("upload_0", &there).refused(1).contains("there is no upload `upload_0`"));
    assert!(cancel("local-0", &[]).refused(1).contains("nothing here is called local-0"));
    assert_snapshot!(plain(&cancel(id, &there).done(), &scene, &listed), @"
    id       UPLOAD
    status   cancelled
    ");
    scene.assert_nothing_left();
    assert!(
        cancel(id, &[&there[..], &["--json"]].concat()).json()["status"] == "cancelled",
        "it may be repeated"
    );
}

#[test]
fn one_that_has_expired_on_the_service_is_forgotten_instead() {
    let scene = Scene::new();
    let listed = scene.killed();
    scene.expire();
    let cancel = ["uploads", "cancel", listed["id"].as_str().unwrap(), "--endpoint", &scene.server.origin];
    let ran = scene.sandbox.run_with(&cancel, &[KEY]);
    assert_snapshot!(plain(&ran.stderr, &scene, &listed), @"UPLOAD is forgotten here; the service does not have it any more");
    ran.done();
    scene.assert_nothing_left();
}

#[test]
fn where_nothing_can_be_remembered_nothing_is_begun() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x");
    let upload = ["upload", "a.txt", "--purpose", "assistants", "--local", "--state", "a.txt"];
    assert_snapshot!(sandbox.run(&upload).refused(1), @"
    error: a.txt is not a folder
    hint: --state DIR keeps what is unfinished somewhere else
    ");
    assert_snapshot!(sandbox.run(&["uploads", "list", "--state", "a.txt"]).refused(1), @"
    error: a.txt is not a folder
    hint: --state DIR keeps what is unfinished somewhere else
    ");
    assert_eq!(sandbox.run(&["files", "list", "--local", "--json"]).done(), "");
    std::fs::create_dir_all(sandbox.path("odd/0123.checkpoint")).unwrap();
    assert!(sandbox.run(&["uploads", "list", "--state", "odd"]).done().contains("unreadable"));
    let listed = sandbox.run(&["uploads", "list", "--state", "nowhere", "--json"]);
    assert_eq!(listed.done(), "");
    assert!(!sandbox.path("nowhere").exists());
}
