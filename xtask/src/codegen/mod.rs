//! `cargo xtask codegen`: the Rust code that follows from the contract.

mod arbitrary;
mod conditions;
mod descriptions;
mod enums;
mod examples;
mod fields;
mod models;
mod operations;
mod purposes;
mod rust;
mod setters;
mod struct_fields;
mod structs;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use similar::TextDiff;

use crate::contract::Contract;

/// The folders that hold generated files and nothing else.
const FOLDERS: [&str; 2] = ["crates/models/src/generated", "crates/protocol/src/generated"];

/// A generated file: its path from the root of the workspace, and its text.
struct Generated {
    path: PathBuf,
    text: String,
}

/// Writes the files that are not as they should be, and removes those that should not be.
pub(crate) fn write(root: &Path) -> Result<()> {
    let files = generate(root)?;
    for file in &files {
        let path = root.join(&file.path);
        if fs::read_to_string(&path).is_ok_and(|text| text == file.text) {
            continue;
        }
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(&path, &file.text).with_context(|| format!("cannot write {}", file.path.display()))?;
        eprintln!("wrote {}", file.path.display());
    }
    for path in leftovers(root, &files)? {
        fs::remove_file(root.join(&path)).with_context(|| format!("cannot remove {}", path.display()))?;
        eprintln!("removed {}", path.display());
    }
    Ok(())
}

fn generate(root: &Path) -> Result<Vec<Generated>> {
    let contract = Contract::read(root)?;
    let mut files = models::files(&contract)?;
    files.extend(operations::files(&contract)?);
    for file in &mut files {
        file.text = rust::format_code(root, &file.text)?;
    }
    Ok(files)
}

/// Files in the generated folders that the contract does not call for.
fn leftovers(root: &Path, files: &[Generated]) -> Result<Vec<PathBuf>> {
    let mut leftovers = Vec::new();
    for folder in FOLDERS {
        let Ok(entries) = fs::read_dir(root.join(folder)) else { continue };
        for entry in entries {
            let path = Path::new(folder).join(entry?.file_name());
            if files.iter().all(|file| file.path != path) {
                leftovers.push(path);
            }
        }
    }
    Ok(leftovers)
}

/// Fails with a diff when what is checked in is not what the contract calls for. It never writes.
pub(crate) fn check(root: &Path) -> Result<()> {
    let files = generate(root)?;
    let mut stale = String::new();
    for file in &files {
        let checked_in = fs::read_to_string(root.join(&file.path)).unwrap_or_default();
        let name = file.path.display().to_string();
        let diff = TextDiff::from_lines(&checked_in, &file.text);
        stale += &diff.unified_diff().header(&name, "what the contract calls for").to_string();
    }
    for path in leftovers(root, &files)? {
        stale += &format!("{} should not be there\n", path.display());
    }
    ensure!(stale.is_empty(), "generated code is stale; `cargo xtask codegen` mends it\n{stale}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{codegen, workspace};

    #[test]
    fn the_code_that_is_checked_in_follows_from_the_contract() {
        codegen::check(&workspace::root()).unwrap_or_else(|error| panic!("{error:#}"));
    }
}
