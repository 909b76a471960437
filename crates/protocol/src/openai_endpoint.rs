//! OpenAI's base as people write it: the origin, the base, or the URL of an operation.

/// The base of all paths that an endpoint means: a bare origin gets `/v1`, behind `/v1` an operation is left out, and any other path
/// is the base itself, as in `OPENAI_BASE_URL`.
pub(crate) fn openai_base(endpoint: &str) -> String {
    const OPERATIONS: [&str; 7] =
        ["/batches", "/chat/completions", "/completions", "/embeddings", "/files", "/responses", "/uploads"];

    let trimmed = endpoint.trim_end_matches('/');
    let base = OPERATIONS.iter().find_map(|operation| trimmed.strip_suffix(operation));
    if let Some(base) = base.filter(|base| base.ends_with("/v1")) {
        return base.to_owned();
    }
    let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    match host.map(|host| host.trim_end_matches('/')) {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#']) => {
            format!("{}/v1", endpoint.trim_end_matches('/'))
        }
        _ => endpoint.to_owned(),
    }
}
