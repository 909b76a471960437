//! The marks: keys of the description that are ours, not OpenAPI's.

use anyhow::{Result, bail};
use yaml_serde::Value;

/// All of them; `docs/contract/README.md` says what each means.
pub(crate) const MARKS: [&str; 16] = [
    "x-answer-limit",
    "x-availability",
    "x-constructor",
    "x-example",
    "x-module",
    "x-open",
    "x-reading",
    "x-reads-integers",
    "x-repeat",
    "x-required",
    "x-rust-name",
    "x-same-as",
    "x-secret",
    "x-source",
    "x-use",
    "x-uses",
];

/// Fails on a key that starts like a mark and is none: a typing error would otherwise go unseen.
pub(super) fn check(value: &Value, at: &str) -> Result<()> {
    match value {
        Value::Mapping(members) => {
            for (key, member) in members {
                let Some(key) = key.as_str() else { bail!("{at}: a key is not text; put it in quotes") };
                // Names of headers may start with `x-`.
                if key.starts_with("x-") && !MARKS.contains(&key) && !at.ends_with("/headers") {
                    bail!("{at}: `{key}` is no mark");
                }
                check(member, &format!("{at}/{key}"))?;
            }
            Ok(())
        }
        Value::Sequence(items) => items.iter().try_for_each(|item| check(item, at)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    fn refusal(text: &str) -> Option<String> {
        check(&yaml_serde::from_str(text).unwrap(), "#").err().map(|error| error.to_string())
    }

    #[test]
    fn a_mark_that_is_mistyped_is_refused_with_its_place() {
        let text = "paths: {/files: {get: {x-availabilty: {openai: true}}}}";
        assert_eq!(refusal(text).unwrap(), "#/paths//files/get: `x-availabilty` is no mark");
    }

    #[test]
    fn headers_may_have_any_name() {
        assert_eq!(refusal("headers: {x-request-id: {schema: {type: string}}}"), None);
    }
}
