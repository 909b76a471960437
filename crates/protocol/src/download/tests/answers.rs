//! What answers say of a content.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use partwise_models::{File, UnixSeconds};

use super::harness::{
    Dice, Disk, ENTROPY, LONG, Run, Running, Serves, Service, api, at, begun, checkpoint, halfway, plan, sent,
};
use crate::{
    Operation as _,
    download::{DownloadError, DownloadMachine, DownloadTask, RemoteContent},
    error::{ApiError, ResponseError},
    machine::{Action, Machine as _, Now},
    operations::{DownloadFile, DownloadHead},
};

#[test]
fn a_file_that_changes_ends_the_download_and_leaves_nothing_to_go_on_from() {
    type Change = fn(&mut Service);
    let changes: [(Change, &str); 6] = [
        (
            |service| {
                service.change();
                service.serves = Serves::WholeWithoutLength;
            },
            "its ETag is another",
        ),
        (|service| service.etag = Some("\"b\""), "its ETag is another"),
        (|service| service.content.truncate(700), "it had 1000 bytes and has 700"),
        (|service| service.content.truncate(10), "it had 1000 bytes and has less"),
        (|service| service.content.push(0), "it had 1000 bytes and has 1001"),
        (
            |service| {
                service.content.push(0);
                service.serves = Serves::Whole;
            },
            "it had 1000 bytes and has 1001",
        ),
    ];
    for (change, difference) in changes {
        let mut service = Service::new(1000, Serves::Ranges);
        let (mut machine, disk) = begun(&service, 1, halfway);
        let saved = checkpoint(&mut machine);
        change(&mut service);
        let mut machine = DownloadMachine::resume(&api(), plan(2, 100), saved, 1000, ENTROPY).unwrap();
        let mut run = Run::new(&service, disk);
        run.disk.checkpoint = None;
        run.faults = 0;
        let ended = run.until_end(&mut machine, &mut Dice([1].iter().cycle()), LONG).unwrap().unwrap_err();
        assert_eq!(ended.to_string(), format!("the file changed while it was downloaded: {difference}"));
        assert!(!ended.is_resumable() && run.disk.checkpoint.is_none());
    }
}

#[test]
fn a_page_after_ranges_keeps_what_has_come() {
    let service = Service::new(1000, Serves::Ranges);
    let page = |length| {
        let content_type = Some("text/html".to_owned());
        DownloadHead { length, content_type, ..DownloadHead::default() }
    };
    let bare = DownloadHead { length: Some(71), ..DownloadHead::default() };
    for (head, said) in [
        (page(Some(56)), "the service answered with an HTML page instead of the rest of the file"),
        (page(None), "the service answered with an HTML page instead of the rest of the file"),
        (bare, "71 bytes came, and the file has 1000"),
    ] {
        let (mut machine, _) = begun(&service, 1, halfway);
        let saved = checkpoint(&mut machine);
        let mut machine = DownloadMachine::resume(&api(), plan(1, 100), saved, 1000, ENTROPY).unwrap();
        let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
        let id = sent(&mut machine, &mut now, 1)[0];
        let Action::Start { id: look, task: DownloadTask::Retrieve { .. } } = machine.poll(now) else {
            panic!("it looks")
        };
        let file = File::new("file-1").bytes(1000);
        machine.handle_retrieved(look, Ok(file), now);
        assert_eq!(machine.handle_answer(id, Ok(head), now), None);
        let Action::Abandon(_) = machine.poll(now) else { panic!("it is wanted") };
        let Action::Done(Err(error)) = machine.poll(now) else { panic!("it goes on") };
        assert!(matches!(error, DownloadError::WrongContent(_)) && error.is_resumable(), "{error:?}");
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn without_ranges_everything_is_asked_for_at_once() {
    let service = Service::new(1000, Serves::Ranges);
    let mut one = plan(4, 100);
    one.ranges = false;
    let mut run = Run::new(&service, Disk::default());
    let mut machine = DownloadMachine::new(&api(), one, ENTROPY);
    let Action::Start { id, task: DownloadTask::Send { operation, .. } } = machine.poll(at(Duration::ZERO))
    else {
        panic!("it asks")
    };
    assert_eq!(operation.range, None);
    run.running.push(Running { id, operation, answered: None });
    run.until_end(&mut machine, &mut Dice([3].iter().cycle()), LONG).unwrap().unwrap();
    run.assert_complete();
}

#[test]
fn what_a_later_answer_says_of_the_content_counts_from_then_on() {
    let mut service = Service::new(1000, Serves::Ranges);
    service.etag = None;
    let (mut machine, disk) = begun(&service, 1, halfway);
    let saved = checkpoint(&mut machine);
    service.etag = Some("\"a\"");
    let mut machine = DownloadMachine::resume(&api(), plan(1, 100), saved, 1000, ENTROPY).unwrap();
    let mut run = Run::new(&service, disk);
    run.faults = 0;
    let mut dice = Dice([7, 1, 3].iter().cycle());
    while machine.progress().bytes_written < 700 {
        assert!(run.until_end(&mut machine, &mut dice, 1).is_none());
    }
    assert_eq!(machine.content.as_ref().and_then(RemoteContent::strong_etag), Some("\"a\""));
}

#[test]
fn a_file_that_is_not_found_by_one_key_may_be_found_by_another() {
    let service = Service::new(1000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 1, halfway);
    let saved = checkpoint(&mut machine);
    let mut machine = DownloadMachine::resume(&api(), plan(1, 100), saved, 1000, ENTROPY).unwrap();
    let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    let id = sent(&mut machine, &mut now, 1)[0];
    let refused = Err(ResponseError::Rejected(ApiError::new(StatusCode::NOT_FOUND, "no").into()));
    machine.handle_answer(id, refused, now);
    let Action::Done(Err(error)) = machine.poll(now) else { panic!("it is not there") };
    assert!(error.is_resumable());
}

#[test]
fn an_answer_that_is_none_of_this_api_ends_it() {
    let mut machine = DownloadMachine::new(&api(), plan(1, 100), ENTROPY);
    let Action::Start { id, task: DownloadTask::Send { .. } } = machine.poll(at(Duration::ZERO)) else {
        panic!("it asks")
    };
    let head = Response::builder().status(206).body(Bytes::new()).unwrap();
    let now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    assert_eq!(machine.handle_answer(id, DownloadFile::decode_response(head), now), None);
    let Action::Start { id: look, task: DownloadTask::Retrieve { .. } } = machine.poll(at(Duration::ZERO))
    else {
        panic!("it looks")
    };
    let Action::Start { id, task: DownloadTask::Send { operation, .. } } = machine.poll(at(Duration::ZERO))
    else {
        panic!("it asks")
    };
    assert_eq!(operation.range, None, "a range that does not say which it is: everything is asked for");
    let range = Some(crate::operations::ContentRange { first: 0, last: 4, total: Some(10) });
    let head = DownloadHead { range, ..DownloadHead::default() };
    assert_eq!(machine.handle_answer(id, Ok(head), now), None);
    let Action::Abandon(abandoned) = machine.poll(at(Duration::ZERO)) else { panic!("it is wanted") };
    assert_eq!(abandoned, look);
    let Action::Abandon(_) = machine.poll(at(Duration::ZERO)) else { panic!("it is not wanted") };
    let Action::Done(Err(DownloadError::Garbled(_))) = machine.poll(at(Duration::ZERO)) else {
        panic!("a part came although everything was asked for")
    };
}
