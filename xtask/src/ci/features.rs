//! The features of the crates that programs depend on, each alone and all together: no combination may need another by accident.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::workspace::{cargo, run};

/// The crates whose features are chosen by those who depend on them.
const PACKAGES: [&str; 4] = ["partwise-models", "partwise-protocol", TRANSPORT, "partwise"];

const TRANSPORT: &str = "partwise-transport-hyper";
const WITHOUT_HYPER: &str = "partwise-without-hyper";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    features: BTreeMap<String, Vec<String>>,
}

impl Package {
    /// What to tell cargo for each choice: none, each alone, all, and the default.
    fn choices(&self) -> Vec<Vec<String>> {
        let none = "--no-default-features".to_owned();
        let mut choices = vec![vec![none.clone()]];
        // Two underscores begin the names of features that only others of the same crate turn on.
        let named = self.features.keys().filter(|name| *name != "default" && !name.starts_with("__"));
        choices.extend(named.map(|name| vec![none.clone(), format!("--features={name}")]));
        if choices.len() > 1 {
            choices.extend([vec!["--all-features".to_owned()], Vec::new()]);
        }
        choices
    }
}

pub(super) fn check(root: &Path) -> Result<()> {
    let metadata = metadata(root)?;
    for name in PACKAGES {
        let package = metadata.packages.iter().find(|package| package.name == name);
        for choice in package.with_context(|| format!("cargo knows no {name}"))?.choices() {
            eprintln!("{name} {}", choice.join(" "));
            let mut clippy = cargo(root, ["clippy", "--quiet", "--package", name]);
            clippy.args(choice).args(["--", "--deny", "warnings"]);
            run(&mut clippy, "fix what is shown above")?;
        }
    }
    without_hyper(root)
}

/// Runs the tests of a client without a transport. Together with other packages it would have one.
fn without_hyper(root: &Path) -> Result<()> {
    let tree = cargo(root, ["tree", "--edges=all", "--prefix=none", "--package", WITHOUT_HYPER]).output()?;
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    ensure!(
        tree.contains("partwise v") && !tree.contains(TRANSPORT),
        "{WITHOUT_HYPER} has to depend on a client without {TRANSPORT}:\n{tree}"
    );
    run(&mut cargo(root, ["test", "--quiet", "--package", WITHOUT_HYPER]), "fix the test that is shown above")
}

fn metadata(root: &Path) -> Result<Metadata> {
    let output = cargo(root, ["metadata", "--no-deps", "--format-version", "1"]).output()?;
    ensure!(
        output.status.success(),
        "cargo metadata has failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata says")
}

#[cfg(test)]
mod tests {
    use super::Package;

    fn choices(features: &[&str]) -> Vec<String> {
        let features = features.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
        let package = Package { name: "a".to_owned(), features };
        package.choices().iter().map(|choice| choice.join(" ")).collect()
    }

    #[test]
    fn each_feature_is_checked_alone_and_with_all_others() {
        assert_eq!(
            choices(&["default", "std", "__inner", "tests"]),
            [
                "--no-default-features",
                "--no-default-features --features=std",
                "--no-default-features --features=tests",
                "--all-features",
                "",
            ]
        );
    }

    #[test]
    fn a_crate_without_features_is_checked_once() {
        assert_eq!(choices(&[]), ["--no-default-features"]);
    }
}
