//! What fails or is refused: status 1 and one clear line.

use std::{
    io::Write as _,
    net::TcpListener,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use insta::assert_snapshot;
use partwise_testkit::{content::noise, listener::answering};

use crate::sandbox::{Ran, Sandbox};

const KEY: (&str, &str) = ("OPENAI_API_KEY", "sk-very-secret-0123456789");

fn upload(sandbox: &Sandbox, file: &str) -> Ran {
    sandbox.run(&["upload", "--local", file, "--purpose", "assistants"])
}

#[test]
fn what_is_no_file_with_bytes_in_it_cannot_be_uploaded() {
    let sandbox = Sandbox::new();
    sandbox.write("empty.jsonl", "");
    std::fs::create_dir(sandbox.path("folder")).unwrap();
    assert_snapshot!(upload(&sandbox, "missing.jsonl").refused(1), @"error: cannot read missing.jsonl: No such file or directory (os error 2)");
    assert_snapshot!(upload(&sandbox, "no-such-folder/data.jsonl").refused(1), @"error: cannot read no-such-folder/data.jsonl: No such file or directory (os error 2)");
    assert_snapshot!(upload(&sandbox, "folder").refused(1), @"error: cannot read folder: it is a directory, and only files can be uploaded");
    assert_snapshot!(upload(&sandbox, "empty.jsonl").refused(1), @"error: cannot upload empty.jsonl: the file is empty, and the service takes no empty files");
    assert_snapshot!(upload(&sandbox, "-").refused(1), @"
    error: cannot read -: No such file or directory (os error 2)
    hint: standard input cannot be uploaded: write it to a file first
    ");
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_or_a_pipe_cannot_be_uploaded() {
    assert_snapshot!(upload(&Sandbox::new(), "/dev/null").refused(1), @"error: cannot read /dev/null: it is a pipe, a device or a socket, and only regular files can be uploaded");
}

#[test]
fn without_a_key_the_variable_is_named() {
    let sandbox = Sandbox::new();
    let list = |arguments: &[&str], environment: &[(&str, &str)]| {
        sandbox.run_with(&[&["files", "list"], arguments].concat(), environment).refused(1)
    };
    assert_snapshot!(list(&[], &[]), @"
    error: no key: the environment variable OPENAI_API_KEY is not set
    hint: set OPENAI_API_KEY, or use --local, which needs no key
    ");
    assert_snapshot!(list(&[], &[("OPENAI_API_KEY", "")]), @"
    error: no key: the environment variable OPENAI_API_KEY is not set
    hint: set OPENAI_API_KEY, or use --local, which needs no key
    ");
    assert_snapshot!(list(&[], &[("AZURE_OPENAI_API_KEY", "k")]), @"
    error: no key: the environment variable OPENAI_API_KEY is not set
    hint: AZURE_OPENAI_API_KEY is set: --provider azure or azure-v1 uses it
    ");
    assert_snapshot!(list(&["--provider", "azure", "--endpoint", "https://r.openai.azure.com"], &[KEY]), @"
    error: no key: the environment variable AZURE_OPENAI_API_KEY is not set
    hint: set AZURE_OPENAI_API_KEY, or AZURE_OPENAI_AD_TOKEN for Entra ID
    ");
    assert_snapshot!(list(&[], &[("OPENAI_API_KEY", "two\nlines")]), @"
    error: OPENAI_API_KEY: the key has a line break or another control character in it
    hint: set OPENAI_API_KEY to the key alone
    ");
}

#[test]
fn what_the_environment_says_wrongly_is_named() {
    let sandbox = Sandbox::new();
    let list = |arguments: &[&str], variable| sandbox.run_with(arguments, &[KEY, variable]).refused(1);
    assert_snapshot!(list(&["files", "list"], ("OPENAI_BASE_URL", "example.com/v1")), @"
    error: OPENAI_BASE_URL: the endpoint `example.com/v1` must start with https:// or http://
    hint: write OPENAI_BASE_URL=https://example.com/v1
    ");
    let azure = ["files", "list", "--provider", "azure", "--endpoint", "https://r.openai.azure.com"];
    assert_snapshot!(list(&azure, ("OPENAI_API_VERSION", "latest")), @"
    error: OPENAI_API_VERSION: 'latest' is not a dated version
    hint: it looks like 2024-10-21; for Azure's v1 API use --provider azure-v1
    ");
    assert_snapshot!(list(&["files", "list"], ("PARTWISE_LOG", "partwise=loud")), @r#"
    error: PARTWISE_LOG: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5
    hint: write a level (error, warn, info, debug, trace) or target=level, comma-separated
    "#);
}

#[test]
fn what_a_variable_could_make_right_is_no_wrong_argument() {
    let sandbox = Sandbox::new();
    sandbox.write("a.jsonl", "x");
    assert_snapshot!(sandbox.run(&["files", "list", "--provider", "azure"]).refused(1), @"
    error: Azure needs an endpoint
    hint: give --endpoint https://NAME.openai.azure.com or set AZURE_OPENAI_ENDPOINT
    ");
    let upload = ["upload", "a.jsonl", "--purpose", "fine-tune", "--local", "--provider", "azure"];
    let old = |arguments: &[&str]| {
        let arguments = [&upload[..], arguments].concat();
        sandbox.run_with(&arguments, &[("OPENAI_API_VERSION", "2024-06-01")]).refused(1)
    };
    assert_snapshot!(old(&["--route", "parts"]), @"
    error: Azure OpenAI 2024-06-01 does not take files in parts
    hint: a later api-version has them: --api-version 2024-10-21
    ");
    assert_snapshot!(old(&["--md5"]), @"error: an MD5 can only be sent with a file in parts, and this one goes in one request");
}

#[test]
fn a_file_too_large_for_one_request_is_told_what_has_parts() {
    let sandbox = Sandbox::new();
    let large = std::fs::File::create(sandbox.path("large.jsonl")).unwrap();
    large.set_len(600 << 20).unwrap();
    let upload = |arguments: &[&str]| {
        let upload = ["upload", "large.jsonl", "--purpose", "fine-tune", "--local"];
        sandbox.run(&[&upload[..], arguments].concat()).refused(1)
    };
    assert_snapshot!(upload(&["--route", "single"]), @"
    error: cannot upload large.jsonl: the file has 600 MiB, and the service takes at most 488.2 MiB in one request
    hint: in parts it may be larger, for the purposes that have them: --route parts
    ");
    assert_snapshot!(upload(&["--provider", "azure", "--api-version", "2024-06-01"]), @"
    error: cannot upload large.jsonl: the file has 600 MiB, and the service takes at most 488.2 MiB in one request
    hint: in parts it may be larger, and a later api-version has them: --api-version 2024-10-21
    ");
    large.set_len(512_000_001).unwrap();
    assert_snapshot!(upload(&["--route", "single"]), @"
    error: cannot upload large.jsonl: the file has 512000001 bytes, and the service takes at most 512000000 bytes in one request
    hint: in parts it may be larger, for the purposes that have them: --route parts
    ");
}

#[test]
fn a_service_that_cannot_be_reached_is_named() {
    let sandbox = Sandbox::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let list = |endpoint: &str| {
        let ran = sandbox.run_with(&["files", "list", "--endpoint", endpoint], &[KEY]);
        ran.refused(1).replace(&closed.port().to_string(), "PORT")
    };
    assert_snapshot!(list(&format!("http://{closed}")), @"
    the service cannot be reached: trying again
    error: cannot list the files at http://127.0.0.1:PORT/v1: the service could not be reached: cannot connect to 127.0.0.1:PORT: Connection refused (os error 111)
    hint: is the service running, and is http://127.0.0.1:PORT/v1 where it is?
    ");
    assert_snapshot!(list(&format!("https://{closed}")), @"
    the service cannot be reached: trying again
    error: cannot list the files at https://127.0.0.1:PORT/v1: the service could not be reached: cannot connect to 127.0.0.1:PORT: Connection refused (os error 111)
    hint: is the service running, and is https://127.0.0.1:PORT/v1 where it is?
    ");
    // What the resolver says about it depends on the machine's network.
    let unknown = list("https://no-such-host.invalid/v1");
    let expected = "the service cannot be reached: trying again\nerror: cannot list the files at https://no-such-host.invalid/v1: the service could not be reached: \
                    the host `no-such-host.invalid` is not known: ";
    assert!(unknown.starts_with(expected), "{unknown}");
    assert!(unknown.ends_with("\nhint: check how the endpoint is spelt, and the network\n"), "{unknown}");
}

#[test]
fn a_port_that_answers_something_else_is_named() {
    let sandbox = Sandbox::new();
    let list = |scheme: &str, answer| {
        let address = answering(answer);
        let ran =
            sandbox.run_with(&["files", "list", "--endpoint", &format!("{scheme}://{address}")], &[KEY]);
        ran.refused(1).replace(&address.port().to_string(), "PORT")
    };
    assert_snapshot!(list("http", b"SSH-2.0-OpenSSH_9.2\r\n"), @"
    error: cannot list the files at http://127.0.0.1:PORT/v1: the request could not be sent: what listens at 127.0.0.1:PORT does not speak HTTP: invalid HTTP version parsed
    hint: something else listens there
    ");
    assert_snapshot!(list("http", b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 21\r\n\r\n<title>Router</title>\n"), @r#"
    error: cannot list the files at http://127.0.0.1:PORT/v1: the answer with status 200 is not what this API answers: a page with the title “Router”
    hint: something in front of the service answered in its place: sign in to this network, or look at the proxy, firewall or gateway on the way
    "#);
    assert_snapshot!(list("http", b"HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 21\r\n\r\n<title>Router</title>\n"), @"
    error: cannot list the files at http://127.0.0.1:PORT/v1: the service refused: 404 Not Found: a page with the title “Router”
    hint: something else may be answering: is http://127.0.0.1:PORT/v1 the right endpoint?
    ");
    assert_snapshot!(list("https", b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"), @"error: cannot list the files at https://127.0.0.1:PORT/v1: the request could not be sent: no TLS with 127.0.0.1: what listens there does not speak TLS: is it an http:// address?");
}

#[test]
fn a_redirect_says_where_it_leads_and_what_to_set() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x");
    let run = |arguments: &[&str], answer, by_variable: bool| {
        let address = answering(answer);
        let endpoint = format!("http://{address}/v1");
        let (flag, variable) = match by_variable {
            false => (vec!["--endpoint", &endpoint], vec![KEY]),
            true => (vec![], vec![KEY, ("OPENAI_BASE_URL", &*endpoint)]),
        };
        let ran = sandbox.run_with(&[arguments, &flag].concat(), &variable);
        ran.refused(1).replace(&address.port().to_string(), "PORT")
    };
    let files = b"HTTP/1.1 301 Moved Permanently\r\nlocation: https://gateway.example/v1/files\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert_snapshot!(run(&["upload", "a.txt", "--purpose", "assistants"], files, false), @"
    error: cannot upload a.txt at http://127.0.0.1:PORT/v1: POST /files was redirected to https://gateway.example/v1/files (301 Moved Permanently)
    hint: set the endpoint to https://gateway.example/v1 (--endpoint)
    ");
    assert_snapshot!(run(&["files", "list"], files, true), @"
    error: cannot list the files at http://127.0.0.1:PORT/v1: the request was redirected to https://gateway.example/v1/files (301 Moved Permanently)
    hint: set the endpoint to https://gateway.example/v1 (OPENAI_BASE_URL)
    ");
    let elsewhere = b"HTTP/1.1 302 Found\r\nlocation: /login?next=secret\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert_snapshot!(run(&["files", "get", "file-1"], elsewhere, false), @"
    error: cannot get file-1 at http://127.0.0.1:PORT/v1: the request was redirected to http://127.0.0.1:PORT/login (302 Found)
    hint: something else may be answering: is http://127.0.0.1:PORT/v1 the right endpoint?
    ");
}

#[test]
fn a_download_that_another_host_rejects_does_not_blame_the_key() {
    let sandbox = Sandbox::new();
    let elsewhere =
        answering(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 7\r\nconnection: close\r\n\r\nexpired");
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{elsewhere}/blob\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let address = answering(answer.leak().as_bytes());
    let download = ["files", "download", "file-1", "-o", "-", "--endpoint", &format!("http://{address}")];
    let said = sandbox.run_with(&download, &[KEY]).refused(1);
    let said = said.replace(&address.to_string(), "SERVICE").replace(&elsewhere.to_string(), "ELSEWHERE");
    assert_snapshot!(said, @"
    error: cannot download file-1 at http://SERVICE/v1: the service refused: ELSEWHERE answered 403 Forbidden: expired
    hint: the service redirected the download to ELSEWHERE, which rejected it: run the same command again for a new redirect
    ");
}

#[test]
fn a_wrong_key_is_told_and_never_shown() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve(&[], &[("PARTWISE_API_KEYS", "right-key")]);
    sandbox.write("a.txt", noise(100_000));
    for arguments in
        [&["files", "list"][..], &["upload", "a.txt", "--purpose", "assistants"], &["files", "get", "file-1"]]
    {
        let arguments = [arguments, &["--endpoint", &server.origin]].concat();
        let said = sandbox.run_with(&arguments, &[KEY]).refused(1);
        assert!(said.starts_with("error: ") && said.contains("401"), "{said}");
        assert!(said.contains("hint: the service rejected the key in OPENAI_API_KEY (401)"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
    let echo = b"HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: 114\r\n\r\n{\"error\":{\"message\":\"Incorrect API key provided: sk-very-********6789, sk-very-secret-0123456789.\",\"type\":\"x\"}}   ";
    let address = answering(echo);
    let ran = sandbox.run_with(&["files", "list", "--endpoint", &format!("http://{address}")], &[KEY]);
    assert_snapshot!(ran.refused(1).replace(&address.port().to_string(), "PORT"), @"
    error: cannot list the files at http://127.0.0.1:PORT/v1: the service refused: 401 Unauthorized: Incorrect API key provided: [redacted] [redacted].
    hint: the service rejected the key in OPENAI_API_KEY (401): check which key it is, and of which service
    ");
}

#[test]
fn a_key_is_not_sent_in_the_clear_unless_that_is_allowed() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x");
    let run = |arguments: &[&str], variable| {
        sandbox
            .run_with(arguments, &[KEY, ("OPENAI_BASE_URL", "http://litellm:4000/v1"), variable])
            .refused(1)
    };
    let unset = ("PARTWISE_ALLOW_PLAIN_HTTP", "");
    assert_snapshot!(run(&["upload", "a.txt", "--purpose", "assistants"], unset), @"
    error: http://litellm:4000/v1: the key would go to litellm:4000 over plain http, where anyone on the way can read it
    hint: use https://, or --allow-plain-http (PARTWISE_ALLOW_PLAIN_HTTP=1) where the network on the way is trusted
    ");
    assert_eq!(
        run(&["files", "list"], ("PARTWISE_ALLOW_PLAIN_HTTP", "0")),
        run(&["upload", "a.txt", "--purpose", "assistants"], unset)
    );
    assert_snapshot!(run(&["files", "list"], ("PARTWISE_ALLOW_PLAIN_HTTP", "yes")), @"error: PARTWISE_ALLOW_PLAIN_HTTP: 'yes' is neither 1 nor 0");
}

#[test]
fn a_file_that_changes_under_the_upload_is_an_error() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("growing.jsonl", noise(8 << 20));
    let done = AtomicBool::new(false);
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            while !done.load(Ordering::Relaxed) {
                file.write_all(b"more\n").unwrap();
            }
        });
        let arguments =
            ["upload", "--local", "growing.jsonl", "--purpose", "fine-tune", "--part-size", "1MiB"];
        let ran = sandbox.run(&arguments);
        done.store(true, Ordering::Relaxed);
        ran
    });
    let said = ran.refused(1);
    let expected =
        "error: cannot upload growing.jsonl: the source changed while it was uploaded: its length was ";
    assert!(said.starts_with(expected), "{said}");
    assert!(said.ends_with("\nhint: upload it again when nothing writes to it any more\n"), "{said}");
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let sandbox = Sandbox::new();
    sandbox.write("ca.pem", "no certificate");
    let list = |file| sandbox.run_with(&["files", "list", "--ca-cert", file], &[KEY]).refused(1);
    assert_snapshot!(list("missing.pem"), @"error: --ca-cert missing.pem: No such file or directory (os error 2)");
    assert_snapshot!(list("ca.pem"), @"error: --ca-cert ca.pem: there is no certificate in the given CA certificates: they must be in PEM format");
}

#[test]
fn a_store_that_cannot_be_opened_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("a-file", "x");
    assert_snapshot!(sandbox.run(&["files", "list", "--local", "--store", "a-file"]).refused(1), @"error: the store `a-file` is not a folder");
}
