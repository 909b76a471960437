//! The machine when its checkpoint cannot be saved.

use std::time::Duration;

use partwise_models::UnixSeconds;

use super::{DownloadError, DownloadMachine, DownloadPlan, DownloadTask};
use crate::{
    Api,
    machine::{Action, Machine as _, Now, RequestId, SaveError},
    operations::{ContentRange, DownloadHead},
};

fn at(seconds: u64) -> Now {
    Now { monotonic: Duration::from_secs(seconds), unix: UnixSeconds(1) }
}

/// A download of 1000 bytes of which the first 50 were written.
fn begun() -> DownloadMachine {
    let mut machine = DownloadMachine::new(&Api::openai(), DownloadPlan::new("file-1"), [3; 32]);
    let Action::Start { id, task: DownloadTask::Send { .. } } = machine.poll(at(0)) else {
        panic!("it asks")
    };
    let range = ContentRange { first: 0, last: 999, total: Some(1000) };
    let head = DownloadHead { length: Some(1000), range: Some(range), ..DownloadHead::default() };
    assert_eq!(machine.handle_answer(id, Ok(head), at(0)), Some(0));
    machine.handle_moved(id, 50);
    machine
}

/// Polls until a checkpoint is to be saved.
fn saves(machine: &mut DownloadMachine) {
    loop {
        match machine.poll(at(60)) {
            Action::Save(_) => return,
            Action::Start { .. } | Action::Abandon(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Polls until the end, with no checkpoint more.
fn ends(machine: &mut DownloadMachine) -> DownloadError {
    loop {
        match machine.poll(at(60)) {
            Action::Done(result) => return result.unwrap_err(),
            Action::Abandon(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_checkpoint_that_cannot_be_saved_ends_the_download() {
    let mut machine = begun();
    saves(&mut machine);
    machine.handle_saved(Err(SaveError::new("the disk is full")));
    assert!(matches!(ends(&mut machine), DownloadError::Save(_)));
}

#[test]
fn a_last_checkpoint_that_cannot_be_saved_is_told_instead_of_the_stop() {
    let mut machine = begun();
    machine.stop();
    saves(&mut machine);
    machine.handle_saved(Err(SaveError::new("the disk is full")));
    let error = ends(&mut machine);
    assert!(matches!(error, DownloadError::Save(_)) && error.is_resumable(), "{error}");
}

#[test]
fn a_checkpoint_that_cannot_be_saved_is_told_although_everything_has_come() {
    let mut machine = begun();
    let object = loop {
        match machine.poll(at(0)) {
            Action::Start { id, task: DownloadTask::Retrieve { .. } } => break id,
            Action::Save(_) => panic!("it looks first"),
            _ => {}
        }
    };
    saves(&mut machine);
    let asked = RequestId(0);
    machine.handle_moved(asked, 950);
    machine.handle_end(asked, at(61));
    let file = partwise_models::File::new("file-1").bytes(1000);
    machine.handle_retrieved(object, Ok(file), at(61));
    assert!(matches!(machine.poll(at(61)), Action::Wait { .. }), "the checkpoint is on its way");
    machine.handle_saved(Err(SaveError::new("input/output error")));
    assert!(matches!(ends(&mut machine), DownloadError::Save(_)));
}

#[test]
fn a_save_that_nobody_asked_for_changes_nothing() {
    let mut machine = begun();
    machine.handle_saved(Err(SaveError::new("the disk is full")));
    machine.handle_moved(RequestId(0), 1);
    assert_eq!(machine.progress().bytes_written, 51);
    saves(&mut machine);
}
