//! The sources of the pure crates: what std offers them in the way of clocks, files and sockets is not used.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders of the pure crates' sources.
const SOURCES: [&str; 2] = ["crates/models/src", "crates/protocol/src"];

/// The crate that also does without std.
const NO_STD: &str = "crates/models/src/lib.rs";

/// Moments and what is known of a file are data when they are given; so are time spans and addresses.
const DATA: [&str; 3] = ["std::fs::Metadata", "std::time::Instant", "std::time::SystemTime"];

/// What a pure crate does without.
const IMPURE: [&str; 11] = [
    "::now()",
    ".elapsed()",
    "Instant",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::io::std",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::thread",
];

pub(super) fn faults(root: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    if !fs::read_to_string(root.join(NO_STD))?.contains("\n#![no_std]\n") {
        faults.push(format!("{NO_STD}: `#![no_std]` is missing"));
    }
    for folder in SOURCES {
        for file in rust_files(&root.join(folder))? {
            let text = fs::read_to_string(&file)?;
            let name = file.strip_prefix(root).unwrap_or(&file).display();
            for (line, word) in impure_words(&text) {
                faults
                    .push(format!("{name}:{line}: `{word}` in a crate that reads no clock, file or socket"));
            }
        }
    }
    Ok(faults)
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// The impure words of a source and their lines, comments left out.
fn impure_words(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let code = DATA.into_iter().fold(code.to_owned(), |code, data| code.replace(data, ""));
        found.extend(IMPURE.into_iter().filter(|word| code.contains(word)).map(|word| (number + 1, word)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::impure_words;

    #[test]
    fn clocks_and_files_are_found_in_code_and_not_in_comments() {
        let text = "use std::time::Duration;\n// An Instant is not read.\nlet now = std::time::Instant::now();\nuse std::fs;";
        assert_eq!(impure_words(text), [(3, "::now()"), (4, "std::fs")]);
    }

    #[test]
    fn what_is_given_is_data_and_what_is_asked_for_is_not() {
        let given = "fn since(origin: std::time::Instant, of: &std::fs::Metadata) {}";
        assert_eq!(impure_words(given), []);
        let asked =
            "let now = Instant::now();\nlet age = origin.elapsed();\nlet of = std::fs::metadata(path);";
        assert_eq!(impure_words(asked), [(1, "::now()"), (1, "Instant"), (2, ".elapsed()"), (3, "std::fs")]);
    }
}
