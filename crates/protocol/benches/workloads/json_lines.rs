//! The check of JSON Lines.

use partwise_models::Purpose;
use partwise_protocol::jsonl::JsonLinesCheck;

use super::{Amount, Round, Workload, content};

/// As the command reads.
const PIECE: usize = 256 << 10;

pub(super) const CHECK: Workload =
    Workload { name: "json-lines-check", amount: Amount::Bytes(content::LENGTH as u64), prepare: check };

fn check() -> Round {
    let mut file = content::lines().to_vec();
    // The repetition is cut off in the middle of a line: an object and white space take its place.
    file.truncate(file.iter().rposition(|byte| *byte == b'\n').expect("it has lines") + 1);
    file.extend_from_slice(b"{}");
    file.resize(content::LENGTH, b' ');
    Box::new(move || {
        let mut check = JsonLinesCheck::new(&Purpose::FineTune);
        let mut bad = 0;
        for piece in file.chunks(PIECE) {
            check.read(piece, |_| bad += 1);
        }
        let lines = check.finish(|_| bad += 1);
        assert!(lines > 1_000 && bad == 0, "{bad} of {lines} lines are bad");
    })
}
