//! What the service's list shows, does not show, or shows late: which files are candidates, and when none is there.

use std::time::Duration;

use partwise_protocol::{
    Api,
    machine::Machine as _,
    retry::ServiceState,
    transport::FailureKind,
    upload::{Comparison, Proof, SourceStamp, UploadError, UploadMachine},
};

use crate::{
    ambiguous::{
        DATED, PAUSES, in_one, in_parts, interrupted, list, searching, searching_for_upload, settle, single,
        unknown_size,
    },
    bench::{BEGAN, Bench, file_json},
};

#[test]
fn an_unknown_size_is_a_candidate_that_is_retrieved_until_its_size_is_known() {
    let mut bench = searching();
    list(&mut bench, &[unknown_size("file-1")]);
    bench.answer(0, 200, &unknown_size("file-1"));
    bench.pass(Duration::from_secs(2));
    list(&mut bench, &[unknown_size("file-1")]);
    bench.answer(0, 200, &file_json("file-1", BEGAN));
    bench.compare(Comparison::Equal);
    bench.stamp(25);
    let log = bench.log();
    assert_eq!(log.matches("GET /v1/files/file-1").count(), 2);
    assert!(!log.contains("POST"), "{log}");
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
}

#[test]
fn a_size_that_stays_unknown_is_decided_by_content_and_never_by_a_second_file() {
    for (result, ends_with_file) in [(Comparison::Equal, true), (Comparison::NotServed, false)] {
        let mut bench = searching();
        list(&mut bench, &[unknown_size("file-1")]);
        for pause in PAUSES {
            bench.answer(0, 200, &unknown_size("file-1"));
            bench.pass(Duration::from_secs(pause));
            list(&mut bench, &[unknown_size("file-1")]);
        }
        bench.answer(0, 200, &unknown_size("file-1"));
        bench.compare(result);
        if ends_with_file {
            bench.stamp(25);
        }
        assert!(!bench.log().contains("POST"));
        assert_eq!(bench.end.unwrap().is_ok(), ends_with_file);
    }
}

#[test]
fn a_candidate_that_turns_out_to_be_gone_or_another_is_none() {
    let gone = |bench: &mut Bench| bench.answer(0, 404, "");
    let longer = |bench: &mut Bench| {
        bench.answer(0, 200, &file_json("file-1", BEGAN).replace("\"bytes\":25", "\"bytes\":26"))
    };
    for answer in [&gone as &dyn Fn(&mut Bench) -> Option<Duration>, &longer] {
        let mut bench = searching();
        list(&mut bench, &[unknown_size("file-1")]);
        answer(&mut bench);
        settle(&mut bench, &[]);
        bench.stamp(25);
        bench.pass(Duration::from_secs(1));
        assert!(bench.log().ends_with("POST /v1/files 0..25"));
    }
}

#[test]
fn a_list_that_is_not_seen_to_descend_is_read_to_its_end() {
    let page = |first: usize, more: bool| {
        let files: Vec<_> = (first..first + 100)
            .map(|number| {
                format!(r#"{{"id":"file-{number}","created_at":{}}}"#, BEGAN - 100_000 + number as u64)
            })
            .collect();
        format!(r#"{{"data":[{}],"has_more":{more}}}"#, files.join(","))
    };
    let mut bench = searching();
    bench.answer_with(0, 200, &DATED, &page(0, true));
    bench.answer_with(0, 200, &DATED, &page(100, true));
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::Equal);
    bench.stamp(25);
    let log = bench.log();
    let asked: Vec<_> = log.lines().filter(|line| line.starts_with("GET")).collect();
    insta::assert_snapshot!(asked.join("\n"), @r"
    GET /v1/files?purpose=fine-tune&limit=10000&order=desc&after=file-99
    GET /v1/files?purpose=fine-tune&limit=10000&order=desc&after=file-199
    ");
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
}

#[test]
fn a_list_that_descends_is_left_where_it_gets_too_old() {
    let mut bench = searching();
    let old = |id, age| format!(r#"{{"id":"{id}","created_at":{}}}"#, BEGAN - age);
    let page = format!(r#"{{"data":[{},{}],"has_more":true}}"#, old("file-2", 100), old("file-1", 200));
    bench.answer_with(0, 200, &DATED, &page);
    assert!(bench.flying.is_empty(), "the next page is not asked for");
}

#[test]
fn a_list_that_cannot_be_read_to_its_end_does_not_show_that_the_file_is_missing() {
    let mut bench = searching();
    let circle = r#"{"data":[{"id":"file-2","created_at":1}],"has_more":true}"#;
    for pause in [0].into_iter().chain(PAUSES) {
        bench.pass(Duration::from_secs(pause));
        bench.answer_with(0, 200, &DATED, circle);
        bench.answer_with(0, 200, &DATED, circle);
    }
    insta::assert_snapshot!(bench.error(), @"it is not known whether the service made a file: none in its list matches: POST /files failed: the connection broke");
}

#[test]
fn a_feature_that_is_not_shown_excludes_no_candidate() {
    let whole = file_json("file-1", BEGAN);
    for lacking in
        [r#","filename":"train.jsonl""#, r#","purpose":"fine-tune""#, r#","created_at":1719184911"#]
    {
        let partial = whole.replace(lacking, "");
        assert_ne!(partial, whole);
        // The object shows what the list does not.
        let mut bench = searching();
        list(&mut bench, std::slice::from_ref(&partial));
        bench.answer(0, 200, &whole);
        bench.compare(Comparison::Equal);
        bench.stamp(25);
        assert_eq!(bench.end.take().unwrap().unwrap().id, "file-1", "{lacking}");
        // It does not show it either: the content decides.
        for (result, is_ok) in [(Comparison::Equal, true), (Comparison::NotServed, false)] {
            let mut bench = searching();
            list(&mut bench, std::slice::from_ref(&partial));
            bench.answer(0, 200, &partial);
            bench.compare(result);
            if is_ok {
                bench.stamp(25);
            }
            assert_eq!(bench.end.take().unwrap().is_ok(), is_ok, "{lacking}");
        }
        // Without it the time of the upload is no proof.
        let mut bench = searching_for_upload(in_parts(&ServiceState::default()));
        list(&mut bench, std::slice::from_ref(&partial));
        bench.answer(0, 200, &partial);
        bench.compare(Comparison::NotServed);
        assert!(bench.error().contains("one in its list may be it"), "{lacking}");
    }
}

#[test]
fn an_object_that_shows_less_than_the_list_takes_nothing_away() {
    let mut bench = searching_for_upload(in_parts(&ServiceState::default()));
    list(&mut bench, &[unknown_size("file-1")]);
    bench.answer(0, 200, r#"{"id":"file-1","bytes":25}"#);
    bench.compare(Comparison::NotServed);
    assert_eq!(bench.end.take().unwrap().unwrap().id, "file-1");
    assert_eq!(bench.machine.progress().proof, Some(Proof::UploadTime));
}

#[test]
fn a_file_that_the_list_has_and_the_service_says_it_has_not_is_no_reason_to_send_again() {
    let mut bench = searching();
    list(&mut bench, &[unknown_size("file-1")]);
    for pause in PAUSES {
        bench.answer(0, 404, "");
        bench.pass(Duration::from_secs(pause));
        list(&mut bench, &[unknown_size("file-1")]);
    }
    bench.answer(0, 404, "");
    bench.compare(Comparison::Unknown);
    assert!(bench.error().contains("one in its list may be it"));
    assert!(!bench.log().contains("POST"));
}

#[test]
fn a_comparison_that_failed_is_tried_again_in_the_next_round() {
    let mut bench = searching();
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::Unknown);
    bench.pass(Duration::from_secs(2));
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::Equal);
    bench.stamp(25);
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
}

/// A full page of files that are none of ours.
fn full_page(has_more: Option<bool>) -> String {
    let files: Vec<_> = (0..100).map(|number| format!(r#"{{"id":"file-{number}","bytes":1}}"#)).collect();
    let has_more = has_more.map(|has_more| format!(r#","has_more":{has_more}"#)).unwrap_or_default();
    format!(r#"{{"data":[{}]{has_more}}}"#, files.join(","))
}

#[test]
fn a_full_page_that_does_not_say_whether_there_are_more_is_not_the_end() {
    let mut bench = searching();
    bench.log();
    bench.answer_with(0, 200, &DATED, &full_page(None));
    assert!(bench.log().ends_with("GET /v1/files?purpose=fine-tune&limit=10000&order=desc&after=file-99"));
    // One that says that there are none is.
    let mut bench = searching();
    bench.answer_with(0, 200, &DATED, &full_page(Some(false)));
    assert!(bench.flying.is_empty());
}

#[test]
fn a_service_that_rejects_large_pages_is_asked_for_small_ones() {
    let mut bench = searching();
    bench.answer_with(0, 200, &DATED, &full_page(Some(true)));
    bench.log();
    bench.answer(0, 400, r#"{"error":{"message":"limit is 1 to 100"}}"#);
    list(&mut bench, &[file_json("file-x", BEGAN)]);
    let log = bench.log();
    assert!(log.contains("GET /v1/files?purpose=fine-tune&limit=100&order=desc&after=file-99"), "{log}");
    bench.compare(Comparison::Equal);
    bench.stamp(25);
    assert_eq!(bench.end.unwrap().unwrap().id, "file-x");
}

#[test]
fn what_comes_of_the_search_is_told_with_why_it_failed_and_what_it_found() {
    let mut bench = searching();
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::Unknown);
    bench.pass(Duration::from_secs(2));
    bench.answer(0, 401, r#"{"error":{"message":"the token has expired"}}"#);
    insta::assert_snapshot!(bench.error(), @"it is not known whether the service made a file: one in its list may be it: GET /files was refused: 401 Unauthorized: the token has expired");
}

#[test]
fn a_service_that_was_never_reached_is_looked_for_as_long_as_one_that_was() {
    let mut wanted = single();
    wanted.retry.get_or_insert_default().max_failures_before_contact = 1;
    let mut bench = Bench::new(wanted);
    bench.run();
    bench.fail_with(0, interrupted(None));
    for _ in 0..4 {
        bench.fail(0, FailureKind::Connect);
        bench.pass(Duration::from_secs(20));
    }
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::Equal);
    bench.stamp(25);
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
}

/// An upload of this client that was stopped as its file was being found, and its checkpoint.
fn stopped(registry: &ServiceState) -> partwise_protocol::upload::Checkpoint {
    let mut bench = Bench::of(in_one(registry));
    bench.run();
    bench.fail_with(0, interrupted(None));
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::Equal);
    // Its file is known, and the process ends before the source was looked at.
    bench.saved.unwrap()
}

#[test]
fn a_resumed_upload_finds_the_file_that_its_earlier_run_was_answered_with() {
    let registry = ServiceState::default();
    let saved = stopped(&registry);
    let resume = |registry: &ServiceState| {
        let saved = saved.clone();
        let machine = UploadMachine::resume(Api::openai(), single(), saved, SourceStamp::new(25), [2; 32]);
        let mut bench = Bench::of(machine.unwrap().with_service(registry));
        bench.run();
        bench
    };
    let mut bench = resume(&registry);
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::Equal);
    bench.stamp(25);
    assert_eq!(bench.end.unwrap().unwrap().id, "file-1");
}

#[test]
fn a_resumed_upload_is_not_another_one_of_that_second() {
    let registry = ServiceState::default();
    let first = searching_for_upload(in_parts(&registry));
    let saved = first.saved.clone().unwrap();
    drop(first);
    let mut wanted = crate::bench::plan();
    wanted.compare_limit = Duration::from_secs(60);
    let machine = UploadMachine::resume(Api::openai(), wanted, saved, SourceStamp::new(25), [2; 32]).unwrap();
    let mut bench = Bench::of(machine.with_service(&registry));
    bench.run();
    bench.stamp(25);
    bench.answer(0, 400, r#"{"error":{"message":"no"}}"#);
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::NotServed);
    assert_eq!(bench.end.take().unwrap().unwrap().id, "file-1");
}

#[test]
fn an_upload_that_made_nothing_keeps_no_time_from_being_a_proof() {
    let registry = ServiceState::default();
    let mut other = Bench::of(in_parts(&registry));
    other.run();
    let earlier = crate::bench::upload_json(3600).replace(&BEGAN.to_string(), &(BEGAN - 7).to_string());
    other.answer(0, 200, &earlier.replace("upload_1", "upload_2"));
    other.finish_parts();
    other.stamp(25);
    other.answer(0, 400, r#"{"error":{"message":"no"}}"#);
    assert!(matches!(other.end, Some(Err(UploadError::Rejected { .. }))));
    let mut bench = searching_for_upload(in_parts(&registry));
    list(&mut bench, &[file_json("file-1", BEGAN)]);
    bench.compare(Comparison::NotServed);
    assert_eq!(bench.end.take().unwrap().unwrap().id, "file-1");
}
