//! A gibibyte, and twenty kills on its way.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use partwise_protocol::operations::OperationId::{AddUploadPart, CreateUpload};

use crate::{command::Uploader, journal::Exchange, moment::Moment, seed, service::Hold, state::Saved};

const MEBIBYTES: usize = 1024;
const PARTS: usize = MEBIBYTES.div_ceil(3);
const PARALLEL: usize = 4;
const FLAGS: &[&str] = &["--parallel", "4", "--part-size", "3MiB"];

const KILLS: usize = 20;
const KILLS_AT_CREATE: usize = 2;
const KILLS_AT_COMPLETE: usize = 3;
const KILLS_AT_PARTS: usize = KILLS - KILLS_AT_CREATE - 1 - KILLS_AT_COMPLETE;

/// What was known before a run that was killed, and what was known after it.
struct Killed {
    run: u32,
    before: Option<Saved>,
    after: Option<Saved>,
}

#[test]
fn a_gibibyte_arrives_whole_through_twenty_kills_and_no_acknowledged_part_goes_twice() {
    let moments = moments(&mut seed::random());
    let mut uploader = Uploader::new(MEBIBYTES, FLAGS);
    let (service, state) = (uploader.serve(), uploader.state());
    let mut killed = Vec::new();
    for moment in moments {
        let before = state.saved();
        let known = before.as_ref().map_or(0, |saved| saved.parts.len());
        moment.arm(&service, uploader.next());
        let mut run = uploader.start();
        moment.wait(&service, &mut run, &state, known);
        let number = run.number;
        run.kill();
        let after = state.saved();
        println!(
            "run {number}: {moment:?} with {known} parts known, then {}",
            parts_of(after.as_ref()).len()
        );
        killed.push(Killed { run: number, before, after });
    }
    let before = state.saved();
    let last = uploader.start();
    let number = last.number;
    let finished = last.finish();
    assert!(finished.said.starts_with("resuming upload_"), "{}", finished.said);

    let exchanges = service.journal().exchanges();
    for killed in &killed {
        killed.check(&exchanges);
    }
    check_beginning(before.as_ref(), &of_run(&exchanges, number));
    check_sum(&exchanges);
    uploader.assert_whole(finished.id());
}

/// Spread over the whole upload, in its order.
fn moments(random: &mut fastrand::Rng) -> Vec<Moment> {
    let hold = |random: &mut fastrand::Rng| if random.bool() { Hold::Before } else { Hold::After };
    let soon = |random: &mut fastrand::Rng| Duration::from_micros(random.u64(..20_000));
    // These leave no checkpoint, so that the next run makes an upload too.
    let mut moments: Vec<_> = (0..KILLS_AT_CREATE).map(|_| Moment::Create(hold(random))).collect();
    moments.push(Moment::Created(soon(random) / 4));
    // One in every stretch of what comes before the last parts, which a kill must not miss.
    let stretch = (PARTS - 10 * PARALLEL) / KILLS_AT_PARTS;
    for number in 0..KILLS_AT_PARTS {
        let acknowledged = number * stretch + random.usize(..stretch);
        moments.push(match random.u8(..3) {
            0 => Moment::Saving(acknowledged),
            _ => Moment::Parts(acknowledged, soon(random)),
        });
    }
    moments.extend((0..KILLS_AT_COMPLETE).map(|_| Moment::Complete(hold(random))));
    moments
}

impl Killed {
    fn check(&self, exchanges: &[Exchange]) {
        let run = of_run(exchanges, self.run);
        check_beginning(self.before.as_ref(), &run);
        let (before, after) = (parts_of(self.before.as_ref()), parts_of(self.after.as_ref()));
        assert!(
            before.iter().all(|part| after.get(part.0) == Some(part.1)),
            "run {} forgot a part",
            self.run
        );
        let upload = |saved: &Option<Saved>| saved.as_ref().map(|saved| saved.upload.clone());
        assert!(self.before.is_none() || upload(&self.before) == upload(&self.after));
        let lost = offsets(&run).into_iter().filter(|offset| !after.contains_key(offset)).count();
        assert!(lost <= PARALLEL, "run {} lost {lost} parts", self.run);
        for (offset, id) in after {
            let is_it = |one: &&Exchange| one.done.as_ref().is_some_and(|done| done["id"] == id);
            let told: Vec<_> =
                exchanges.iter().filter(is_it).map(|one| (one.is_answered, one.offset)).collect();
            assert_eq!(told, [(true, Some(offset))], "the checkpoint has a part that the service has not");
        }
    }
}

/// That a run goes on from what is known, and begins a new upload only where there is none.
fn check_beginning(before: Option<&Saved>, run: &[&Exchange]) {
    let creates = run.iter().filter(|one| one.operation == CreateUpload).count();
    assert_eq!(creates, usize::from(before.is_none()));
    let sent = offsets(run);
    let known = parts_of(before);
    let again: Vec<_> = sent.iter().filter(|offset| known.contains_key(offset)).collect();
    assert!(again.is_empty(), "parts that were known to be there were sent again: {again:?}");
    assert_eq!(sent.iter().collect::<BTreeSet<_>>().len(), sent.len(), "a part was sent twice in one run");
    if let Some(before) = before {
        let elsewhere =
            run.iter().find(|one| one.upload.as_ref().is_some_and(|upload| *upload != before.upload));
        assert!(elsewhere.is_none(), "{elsewhere:?}");
    }
}

/// That all parts have come, and not many of them twice.
fn check_sum(exchanges: &[Exchange]) {
    let sent = offsets(&exchanges.iter().collect::<Vec<_>>());
    let different = sent.iter().collect::<BTreeSet<_>>().len();
    assert_eq!(different, PARTS);
    let again = sent.len() - different;
    println!("{again} of {PARTS} parts were sent again");
    assert!(again <= KILLS * PARALLEL, "{again} parts were sent again");
}

fn of_run(exchanges: &[Exchange], run: u32) -> Vec<&Exchange> {
    exchanges.iter().filter(|exchange| exchange.run == run).collect()
}

/// Where the parts belong that have arrived, or have begun to.
fn offsets(exchanges: &[&Exchange]) -> Vec<u64> {
    let parts = exchanges.iter().filter(|one| one.operation == AddUploadPart);
    parts.filter_map(|one| one.offset).collect()
}

fn parts_of(saved: Option<&Saved>) -> BTreeMap<u64, String> {
    saved.map(|saved| saved.parts.clone()).unwrap_or_default()
}
