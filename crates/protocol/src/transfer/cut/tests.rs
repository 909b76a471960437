//! The cut by its properties, and by a model of connections in virtual time.

use proptest::prelude::*;

use super::*;

const GIB: u64 = 1024 * MIB;
/// 400 Mbit/s, in bytes a second.
const RATE: f64 = 50e6;
/// Seconds from the last byte of a part to its answer.
const ANSWER: f64 = 0.040;

fn sizes(cut: &Cut) -> Vec<u64> {
    (0..cut.count()).map(|index| cut.range(index as usize).len()).collect()
}

/// The seconds until the last answer, when each connection takes the next part as soon as it was answered.
fn duration(cut: &Cut, rates: &[f64]) -> f64 {
    let mut free = vec![0.0_f64; rates.len()];
    for size in sizes(cut) {
        let next = (0..free.len()).min_by(|a, b| free[*a].total_cmp(&free[*b])).unwrap();
        free[next] += size as f64 / rates[next] + ANSWER;
    }
    free.into_iter().fold(0.0, f64::max)
}

/// How many times the time it takes that all connections together need for the bytes alone.
fn against_ideal(cut: &Cut, rates: &[f64]) -> f64 {
    duration(cut, rates) / (cut.length as f64 / rates.iter().sum::<f64>())
}

/// Of all places that the slow connection may have among the others, the worst.
fn with_one_slower(length: u64, parallel: u16, rate: f64, factor: f64) -> f64 {
    let cut = Cut::fitting(length, parallel, LARGEST_DEFAULT);
    let worst = [0, usize::from(parallel) - 1].map(|slow| {
        let mut rates = vec![rate; usize::from(parallel)];
        rates[slow] /= factor;
        against_ideal(&cut, &rates)
    });
    worst[0].max(worst[1])
}

#[test]
fn a_long_file_over_equal_connections_takes_95_percent_of_the_link() {
    for parallel in [4_u16, 8, 16] {
        let length = 8 * LARGEST_DEFAULT * u64::from(parallel);
        let cut = Cut::fitting(length, parallel, LARGEST_DEFAULT);
        let share = 1.0 / against_ideal(&cut, &vec![RATE; usize::from(parallel)]);
        assert!(share >= 0.95, "{share} with {parallel}");
    }
}

#[test]
fn a_connection_with_a_quarter_of_the_rate_costs_at_most_15_percent() {
    let times = with_one_slower(2 * GIB, 4, RATE, 4.0);
    assert!(times <= 1.15, "{times} of the ideal");
    let mut rates = [RATE; 4];
    rates[3] /= 4.0;
    let equal = against_ideal(&Cut::equal(2 * GIB, LARGEST_DEFAULT), &rates);
    assert!(equal > 1.2, "equal parts take {equal}, so that the model shows what a straggler costs");
}

#[test]
fn what_the_model_says_of_other_lengths_connections_and_rates() {
    let mut table = String::from("times the ideal by how much slower one connection is: 1, 2, 4, 8\n");
    for length in [64 * MIB, 256 * MIB, GIB, 2 * GIB, 8_000_000_000] {
        for parallel in [2, 4, 8, 16] {
            let times = [1.0, 2.0, 4.0, 8.0].map(|factor| with_one_slower(length, parallel, RATE, factor));
            let [same, two, four, eight] = times;
            let mib = length / MIB;
            table += &format!("{mib:>5} MiB by {parallel:>2}: {same:.2} {two:.2} {four:.2} {eight:.2}\n");
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_parts_of_some_files() {
    let shown = |length, parallel, limit| {
        let cut = Cut::fitting(length, parallel, limit);
        let head =
            TailRun { size: cut.part_size(), count: cut.runs.get(1).map_or(cut.count, |run| run.first) };
        let runs = std::iter::once(head).chain(cut.tail());
        runs.map(|run| format!("{} x {} KiB", run.count, run.size / 1024)).collect::<Vec<_>>().join(", ")
    };
    insta::assert_snapshot!(shown(2 * GIB, 4, 64 * MIB), @"24 x 65536 KiB, 4 x 52480 KiB, 4 x 31488 KiB, 4 x 18880 KiB, 8 x 14144 KiB");
    insta::assert_snapshot!(shown(256 * MIB, 4, 64 * MIB), @"8 x 16384 KiB, 4 x 13120 KiB, 4 x 7872 KiB, 4 x 4736 KiB, 8 x 3520 KiB");
    insta::assert_snapshot!(shown(9 * MIB, 4, 64 * MIB), @"8 x 1152 KiB");
    insta::assert_snapshot!(shown(1, 4, 64 * MIB), @"1 x 1024 KiB");
    insta::assert_snapshot!(shown(100 * MIB, 1, 64 * MIB), @"2 x 51200 KiB");
    insta::assert_snapshot!(shown(10 * MIB, 4, MIB), @"4 x 1024 KiB, 4 x 640 KiB, 4 x 384 KiB, 8 x 256 KiB");
}

#[test]
fn parts_that_do_not_fit_the_file_are_no_cut() {
    let run = |size, count| TailRun { size, count };
    let fits = |length, size, tail: &[TailRun], count| Cut::saved(length, size, tail, count).is_some();
    assert!(
        fits(25, 10, &[], 3) && fits(25, 10, &[run(5, 1)], 3) && fits(25, 10, &[run(6, 2), run(3, 1)], 4)
    );
    assert!(fits(u64::MAX, u64::MAX / 4, &[], 5));
    for (size, tail, count) in [
        (10, vec![], 2),
        (10, vec![], 4),
        (0, vec![], 3),
        (10, vec![run(5, 2)], 3),
        (10, vec![run(5, 1)], 1),
        (10, vec![run(5, 2)], 2),
        (10, vec![run(0, 1)], 4),
        (10, vec![run(5, 1), run(9, 0)], 3),
        (10, vec![run(1, u64::MAX), run(1, u64::MAX)], 3),
        (10, vec![run(u64::MAX, u64::MAX)], 3),
        (u64::MAX, vec![run(u64::MAX, 1)], 2),
    ] {
        assert!(!fits(25, size, &tail, count), "{count} parts of {size} and {tail:?}");
    }
}

proptest! {
    #[test]
    fn a_cut_covers_the_file_once_and_in_order_within_the_limit(
        (length, limit) in prop_oneof![
            (1..5000_u64, 1..200_u64),
            (1..10 * GIB, MIB..512 * MIB),
        ],
        parallel in prop_oneof![1..20_u16, any::<u16>()],
    ) {
        let cut = Cut::fitting(length, parallel, limit);
        prop_assert_eq!(&cut, &Cut::fitting(length, parallel, limit));
        let sizes = sizes(&cut);
        let mut end = 0;
        for index in 0..sizes.len() {
            let range = cut.range(index);
            prop_assert_eq!(range.start(), end);
            prop_assert!(!range.is_empty() && range.len() <= limit);
            end = range.end();
        }
        prop_assert_eq!(end, length);
        prop_assert!(sizes.is_sorted_by(|a, b| a >= b), "{:?}", sizes);
        // Half of the smallest is where whole waves at the end lead at most, and only the last part may be less.
        let full = fitting_size(length, parallel, limit);
        let least = (full / SMALLEST_FRACTION / 2).max(1);
        prop_assert!(sizes[..sizes.len() - 1].iter().all(|size| *size >= least), "{:?}", sizes);
        prop_assert!(cut.runs.len() <= 6, "{:?}", cut);
    }

    #[test]
    fn a_cut_is_the_same_when_it_comes_from_a_checkpoint(
        length in prop_oneof![1..5000_u64, 1..10 * GIB],
        parallel in 1..70_u16,
        limit in prop_oneof![1..200_u64, MIB..512 * MIB],
    ) {
        let limit = limit.max(length / 100_000);
        let cut = Cut::fitting(length, parallel, limit);
        let saved = Cut::saved(length, cut.part_size(), &cut.tail(), cut.count() as usize);
        prop_assert_eq!(saved, Some(cut));
    }

    #[test]
    fn no_length_limit_or_number_of_connections_is_too_much(
        length in any::<u64>(),
        parallel in any::<u16>(),
        limit in 1..=u64::MAX,
    ) {
        let cut = Cut::fitting(length.max(1), parallel, limit);
        prop_assert!(cut.count() >= 1 && cut.range(0).len() <= limit);
    }
}
