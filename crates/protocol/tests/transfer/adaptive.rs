//! A number of parts in flight that is left open.

use std::time::Duration;

use partwise_protocol::{
    Api,
    machine::Machine as _,
    transport::FailureKind,
    upload::{Parallel, Plan, SourceStamp, UploadMachine},
};

use crate::bench::{Bench, date, part_json, plan, upload_json};

const MIB: u64 = 1 << 20;
const STEP: Duration = Duration::from_millis(10);

/// An upload of 7 GiB in parts of 16 MiB, over a line.
struct Flow {
    bench: Bench,
    /// Bytes that each request under way has sent.
    sent: Vec<u64>,
    /// How many parts were answered.
    answered: u64,
}

fn adaptive() -> Plan {
    let mut plan = plan();
    (plan.parallel, plan.part_size) = (Parallel::default(), Some(16 * MIB));
    plan.restart_when_expired = true;
    plan
}

impl Flow {
    fn new() -> Self {
        let machine =
            UploadMachine::new(Api::openai(), adaptive(), SourceStamp::new(7 << 30), [1; 32]).unwrap();
        let mut bench = Bench::of(machine);
        bench.run();
        bench.answer(0, 200, &upload_json(3600));
        Self { bench, sent: Vec::new(), answered: 0 }
    }

    /// The next run of one that has sent nothing yet.
    fn resumed() -> Self {
        let saved = Self::new().bench.saved.unwrap();
        let source = SourceStamp::new(7 << 30);
        let machine = UploadMachine::resume(Api::openai(), adaptive(), saved, source, [1; 32]).unwrap();
        let mut bench = Bench::of(machine);
        bench.run();
        Self { bench, sent: Vec::new(), answered: 0 }
    }

    /// Time passes: so many MiB a second leave on each connection, and no more on all together.
    fn goes_on(&mut self, time: Duration, each: u64, all: u64) {
        for _ in 0..time.as_millis() / STEP.as_millis() {
            self.bench.time += STEP;
            let flying = self.bench.flying.clone();
            self.sent.resize(flying.len(), 0);
            let rate = each.min(all / flying.len() as u64);
            for (request, sent) in flying.iter().zip(&mut self.sent) {
                *sent += rate * MIB / 100;
                self.bench.machine.handle_moved(*request, rate * MIB / 100);
            }
            self.bench.run();
            while let Some(done) = self.sent.iter().position(|sent| *sent >= 16 * MIB) {
                self.sent.remove(done);
                self.answered += 1;
                self.bench.answer(done, 200, &part_json(&format!("part_{}", self.answered)));
            }
        }
    }
}

#[test]
fn the_first_parts_are_small_and_the_next_are_what_their_connection_carries() {
    let mut wanted = plan();
    (wanted.parallel, wanted.part_size) = (Parallel::default(), None);
    let machine = UploadMachine::new(Api::openai(), wanted, SourceStamp::new(1 << 30), [1; 32]).unwrap();
    let mut bench = Bench::of(machine);
    bench.run();
    bench.answer(0, 200, &upload_json(3600));
    bench.log();
    // A quarter of a second for the first one, a second for the others: 1 MiB/s and 256 KiB/s.
    bench.pass(Duration::from_millis(250));
    bench.answer(0, 200, &part_json("part_1"));
    bench.pass(Duration::from_millis(750));
    for part in ["part_2", "part_3"] {
        bench.answer(0, 200, &part_json(part));
    }
    bench.fail(0, FailureKind::Interrupted);
    bench.pass(Duration::from_secs(5));
    insta::assert_snapshot!(bench.log());
    let progress = bench.machine.progress();
    assert_eq!((progress.parts_acknowledged, progress.bytes_acknowledged), (3, 768 << 10));
}

#[test]
fn it_is_doubled_as_long_as_more_bytes_leave() {
    let mut flow = Flow::new();
    assert_eq!(flow.bench.flying.len(), 8);
    flow.goes_on(Duration::from_secs(1), 50, 1000);
    assert_eq!((flow.bench.flying.len(), flow.bench.machine.progress().window), (16, 16));
}

#[test]
fn it_goes_back_when_more_share_what_there_is_and_is_tried_again_later() {
    let mut flow = Flow::new();
    flow.goes_on(Duration::from_millis(500), 200, 200);
    assert_eq!(flow.bench.flying.len(), 16, "it is being tried");
    flow.goes_on(Duration::from_millis(2500), 200, 200);
    assert_eq!(flow.bench.machine.progress().window, 8);
    flow.goes_on(Duration::from_secs(8), 5, 200);
    assert_eq!(flow.bench.flying.len(), 8);
    // By now each connection has a limit of its own, which takes some parts to see.
    flow.goes_on(Duration::from_secs(20), 5, 200);
    assert_eq!(flow.bench.flying.len(), 16);
}

#[test]
fn an_upload_that_begins_anew_looks_for_it_anew() {
    let mut flow = Flow::resumed();
    flow.goes_on(Duration::from_millis(500), 200, 200);
    assert_eq!(flow.bench.machine.progress().window, 16, "it is being tried");
    flow.bench.time += Duration::from_secs(4000);
    flow.bench.answer_with(0, 404, &[("date", &date(4000))], "");
    flow.sent.clear();
    flow.bench.answer(0, 200, &upload_json(3600));
    assert_eq!((flow.bench.flying.len(), flow.bench.machine.progress().window), (8, 8));
    flow.goes_on(Duration::from_secs(1), 50, 1000);
    assert_eq!(flow.bench.flying.len(), 16);
}

#[test]
fn overload_while_more_is_tried_halves_what_was_known_to_be_good() {
    let mut flow = Flow::new();
    flow.goes_on(Duration::from_millis(500), 200, 200);
    assert_eq!(flow.bench.flying.len(), 16);
    flow.bench.answer_with(0, 429, &[("retry-after-ms", "100")], "{}");
    assert_eq!(flow.bench.machine.progress().window, 8, "half of sixteen");
    flow.bench.answer_with(0, 429, &[("retry-after-ms", "100")], "{}");
    assert_eq!(flow.bench.machine.progress().window, 8, "of the same wave");
}
