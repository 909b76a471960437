//! The comparison itself: everyone in turn, several rounds, tables.

mod child_process;
mod claims;
mod contenders;
mod ending;
mod figures;
mod groups;
mod limited;
mod line_process;
mod machine;
mod merged;
mod network;
mod page;
mod runs;
mod scene;
mod server_process;
mod sink_process;
mod table;
mod tools;
mod updated;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use claims::{Claim, Verdict};
use ending::Ending;
use page::About;
use runs::{Measured, Rounds};
use table::Columns;
use tools::{Missing, Tools};

/// What is compared, and where the results go.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The command that is measured.
    #[arg(long)]
    partwise: PathBuf,
    /// The workspace that it was built from.
    #[arg(long)]
    workspace: PathBuf,
    /// A folder for the peers, which are installed there when they are missing.
    #[arg(long)]
    tools: PathBuf,
    /// A folder for the files that are sent and stored, up to 12 GiB of them; the platform's temporary one by default.
    #[arg(long)]
    scratch: Option<PathBuf>,
    /// How many rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many series of rounds of each group, one after the other; `lines` and `build`, which take long, have one.
    #[arg(long, default_value_t = 1)]
    series: usize,
    /// How often a run is repeated that others disturbed.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Only these groups; by default all but `build`.
    #[arg(long = "group", value_parser = groups::names())]
    groups: Vec<String>,
    /// Only these lines of the group `lines`, which is then the only group unless others are named; by default all but `large`.
    #[arg(long = "line", value_parser = groups::lines::names())]
    lines: Vec<String>,
    /// Shrink the lines to a few seconds each, to check the bench itself; nothing is claimed of them.
    #[arg(long, conflicts_with = "write")]
    quick: bool,
    /// Write all figures here, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write docs/benchmarks.md, which has all groups but `build`; with `--group` only the sections of those groups, whose
    /// headings say then that they were measured later.
    #[arg(long, conflicts_with = "lines")]
    write: bool,
}

impl Options {
    /// The names of the groups; none for all of them.
    fn groups(&self) -> Vec<String> {
        match (&self.groups[..], &self.lines[..]) {
            ([], [_, ..]) => vec!["lines".to_owned()],
            (groups, _) => groups.to_vec(),
        }
    }
}

/// What every group needs.
pub(crate) struct Context {
    partwise: PathBuf,
    workspace: PathBuf,
    tools: Tools,
    /// Where the peers are, and room to build.
    tools_folder: PathBuf,
    rounds: usize,
    repeats: usize,
    /// The lines of that group; none for all that are measured unasked.
    lines: Vec<String>,
    quick: bool,
    scratch: tempfile::TempDir,
    ending: Ending,
    about: About,
}

impl Context {
    fn of(options: &Options) -> Result<Self> {
        let workspace = options.workspace.canonicalize().context("--workspace")?;
        let tools = Tools::new(&options.tools, &workspace.join("xtask/bench/peers")).context("--tools")?;
        let partwise = options.partwise.canonicalize().context("--partwise")?;
        let folder = options.scratch.clone().unwrap_or_else(std::env::temp_dir);
        machine::ensure_room(&folder, groups::room(&options.groups())).context("--scratch")?;
        let scratch = tempfile::Builder::new().prefix("partwise-bench-").tempdir_in(folder);
        let scratch = scratch.context("--scratch")?;
        let ending = Ending::of(scratch.path())?;
        let about = About::now(&workspace, &partwise, scratch.path())?;
        Ok(Self {
            partwise,
            workspace,
            tools,
            tools_folder: options.tools.canonicalize()?,
            rounds: options.rounds.max(1),
            repeats: options.repeats,
            lines: options.lines.clone(),
            quick: options.quick,
            scratch,
            ending,
            about,
        })
    }

    fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    fn rounds(&self) -> Rounds {
        Rounds { warm: true, counted: self.rounds, repeats: self.repeats }
    }

    /// For runs of a second or two, which differ by up to a third from one to the next.
    fn many_rounds(&self) -> Rounds {
        Rounds { counted: 5 * self.rounds, ..self.rounds() }
    }

    /// For what a limited rate decides, which is the same each time.
    fn few_rounds(&self) -> Rounds {
        Rounds { warm: false, counted: self.rounds.min(2), repeats: self.repeats }
    }

    /// For what a limited rate decides, unless the machine falters for a moment: then it is the one that does not count.
    fn three_rounds(&self) -> Rounds {
        Rounds { warm: false, counted: 3, repeats: self.repeats }
    }

    /// For what takes minutes.
    fn one_round(&self) -> Rounds {
        Rounds { warm: false, counted: 1, repeats: self.repeats }
    }
}

/// What a group found.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Found {
    title: &'static str,
    /// What was done, in a sentence.
    setting: String,
    measured: Vec<Measured>,
    #[serde(skip)]
    columns: Columns,
    missing: Vec<Missing>,
    claims: Vec<Claim>,
}

/// Measures, prints, and says whether all that is claimed holds.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let context = Context::of(options)?;
    let mut all = Vec::new();
    for group in groups::chosen(&options.groups()) {
        eprintln!("── {} ──", group.name);
        for found in group.run(&context, options.series.max(1))? {
            println!("{}", table::markdown(&found));
            all.push(found);
        }
        // What was measured so far stays, whatever comes next.
        if let Some(path) = &options.json {
            let json = page::json(&context, options, &all)?;
            std::fs::write(path, json).with_context(|| path.display().to_string())?;
        }
    }
    if options.write {
        let path = context.workspace.join("docs/benchmarks.md");
        let page = match options.groups[..] {
            [] => page::markdown(&context, options, &all),
            _ => updated::updated(&std::fs::read_to_string(&path)?, &all, &page::how(&context, options)),
        };
        std::fs::write(path, page)?;
    }
    Ok(all.iter().flat_map(|found| &found.claims).all(|claim| claim.verdict == Verdict::Holds))
}
