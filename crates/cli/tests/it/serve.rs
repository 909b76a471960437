//! `partwise serve`, over a socket.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use insta::assert_snapshot;
use partwise_testkit::content::noise;

use crate::sandbox::{Sandbox, Serving};

const MIB: usize = 1 << 20;

/// The three ways to reach a server, each with the environment that the official SDKs would read too.
fn providers(server: &Serving, key: &str) -> [(&'static str, Vec<(&'static str, String)>); 3] {
    let azure =
        || vec![("AZURE_OPENAI_ENDPOINT", server.origin.clone()), ("AZURE_OPENAI_API_KEY", key.to_owned())];
    let openai =
        vec![("OPENAI_BASE_URL", format!("{}/v1", server.origin)), ("OPENAI_API_KEY", key.to_owned())];
    [("openai", openai), ("azure", azure()), ("azure-v1", azure())]
}

fn borrowed<'a>(environment: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn every_provider_is_served_from_the_same_files() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&[], &[("PARTWISE_API_KEYS", "the-key")]);
    let content = noise(3 * MIB + 1);
    sandbox.write("train.jsonl", &content);
    for (provider, environment) in providers(&server, "the-key") {
        let run = |arguments: &[&str]| {
            sandbox.run_with(&[arguments, &["--provider", provider]].concat(), &borrowed(&environment))
        };
        let upload = run(&[
            "upload",
            "train.jsonl",
            "--purpose",
            "fine-tune",
            "--part-size",
            "1MiB",
            "--md5",
            "--json",
        ]);
        let id = upload.json()["id"].as_str().unwrap().to_owned();
        run(&["files", "download", &id, "-o", provider]).done();
        assert_eq!(sandbox.read(provider), content, "{provider}");
        assert_eq!(run(&["files", "get", &id, "--json"]).json()["bytes"], content.len());
        run(&["files", "delete", &id]).done();
        assert_eq!(run(&["files", "list", "--json"]).done(), "");
    }
}

#[test]
fn a_batch_file_of_any_name_is_stored_unless_the_server_is_strict() {
    let sandbox = Sandbox::new();
    sandbox.write("requests.txt", "{}\n");
    for (flags, is_stored) in [(&[][..], true), (&["--strict"][..], false)] {
        let server = sandbox.serve(flags, &[]);
        let endpoint = format!("{}/v1", server.origin);
        let upload =
            ["upload", "requests.txt", "--purpose", "batch", "--allow-any-name", "--endpoint", &endpoint];
        let run = sandbox.run_with(&upload, &[("OPENAI_API_KEY", "any")]);
        if is_stored {
            run.done();
        } else {
            let told = run.refused(1);
            assert!(told.contains("must have a name that ends with .jsonl"), "{told}");
        }
    }
}

#[test]
fn a_token_goes_before_a_key_on_azure() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&[], &[("PARTWISE_API_KEYS", "the-token")]);
    let environment = [
        ("AZURE_OPENAI_ENDPOINT", server.origin.as_str()),
        ("AZURE_OPENAI_AD_TOKEN", "the-token"),
        ("AZURE_OPENAI_API_KEY", "wrong"),
    ];
    for provider in ["azure", "azure-v1"] {
        sandbox.run_with(&["files", "list", "--provider", provider], &environment).done();
    }
}

#[test]
fn tenants_of_a_key_file_do_not_see_each_others_files() {
    let sandbox = Sandbox::new();
    sandbox.write("keys", "# who may come in\n\nalone\nred:red-key\n  blue:blue-key  \n");
    let server = sandbox.serve(&["--api-key-file", "keys"], &[]);
    sandbox.write("a.txt", "x");
    let run = |key: &str, arguments: &[&str]| {
        sandbox.run_with(&[arguments, &["--endpoint", &server.origin]].concat(), &[("OPENAI_API_KEY", key)])
    };
    let stored = run("red-key", &["upload", "a.txt", "--purpose", "assistants", "--json"]).json();
    let id = stored["id"].as_str().unwrap();
    run("red-key", &["files", "get", id]).done();
    for stranger in ["blue-key", "alone"] {
        assert!(run(stranger, &["files", "get", id]).refused(1).contains("404"));
        assert_eq!(run(stranger, &["files", "list", "--json"]).done(), "");
    }
    assert!(run("red", &["files", "list"]).refused(1).contains("401"));
}

#[test]
fn what_is_served_is_what_the_embedded_server_stores() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x");
    let upload = ["upload", "a.txt", "--purpose", "assistants", "--json", "--local", "--store", "served"];
    let id = sandbox.run(&upload).json()["id"].as_str().unwrap().to_owned();
    let get = |server: &Serving, key| {
        sandbox.run_with(&["files", "get", &id, "--endpoint", &server.origin], &[("OPENAI_API_KEY", key)])
    };
    get(&sandbox.serve(&[], &[]), "any").done();
    let with_keys = sandbox.serve(&[], &[("PARTWISE_API_KEYS", "everyone:ours,theirs")]);
    get(&with_keys, "ours").done();
    get(&with_keys, "theirs").refused(1);
}

#[test]
fn without_keys_it_says_so_and_stays_on_this_machine() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&[], &[]);
    let ran = sandbox
        .run_with(&["files", "list", "--endpoint", &server.origin, "--json"], &[("OPENAI_API_KEY", "any")]);
    ran.done();
    let (status, said) = server.stop();
    assert_eq!(status, 0);
    assert_snapshot!(said, @"no keys are set: any key will do, and only this machine can connect");
    let ran = sandbox.run(&["serve", "--store", "served", "--listen", "0.0.0.0:0"]);
    assert_snapshot!(ran.refused(1), @"
    error: no keys are set, and other machines could connect to 0.0.0.0:0
    hint: give keys with --api-key-file or PARTWISE_API_KEYS, or listen on 127.0.0.1
    ");
}

#[test]
fn what_it_answered_without_syncing_survives_being_killed() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&["--durability", "none"], &[]);
    let content = noise(MIB + 1);
    sandbox.write("a.txt", &content);
    let run = |server: &Serving, arguments: &[&str]| {
        sandbox.run_with(&[arguments, &["--endpoint", &server.origin]].concat(), &[("OPENAI_API_KEY", "any")])
    };
    let upload =
        ["upload", "a.txt", "--purpose", "assistants", "--part-size", "512KiB", "--route", "parts", "--json"];
    let id = run(&server, &upload).json()["id"].as_str().unwrap().to_owned();
    // Ends it with SIGKILL.
    drop(server);
    let next = sandbox.serve(&[], &[]);
    run(&next, &["files", "download", &id, "-o", "back"]).done();
    assert_eq!(sandbox.read("back"), content);
}

#[test]
fn it_stops_when_it_is_asked_to() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&[], &[("PARTWISE_API_KEYS", "k")]);
    assert_eq!(server.stop(), (0, String::new()));
}

#[test]
fn one_press_that_comes_twice_cuts_nothing_off() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&[], &[("PARTWISE_API_KEYS", "k")]);
    let mut connection = TcpStream::connect(server.origin.strip_prefix("http://").unwrap()).unwrap();
    let body = r#"{"filename":"a.txt","purpose":"assistants","bytes":1,"mime_type":"text/plain"}"#;
    let head = "POST /v1/uploads HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\nexpect: 100-continue";
    write!(connection, "{head}\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut begun = [0; 25];
    connection.read_exact(&mut begun).unwrap();
    assert_eq!(begun, *b"HTTP/1.1 100 Continue\r\n\r\n");
    server.signal(&["INT", "TERM"]);
    connection.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(server.ended(), (0, String::new()));
}

#[test]
fn a_store_that_has_to_exist_is_not_made() {
    let sandbox = Sandbox::new();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--require-existing", "--store"];
    let refused = |store| sandbox.run(&[&serve[..], &[store]].concat());
    assert_snapshot!(refused("served").refused(1), @"
    error: there is no store in served, and none was to be made
    hint: is its disk mounted? Leave out --require-existing once to make a new store there
    ");
    assert!(!sandbox.path("served").exists());
    assert_snapshot!(refused("memory://").refused(2), @"
    error: --store: memory://: a store in memory is always a new one
    hint: leave out --require-existing, or name a folder
    ");
    assert_eq!(sandbox.serve(&[], &[("PARTWISE_API_KEYS", "k")]).stop().0, 0);
    assert_eq!(sandbox.serve(&["--require-existing"], &[("PARTWISE_API_KEYS", "k")]).stop().0, 0);
}

#[test]
fn what_keeps_it_from_serving_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("keys", "# who may come in\n\nfine:key\nSk-SECRETKEY123:team\n");
    sandbox.write("empty", "# none\n");
    sandbox.write("a-file", "x");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let serve = |arguments: &[&str]| {
        let ran = sandbox.run(&[&["serve"], arguments].concat());
        let status = ran.status;
        ran.refused(status).replace(&address.port().to_string(), "PORT") + &format!("status {status}")
    };
    assert_snapshot!(serve(&["--listen", &address.to_string()]), @"
    error: cannot listen on 127.0.0.1:PORT: Address already in use (os error 98)
    status 1
    ");
    assert_snapshot!(serve(&["--listen", "nonsense"]), @"
    error: --listen takes an address and a port, and 'nonsense' is not that
    hint: such as 127.0.0.1:8080 or [::1]:8080
    status 2
    ");
    assert_snapshot!(serve(&["--listen", "192.0.2.1:80", "--api-key-file", "keys"]), @"
    error: --api-key-file keys: line 4 has no tenant name before its colon: take 1 to 64 lower-case letters, digits, `-` and `_`, with the key behind the colon
    status 1
    ");
    assert_snapshot!(serve(&["--api-key-file", "missing"]), @"
    error: --api-key-file missing: No such file or directory (os error 2)
    status 1
    ");
    assert_snapshot!(serve(&["--api-key-file", "empty"]), @"
    error: --api-key-file empty: there is no key in the list
    status 1
    ");
    assert_snapshot!(serve(&["--durability", "some"]), @"
    error: invalid value 'some' for '--durability <LEVEL>' [possible values: strict, none]
    status 2
    ");
    assert_snapshot!(serve(&["--store", "a-file"]), @"
    error: the store `a-file` is not a folder
    status 1
    ");
    assert_snapshot!(serve(&["--store", "gopher://x"]), @"
    error: --store: there is no kind of store called gopher://
    hint: give a folder, file:///…, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX, gs://BUCKET/PREFIX or memory://
    status 2
    ");
}
