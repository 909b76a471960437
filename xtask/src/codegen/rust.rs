//! Pieces of Rust text: names, documentation, formatting.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::contract::Availability;

/// The first lines of every generated file, before its `//!` documentation.
pub(super) const HEADER: &str = "// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.\n\n";

/// The widest line of documentation, its indentation and slashes included.
const WIDTH: usize = 110;

/// Documentation (`///`) of an item that stands `depth` blocks deep, wrapped; blank lines part paragraphs, and a
/// line that starts with `- ` is an item of a list.
pub(super) fn doc(text: &str, depth: usize) -> String {
    comment("///", text, depth)
}

/// Documentation of a file (`//!`).
pub(super) fn file_doc(text: &str) -> String {
    comment("//!", text, 0)
}

fn comment(slashes: &str, text: &str, depth: usize) -> String {
    let start = "    ".repeat(depth) + slashes;
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.trim_end().lines() {
        let is_item = line.starts_with("- ");
        if line.is_empty() || is_item || !goes_on {
            lines.push(start.clone());
        }
        for word in line.split_whitespace() {
            if lines.last().is_some_and(|line| line.chars().count() + 1 + word.chars().count() > WIDTH) {
                lines.push(if is_item { start.clone() + "  " } else { start.clone() });
            }
            if let Some(line) = lines.last_mut() {
                line.push(' ');
                line.push_str(word);
            }
        }
        goes_on = !line.is_empty();
    }
    lines.join("\n") + "\n"
}

/// A description followed by where it holds, unless that is everywhere.
pub(super) fn with_availability(description: &str, availability: &Availability) -> String {
    if availability.is_everywhere() {
        return description.to_owned();
    }
    format!("{description}\n\nWhere: {availability}.")
}

/// The name of a type or variant: `fine_tuning.job` and `fineTuningJob` both become `FineTuningJob`.
pub(super) fn pascal_case(wire: &str) -> String {
    let words = wire.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// With `a` or `an` before it.
pub(super) fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// `` `a` ``, `` `a` and `b` ``, `` `a`, `b` and `c` ``.
pub(super) fn quoted_list<S: AsRef<str>>(names: &[S]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Formats one file as `cargo fmt` does.
pub(super) fn format_code(root: &Path, code: &str) -> Result<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start rustfmt; `rustup component add rustfmt` installs it")?;
    rustfmt.stdin.take().context("rustfmt takes no input")?.write_all(code.as_bytes())?;
    let output = rustfmt.wait_with_output()?;
    ensure!(output.status.success(), "rustfmt refuses the generated code:\n{code}");
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::{doc, pascal_case, quoted_list};

    #[test]
    fn names_on_the_wire_become_names_of_types() {
        assert_eq!(pascal_case("fine_tuning.job"), "FineTuningJob");
        assert_eq!(pascal_case("fine-tune-results"), "FineTuneResults");
        assert_eq!(pascal_case("itemDoesAlreadyExist"), "ItemDoesAlreadyExist");
        assert_eq!(pascal_case("InnerError"), "InnerError");
    }

    #[test]
    fn documentation_keeps_paragraphs_and_items_and_wraps_the_rest() {
        let long = ["word"; 25].join(" ");
        let text = format!("One\nline.\n\nItems:\n- a\n- {long}");
        let item = format!("/// - {}\n///   {}\n", ["word"; 21].join(" "), ["word"; 4].join(" "));
        assert_eq!(doc(&text, 0), format!("/// One line.\n///\n/// Items:\n/// - a\n{item}"));
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(quoted_list(&["a"]), "`a`");
        assert_eq!(quoted_list(&["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
