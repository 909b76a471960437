//! `partwise check`: files of JSON Lines before they are uploaded.

use insta::assert_snapshot;

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
    assert_eq!((status, &*stdout, &*stderr), (0, "data.jsonl: lines that are JSON objects: 2 of 2\n", ""));
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
    error: lines that are wrong in data.jsonl: 2 of 3
    hint: mend these lines before the file is uploaded
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
    error: lines that are wrong in data.jsonl: 2 of 3
    hint: each line has to be one whole object: `jq -c .` makes such lines, and `jq -c '.[]'` does of an array
    ");
}
