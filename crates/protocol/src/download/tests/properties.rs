//! Every byte comes to its place, whatever happens.

use proptest::prelude::*;

use super::harness::{Dice, Disk, ENTROPY, LONG, Run, Serves, Service, api, plan};
use crate::download::{DownloadError, DownloadMachine, Machine as _};

fn any_serves() -> impl Strategy<Value = Serves> {
    prop_oneof![
        4 => Just(Serves::Ranges),
        1 => (1..40_u64).prop_map(Serves::Short),
        1 => Just(Serves::Whole),
        1 => Just(Serves::WholeWithoutLength),
        1 => Just(Serves::RangesWithoutTotal),
        1 => Just(Serves::OtherRanges),
    ]
}

proptest! {
    #[test]
    fn every_byte_comes_to_its_place_whatever_the_service_makes_of_ranges(
        length in 0..1500_u64,
        serves in any_serves(),
        has_etag: bool,
        parallel in 1..=5_u16,
        range_size in 1..400_u64,
        dice in prop::collection::vec(any::<u8>(), 1..300),
    ) {
        let mut service = Service::new(length, serves);
        service.etag = service.etag.filter(|_| has_etag);
        let mut dice = Dice(dice.iter().cycle());
        let mut run = Run::new(&service, Disk::default());
        let mut machine = DownloadMachine::new(&api(), plan(parallel, range_size), ENTROPY);
        let ended = run.until_end(&mut machine, &mut dice, LONG).expect("it ends");
        prop_assert!(ended.is_ok(), "{ended:?}");
        run.assert_complete();
        prop_assert_eq!(machine.progress().bytes_written, length);
        if matches!(serves, Serves::Ranges | Serves::Short(_)) {
            prop_assert!(run.disk.writes.iter().all(|writes| *writes == 1), "no byte comes twice");
        }
    }

    #[test]
    fn a_killed_run_is_gone_on_with_and_what_its_checkpoint_knows_of_is_not_asked_for_again(
        length in 1..1500_u64,
        kills in prop::collection::vec((1..200_usize, any_serves(), prop::bool::weighted(0.2)), 1..4),
        last in any_serves(),
        range_size in 1..400_u64,
        dice in prop::collection::vec(any::<u8>(), 1..300),
    ) {
        let mut service = Service::new(length, last);
        let mut dice = Dice(dice.iter().cycle());
        let mut disk = Disk::default();
        let mut ended = None;
        // Whatever the service serves by then; the last two run to the end, since one of them may find another file.
        for (kill, serves, changes) in kills.into_iter().chain([(LONG, last, false); 2]) {
            service.serves = serves;
            // Of what has come to its last byte nothing more is asked for.
            if changes && disk.known().len() < length {
                service.change();
            }
            let mut machine = match disk.checkpoint.clone() {
                Some(saved) => {
                    disk.writes.fill(0);
                    DownloadMachine::resume(&api(), plan(3, range_size), saved, length, ENTROPY).unwrap()
                }
                None => DownloadMachine::new(&api(), plan(3, range_size), ENTROPY),
            };
            let known = machine.written.clone();
            let mut run = Run::new(&service, std::mem::take(&mut disk));
            ended = run.until_end(&mut machine, &mut dice, kill);
            disk = std::mem::take(&mut run.disk);
            if serves == Serves::Ranges {
                let again = (0..length).filter(|at| disk.writes.get(*at as usize).is_some_and(|writes| *writes > 0));
                for at in again {
                    let mut with = known.clone();
                    with.insert(at..at + 1);
                    prop_assert!(with != known, "byte {at} came again");
                }
            }
            if let Some(Err(DownloadError::Changed { .. })) = &ended {
                prop_assert!(known.len() > 0, "nothing had come before");
                disk.checkpoint = None;
            } else if ended.is_some() {
                run.disk = std::mem::take(&mut disk);
                run.assert_complete();
                break;
            }
        }
        prop_assert!(matches!(ended, Some(Ok(()))), "{ended:?}");
    }
}
