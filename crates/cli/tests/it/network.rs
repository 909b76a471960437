//! What goes over the wire besides the protocol: certificates, and on whose behalf a key is used.

use std::{net::TcpListener, sync::Arc, thread};

use insta::assert_snapshot;
use partwise_testkit::listener::{answering, exchange, recording};
use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};

use crate::sandbox::Sandbox;

const EMPTY_LIST: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 27\r\n\r\n{\"object\":\"list\",\"data\":[]}";

const KEY: (&str, &str) = ("OPENAI_API_KEY", "sk-0123456789");

#[test]
fn organisation_and_project_are_sent_to_openai_alone() {
    let sandbox = Sandbox::new();
    let (address, heard) = recording(EMPTY_LIST);
    let endpoint = format!("http://{address}");
    let environment =
        [KEY, ("AZURE_OPENAI_API_KEY", "k"), ("OPENAI_ORG_ID", "org-1"), ("OPENAI_PROJECT_ID", "proj-2")];
    let list = |provider| {
        sandbox
            .run_with(&["files", "list", "--endpoint", &endpoint, "--provider", provider], &environment)
            .done();
        heard.recv().unwrap().to_lowercase()
    };
    let openai = list("openai");
    assert!(
        openai.contains("openai-organization: org-1\r\n") && openai.contains("openai-project: proj-2\r\n"),
        "{openai}"
    );
    for provider in ["azure", "azure-v1"] {
        let azure = list(provider);
        assert!(!azure.contains("openai-organization") && !azure.contains("openai-project"), "{azure}");
    }
}

#[test]
fn a_certificate_is_trusted_when_its_ca_is_named() {
    let sandbox = Sandbox::new();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    sandbox.write("ca.pem", certified.cert.pem());
    let mut other = rcgen::CertificateParams::new(["elsewhere".to_owned()]).unwrap();
    other.distinguished_name.push(rcgen::DnType::CommonName, "another CA");
    sandbox.write("other.pem", other.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem());
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let config =
        ServerConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions().unwrap();
    let config =
        config.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let tls = ServerConnection::new(config.clone()).unwrap();
            exchange(&mut StreamOwned::new(tls, connection.unwrap()), EMPTY_LIST);
        }
    });

    let list = |host: &str, arguments: &[&str], environment: &[(&str, &str)]| {
        let endpoint = format!("https://{host}:{port}");
        let arguments = [&["files", "list", "--endpoint", &endpoint][..], arguments].concat();
        sandbox.run_with(&arguments, &[&[KEY], environment].concat())
    };
    list("localhost", &["--ca-cert", "ca.pem"], &[]).done();
    list("localhost", &[], &[("SSL_CERT_FILE", "ca.pem")]).done();
    let said = |ran: crate::sandbox::Ran| ran.refused(1).replace(&port.to_string(), "PORT");
    assert_snapshot!(said(list("localhost", &[], &[("SSL_CERT_FILE", "other.pem")])), @"
    error: cannot list the files at https://localhost:PORT/v1: the request could not be sent: no TLS with localhost: its certificate is signed by nobody that is trusted here: give the CA's certificate if you trust it
    hint: --ca-cert FILE trusts another CA's certificate, SSL_CERT_FILE a whole file of them
    ");
    assert_snapshot!(said(list("127.0.0.1", &["--ca-cert", "ca.pem"], &[])), @"error: cannot list the files at https://127.0.0.1:PORT/v1: the request could not be sent: no TLS with 127.0.0.1: its certificate is for another host");
}

#[test]
fn a_proxy_that_cannot_be_read_is_told_by_its_variable_and_never_shown() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x");
    let list = |variable: (&str, &str), arguments: &[&str]| {
        let arguments = [&["files", "list"], arguments].concat();
        sandbox.run_with(&arguments, &[KEY, variable])
    };
    let bad = ("HTTPS_PROXY", "http://user:hunter#2@127.0.0.1:9");
    assert_snapshot!(list(bad, &[]).refused(1), @"
    error: HTTPS_PROXY: what follows the first colon is not a port: in a name or password, # is written %23 and @ %40
    hint: a proxy looks like http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT
    ");
    assert_snapshot!(list(("all_proxy", "'http://127.0.0.1:9'"), &[]).refused(1), @"
    error: all_proxy: it has quotation marks, which are part of its value: leave them out
    hint: a proxy looks like http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT
    ");
    assert_snapshot!(list(("https_proxy", "::::"), &[]).refused(1), @"
    error: https_proxy: it names no host
    hint: a proxy looks like http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT
    ");
    let upload = ["upload", "a.txt", "--purpose", "assistants"];
    assert_snapshot!(sandbox.run_with(&upload, &[KEY, ("https_proxy", "socks5://h")]).refused(1), @"
    error: https_proxy: only proxies with http:// and https:// can be used
    hint: a proxy looks like http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT
    ");
    // Nothing goes through it.
    list(bad, &["--local"]).done();
    let (address, _heard) = recording(EMPTY_LIST);
    list(("ALL_PROXY", bad.1), &["--endpoint", &format!("http://{address}")]).done();
}

#[test]
fn a_proxy_that_does_not_let_a_request_through_is_told_with_what_to_do() {
    let sandbox = Sandbox::new();
    let list = |login: &str, answer: &'static [u8]| {
        let proxy = answering(answer);
        let url = format!("http://{login}{proxy}");
        let endpoint = ["files", "list", "--endpoint", "https://api.example/v1"];
        let ran = sandbox.run_with(&endpoint, &[KEY, ("https_proxy", &url)]);
        ran.refused(1).replace(&proxy.to_string(), "PROXY")
    };
    let login = b"HTTP/1.1 407 X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert_snapshot!(list("", login), @"
    error: cannot list the files at https://api.example/v1: the request could not be sent: the proxy at PROXY refused the way to api.example:443: 407 Proxy Authentication Required
    hint: the proxy wants a name and a password: https_proxy=http://NAME:PASSWORD@PROXY
    ");
    assert_snapshot!(list("me:hunter2@", login), @"
    error: cannot list the files at https://api.example/v1: the request could not be sent: the proxy at PROXY refused the way to api.example:443: 407 Proxy Authentication Required
    hint: the proxy does not take the name and the password in https_proxy
    ");
    let negotiate = b"HTTP/1.1 407 X\r\nproxy-authenticate: Negotiate\r\nproxy-authenticate: NTLM\r\ncontent-length: 0\r\n\r\n";
    for name in ["", "me:hunter2@"] {
        insta::allow_duplicates! {
            assert_snapshot!(list(name, negotiate), @"
            error: cannot list the files at https://api.example/v1: the request could not be sent: the proxy at PROXY refused the way to api.example:443: 407 Proxy Authentication Required
            hint: the proxy takes a login by Negotiate or NTLM only, which partwise does not have: use another proxy, or one on this machine that logs in there
            ");
        }
    }
    let either =
        b"HTTP/1.1 407 X\r\nproxy-authenticate: Negotiate, Basic realm=\"a\"\r\ncontent-length: 0\r\n\r\n";
    assert!(list("", either).contains("https_proxy=http://NAME:PASSWORD@PROXY"));
    let blocked = b"HTTP/1.1 403 X\r\ncontent-type: text/html\r\n\r\n<title>Blocked by policy</title>";
    assert_snapshot!(list("", blocked), @"
    error: cannot list the files at https://api.example/v1: the request could not be sent: the proxy at PROXY refused the way to api.example:443: 403 Forbidden: a page with the title “Blocked by policy”
    hint: ask those who run the proxy to allow api.example:443, or add the host to NO_PROXY if it can be reached directly
    ");
    assert_snapshot!(list("", b"HTTP/1.1 502 X\r\ncontent-length: 0\r\n\r\n"), @"
    error: cannot list the files at https://api.example/v1: the request could not be sent: the proxy at PROXY refused the way to api.example:443: 502 Bad Gateway
    hint: the proxy did not reach api.example:443: try again later
    ");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = ["files", "list", "--endpoint", "https://api.example/v1"];
    let ran = sandbox.run_with(&endpoint, &[KEY, ("ALL_PROXY", &nobody.to_string())]);
    assert_snapshot!(ran.refused(1).replace(&nobody.to_string(), "PROXY"), @"
    the service cannot be reached: trying again
    error: cannot list the files at https://api.example/v1: the service could not be reached: the proxy at PROXY cannot be reached: cannot connect to PROXY: Connection refused (os error 111)
    hint: is the proxy running, and is it where ALL_PROXY says?
    ");
}

#[test]
fn plain_http_to_another_machine_is_allowed_with_a_warning() {
    let sandbox = Sandbox::new();
    // A name that only the proxy knows.
    let (proxy, heard) = recording(EMPTY_LIST);
    let proxy = format!("http://{proxy}");
    let list = |endpoint: &str, arguments: &[&str], variable| {
        let arguments = [&["files", "list", "--endpoint", endpoint], arguments].concat();
        let ran = sandbox.run_with(&arguments, &[KEY, ("HTTP_PROXY", &proxy), variable]);
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.stderr
    };
    let unset = ("PARTWISE_ALLOW_PLAIN_HTTP", "");
    let said = list("http://litellm:4000/v1", &["--allow-plain-http"], unset);
    assert_snapshot!(said, @"
    warning: the key goes to litellm:4000 over plain http, where anyone on the way can read it
    no files
    ");
    assert!(heard.recv().unwrap().contains("Bearer sk-0123456789"));
    assert_eq!(list("http://litellm:4000/v1", &[], ("PARTWISE_ALLOW_PLAIN_HTTP", "1")), said);
    let (here, _heard) = recording(EMPTY_LIST);
    assert_eq!(list(&format!("http://{here}/v1"), &["--allow-plain-http"], unset), "no files\n");
}

#[test]
fn logs_tell_what_happens_and_never_a_key() {
    let sandbox = Sandbox::new();
    let log = ("PARTWISE_LOG", "trace");
    let server = sandbox.serve(&[], &[("PARTWISE_API_KEYS", "sk-0123456789"), log]);
    sandbox.write("a.txt", "x");
    let upload =
        ["upload", "a.txt", "--purpose", "assistants", "--route", "parts", "--endpoint", &server.origin];
    let ran = sandbox.run_with(&upload, &[KEY, log]);
    let served = server.stop().1;
    for (logged, span) in [(ran.stderr, "upload{"), (served, "request{")] {
        assert!(logged.contains(span), "{logged}");
        assert!(!logged.contains("0123456789"), "{logged}");
    }
}
