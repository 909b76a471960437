//! Sixteen uploads of one client at a service that asks them to wait.

use std::time::Duration;

use partwise_protocol::{
    Api,
    retry::ServiceState,
    upload::{Parallel, RouteChoice, SourceStamp, UploadMachine},
};

use crate::bench::{Bench, file_json, part_json, plan, upload_json};

const BUSY: &[(&str, &str)] = &[("retry-after", "5")];

fn uploads(route: RouteChoice) -> Vec<Bench> {
    let service = ServiceState::new();
    let upload = |number: u8| {
        let mut plan = plan();
        (plan.route, plan.parallel) = (route, Parallel::Fixed(4));
        let transfer = UploadMachine::new(Api::openai(), plan, SourceStamp::new(25), [number; 32]).unwrap();
        let mut bench = Bench::of(transfer.with_service(&service));
        bench.run();
        bench
    };
    (0..16).map(upload).collect()
}

/// Lets time pass for all, and counts those that have something under way.
fn after(uploads: &mut [Bench], time: Duration) -> usize {
    for bench in &mut *uploads {
        bench.pass(time);
    }
    uploads.iter().filter(|bench| !bench.flying.is_empty()).count()
}

#[test]
fn one_upload_goes_first_after_a_wait_and_the_others_follow_its_answer() {
    let mut uploads = uploads(RouteChoice::Single);
    for bench in &mut uploads {
        bench.answer_with(0, 429, BUSY, "");
    }
    assert_eq!(after(&mut uploads, Duration::from_millis(4999)), 0);
    assert_eq!(after(&mut uploads, Duration::from_millis(1)), 1);
    assert_eq!(after(&mut uploads, Duration::from_millis(300)), 1);
    uploads[0].answer(0, 200, &file_json("file-0", 1_719_184_911));
    assert_eq!(after(&mut uploads, Duration::from_millis(250)), 15);
}

#[test]
fn a_service_that_is_still_busy_hears_from_one_of_them_only() {
    let mut uploads = uploads(RouteChoice::Single);
    for bench in &mut uploads {
        bench.answer_with(0, 429, BUSY, "");
    }
    for _ in 0..5 {
        assert_eq!(after(&mut uploads, Duration::from_secs(5)), 1);
        let first = uploads.iter_mut().find(|bench| !bench.flying.is_empty()).unwrap();
        first.answer_with(0, 429, BUSY, "");
    }
}

#[test]
fn the_parts_of_the_one_that_goes_first_go_together() {
    let mut uploads = uploads(RouteChoice::Parts);
    for bench in &mut uploads {
        bench.answer(0, 200, &upload_json(3600));
        assert_eq!(bench.flying.len(), 3);
    }
    uploads[0].answer_with(0, 429, BUSY, "");
    uploads[0].answer(0, 200, &part_json("a"));
    uploads[0].answer_with(0, 429, BUSY, "");
    // The window was halved.
    uploads[0].pass(Duration::from_secs(5));
    assert_eq!(uploads[0].flying.len(), 2);
}
