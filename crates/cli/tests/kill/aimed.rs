//! Kills where what the service has done and what is known here differ the most.

use std::{
    thread::{sleep, yield_now},
    time::Duration,
};

use partwise_protocol::operations::OperationId::{
    self, AddUploadPart, CompleteUpload, CreateFile, CreateUpload,
};

use crate::{
    command::{Run, Uploader},
    journal::Exchange,
    seed,
    service::{Hold, Service},
};

const IN_PARTS: &[&str] = &["--parallel", "4", "--part-size", "1MiB"];
const MEBIBYTES: usize = 6;

/// How often a moment is tried that cannot be held.
const ROUNDS: usize = 8;

/// Has the service make the file, and kills the run before it is told of it. Gives the file's identifier.
fn killed_when_done(uploader: &mut Uploader, service: &Service, operation: OperationId) -> String {
    service.hold(uploader.next(), operation, Hold::After);
    let mut run = uploader.start();
    service.journal().wait(
        |all| all.iter().any(|one| one.operation == operation && one.done.is_some()),
        || run.is_going_on(),
    );
    run.kill();
    let exchanges = service.journal().exchanges();
    let done = exchanges.iter().find(|one| one.operation == operation).and_then(|one| one.done.clone());
    let done = done.unwrap();
    let file = if operation == CompleteUpload { &done["file"] } else { &done };
    file["id"].as_str().unwrap().to_owned()
}

fn is_answered(exchanges: &[Exchange], operation: OperationId) -> bool {
    exchanges.iter().any(|one| one.operation == operation && one.is_answered)
}

fn count(service: &Service, run: u32, operation: OperationId) -> usize {
    let exchanges = service.journal().exchanges();
    exchanges.iter().filter(|one| (one.run, one.operation) == (run, operation)).count()
}

#[test]
fn a_file_that_was_completed_without_an_answer_is_the_one_that_the_next_run_prints() {
    let mut uploader = Uploader::new(MEBIBYTES, IN_PARTS);
    let service = uploader.serve();
    let made = killed_when_done(&mut uploader, &service, CompleteUpload);
    let run = uploader.start();
    let number = run.number;
    let finished = run.finish();
    assert!(finished.said.starts_with("resuming upload_"), "{}", finished.said);
    assert_eq!(finished.id(), made);
    assert_eq!(count(&service, number, CreateUpload) + count(&service, number, AddUploadPart), 0);
    uploader.assert_whole(finished.id());
}

#[test]
fn a_file_that_was_stored_without_an_answer_is_the_one_that_the_next_run_prints() {
    let mut uploader = Uploader::new(1, &["--route", "single"]);
    let service = uploader.serve();
    let made = killed_when_done(&mut uploader, &service, CreateFile);
    let run = uploader.start();
    let number = run.number;
    let finished = run.finish();
    let said = format!(
        "an earlier run may have sent this file: looking for it on the service first\n\
         the answer was lost; {made} in the service's list has the same content, so it is the file\n"
    );
    assert_eq!(finished.said, said);
    assert_eq!(finished.id(), made);
    assert_eq!(count(&service, number, CreateFile), 0);
    uploader.assert_whole(finished.id());
}

#[test]
fn what_makes_the_file_is_asked_for_only_when_a_checkpoint_says_so() {
    for (flags, operation) in [(IN_PARTS, CompleteUpload), (&["--route", "single"], CreateFile)] {
        let mut uploader = Uploader::new(MEBIBYTES, flags);
        let (service, state) = (uploader.serve(), uploader.state());
        service.hold(uploader.next(), operation, Hold::Before);
        let mut run = uploader.start();
        service.journal().wait(|all| all.iter().any(|one| one.operation == operation), || run.is_going_on());
        run.kill();
        assert!(state.is_committing(), "{operation}");
    }
}

#[test]
fn an_upload_that_was_just_made_is_gone_on_with_or_begun_anew() {
    let mut random = seed::random();
    for _ in 0..ROUNDS {
        let mut uploader = Uploader::new(MEBIBYTES, IN_PARTS);
        let (service, state) = (uploader.serve(), uploader.state());
        service.hold(uploader.next(), CompleteUpload, Hold::Before);
        let mut run = uploader.start();
        service.journal().wait(|all| is_answered(all, CreateUpload), || run.is_going_on());
        sleep(Duration::from_micros(random.u64(..2000)));
        run.kill();
        let is_known = state.saved().is_some();
        let run = uploader.start();
        let number = run.number;
        let finished = run.finish();
        assert_eq!(finished.said.starts_with("resuming upload_"), is_known, "{}", finished.said);
        assert_eq!(count(&service, number, CreateUpload), usize::from(!is_known));
        uploader.assert_whole(finished.id());
    }
}

#[test]
fn nothing_is_forgotten_before_the_file_is_printed() {
    for _ in 0..ROUNDS {
        let mut uploader = Uploader::new(MEBIBYTES, IN_PARTS);
        let service = uploader.serve();
        killed_when_forgotten(uploader, |run| {
            service.journal().wait(|all| is_answered(all, CompleteUpload), || run.is_going_on());
        });
        let uploader = Uploader::new(MEBIBYTES, IN_PARTS);
        let state = uploader.state();
        killed_when_forgotten(uploader, |run| {
            while state.saved().is_none() && run.is_going_on() {
                yield_now();
            }
        });
    }
}

/// Kills the run, once that has come, as soon as there is no checkpoint any more: nothing could find the file then, so
/// it must be known.
fn killed_when_forgotten(mut uploader: Uploader, comes: impl FnOnce(&mut Run)) {
    let state = uploader.state();
    let mut run = uploader.start();
    comes(&mut run);
    while state.saved().is_some() {
        yield_now();
    }
    let output = run.kill_or_finish();
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the file was printed");
    uploader.assert_listed(printed["id"].as_str().unwrap());
}
