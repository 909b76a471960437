//! Parts of a source that cannot go back: one at a time, each only once its source is ready.

use std::time::Duration;

use partwise_protocol::{
    machine::Machine as _,
    transport::{FailureKind, SourceError},
    upload::{Parallel, Plan, UploadError},
};

use crate::bench::{Bench, completed_json, part_json, plan};

fn in_order() -> Plan {
    let mut wanted = plan();
    wanted.parallel = Parallel::InOrder;
    wanted
}

#[test]
fn each_part_leaves_once_its_source_is_ready_and_the_one_before_it_acknowledged() {
    let mut bench = Bench::sending(in_order());
    for part in ["part_a", "part_b", "part_c"] {
        assert!(bench.flying.is_empty(), "nothing leaves before its source is ready");
        bench.prepared(Ok(()));
        bench.answer(0, 200, &part_json(part));
    }
    bench.stamp(25);
    bench.answer(0, 200, &completed_json());
    insta::assert_snapshot!(bench.log());
}

#[test]
fn a_part_that_goes_again_is_waited_for_again() {
    let mut bench = Bench::sending(in_order());
    bench.prepared(Ok(()));
    bench.fail(0, FailureKind::Interrupted);
    bench.pass(Duration::from_secs(1));
    bench.prepared(Ok(()));
    assert_eq!((bench.flying.len(), bench.attempts.last().unwrap().number), (1, 2));
}

#[test]
fn a_source_that_never_gets_ready_has_sent_nothing_and_ends_the_upload_with_its_error() {
    let mut bench = Bench::sending(in_order());
    bench.prepared(Err(SourceError::new("the tape is torn")));
    assert!(matches!(bench.end, Some(Err(UploadError::Source(_)))), "{:?}", bench.end);
    assert_eq!(bench.attempts.len(), 1, "only the upload was opened");
}

#[test]
fn a_stop_does_not_wait_for_the_source() {
    let mut bench = Bench::sending(in_order());
    bench.log();
    bench.machine.stop();
    bench.run();
    assert!(matches!(bench.end, Some(Err(UploadError::Stopped { .. }))), "{:?}", bench.end);
    assert!(bench.log().contains("abandon"));
    // A report that comes too late is ignored.
    bench.prepared(Ok(()));
    assert!(bench.flying.is_empty());
}

#[test]
fn while_the_source_is_waited_for_the_machine_asks_to_be_polled_at_no_moment_of_its_own() {
    let mut bench = Bench::sending(in_order());
    let again = bench.run().unwrap();
    assert!(again >= Duration::from_secs(3000), "only the expiry: {again:?}");
}
