//! The dependencies of the workspace's crates, as cargo has them, against the table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::table::{IMPURE, LAYERS, Layer, Others};
use crate::workspace;

/// What `cargo metadata` says.
#[derive(Deserialize)]
pub(super) struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    dependencies: Vec<Dependency>,
    #[serde(default)]
    features: BTreeMap<String, Vec<String>>,
}

/// A dependency as the manifest states it.
#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<Kind>,
    #[serde(default)]
    optional: bool,
    /// Its name in the manifest, where that is another one.
    rename: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Dev,
    Build,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

/// A package and what it was built with.
#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDependency>,
}

#[derive(Deserialize)]
struct NodeDependency {
    pkg: String,
    dep_kinds: Vec<NodeDependencyKind>,
}

#[derive(Deserialize)]
struct NodeDependencyKind {
    kind: Option<Kind>,
}

impl Metadata {
    /// Of the workspace with this manifest.
    pub(super) fn read(root: &Path, manifest: &str) -> Result<Self> {
        let arguments = ["metadata", "--format-version", "1", "--all-features", "--manifest-path", manifest];
        let output = workspace::cargo(root, arguments).output().context("cannot start cargo")?;
        ensure!(
            output.status.success(),
            "cargo metadata has failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata says")
    }

    fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }
}

/// Everything that the table does not allow.
pub(super) fn faults(metadata: &Metadata) -> Vec<String> {
    let ours: BTreeSet<&str> = LAYERS.iter().map(|layer| layer.package).collect();
    let mut faults = Vec::new();
    for package in metadata.members() {
        let Some(layer) = LAYERS.iter().find(|layer| layer.package == package.name) else {
            faults.push(format!("{} is in no layer: say what it may depend on", package.name));
            continue;
        };
        faults.extend(package.dependencies.iter().filter_map(|dependency| fault(layer, dependency, &ours)));
        if layer.pure {
            faults.extend(impurities(metadata, package));
        }
    }
    faults
}

fn fault(layer: &Layer, dependency: &Dependency, ours: &BTreeSet<&str>) -> Option<String> {
    let Layer { package, .. } = layer;
    let name = dependency.name.as_str();
    let in_tests = dependency.kind == Some(Kind::Dev);
    if ours.contains(name) {
        let allowed = layer.ours.contains(&name) || (in_tests && layer.ours_in_tests.contains(&name));
        return (!allowed).then(|| format!("{package} may not know {name}: that arrow does not point down"));
    }
    match &layer.others {
        Others::Only(allowed) if !in_tests && !allowed.contains(&name) => {
            Some(format!("{package} may not depend on {name}"))
        }
        _ => None,
    }
}

impl Package {
    /// Returns the names of the dependencies that the default features do without. What tests turn on is resolved for the whole
    /// workspace, and says nothing of these.
    fn left_out_by_default(&self) -> BTreeSet<&str> {
        let mut enabled = BTreeSet::new();
        let mut to_visit = vec!["default"];
        while let Some(name) = to_visit.pop() {
            if enabled.insert(name) {
                to_visit.extend(self.features.get(name).into_iter().flatten().map(String::as_str));
            }
        }
        // `dep:name` and `name/feature` turn a dependency on; `name?/feature` does not.
        let is_enabled = |dependency: &Dependency| {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
            enabled.iter().any(|feature| {
                feature.strip_prefix("dep:") == Some(name)
                    || feature.split_once('/').is_some_and(|(package, _)| package == name)
            })
        };
        let left_out =
            self.dependencies.iter().filter(|dependency| dependency.optional && !is_enabled(dependency));
        left_out.map(|dependency| dependency.name.as_str()).collect()
    }
}

/// Impure crates beneath a pure one, each with the way to it.
fn impurities(metadata: &Metadata, package: &Package) -> Vec<String> {
    let packages: BTreeMap<&str, &Package> =
        metadata.packages.iter().map(|package| (&*package.id, package)).collect();
    let ours: BTreeMap<&str, BTreeSet<&str>> =
        metadata.members().map(|package| (&*package.id, package.left_out_by_default())).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|node| (&*node.id, node)).collect();
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    let mut to_visit = vec![(package.id.as_str(), package.name.clone())];
    while let Some((id, way)) = to_visit.pop() {
        for dependency in nodes.get(id).into_iter().flat_map(|node| &node.deps) {
            let is_normal = dependency.dep_kinds.iter().any(|dependency| dependency.kind.is_none());
            let name = packages.get(&*dependency.pkg).map_or("", |package| &package.name);
            let is_left_out = ours.get(id).is_some_and(|left_out| left_out.contains(name));
            if !is_normal || is_left_out || !seen.insert(&dependency.pkg) {
                continue;
            }
            let way = format!("{way} → {name}");
            if IMPURE.contains(&name) {
                faults.push(format!("{} has to be pure, and {name} is not: {way}", package.name));
            }
            to_visit.push((&dependency.pkg, way));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Metadata, faults};

    /// A crate and its dependencies, each with its kind.
    type Crate<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);

    /// A workspace of crates, beneath them one package of others that stands on another.
    fn workspace(crates: &[Crate<'_>]) -> Metadata {
        let mut packages = vec![
            json!({"id": "serde", "name": "serde", "dependencies": []}),
            json!({"id": "rand", "name": "rand", "dependencies": []}),
        ];
        let mut nodes =
            vec![json!({"id": "serde", "deps": [{"pkg": "rand", "dep_kinds": [{"kind": null}]}]})];
        for (name, dependencies) in crates {
            let stated: Vec<_> =
                dependencies.iter().map(|(name, kind)| json!({"name": name, "kind": kind})).collect();
            let resolved =
                dependencies.iter().map(|(name, kind)| json!({"pkg": name, "dep_kinds": [{"kind": kind}]}));
            nodes.push(json!({"id": name, "deps": resolved.collect::<Vec<_>>()}));
            packages.push(json!({"id": name, "name": name, "dependencies": stated}));
        }
        let members: Vec<_> = crates.iter().map(|(name, _)| *name).collect();
        serde_json::from_value(json!({
            "packages": packages, "workspace_members": members, "resolve": {"nodes": nodes},
        }))
        .unwrap()
    }

    #[test]
    fn an_arrow_that_points_up_is_a_fault() {
        let found = faults(&workspace(&[
            ("partwise-models", &[("partwise-protocol", None)]),
            ("partwise-protocol", &[("partwise-models", None)]),
        ]));
        assert_eq!(found, ["partwise-models may not know partwise-protocol: that arrow does not point down"]);
    }

    #[test]
    fn the_client_knows_the_server_only_in_its_tests() {
        let server: Crate<'_> = ("partwise-server", &[]);
        let in_tests = workspace(&[("partwise", &[("partwise-server", Some("dev"))]), server]);
        assert!(faults(&in_tests).is_empty());
        let always = workspace(&[("partwise", &[("partwise-server", None)]), server]);
        assert_eq!(faults(&always).len(), 1);
    }

    #[test]
    fn a_crate_that_is_not_in_the_table_is_a_fault() {
        assert_eq!(
            faults(&workspace(&[("partwise-other", &[])])),
            ["partwise-other is in no layer: say what it may depend on"]
        );
    }

    #[test]
    fn what_is_not_allowed_is_a_fault_except_in_tests() {
        let found = faults(&workspace(&[("partwise-models", &[("http", None), ("insta", Some("dev"))])]));
        assert_eq!(found, ["partwise-models may not depend on http"]);
    }

    #[test]
    fn what_is_impure_is_found_however_deep() {
        let found = faults(&workspace(&[("partwise-models", &[("serde", None)])]));
        assert_eq!(
            found,
            ["partwise-models has to be pure, and rand is not: partwise-models → serde → rand"]
        );
    }

    #[test]
    fn what_only_an_optional_feature_needs_may_be_impure() {
        let with_features = |features: serde_json::Value| {
            let metadata = workspace(&[("partwise-models", &[("serde", None)])]);
            let package = metadata.packages.into_iter().map(|mut package| {
                if package.name == "partwise-models" {
                    package.dependencies[0].optional = true;
                    package.features = serde_json::from_value(features.clone()).unwrap();
                }
                package
            });
            faults(&Metadata { packages: package.collect(), ..metadata }).len()
        };
        assert_eq!(with_features(json!({"tests": ["dep:serde"]})), 0);
        assert_eq!(with_features(json!({"default": ["std"], "std": ["serde?/std"]})), 0);
        assert_eq!(with_features(json!({"default": ["all"], "all": ["tests"], "tests": ["dep:serde"]})), 1);
        assert_eq!(with_features(json!({"default": ["serde/std"]})), 1);
    }

    #[test]
    fn no_crate_of_ours_may_be_known_to_the_tasks() {
        let found = faults(&workspace(&[("xtask", &[("partwise-models", None)]), ("partwise-models", &[])]));
        assert_eq!(found.len(), 1);
    }
}
