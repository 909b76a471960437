//! What each part of the crate costs in time: `cargo bench --package partwise-protocol --bench parts`.
//!
//! For people who try something out; what a change may cost is held by `instructions`.

#![allow(missing_docs, reason = "the macros make items without")]

mod workloads;

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use workloads::{Amount, WORKLOADS};

fn parts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("protocol");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    for workload in WORKLOADS {
        group.throughput(match workload.amount {
            Amount::Bytes(bytes) => Throughput::Bytes(bytes),
            Amount::Items(items) => Throughput::Elements(items),
        });
        group.bench_function(workload.name, |bencher| {
            let round = (workload.prepare)();
            bencher.iter(round);
        });
    }
    group.finish();
}

criterion_group!(benches, parts);
criterion_main!(benches);
