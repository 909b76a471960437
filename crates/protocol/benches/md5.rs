//! What `UploadTask::Hash` costs a driver: `cargo bench --package partwise-protocol --bench md5`.

#![allow(missing_docs, reason = "the macros make items without")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use md5::{Digest as _, Md5};

/// As `transport-hyper` reads, whose own benches would take minutes to build.
const PIECE: usize = 256 * 1024;
const PIECES: usize = 16;

fn hash(criterion: &mut Criterion) {
    let piece: Vec<u8> = (0..=u8::MAX).cycle().take(PIECE).collect();
    let mut group = criterion.benchmark_group("md5");
    group.throughput(Throughput::Bytes((PIECE * PIECES) as u64));
    group.bench_function("pieces", |bencher| {
        bencher.iter(|| {
            let mut md5 = Md5::new();
            for _ in 0..PIECES {
                md5.update(black_box(&piece));
            }
            md5.finalize()
        });
    });
    group.finish();
}

criterion_group!(benches, hash);
criterion_main!(benches);
