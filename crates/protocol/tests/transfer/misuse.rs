//! Whatever a driver does, in whatever order, nothing panics and the end comes at most once.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use partwise_models::UnixSeconds;
use partwise_protocol::{
    machine::{Action, Machine as _, Now, RequestId, SaveError},
    transport::{Failure, FailureKind, SourceError},
    upload::{Comparison, SourceStamp},
};
use proptest::prelude::*;

use crate::bench::{Bench, completed_json, part_json, plan, upload_json};

#[derive(Clone, Debug)]
enum Step {
    Poll { seconds: u32 },
    Answer { request: usize, status: u16, body: usize },
    Fail { request: usize, left: Option<u64> },
    Compared { request: usize, good: bool },
    Sent { request: usize, bytes: u64 },
    Hashed { task: usize, good: bool },
    Stamped { task: usize, length: Option<u64> },
    Saved { good: bool },
    Cancel,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u32..5000).prop_map(|seconds| Step::Poll { seconds }),
        6 => (0usize..8, prop::sample::select(vec![200u16, 201, 204, 400, 404, 409, 429, 500, 503]), 0usize..5)
            .prop_map(|(request, status, body)| Step::Answer { request, status, body }),
        2 => (0usize..8, prop::option::of(0u64..400)).prop_map(|(request, left)| Step::Fail { request, left }),
        1 => (0usize..8, any::<bool>()).prop_map(|(request, good)| Step::Compared { request, good }),
        1 => (0usize..8, any::<u64>()).prop_map(|(request, bytes)| Step::Sent { request, bytes }),
        1 => (0usize..8, any::<bool>()).prop_map(|(task, good)| Step::Hashed { task, good }),
        1 => (0usize..8, prop::option::of(24u64..27)).prop_map(|(task, length)| Step::Stamped { task, length }),
        3 => any::<bool>().prop_map(|good| Step::Saved { good }),
        1 => Just(Step::Cancel),
    ]
}

proptest! {
    #[test]
    fn no_order_of_calls_panics_and_the_end_comes_once(steps in prop::collection::vec(step(), 0..60), md5: bool) {
        let mut wanted = plan();
        wanted.md5 = md5;
        let mut machine = Bench::new(wanted).machine;
        let bodies = [String::new(), upload_json(100), part_json("p"), completed_json(), "{".to_owned()];
        let (mut time, mut names, mut ends) = (Duration::ZERO, Vec::<RequestId>::new(), 0);
        for step in steps {
            let now = Now { monotonic: time, unix: UnixSeconds(time.as_secs()) };
            let name = |request: usize| names.get(request).copied();
            match step {
                Step::Poll { seconds } => {
                    match machine.poll(now) {
                        Action::Start { id, .. } => names.push(id),
                        Action::Done(_) => ends += 1,
                        Action::Wait { .. } => time += Duration::from_secs(seconds.into()),
                        _ => {}
                    }
                }
                Step::Answer { request, status, body } => if let Some(id) = name(request) {
                    let response = Response::builder().status(status).body(Bytes::from(bodies[body].clone())).unwrap();
                    machine.handle_response(id, response, None, now);
                },
                Step::Fail { request, left } => if let Some(id) = name(request) {
                    let mut failure = Failure::new(FailureKind::Interrupted);
                    failure.left = left;
                    machine.handle_failure(id, failure, now);
                },
                Step::Compared { request, good } => if let Some(id) = name(request) {
                    let result = if good { Ok(Comparison::Equal) } else { Err(SourceError::new("no")) };
                    machine.handle_compared(id, result, now);
                },
                Step::Sent { request, bytes } => if let Some(id) = name(request) { machine.handle_moved(id, bytes) },
                Step::Hashed { task, good } => if let Some(id) = name(task) {
                    machine.handle_hashed(id, if good { Ok([0; 16]) } else { Err(SourceError::new("no")) });
                },
                Step::Stamped { task, length } => if let Some(id) = name(task) {
                    machine.handle_stamped(id, length.map(SourceStamp::new).ok_or(SourceError::new("no")));
                },
                Step::Saved { good } => machine.handle_saved(if good { Ok(()) } else { Err(SaveError::new("no")) }),
                Step::Cancel => machine.cancel(),
            }
            let _ = machine.progress();
        }
        prop_assert!(ends <= 1);
    }
}
