//! The size of the next part, by what it follows from.

use proptest::prelude::*;

use super::*;

const GIB: u64 = 1024 * MIB;

/// A connection of eight that carries so many bytes a second, like the others, in the middle of a large file.
fn at(rate: u64) -> Situation {
    Situation {
        rates: Rates { own: Some(rate as f64), usual: rate as f64, together: 8.0 * rate as f64 },
        largest_before: LARGEST,
        largest: LARGEST,
        number: 0,
        to_cut: GIB,
        parts_left: 10_000,
        ahead: 0,
        at_risk: 0,
        whole: Whole { length: GIB, pieces: None },
        busy: 8,
        acknowledged: 8.0 * rate as f64,
        is_short: false,
    }
}

fn kib(situation: Situation) -> Option<u64> {
    situation.size().map(|size| size / KIB)
}

#[test]
fn a_part_is_what_its_connection_carries_in_four_seconds() {
    assert_eq!(kib(at(MIB)), Some(4096));
    assert_eq!(kib(at(250_000)), Some(1024));
    assert_eq!(kib(Situation { is_short: true, ..at(MIB) }), Some(2048), "while connections are cut");
    assert_eq!(kib(at(50 * MIB)), Some(65_536), "no more than the largest");
    assert_eq!(kib(Situation { largest: 5 * MIB, ..at(50 * MIB) }), Some(5120));
    let sizes = [1, 2, 3, 4].map(|number| kib(Situation { number, ..at(MIB) }).unwrap());
    assert_eq!(sizes, [3520, 3904, 3264, 3648], "not all of them end together");
    let slow = Situation { to_cut: 64 * MIB, ..at(10) };
    assert_eq!(kib(slow), Some(64), "no less than the smallest");
}

#[test]
fn the_first_parts_are_small_and_sizes_jump_to_what_the_line_carries() {
    let unknown = Rates { own: None, ..at(MIB).rates };
    let first = Situation { rates: unknown, largest_before: 0, acknowledged: 0.0, busy: 1, ..at(MIB) };
    assert_eq!(kib(first), Some(256));
    let after = |before| kib(Situation { largest_before: before * KIB, ..at(50 * MIB) });
    assert_eq!([256, 4096].map(after), [Some(4096), Some(65_536)]);
}

#[test]
fn towards_the_end_parts_get_smaller_so_that_all_end_together() {
    // Eight connections of 1 MiB/s, so that the rest takes an eighth of its MiB in seconds; it is taken for a little larger.
    let rest = |mib: u64| kib(Situation { to_cut: mib * MIB, ..at(MIB) });
    let sizes = [64, 30, 16, 8, 4, 2, 1].map(|mib| rest(mib).unwrap());
    assert_eq!(sizes, [4096, 3328, 1792, 1088, 576, 320, 192]);
    // One that is faster does not hold the end up if it gets slower.
    let rates = Rates { own: Some(10.0 * MIB as f64), ..at(MIB).rates };
    let fast = Situation { rates, to_cut: 16 * MIB, ..at(MIB) };
    assert_eq!(kib(fast), rest(16));
}

#[test]
fn a_crumb_goes_with_the_part_before_it() {
    let of = |length| Situation { whole: Whole { length: length * KIB, pieces: None }, ..at(MIB) };
    assert_eq!([4096, 5000, 5200].map(|length| kib(of(length))), [Some(4096), Some(5000), Some(4096)]);
    assert_eq!(kib(Situation { largest: 4100 * KIB, ..of(4200) }), Some(4100));
}

#[test]
fn there_are_no_more_parts_than_may_be() {
    let slow = Situation { to_cut: GIB, parts_left: 1000, ..at(10_000) };
    assert_eq!(slow.size(), Some(GIB.div_ceil(1000)));
    assert_eq!(Situation { parts_left: 0, ..slow }.size(), Some(LARGEST));
    let pieces = Situation { whole: Whole { length: GIB, pieces: Some(SMALLEST) }, ..slow };
    assert_eq!(pieces.size(), slow.size());
}

#[test]
fn no_more_is_short_than_the_line_carries_in_twelve_seconds() {
    let crowded = |at_risk_mib: u64| Situation { at_risk: at_risk_mib * MIB, ..at(MIB) };
    // 12 s of 8 MiB/s, and 1 MiB for each of eight connections.
    assert_eq!(kib(crowded(100)), Some(4096));
    assert_eq!(kib(crowded(102)), Some(2048));
    assert_eq!(kib(crowded(104)), None);
    let again = |pieces| Situation { whole: Whole { length: 8 * MIB, pieces: Some(pieces) }, ..crowded(104) };
    assert_eq!(kib(again(MIB)), Some(1024), "it is at risk already");
    assert_eq!(kib(again(16 * MIB)), Some(4096));
    let silent = Situation { acknowledged: 0.0, ..at(MIB) };
    assert_eq!(kib(silent), Some(4096));
    assert_eq!(kib(Situation { at_risk: 8 * MIB, ..silent }), None);
}

proptest! {
    #[test]
    fn a_size_is_never_more_than_allowed_and_never_nothing(
        own in prop::option::of(0.0..1e12),
        usual in 0.0..1e12,
        together in 0.0..1e13,
        acknowledged in 0.0..1e13,
        largest_before in any::<u64>(),
        largest in 1..=LARGEST,
        (number, to_cut) in (any::<u64>(), 1..u64::MAX),
        parts_left in any::<u64>(),
        ahead in any::<u64>(),
        at_risk in any::<u64>(),
        busy in 1..100_usize,
        is_short in any::<bool>(),
        length in 1..u64::MAX,
        pieces in prop::option::of(1..u64::MAX),
    ) {
        let whole = Whole { length, pieces };
        let situation = Situation {
            number,
            rates: Rates { own, usual, together }, largest_before, largest, to_cut, parts_left, ahead, at_risk, whole, busy, acknowledged, is_short,
        };
        let size = situation.size();
        prop_assert!(size.is_none_or(|size| (1..=largest).contains(&size)), "{:?}", size);
        prop_assert!(size.is_some() || (at_risk > 0 && pieces.is_none()));
    }
}
