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
        (_, Versions::Since(date), _) => by_version(*openai, &by_date(">=", "<", date), *azure_v1),
        (_, Versions::After(date), _) => by_version(*openai, &by_date(">", "<=", date), *azure_v1),
        (_, Versions::Until(date), _) => by_version(*openai, &by_date("<=", ">", date), *azure_v1),
        (_, Versions::SinceWithPreviews { stable, previews }, _) => {
            let is_from = format!("is_from(api_version, \"{stable}\", \"{previews}\")");
            by_version(*openai, &(is_from.clone(), format!("!{is_from}")), *azure_v1)
        }
    }
}

/// A comparison of the date of a dated version, and its inverse.
fn by_date(comparison: &str, inverse: &str, date: &str) -> (String, String) {
    let guard = |comparison: &str| format!("date(api_version) {comparison} \"{date}\"");
    (guard(comparison), guard(inverse))
}

/// A condition on the version of dated Azure: `guard` holds where something is available, `inverse` where not.
fn by_version(openai: bool, (guard, inverse): &(String, String), azure_v1: bool) -> String {
    let dated = |guard: &str| format!("matches!(dialect, Dialect::AzureDated {{ api_version }} if {guard})");
    match (openai, azure_v1) {
        (false, false) => dated(guard),
        (true, true) => format!("!{}", dated(inverse)),
        (true, false) => format!("matches!(dialect, Dialect::OpenAi) || {}", dated(guard)),
        (false, true) => format!("matches!(dialect, Dialect::AzureV1 {{ .. }}) || {}", dated(guard)),
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

#[cfg(test)]
mod tests {
    use super::{condition, grouped};
    use crate::contract::Availability;

    fn of(mark: &str) -> String {
        condition(&yaml_serde::from_str::<Availability>(mark).unwrap())
    }

    #[test]
    fn conditions_ask_for_no_more_than_they_need() {
        assert_eq!(of("true"), "true");
        assert_eq!(of("{}"), "false");
        assert_eq!(of("{azure: true}"), "matches!(dialect, Dialect::AzureDated { .. })");
        assert_eq!(
            of("{openai: true, azure-v1: true}"),
            "matches!(dialect, Dialect::OpenAi | Dialect::AzureV1 { .. })"
        );
    }

    #[test]
    fn versions_compare_by_their_date() {
        let dated = |comparison| {
            format!(
                "matches!(dialect, Dialect::AzureDated {{ api_version }} if date(api_version) {comparison})"
            )
        };
        assert_eq!(of("{azure: {since: 2024-10-21}}"), dated(">= \"2024-10-21\""));
        assert_eq!(of("{azure: {until: 2024-06-01}}"), dated("<= \"2024-06-01\""));
        assert_eq!(
            of("{openai: true, azure: {after: 2024-06-01}, azure-v1: true}"),
            format!("!{}", dated("<= \"2024-06-01\""))
        );
        assert_eq!(
            of("{openai: true, azure: {since: 2024-10-21}}"),
            format!("matches!(dialect, Dialect::OpenAi) || {}", dated(">= \"2024-10-21\""))
        );
    }

    #[test]
    fn previews_may_have_something_earlier() {
        let mark = "{azure: {since: 2024-10-21, previews-since: 2024-02-15}}";
        let is_from = "is_from(api_version, \"2024-10-21\", \"2024-02-15\")";
        assert_eq!(
            of(mark),
            format!("matches!(dialect, Dialect::AzureDated {{ api_version }} if {is_from})")
        );
        assert_eq!(
            of(&mark.replace("{azure:", "{openai: true, azure-v1: true, azure:")),
            format!("!matches!(dialect, Dialect::AzureDated {{ api_version }} if !{is_from})")
        );
    }

    #[test]
    fn marks_that_say_nothing_are_refused() {
        for mark in [
            "false",
            "{openai: false}",
            "{azure: {}}",
            "{azure: {since: soon}}",
            "{azure: {previews-since: 2024-02-15}}",
            "{azure: {since: 2024-02-15, previews-since: 2024-10-21}}",
            "{google: true}",
        ] {
            assert!(yaml_serde::from_str::<Availability>(mark).is_err(), "{mark}");
        }
    }

    #[test]
    fn keys_of_equal_value_come_together_in_order() {
        assert_eq!(grouped([("a", 1), ("b", 2), ("c", 1)]), [(vec!["a", "c"], 1), (vec!["b"], 2)]);
    }
}
