//! `partwise check`: files of JSON Lines before they are uploaded.

use insta::assert_snapshot;
use partwise_testkit::scripted::{Answer, Scripted};

use crate::sandbox::Sandbox;

fn check(content: &str, purpose: &str, more: &[&str]) -> (i32, String, String) {
    let sandbox = Sandbox::new();
    sandbox.write("data.jsonl", content);
    let ran = sandbox.run(&[&["check", "data.jsonl", "--purpose", purpose], more].concat());
    (ran.status, ran.stdout, ran.stderr)
}

#[test]
fn a_file_of_objects_is_said_to_be_one() {
    let (status, stdout, stderr) = check("{\"a\": 1}\n{}\n", "fine-tune", &[]);
    assert_eq!((status, &*stdout, &*stderr), (0, "data.jsonl: 2 lines, all valid JSON objects\n", ""));
    let (status, stdout, stderr) = check("{}", "evals", &["--json"]);
    assert_eq!((status, &*stdout, &*stderr), (0, "", ""));
}

#[test]
fn every_wrong_line_is_named_with_its_place() {
    let (status, stdout, stderr) = check("{\"a\": 1,}\n{}\n[]\n", "fine-tune", &[]);
    assert_eq!(status, 1);
    assert_snapshot!(stdout, @"
    data.jsonl:1:9: not JSON: key must be a string
    data.jsonl:3:1: JSON, but not an object
    ");
    assert_snapshot!(stderr, @"
    error: data.jsonl: 2 of 3 lines are wrong
    hint: fix these lines, then upload
    ");
    let (status, stdout, _) = check("{\"a\": 1,}\n{}\n[]\n", "fine-tune", &["--json"]);
    assert_eq!(status, 1);
    assert_snapshot!(stdout, @r#"
    {"line":1,"column":9,"problem":"not JSON: key must be a string"}
    {"line":3,"column":1,"problem":"JSON, but not an object"}
    "#);
    let (status, stdout, stderr) = check("", "fine-tune", &[]);
    assert_eq!(status, 1);
    assert_snapshot!(stdout + &stderr, @"
    data.jsonl:1:1: the file is empty
    error: data.jsonl is empty
    ");
}

#[test]
fn a_byte_order_mark_is_for_fine_tuning_and_not_for_a_batch() {
    assert_eq!(check("\u{feff}{}\n", "fine-tune", &[]).0, 0);
    let (status, stdout, _) = check("\u{feff}{}\n", "batch", &[]);
    assert_eq!(status, 1);
    assert_snapshot!(stdout, @"data.jsonl:1:1: a byte order mark; only a file for fine-tuning may begin with one");
}

#[test]
fn people_are_shown_the_first_twenty_and_programs_all() {
    let content = "x\n".repeat(25);
    let (_, stdout, _) = check(&content, "batch", &[]);
    assert_eq!(stdout.lines().count(), 21);
    assert_eq!(stdout.lines().last(), Some("and 5 more"));
    let (_, stdout, _) = check(&"x\n".repeat(20), "batch", &[]);
    assert_eq!(stdout.lines().count(), 20);
    let (_, stdout, _) = check(&content, "batch", &["--json"]);
    assert_eq!(stdout.lines().count(), 25);
}

#[test]
fn what_is_wrong_with_the_arguments_is_said() {
    let sandbox = Sandbox::new();
    let refused = |arguments: &[&str], status| sandbox.run(arguments).refused(status);
    assert_snapshot!(refused(&["check", "data.jsonl", "--purpose", "fine-tune"], 1), @"error: cannot read data.jsonl: No such file or directory (os error 2)");
    assert_snapshot!(refused(&["check", ".", "--purpose", "fine-tune"], 1), @"error: cannot read .: Is a directory (os error 21)");
    assert_snapshot!(refused(&["check", "data.jsonl", "--purpose", "vision"], 2), @"error: invalid value 'vision' for '--purpose <PURPOSE>' [possible values: batch, evals, fine-tune]");
    assert_snapshot!(refused(&["check", "data.jsonl", "--purpose", "batch", "--local"], 2), @"
    error: --local has no meaning for check
    hint: check looks at this machine alone
    ");
}

#[test]
fn objects_that_lie_over_several_lines_are_told_how_to_become_lines() {
    let (_, _, stderr) = check("[\n  {\"a\": 1}\n]\n", "fine-tune", &[]);
    assert_snapshot!(stderr, @"
    error: data.jsonl: 2 of 3 lines are wrong
    hint: each line has to be one whole object: `jq -c .` makes such lines, and `jq -c '.[]'` does of an array
    ");
}

/// What is said of a file of this name, and the exit status.
fn check_bytes(name: &str, content: &[u8], more: &[&str]) -> (i32, String) {
    let sandbox = Sandbox::new();
    sandbox.write(name, content);
    let ran = sandbox.run(&[&["check", name, "--purpose", "batch"], more].concat());
    (ran.status, ran.stdout + &ran.stderr)
}

fn wide(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn a_file_in_utf_16_is_told_in_one_line_with_the_command_that_converts_it() {
    let text = "{\"custom_id\":\"a\"}\n{\"custom_id\":\"b\"}\n";
    let marked = wide(&format!("\u{feff}{text}"), u16::to_le_bytes);
    assert_snapshot!(check_bytes("data.jsonl", &marked, &[]).1, @"
    error: data.jsonl: UTF-16, and a service takes UTF-8
    hint: iconv -f UTF-16 -t UTF-8 data.jsonl > data-utf-8.jsonl, or in PowerShell: Get-Content data.jsonl | Set-Content -Encoding utf8NoBOM data-utf-8.jsonl
    ");
    assert_snapshot!(check_bytes("my data.jsonl", &wide(text, u16::to_le_bytes), &[]).1, @"
    error: my data.jsonl: UTF-16, and a service takes UTF-8
    hint: iconv -f UTF-16LE -t UTF-8 'my data.jsonl' > 'my data-utf-8.jsonl', or in PowerShell: Get-Content -Encoding unicode 'my data.jsonl' | Set-Content -Encoding utf8NoBOM 'my data-utf-8.jsonl'
    ");
    assert_snapshot!(check_bytes("data.jsonl", &wide(text, u16::to_be_bytes), &[]).1, @"
    error: data.jsonl: UTF-16, and a service takes UTF-8
    hint: iconv -f UTF-16BE -t UTF-8 data.jsonl > data-utf-8.jsonl, or in PowerShell: Get-Content -Encoding bigendianunicode data.jsonl | Set-Content -Encoding utf8NoBOM data-utf-8.jsonl
    ");
    let (status, said) = check_bytes("data.jsonl", &marked, &["--json"]);
    assert_eq!(status, 1);
    assert_eq!(said.lines().next().unwrap(), "{\"problem\":\"UTF-16, and a service takes UTF-8\"}");
}

#[test]
fn a_compressed_file_is_told_in_one_line() {
    let (status, said) = check_bytes("data.jsonl", &[0x1f, 0x8b, 8, 0, 1, 2, b'\n'], &[]);
    assert_eq!(status, 1);
    assert_snapshot!(said, @"
    error: data.jsonl: compressed by gzip, and a service takes plain text
    hint: unpack it first: gunzip -c < data.jsonl > data-unpacked.jsonl
    ");
    for (name, command) in [
        ("unpacked.jsonl", "gunzip -c < unpacked.jsonl > unpacked-unpacked.jsonl"),
        ("data.jsonl.gz", "gunzip -c < data.jsonl.gz > data-unpacked.jsonl"),
        ("DATA.JSONL", "gunzip -c < DATA.JSONL > DATA-unpacked.jsonl"),
        ("./.jsonl", "gunzip -c < ./.jsonl > ./.jsonl-unpacked.jsonl"),
    ] {
        let said = check_bytes(name, &[0x1f, 0x8b, 8, 0, 1, 2, b'\n'], &[]).1;
        assert!(said.ends_with(&format!("hint: unpack it first: {command}\n")), "{said}");
    }
}

#[test]
fn one_empty_line_at_the_end_is_a_warning() {
    let (status, said) = check_bytes("data.jsonl", b"{}\n{}\n\n", &[]);
    assert_eq!(status, 0);
    assert_snapshot!(said, @"
    data.jsonl:3:1: warning: an empty line at the end
    data.jsonl: 2 lines, all valid JSON objects
    ");
    let (status, said) = check_bytes("data.jsonl", b"{}\n\n", &["--json"]);
    assert_eq!(status, 0);
    assert_snapshot!(said, @r#"{"line":2,"column":1,"problem":"an empty line at the end","warning":true}"#);
    assert_eq!(check_bytes("data.jsonl", b"{}\n\n{}\n", &[]).0, 1);
}

#[test]
fn half_a_surrogate_pair_is_an_error() {
    let (status, said) = check_bytes("data.jsonl", br#"{"a": "\ud83d"}"#, &[]);
    assert_eq!(status, 1);
    assert_snapshot!(said, @r#"
    data.jsonl:1:8: half a surrogate pair: \ud83d stands without its other half
    error: data.jsonl: 1 of 1 lines are wrong
    hint: fix these lines, then upload
    "#);
}

#[test]
fn the_name_of_a_batch_ends_with_jsonl() {
    let (status, said) = check_bytes("big.json", b"{}\n", &[]);
    assert_eq!(status, 1);
    assert_snapshot!(said, @"
    error: big.json: the name of a file for fine-tuning or a batch must end with .jsonl
    hint: rename it
    ");
    assert_snapshot!(check_bytes("big.json", b"x\n", &[]).1, @"
    big.json:1:1: not JSON: expected value
    big.json: the name of a file for fine-tuning or a batch must end with .jsonl
    error: big.json: 1 of 1 lines are wrong
    hint: fix these lines, then upload
    ");
    assert_snapshot!(check_bytes("big.json", b"{}\n", &["--json"]).1, @r#"
    {"problem":"the name of a file for fine-tuning or a batch must end with .jsonl"}
    error: big.json: the name of a file for fine-tuning or a batch must end with .jsonl
    hint: rename it
    "#);
    assert_eq!(check_bytes("BIG.JSONL", b"{}\n", &[]).0, 0);
}

#[test]
fn an_upload_tells_a_name_that_is_refused_later_before_anything_is_sent() {
    let sandbox = Sandbox::new();
    sandbox.write("big.json", "{}\n");
    let upload = |purpose: &str, more: &[&str]| {
        let upload = ["upload", "big.json", "--purpose", purpose, "--endpoint", "http://127.0.0.1:9"];
        sandbox.run_with(&[&upload[..], more].concat(), &[("OPENAI_API_KEY", "k")])
    };
    assert_snapshot!(upload("batch", &[]).refused(2), @"
    error: big.json: the name of a file for fine-tuning or a batch must end with .jsonl
    hint: rename it, or --allow-any-name sends it anyway
    ");
    upload("fine-tune", &[]).refused(2);
    let sent = upload("batch", &["--allow-any-name"]).refused(1);
    assert!(sent.contains("Connection refused"), "{sent}");
    let import =
        ["files", "import", "--url", "https://x.example/a", "--filename", "a.txt", "--purpose", "fine-tune"];
    assert_snapshot!(sandbox.run(&[&import[..], &["--local", "--provider", "azure"]].concat()).refused(2), @"
    error: a.txt: the name of a file for fine-tuning or a batch must end with .jsonl
    hint: give another --filename, or --allow-any-name sends it anyway
    ");
}

#[test]
fn a_name_that_is_no_slip_is_sent_with_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.write("a.bin", "x");
    let ran = sandbox.run(&["upload", "a.bin", "--purpose", "user_data", "--local"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    let service = Scripted::new(|_| Answer::json("200 OK", r#"{"id":"file-1","bytes":1}"#));
    let upload = ["upload", "a.bin", "--purpose", "batch", "--endpoint", &service.origin];
    let ran = sandbox.run_with(&upload, &[("OPENAI_API_KEY", "k")]);
    assert_snapshot!(ran.stderr, @"warning: a.bin: the name of a file for fine-tuning or a batch must end with .jsonl, and the service may reject it");
    assert_eq!(ran.status, 0);
}

#[test]
fn a_compressed_or_copied_file_of_json_lines_is_told_before_anything_is_sent() {
    let sandbox = Sandbox::new();
    for name in ["a.jsonl.gz", "a.jsonl.bak", "A.JSONL.1", "a.gz", "a.zip", "a.zst", "a.tar"] {
        sandbox.write(name, "{}\n");
        let upload = ["upload", name, "--purpose", "batch", "--endpoint", "http://127.0.0.1:9"];
        let said = sandbox.run_with(&upload, &[("OPENAI_API_KEY", "k")]).refused(2);
        assert!(said.starts_with(&format!("error: {name}: the name of a file for ")), "{said}");
    }
    let upload = ["upload", "a.gz", "--purpose", "batch", "--endpoint", "http://127.0.0.1:9"];
    assert_snapshot!(sandbox.run_with(&upload, &[("OPENAI_API_KEY", "k")]).refused(2), @"
    error: a.gz: the name of a file for fine-tuning or a batch must end with .jsonl
    hint: unpack it first, or --allow-any-name sends it anyway
    ");
}
