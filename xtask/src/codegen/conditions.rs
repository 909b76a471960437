//! Availability as Rust conditions on a `dialect`.

use crate::contract::{Availability, Versions};

/// An expression that is true where something is available.
pub(super) fn condition(availability: &Availability) -> String {
    let Availability { openai, azure, azure_v1 } = availability;
    match (openai, azure, azure_v1) {
        (true, Versions::All, true) => "true".to_owned(),
        (false, Versions::None, false) => "false".to_owned(),
        (_, Versions::None | Versions::All, _) => {
            let patterns = [
                openai.then_some("Dialect::OpenAi"),
                (*azure == Versions::All).then_some("Dialect::AzureDated { .. }"),
                azure_v1.then_some("Dialect::AzureV1 { .. }"),
            ];
            let patterns: Vec<_> = patterns.into_iter().flatten().collect();
            format!("matches!(dialect, {})", patterns.join(" | "))
        }
        (_, Versions::Since(date), _) => by_version(*openai, (">=", "<"), date, *azure_v1),
        (_, Versions::After(date), _) => by_version(*openai, (">", "<="), date, *azure_v1),
        (_, Versions::Until(date), _) => by_version(*openai, ("<=", ">"), date, *azure_v1),
    }
}

/// A condition on the version of dated Azure: `comparison` holds where something is available, `inverse` where not.
fn by_version(openai: bool, (comparison, inverse): (&str, &str), version: &str, azure_v1: bool) -> String {
    let dated = |comparison: &str| {
        format!(
            "matches!(dialect, Dialect::AzureDated {{ api_version }} if date(api_version) {comparison} \"{version}\")"
        )
    };
    match (openai, azure_v1) {
        (false, false) => dated(comparison),
        (true, true) => format!("!{}", dated(inverse)),
        (true, false) => format!("matches!(dialect, Dialect::OpenAi) || {}", dated(comparison)),
        (false, true) => format!("matches!(dialect, Dialect::AzureV1 {{ .. }}) || {}", dated(comparison)),
    }
}

/// Puts keys of equal value together, in the order in which the values first come.
pub(super) fn grouped<K, V: PartialEq>(pairs: impl IntoIterator<Item = (K, V)>) -> Vec<(Vec<K>, V)> {
    let mut groups: Vec<(Vec<K>, V)> = Vec::new();
    for (key, value) in pairs {
        match groups.iter_mut().find(|(_, other)| *other == value) {
            Some((keys, _)) => keys.push(key),
            None => groups.push((vec![key], value)),
        }
    }
    groups
}
