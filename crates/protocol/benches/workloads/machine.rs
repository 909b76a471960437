//! The machine in the middle of an upload, part by part.

use std::{collections::VecDeque, hint::black_box, time::Duration};

use bytes::Bytes;
use http::Response;
use partwise_models::{Purpose, UnixSeconds};
use partwise_protocol::{
    Api,
    machine::{Action, Machine as _, Now, RequestId},
    upload::{Checkpoint, Plan, SourceStamp, UploadMachine, UploadTask},
};

use super::{Amount, Round, Workload, answers::PART_JSON, checkpoints};

/// How many parts go in one round.
const PARTS: u64 = 20;

/// What a part costs when there are a thousand: from the poll that sends it to the last poll after its answer.
pub(super) const OF_1000: Workload =
    Workload { name: "machine-of-1000", amount: Amount::Items(PARTS), prepare: || sending(1_000) };

/// The same when there are ten thousand: how it grows.
pub(super) const OF_10000: Workload =
    Workload { name: "machine-of-10000", amount: Amount::Items(PARTS), prepare: || sending(10_000) };

/// Parts of an upload that is half done; it is done again from there when it comes to its end.
fn sending(parts: u64) -> Round {
    let saved = checkpoints::halfway(parts);
    let mut driver = Driver::resume(&saved);
    let mut left = parts / 2;
    Box::new(move || {
        if left <= PARTS {
            driver = Driver::resume(&saved);
            left = parts / 2;
        }
        left -= PARTS;
        for _ in 0..PARTS {
            driver.answer_one();
        }
    })
}

/// A driver that sends nothing, whose service takes everything, and that saves checkpoints nowhere.
struct Driver {
    machine: UploadMachine,
    flying: VecDeque<RequestId>,
    now: Now,
}

impl Driver {
    fn resume(saved: &Checkpoint) -> Self {
        let mut plan = Plan::new("train.jsonl", "application/jsonl", Purpose::FineTune);
        (plan.parallel, plan.part_size) = (4.into(), Some(1));
        let (_, length) = saved.acknowledged();
        let mut source = SourceStamp::new(length);
        source.modified = Some("1700000000.000000000".into());
        source.identity = Some("1234".into());
        let machine = UploadMachine::resume(Api::openai(), plan, saved.clone(), source, [7; 32]);
        let now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1_719_184_912) };
        let mut driver = Self { machine: machine.expect("it can go on"), flying: VecDeque::new(), now };
        driver.run();
        driver
    }

    fn answer_one(&mut self) {
        let id = self.flying.pop_front().expect("a part is under way");
        self.now.monotonic += Duration::from_micros(1);
        self.machine.handle_moved(id, 1);
        self.machine.handle_response(
            id,
            Response::new(Bytes::from_static(PART_JSON.as_bytes())),
            None,
            self.now,
        );
        self.run();
    }

    fn run(&mut self) {
        loop {
            match black_box(self.machine.poll(self.now)) {
                Action::Start { id, task: UploadTask::Send { .. } } => self.flying.push_back(id),
                Action::Save(_) => self.machine.handle_saved(Ok(())),
                Action::Wait { .. } => return,
                Action::Abandon(_)
                | Action::Start { task: UploadTask::Compare { .. }, .. }
                | Action::Start { task: UploadTask::Hash(_), .. }
                | Action::Start { task: UploadTask::Stamp | UploadTask::Prepare(_), .. }
                | Action::Done(_) => {
                    unreachable!("parts are left")
                }
            }
        }
    }
}
