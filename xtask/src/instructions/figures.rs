//! The committed figures, and what is compared with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

/// How far a count may lie from its figure: what a change of the code around it moves by chance is well below.
const MARGIN: f64 = 1.05;
/// How far it may lie above when another compiler has made the program: a new release moves most counts by some
/// percent, and a mistake that matters moves one by much more.
const LOOSE_MARGIN: f64 = 1.5;

/// How many instructions each workload takes, and on what that was counted. Its text is a line each.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) maker: Maker,
    pub(super) counts: BTreeMap<String, u64>,
}

/// What a count depends on besides the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Maker {
    /// The compiler as it calls itself.
    compiler: String,
    /// The platform, and which of the instructions that programs look for at run time it has.
    machine: String,
}

/// How two sets of figures can be compared.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Exact,
    OtherCompiler { committed: String, here: String },
    OtherMachine { committed: String, here: String },
}

impl Maker {
    pub(super) fn of_this_machine(root: &Path) -> Result<Self> {
        let output =
            Command::new("rustc").arg("-vV").current_dir(root).output().context("cannot start rustc")?;
        let text = String::from_utf8(output.stdout)?;
        let compiler = text.lines().next().context("rustc does not say its version")?.to_owned();
        let host = text.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("rustc does not say its host")?;
        let wide = if has_wide_vectors() { "with" } else { "without" };
        Ok(Self { compiler, machine: format!("{host} {wide} AVX2") })
    }
}

#[cfg(target_arch = "x86_64")]
fn has_wide_vectors() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_wide_vectors() -> bool {
    false
}

impl Figures {
    pub(super) fn new(maker: Maker) -> Self {
        Self { maker, counts: BTreeMap::new() }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Written by `cargo xtask instructions --write`; docs/instructions.md says what it means."
        )?;
        writeln!(f, "compiler {}", self.maker.compiler)?;
        writeln!(f, "machine {}", self.maker.machine)?;
        self.counts.iter().try_for_each(|(name, count)| writeln!(f, "{name} {count}"))
    }
}

impl FromStr for Figures {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut field = |name: &str| {
            let value = lines.next().and_then(|line| line.strip_prefix(name));
            value.map(|value| value.trim().to_owned()).with_context(|| format!("it has no line `{name}…`"))
        };
        let maker = Maker { compiler: field("compiler ")?, machine: field("machine ")? };
        let mut figures = Self::new(maker);
        for line in lines {
            let (name, count) = line.split_once(' ').with_context(|| format!("{line:?} is no figure"))?;
            let count = count.parse().with_context(|| format!("{line:?} is no figure"))?;
            let before = figures.counts.insert(name.to_owned(), count);
            ensure!(before.is_none(), "it has two figures for {name}");
        }
        Ok(figures)
    }
}

impl Comparison {
    pub(super) fn between(committed: &Maker, here: &Maker) -> Self {
        let words = |of: fn(&Maker) -> &String| (of(committed).clone(), of(here).clone());
        if committed.machine != here.machine {
            let (committed, here) = words(|maker| &maker.machine);
            Self::OtherMachine { committed, here }
        } else if committed.compiler != here.compiler {
            let (committed, here) = words(|maker| &maker.compiler);
            Self::OtherCompiler { committed, here }
        } else {
            Self::Exact
        }
    }

    /// What does not agree, a line each.
    pub(super) fn problems(&self, committed: &Figures, counted: &Figures) -> Vec<String> {
        let names: BTreeSet<_> = committed.counts.keys().chain(counted.counts.keys()).collect();
        let problem = |name: &String| match (committed.counts.get(name), counted.counts.get(name)) {
            (Some(figure), Some(count)) => self.problem(name, *figure, *count),
            (Some(_), None) => Some(format!("{name}: it has a figure, and there is no such workload")),
            _ => Some(format!("{name}: it has no figure")),
        };
        names.into_iter().filter_map(problem).collect()
    }

    fn problem(&self, name: &str, figure: u64, count: u64) -> Option<String> {
        let ratio = count as f64 / figure as f64;
        let (verdict, margin) = match self {
            Self::Exact if ratio > MARGIN => ("WORSE", MARGIN),
            // A figure that is too high guards nothing.
            Self::Exact if ratio < 1.0 / MARGIN => ("BETTER, and its figure too high to guard that", MARGIN),
            Self::OtherCompiler { .. } if ratio > LOOSE_MARGIN => ("MUCH WORSE", LOOSE_MARGIN),
            _ => return None,
        };
        Some(format!(
            "{name}: {verdict}: {count} instructions, and the figure is {figure}: {ratio:.3} of it, and the margin is {margin}"
        ))
    }
}

/// What whoever reads the log has to know: a comparison that was not made must not look like one.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => write!(f, "compared with a margin of {MARGIN}, up and down"),
            Self::OtherCompiler { committed, here } => write!(
                f,
                "COMPARED LOOSELY, with a margin of {LOOSE_MARGIN} upwards: the figures are of {committed}, and this is \
                 {here}; `cargo xtask instructions --write` on the commit before the change gives figures that can be \
                 compared"
            ),
            Self::OtherMachine { committed, here } => write!(
                f,
                "NOT COMPARED: the figures are of {committed}, and this is {here}, where the same work takes other \
                 instructions"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(counts: &[(&str, u64)]) -> Figures {
        let maker =
            Maker { compiler: "rustc 1.0.0 (abc 2015-05-15)".into(), machine: "x86_64 with AVX2".into() };
        let counts = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Figures { maker, counts }
    }

    fn problems(committed: &[(&str, u64)], counted: &[(&str, u64)]) -> Vec<String> {
        Comparison::Exact.problems(&figures(committed), &figures(counted))
    }

    #[test]
    fn figures_survive_their_text() {
        let figures = figures(&[("form-read", 12), ("form-write", 1_000_000)]);
        assert_eq!(figures.to_string().parse::<Figures>().unwrap(), figures);
    }

    #[test]
    fn a_text_that_is_no_figures_says_where() {
        let error = |text: &str| text.parse::<Figures>().unwrap_err().to_string();
        assert_eq!(error("machine x\n"), "it has no line `compiler …`");
        assert_eq!(error("compiler c\nmachine m\nform-read much\n"), "\"form-read much\" is no figure");
        assert_eq!(error("compiler c\nmachine m\na 1\na 2\n"), "it has two figures for a");
    }

    #[test]
    fn what_is_within_the_margin_passes_and_what_is_not_is_told_with_both_numbers() {
        assert!(problems(&[("a", 1000)], &[("a", 1050)]).is_empty());
        assert!(problems(&[("a", 1000)], &[("a", 953)]).is_empty());
        assert_eq!(
            problems(&[("a", 1000)], &[("a", 1051)]),
            ["a: WORSE: 1051 instructions, and the figure is 1000: 1.051 of it, and the margin is 1.05"]
        );
        let better = problems(&[("a", 1000)], &[("a", 900)]);
        assert!(better[0].starts_with("a: BETTER"), "{better:?}");
    }

    #[test]
    fn a_workload_without_a_figure_and_a_figure_without_a_workload_are_problems() {
        assert_eq!(
            problems(&[("gone", 1)], &[("new", 1)]),
            ["gone: it has a figure, and there is no such workload", "new: it has no figure"]
        );
    }

    #[test]
    fn figures_of_another_compiler_are_compared_loosely_and_of_another_machine_not_at_all_and_both_is_said() {
        let committed = figures(&[("a", 1000)]);
        let mut here = figures(&[("a", 1501)]);
        here.maker.compiler = "rustc 1.1.0".into();
        let loosely = Comparison::between(&committed.maker, &here.maker);
        assert!(loosely.to_string().starts_with("COMPARED LOOSELY"));
        assert_eq!(loosely.problems(&committed, &here).len(), 1);
        here.counts.insert("a".into(), 1499);
        assert!(loosely.problems(&committed, &here).is_empty());

        here.maker.machine = "aarch64".into();
        here.counts.insert("a".into(), 5000);
        let not = Comparison::between(&committed.maker, &here.maker);
        assert!(not.to_string().starts_with("NOT COMPARED"));
        assert!(not.problems(&committed, &here).is_empty());
    }
}
