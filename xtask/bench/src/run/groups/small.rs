//! Small things that are waited for all the same.

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use partwise_models::FileList;
use serde_json::json;

use crate::run::claims::{Bound, Claim};
use crate::run::figures::{Figure, median};
use crate::run::machine::Watch;
use crate::run::runs::{QUIET, measured};
use crate::run::table::Columns;
use crate::run::{Context, Found};

/// How long a command may take that needs no network.
const ANSWER_MS: f64 = 10.0;
const BINARY_MIB: f64 = 12.0;
const LIST_MS: f64 = 15.0;
const LISTED: usize = 10_000;
const TIMES: usize = 20;
/// Why a time of ours alone may hold in noise.
const SLOWED: &str = "what else runs can only slow it down";

pub(super) fn things(context: &Context) -> Result<Vec<Found>> {
    let binary = std::fs::metadata(&context.partwise)?.len() as f64 / (1024.0 * 1024.0);
    let state = context.scratch().join("no-state");
    let mut list = Command::new(&context.partwise);
    list.args(["uploads", "list", "--state"]).arg(state);
    let mut help = Command::new(&context.partwise);
    help.arg("--help");
    let claims = vec![
        at_most("ms to read a list of 10,000 files", list_ms()?, LIST_MS),
        at_most("ms for `uploads list`", command_ms(&list)?, ANSWER_MS),
        at_most("ms for `--help`", command_ms(&help)?, ANSWER_MS),
        Claim::new("MiB of the release binary", Figure::steady(binary), Bound::AtMost(BINARY_MIB)),
    ];
    let setting = format!("Each {TIMES} times, medians. The list is read from memory by `partwise-models`.");
    let (title, columns) = ("Small things", Columns::Clients);
    Ok(vec![Found { title, setting, measured: Vec::new(), columns, missing: Vec::new(), claims }])
}

fn at_most(text: &str, measured: Option<Figure>, most: f64) -> Claim {
    Claim::only_worse_by_noise(SLOWED, text, measured, Bound::AtMost(most))
}

fn command_ms(command: &Command) -> Result<Option<Figure>> {
    let watch = Watch::begin()?;
    let walls = (0..TIMES).map(|_| Ok(measured(command)?.wall_s * 1e3)).collect::<Result<Vec<_>>>()?;
    figure(&walls, &watch)
}

/// How long the types take to read what a service lists.
fn list_ms() -> Result<Option<Figure>> {
    let file = |number: usize| {
        json!({
            "id": format!("file-{number:024}"), "object": "file", "bytes": 140 * number,
            "created_at": 1_700_000_000 + number, "expires_at": null, "filename": format!("training-{number}.jsonl"),
            "purpose": "fine-tune", "status": "processed", "status_details": null
        })
    };
    let files: Vec<_> = (0..LISTED).map(file).collect();
    let list = json!({"object": "list", "data": files, "has_more": false}).to_string();
    let (mut times, watch) = (Vec::new(), Watch::begin()?);
    for _ in 0..TIMES {
        let begin = Instant::now();
        let read: FileList = serde_json::from_str(black_box(&list))?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        ensure!(read.data.len() == LISTED, "only {} files were read", read.data.len());
    }
    figure(&times, &watch)
}

fn figure(times: &[f64], watch: &Watch) -> Result<Option<Figure>> {
    Ok(Some(Figure { value: median(times.iter().copied()), noisy: watch.others(0.0)? > QUIET }))
}
