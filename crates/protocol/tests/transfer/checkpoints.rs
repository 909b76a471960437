//! Checkpoints: their form, what they hold, and when they are refused.

use std::time::Duration;

use partwise_protocol::{
    Api,
    machine::Machine as _,
    operations::Account,
    transport::FailureKind,
    upload::{Checkpoint, Comparison, RouteChoice, SourceStamp, UploadError, UploadMachine},
};

use crate::bench::{BEGAN, Bench, completed_json, date, file_json, list_json, part_json, plan, upload_json};

/// As releases with version 1 wrote it. It must be read for as long as this major version lives.
const VERSION_1: &str = r#"{
    "version": 1,
    "place": "https://api.openai.com/v1",
    "dialect": {"provider": "openai"},
    "source": {"length": 25},
    "filename": "train.jsonl",
    "mime_type": "application/jsonl",
    "purpose": "fine-tune",
    "md5": false,
    "route": {"parts": {
        "upload_id": "upload_1",
        "created_at": 1719184911,
        "expires_at": 1719188511,
        "clock_offset": 0,
        "part_size": 10,
        "part_ids": ["part_a", null, "part_c"],
        "completing": false
    }}
}"#;

/// As releases with version 2 write it when the last parts are smaller.
const VERSION_2: &str = r#"{
    "version": 2,
    "place": "https://api.openai.com/v1",
    "dialect": {"provider": "openai"},
    "source": {"length": 25},
    "filename": "train.jsonl",
    "mime_type": "application/jsonl",
    "purpose": "fine-tune",
    "md5": false,
    "route": {"parts": {
        "upload_id": "upload_1",
        "created_at": 1719184911,
        "expires_at": 1719188511,
        "clock_offset": 0,
        "part_size": 10,
        "tail": [{"size": 5, "count": 2}, {"size": 3, "count": 2}],
        "part_ids": ["part_a", null, "part_c", null, "part_e"],
        "completing": false
    }}
}"#;

fn resume(text: &str, api: Api, source: SourceStamp) -> Result<UploadMachine, String> {
    let saved = Checkpoint::from_json(text.as_bytes()).map_err(|error| error.to_string())?;
    UploadMachine::resume(api, plan(), saved, source, [2; 32]).map_err(|error| error.to_string())
}

#[test]
fn a_checkpoint_of_version_1_is_read_and_only_what_is_missing_is_sent() {
    let mut bench = Bench::of(resume(VERSION_1, Api::openai(), SourceStamp::new(25)).unwrap());
    bench.run();
    bench.answer(0, 200, &part_json("part_b"));
    bench.stamp(25);
    bench.answer(0, 200, &completed_json());
    insta::assert_snapshot!(bench.log());
}

#[test]
fn of_a_checkpoint_of_version_2_the_gaps_are_cut_as_the_plan_wants_it_now() {
    let saved = Checkpoint::from_json(VERSION_2.as_bytes()).unwrap();
    assert_eq!((saved.is_in_parts(), saved.acknowledged()), (true, (17, 25)));
    let mut wanted = plan();
    (wanted.part_size, wanted.parallel) = (Some(4), 1.into());
    let machine = UploadMachine::resume(Api::openai(), wanted, saved, SourceStamp::new(25), [2; 32]).unwrap();
    let mut bench = Bench::of(machine);
    bench.run();
    for part in ["part_b", "part_c2", "part_d"] {
        bench.answer(0, 200, &part_json(part));
    }
    bench.stamp(25);
    bench.answer(0, 200, &completed_json());
    insta::assert_snapshot!(bench.log());
}

/// As a release with version 2 left it (commit b78d618): with sizes of its own choice, and lines behind it.
const FIXTURE: &str = include_str!("fixtures/version_2.checkpoint");

#[test]
fn a_checkpoint_that_an_earlier_release_left_with_lines_behind_it_is_gone_on_with() {
    let saved = Checkpoint::from_json(FIXTURE.as_bytes()).unwrap();
    assert_eq!(saved.acknowledged(), (44, 150));
    let mut stamp = SourceStamp::new(150);
    (stamp.modified, stamp.identity) = (Some("1700000000.000000000".into()), Some("1234".into()));
    let mut wanted = plan();
    (wanted.part_size, wanted.parallel) = (None, 4.into());
    let machine =
        UploadMachine::resume(Api::openai(), wanted, saved.clone(), stamp.clone(), [2; 32]).unwrap();
    let mut bench = Bench::of(machine);
    bench.run();
    bench.answer(1, 200, &part_json("part_rest"));
    // It is written as this release writes it from then on.
    assert_eq!(
        bench.saved.clone().unwrap().line_since(&saved),
        Some("\n{\"start\":72,\"length\":78,\"id\":\"part_rest\"}".into())
    );
    bench.answer(0, 200, &part_json("part_c"));
    bench.stamped(Ok(stamp));
    bench.run();
    insta::assert_snapshot!(bench.log());
    // A crash may have left any beginning of it, of which whole lines count.
    let whole = FIXTURE.lines().next().unwrap().len();
    for cut in (whole..FIXTURE.len()).filter(|cut| FIXTURE.is_char_boundary(*cut)) {
        let (bytes, _) = Checkpoint::from_json(&FIXTURE.as_bytes()[..cut]).unwrap().acknowledged();
        assert!([0, 14, 28, 36].contains(&bytes), "{bytes} after {cut}");
    }
}

#[test]
fn a_checkpoint_is_written_as_documented() {
    let mut bench = Bench::sending(plan());
    bench.answer(1, 200, &part_json("part_b"));
    insta::assert_json_snapshot!(bench.saved.unwrap());
}

#[test]
fn a_checkpoint_of_every_dialect_survives_writing_and_reading() {
    for api in [
        Api::openai(),
        Api::azure("https://r.example", "2024-10-21").unwrap(),
        Api::azure_v1("https://r.example").unwrap(),
    ] {
        let mut bench = Bench::of(UploadMachine::new(api, plan(), SourceStamp::new(25), [1; 32]).unwrap());
        bench.run();
        bench.answer(0, 200, r#"{"id":"upload_1"}"#);
        let saved = bench.saved.unwrap();
        let text = serde_json::to_string(&saved).unwrap();
        assert_eq!(serde_json::from_str::<Checkpoint>(&text).unwrap(), saved);
    }
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused_and_says_what_differs() {
    let stamp = || SourceStamp::new(25);
    let other = stamp().modified("later");
    let refusal = |text: &str, api, stamp| resume(text, api, stamp).unwrap_err();
    insta::assert_snapshot!(refusal(&VERSION_1.replace("\"version\": 1", "\"version\": 4"), Api::openai(), stamp()), @"the checkpoint has version 4, and this release reads versions 1 to 3; start over or use the release that wrote it");
    insta::assert_snapshot!(refusal(VERSION_1, Api::azure_v1("https://r.example").unwrap(), stamp()), @"the checkpoint belongs to https://api.openai.com/v1 (OpenAI), and this upload goes to https://r.example/openai/v1 (Azure OpenAI v1); use the same endpoint and version, or start over");
    insta::assert_snapshot!(refusal(VERSION_1, Api::openai(), SourceStamp::new(24)), @"the checkpoint does not match the source: its length was 25 bytes and is 24; start over");
    insta::assert_snapshot!(refusal(VERSION_1, Api::openai(), other), @"the checkpoint does not match the source: only its length was recorded, so it cannot be told whether its content is the same; start over");
    insta::assert_snapshot!(refusal(r#"{"version": 7, "new": true}"#, Api::openai(), stamp()), @"the checkpoint has version 7, and this release reads versions 1 to 3; start over or use the release that wrote it");
    insta::assert_snapshot!(refusal(&VERSION_1[..40], Api::openai(), stamp()), @"the checkpoint cannot be read; start over: EOF while parsing a string at line 3 column 20");
    insta::assert_snapshot!(refusal(&VERSION_2.replace("\"size\": 5", "\"size\": 9"), Api::openai(), stamp()), @"the checkpoint is damaged: its parts do not fit the file; start over");
    insta::assert_snapshot!(refusal(&VERSION_1.replace("null, ", ""), Api::openai(), stamp()), @"the checkpoint is damaged: its parts do not fit the file; start over");
}

#[test]
fn a_service_with_a_name_of_its_own_is_known_by_it_and_not_by_its_port() {
    let api = |port: u16| {
        let base = format!("http://127.0.0.1:{port}/v1");
        Api::with_base(&base, partwise_protocol::Dialect::OpenAi).unwrap().with_identity("file:///srv/store")
    };
    let mut bench = Bench::of(UploadMachine::new(api(1000), plan(), SourceStamp::new(25), [1; 32]).unwrap());
    bench.run();
    bench.answer(0, 200, r#"{"id":"upload_1"}"#);
    let saved = bench.saved.unwrap();
    assert_eq!(saved.place(), "file:///srv/store");
    assert!(UploadMachine::resume(api(2000), plan(), saved, SourceStamp::new(25), [2; 32]).is_ok());
}

#[test]
fn after_a_crash_during_complete_it_is_repeated_once_and_then_looked_for() {
    let mut bench = Bench::sending(plan());
    bench.finish_parts();
    bench.stamp(25);
    let saved = bench.saved.unwrap();
    let machine = UploadMachine::resume(Api::openai(), plan(), saved, SourceStamp::new(25), [2; 32]).unwrap();
    let mut bench = Bench::of(machine);
    bench.run();
    bench.stamp(25);
    bench.fail(0, FailureKind::Interrupted);
    bench.pass(Duration::from_secs(1));
    insta::assert_snapshot!(bench.log());
}

/// The next run of an upload that lacks one part, or none.
fn next_run(text: &str, restart: bool) -> Bench {
    let mut wanted = plan();
    wanted.restart_when_expired = restart;
    let saved = Checkpoint::from_json(text.as_bytes()).unwrap();
    let machine = UploadMachine::resume(Api::openai(), wanted, saved, SourceStamp::new(25), [2; 32]).unwrap();
    let mut bench = Bench::of(machine);
    bench.run();
    if text.contains("part_b") {
        bench.stamp(25);
    }
    bench.log();
    bench
}

fn with_all_parts() -> String {
    VERSION_1.replace("null", "\"part_b\"")
}

const STARTED_OVER: &str = r#"POST /v1/uploads {"filename":"train.jsonl","purpose":"fine-tune","bytes":25,"mime_type":"application/jsonl"}"#;

#[test]
fn a_404_is_no_expiry_and_the_checkpoint_stays() {
    let not_found = r#"{"error":{"message":"there is no upload `upload_1`"}}"#;
    for text in [VERSION_1.to_owned(), with_all_parts()] {
        for (status, body) in [(404, ""), (404, not_found), (401, ""), (403, "")] {
            let mut bench = next_run(&text, true);
            bench.answer_with(0, status, &[("date", &date(10))], body);
            let Some(Err(error)) = &bench.end else { panic!("{status} {body}: {}", bench.log()) };
            assert!(matches!(error, UploadError::Rejected { .. }), "{error:?}");
            assert!(error.is_resumable() && bench.machine.is_resumable_after(error), "{error:?}");
        }
    }
}

#[test]
fn an_upload_of_an_earlier_run_that_is_gone_begins_anew_when_the_plan_allows() {
    let over = |status| {
        format!(
            r#"{{"error":{{"message":"the upload `upload_1` is {status}: nothing can be done with it"}}}}"#
        )
    };
    let gone = [
        (404, date(3600), String::new()),
        (400, date(10), over("expired")),
        (400, date(10), over("cancelled")),
        (410, date(10), r#"{"error":{"code":"upload_expired"}}"#.to_owned()),
    ];
    for text in [VERSION_1.to_owned(), with_all_parts()] {
        for (status, date, body) in &gone {
            let mut bench = next_run(&text, true);
            bench.answer_with(0, *status, &[("date", date)], body);
            assert!(bench.log().ends_with(STARTED_OVER), "{status} {body}");
            // The new one's rejections are its own.
            bench.answer(0, 200, r#"{"id":"upload_2"}"#);
            while !bench.flying.is_empty() {
                bench.answer_with(0, *status, &[("date", date)], body);
            }
            assert!(bench.end.is_some(), "{status} {body}");

            let mut bench = next_run(&text, false);
            bench.answer_with(0, *status, &[("date", date)], body);
            let Some(Err(error)) = &bench.end else { panic!("{status} {body}") };
            assert!(!error.is_resumable(), "{error:?}");
        }
    }
}

#[test]
fn an_upload_that_the_service_has_completed_is_not_begun_anew() {
    let mut bench = next_run(VERSION_1, true);
    bench.answer(0, 400, r#"{"error":{"message":"the upload `upload_1` is completed"}}"#);
    let Some(Err(error)) = &bench.end else { panic!("{}", bench.log()) };
    assert!(matches!(error, UploadError::Rejected { .. }) && error.is_resumable());
}

#[test]
fn a_checkpoint_keeps_for_whom_the_service_has_opened_the_upload() {
    let headers = [("openai-organization", "org-a"), ("openai-project", "proj_a"), ("x-request-id", "req_1")];
    let mut bench = Bench::new(plan());
    bench.run();
    bench.answer_with(0, 200, &headers, &upload_json(3600));
    let saved = bench.saved.clone().unwrap();
    assert_eq!(saved.account().organization.as_deref(), Some("org-a"));
    assert_eq!(saved.account().project.as_deref(), Some("proj_a"));
    let text = serde_json::to_string(&saved).unwrap();
    assert!(text.contains(r#""account":{"organization":"org-a","project":"proj_a"}"#), "{text}");
    // The next run keeps them, whatever it is answered.
    let mut bench = next_run(&text, false);
    bench.answer_with(0, 200, &[("openai-project", "proj_b")], &part_json("part_a"));
    assert_eq!(bench.saved.as_ref().unwrap().account(), saved.account());
    // What rejects says for whom it did.
    bench.answer_with(0, 404, &[("openai-project", "proj_b")], "");
    bench.answer_with(0, 404, &[("openai-project", "proj_b")], "");
    let Some(Err(UploadError::Rejected { source, .. })) = &bench.end else { panic!("{}", bench.log()) };
    assert_eq!(source.account.project.as_deref(), Some("proj_b"));
    // An older checkpoint knows of none.
    let saved = Checkpoint::from_json(VERSION_2.as_bytes()).unwrap();
    assert_eq!(saved.account(), &Account::default());
}

#[test]
fn when_our_clock_was_set_back_since_the_content_decides() {
    let mut wanted = plan();
    wanted.route = RouteChoice::Single;
    let mut bench = Bench::new(wanted.clone());
    bench.run();
    let mut saved = serde_json::to_value(bench.saved.unwrap()).unwrap();
    saved["route"]["single"]["posted_at"] = (BEGAN + 3600).into();
    let saved = serde_json::from_value(saved).unwrap();
    let machine = UploadMachine::resume(Api::openai(), wanted, saved, SourceStamp::new(25), [2; 32]).unwrap();
    let mut bench = Bench::of(machine);
    bench.run();
    let dated = [("date", "Sun, 23 Jun 2024 23:21:51 GMT")];
    bench.answer_with(0, 200, &dated, &list_json(&[file_json("file-1", BEGAN)]));
    bench.compare(Comparison::Equal);
    bench.stamp(25);
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
}

#[test]
fn parts_that_were_acknowledged_since_are_a_line_behind_the_json() {
    let mut bench = Bench::sending(plan());
    let first = bench.saved.clone().unwrap();
    bench.answer(1, 200, &part_json("part_b"));
    let second = bench.saved.clone().unwrap();
    let line = second.line_since(&first).unwrap();
    insta::assert_snapshot!(line.trim_start(), @r#"{"start":10,"length":10,"id":"part_b"}"#);
    let whole = serde_json::to_string(&first).unwrap();
    // A crash may leave any beginning of the line.
    for cut in 0..line.len() {
        let torn = format!("{whole}{}", &line[..cut]);
        assert_eq!(Checkpoint::from_json(torn.as_bytes()).unwrap(), first, "after {cut} bytes");
    }
    let mut grown = whole + &line;
    assert_eq!(Checkpoint::from_json(grown.as_bytes()).unwrap(), second);
    bench.answer(0, 200, &part_json("part_a"));
    let third = bench.saved.clone().unwrap();
    grown += &third.line_since(&second).unwrap();
    assert_eq!(Checkpoint::from_json(grown.as_bytes()).unwrap(), third);
    for line in [
        r#"{"part_ids":{"3":"part_d"}}"#,
        r#"{"start":15,"length":10,"id":"part_d"}"#,
        r#"{"start":20,"length":0,"id":"part_d"}"#,
    ] {
        let error = Checkpoint::from_json(format!("{grown}\n{line}").as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "the checkpoint is damaged: its parts do not fit the file; start over", "{line}");
    }
    let beyond = format!("{grown}\n{{\"start\":20,\"length\":6,\"id\":\"part_d\"}}");
    let error = resume(&beyond, Api::openai(), SourceStamp::new(25)).unwrap_err();
    assert_eq!(error, "the checkpoint is damaged: its parts do not fit the file; start over");
}

#[test]
fn what_is_more_than_an_acknowledged_part_is_written_whole() {
    let mut bench = Bench::sending(plan());
    for part in ["part_a", "part_b", "part_c"] {
        bench.answer(0, 200, &part_json(part));
    }
    let acknowledged = bench.saved.clone().unwrap();
    bench.stamp(25);
    let announced = bench.saved.clone().unwrap();
    assert!(announced.may_have_made_a_file() && !acknowledged.may_have_made_a_file());
    assert_eq!(announced.line_since(&acknowledged), None);
    assert_eq!(acknowledged.line_since(&announced), None);
}

#[test]
fn a_rejected_complete_leaves_the_upload_to_be_resumed_unless_it_is_over_or_the_md5_is_wrong() {
    for (status, message, is_resumable) in [
        (400, "no", true),
        (410, "", true),
        (400, "the MD5 of the parts is another", false),
        (400, "the upload is expired", false),
    ] {
        let mut bench = Bench::sending(plan());
        bench.finish_parts();
        bench.stamp(25);
        bench.answer(0, status, &format!(r#"{{"error":{{"message":"{message}"}}}}"#));
        let Some(Err(error)) = &bench.end else { panic!("{message} is no end") };
        assert_eq!(bench.machine.is_resumable_after(error), is_resumable, "{status} {message}");
    }
}
