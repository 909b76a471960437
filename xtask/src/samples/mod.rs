//! `cargo xtask samples`: holds the contract and the types to documented samples.
//!
//! The samples are the snapshots: what is read and written again must be the same JSON. Forms, empty bodies and raw
//! content have no type in the models; they are held to what the contract says of them.

mod check;
mod index;
mod reader;

use std::path::Path;

use anyhow::{Result, bail};

use crate::contract::Contract;
use check::{Verdict, check};
use index::Index;
use reader::Reader;

/// Where our own samples are, from the root of the workspace.
const OWN: &str = "docs/contract/samples";

/// Checks the samples of a folder with an `index.json`, our own by default.
pub(crate) fn run(root: &Path, folder: Option<&Path>) -> Result<()> {
    let own = root.join(OWN);
    let folder = folder.unwrap_or(&own);
    let contract = Contract::read(root)?;
    let index = Index::read(folder)?;
    let mut reader = Reader::start(root)?;

    let (mut passed, mut failed, mut not_modelled) = (0, 0, Vec::new());
    for sample in &index.samples {
        match check(&contract, &mut reader, folder, sample) {
            Ok(Verdict::Passed) => passed += 1,
            Ok(Verdict::NotModelled) => not_modelled.push(format!("{} ({})", sample.file, sample.operation)),
            Err(error) => {
                failed += 1;
                eprintln!("{}: {error:#}", sample.file);
            }
        }
    }
    reader.finish()?;

    let count = not_modelled.len();
    eprintln!("{passed} passed, {failed} failed, {count} not modelled, in {}", folder.display());
    for sample in not_modelled {
        eprintln!("not modelled: {sample}");
    }
    if failed > 0 {
        bail!("{failed} samples do not agree with the contract or the types");
    }
    if passed == 0 {
        bail!("no sample was checked");
    }
    Ok(())
}
