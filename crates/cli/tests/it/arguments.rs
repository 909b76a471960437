//! Wrong arguments: status 2, one clear line, and nothing on standard output.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

fn refused(arguments: &[&str]) -> String {
    Sandbox::new().run(arguments).refused(2)
}

const UPLOAD: [&str; 4] = ["upload", "data.jsonl", "--purpose", "fine-tune"];

fn upload_with(arguments: &[&str]) -> String {
    refused(&[&UPLOAD[..], arguments].concat())
}

#[test]
fn a_part_size_is_a_size_above_zero_and_within_the_limit() {
    assert_snapshot!(upload_with(&["--part-size", "0"]), @"error: invalid value '0' for '--part-size <SIZE>': a part has at least one byte");
    assert_snapshot!(upload_with(&["--part-size", "many"]), @"error: invalid value 'many' for '--part-size <SIZE>': a size is a whole number of bytes, or one with a unit: 64MiB, 64MB, 512k");
    assert_snapshot!(upload_with(&["--part-size", "64megs"]), @"error: invalid value '64megs' for '--part-size <SIZE>': unknown unit; write k, M, G (or KiB, MiB, GiB) by 1024, KB, MB, GB by 1000");
    assert_snapshot!(upload_with(&["--part-size", "65MiB"]), @"error: --part-size: OpenAI takes parts of at most 64 MiB, and this is 65 MiB");
    assert_snapshot!(upload_with(&["--part-size", "600MiB", "--provider", "azure", "--endpoint", "https://r.openai.azure.com"]), @"error: --part-size: Azure OpenAI 2024-10-21 takes parts of at most 488.2 MiB, and this is 600 MiB");
}

#[test]
fn parts_in_flight_are_counted_from_one() {
    assert_snapshot!(upload_with(&["--parallel", "0"]), @"error: invalid value '0' for '--parallel <N>': 0 is not in 1..=64");
    assert_snapshot!(upload_with(&["--parallel", "65"]), @"error: invalid value '65' for '--parallel <N>': 65 is not in 1..=64");
}

#[test]
fn an_endpoint_is_a_plain_url_with_its_scheme() {
    assert_snapshot!(upload_with(&["--endpoint", "api.openai.com/v1"]), @"
    error: the endpoint `api.openai.com/v1` must start with https:// or http://
    hint: write --endpoint https://api.openai.com/v1
    ");
    assert_snapshot!(upload_with(&["--endpoint", "localhost:8080"]), @"
    error: the endpoint `localhost:8080` must start with https:// or http://
    hint: write --endpoint http://localhost:8080
    ");
    assert_snapshot!(upload_with(&["--endpoint", "ftp://example.com"]), @"
    error: the endpoint `ftp://example.com` must start with https:// or http://
    hint: an endpoint looks like https://NAME.openai.azure.com or http://127.0.0.1:8080/v1
    ");
    assert_snapshot!(upload_with(&["--endpoint", "https://"]), @"
    error: the endpoint `https://` names no host
    hint: an endpoint looks like https://NAME.openai.azure.com or http://127.0.0.1:8080/v1
    ");
    assert_snapshot!(upload_with(&["--endpoint", "https://me:secret@example.com"]), @"
    error: the endpoint `https://…@example.com` must not carry a user name or password
    hint: an endpoint looks like https://NAME.openai.azure.com or http://127.0.0.1:8080/v1
    ");
    assert_snapshot!(upload_with(&["--endpoint", "https://example.com/?api-version=1"]), @"
    error: the endpoint `https://example.com/?api-version=1` must not have a query or a fragment
    hint: an endpoint looks like https://NAME.openai.azure.com or http://127.0.0.1:8080/v1
    ");
}

#[test]
fn a_purpose_that_no_service_has_is_told_with_the_nearest_one() {
    assert_snapshot!(refused(&["upload", "data.jsonl", "--purpose", "finetune"]), @"
    error: no service has the purpose 'finetune'
    hint: did you mean 'fine-tune'? --allow-unknown-purpose sends it anyway
    ");
    assert_snapshot!(refused(&["upload", "data.jsonl", "--purpose", "world-peace"]), @"
    error: no service has the purpose 'world-peace'
    hint: the known ones are assistants, assistants_output, batch, batch_output, evals, evals_output, fine-tune, fine-tune-results, user_data, vision; --allow-unknown-purpose sends it anyway
    ");
    assert_snapshot!(refused(&["files", "list", "--purpose", "Batches"]), @"
    error: no service has the purpose 'Batches'
    hint: did you mean 'batch'? --allow-unknown-purpose sends it anyway
    ");
    assert_snapshot!(refused(&["upload", "data.jsonl", "--purpose", ""]), @"
    error: the purpose is empty
    hint: one of assistants, assistants_output, batch, batch_output, evals, evals_output, fine-tune, fine-tune-results, user_data, vision
    ");
}

#[test]
fn unknown_flags_and_commands_are_told_with_the_nearest_one() {
    assert_snapshot!(upload_with(&["--paralel", "4"]), @"
    error: unexpected argument '--paralel' found
    hint: a similar argument exists: '--parallel'
    ");
    assert_snapshot!(refused(&["files", "lst"]), @"
    error: unrecognized subcommand 'lst'
    hint: a similar subcommand exists: 'list'
    ");
    assert_snapshot!(refused(&["--provider", "aws", "files", "list"]), @"error: invalid value 'aws' for '--provider <PROVIDER>' [possible values: openai, azure, azure-v1]");
    assert_snapshot!(refused(&[]), @"
    error: 'partwise' requires a subcommand but one was not provided [subcommands: upload, uploads, files, check, serve, help]
    hint: usage: partwise [OPTIONS] <COMMAND>
    ");
    assert_snapshot!(refused(&["files"]), @"
    error: 'partwise files' requires a subcommand but one was not provided [subcommands: list, get, delete, download, import, help]
    hint: usage: partwise files [OPTIONS] <COMMAND>
    ");
}

#[test]
fn a_flag_that_a_command_does_not_have_is_not_said_to_be_a_value() {
    assert_snapshot!(upload_with(&["--zzz"]), @"
    error: unexpected argument '--zzz' found
    hint: usage: partwise upload --purpose <PURPOSE> <FILE>
    ");
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_utf_8_is_refused_and_not_changed() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    use crate::sandbox::Ran;

    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["upload", "--local", "--purpose", "assistants"]);
    let ran = Ran::of(command.arg(OsStr::from_bytes(b"caf\xe9.txt")).output().unwrap());
    assert_snapshot!(ran.refused(2), @"
    error: the name of caf�.txt is not valid UTF-8, and the service takes no other
    hint: rename the file, or upload a link to it that has another name
    ");
}

#[test]
fn what_is_missing_is_named() {
    assert_snapshot!(refused(&["upload"]), @"
    error: the following required arguments were not provided: --purpose <PURPOSE> <FILE>
    hint: usage: partwise upload --purpose <PURPOSE> <FILE>
    ");
    assert_snapshot!(refused(&["files", "download", "file-1"]), @"
    error: the following required arguments were not provided: --output <FILE>
    hint: usage: partwise files download --output <FILE> <ID>
    ");
}

#[test]
fn what_the_named_version_lacks_makes_the_arguments_wrong() {
    let sandbox = Sandbox::new();
    sandbox.write("data.jsonl", "x");
    let azure = ["--local", "--provider", "azure", "--api-version", "2024-06-01", "--route", "parts"];
    assert_snapshot!(sandbox.run(&[&UPLOAD[..], &azure].concat()).refused(2), @"
    error: Azure OpenAI 2024-06-01 does not take files in parts
    hint: a later api-version has them: --api-version 2024-10-21
    ");
}

#[test]
fn arguments_that_contradict_each_other_are_refused_wherever_they_stand() {
    assert_snapshot!(refused(&["--local", "files", "list", "--endpoint", "https://example.com"]), @"
    error: --local and --endpoint name two services
    hint: give one of them
    ");
    assert_snapshot!(refused(&["files", "list", "--local", "--ca-cert", "ca.pem"]), @"
    error: --ca-cert has no meaning for a store on this machine: nothing goes over the network
    hint: name a store elsewhere with --store, or leave the flag out
    ");
    assert_snapshot!(refused(&["files", "list", "--local", "--allow-plain-http"]), @"error: --allow-plain-http has no meaning with --local: no key goes over the network");
    assert_snapshot!(refused(&["files", "list", "--store", "here"]), @"
    error: --store says where the embedded server keeps its files
    hint: add --local to use the embedded server
    ");
    assert_snapshot!(refused(&["files", "list", "--no-store-probe"]), @"
    error: --no-store-probe is about the store of the embedded server
    hint: add --local to use the embedded server
    ");
    for store in ["here", "memory://", "file:///here"] {
        insta::allow_duplicates! {
            assert_snapshot!(refused(&["serve", "--store", store, "--no-store-probe"]), @"
            error: --no-store-probe has no meaning for a store on this machine: only those elsewhere are tried out
            hint: name a store elsewhere with --store, or leave the flag out
            ");
            assert_snapshot!(refused(&["serve", "--store", store, "--ca-cert", "ca.pem"]), @"
            error: --ca-cert has no meaning for a store on this machine: nothing goes over the network
            hint: name a store elsewhere with --store, or leave the flag out
            ");
        }
    }
    assert_snapshot!(refused(&["files", "list", "--api-version", "2024-10-21"]), @"
    error: --api-version is Azure's: OpenAI has none
    hint: add --provider azure or --provider azure-v1
    ");
    assert_snapshot!(refused(&["files", "list", "--provider", "azure", "--api-version", "v1", "--endpoint", "https://r.openai.azure.com"]), @"
    error: --api-version: 'v1' is not a dated version
    hint: it looks like 2024-10-21; for Azure's v1 API use --provider azure-v1
    ");
    assert_snapshot!(refused(&["serve", "--provider", "azure"]), @"
    error: --provider has no meaning for serve
    hint: it says which service to use; serve is one and speaks to every kind of client
    ");
    assert_snapshot!(refused(&["serve", "--allow-plain-http"]), @"
    error: --allow-plain-http has no meaning for serve
    hint: it says which service to use; serve is one and speaks to every kind of client
    ");
    assert_snapshot!(refused(&["serve", "--local"]), @"
    error: --local has no meaning for serve
    hint: it says which service to use; serve is one and speaks to every kind of client
    ");
}

#[test]
fn a_mime_type_that_cannot_stand_in_a_header_is_refused() {
    assert_snapshot!(upload_with(&["--mime-type", ""]), @"error: invalid value '' for '--mime-type <TYPE>': a MIME type looks like application/jsonl");
    assert_snapshot!(upload_with(&["--mime-type", "text/plain\r\nx: y"]), @"error: invalid value 'text/plain x: y' for '--mime-type <TYPE>': a MIME type looks like application/jsonl");
}

#[test]
fn help_and_version_are_no_errors() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["--version"]).done(), concat!("partwise ", env!("CARGO_PKG_VERSION"), "\n"));
    let help = sandbox.run(&["--help"]).done();
    assert!(help.lines().count() < 60, "short enough to read:\n{help}");
    for kind in ["--store <PATH-OR-URL>", "memory://", "file:///"] {
        assert!(help.contains(kind), "{kind} is in\n{help}");
    }
    let refused = ["--provider", "--endpoint", "--api-version", "--local"];
    for command in [&["check"][..], &["serve"], &["uploads", "list"]] {
        let help = sandbox.run(&[command, &["--help"]].concat()).done();
        for flag in refused {
            assert!(!help.contains(&format!("{flag} ")), "{flag} is refused, and is in\n{help}");
        }
        for flag in ["--store ", "--ca-cert ", "--no-store-probe"] {
            assert_eq!(help.contains(flag), command == ["serve"], "{flag} in\n{help}");
        }
    }
    assert!(sandbox.run(&["uploads", "cancel", "--help"]).done().contains("--provider "));
    for command in ["upload", "check", "serve"] {
        assert!(sandbox.run(&[command, "--help"]).done().contains("Examples:"));
    }
}
