//! Azure's endpoints as people copy them: the resource itself, or any URL below it.

use std::borrow::Cow;

use crate::error::EncodeError;

/// Where all paths of a resource begin.
const PREFIX: &str = "openai";

/// What may stand behind the prefix in a URL that a gateway's operator or the portal shows.
const BELOW: [&str; 14] = [
    "assistants",
    "audio",
    "batches",
    "chat",
    "completions",
    "deployments",
    "embeddings",
    "files",
    "fine_tuning",
    "images",
    "models",
    "responses",
    "uploads",
    "v1",
];

/// Where the paths of a project of a resource begin, which are not those of the resource's files.
const PROJECTS: &str = "/api/projects";

/// Pages for people, whose addresses are easily taken for endpoints. Hosts below them may be endpoints, as
/// `NAME.services.ai.azure.com` is.
const PORTALS: [&str; 4] = ["ai.azure.com", "ml.azure.com", "oai.azure.com", "portal.azure.com"];

/// The resource's URL in what somebody copied: without `/openai` or a project and what stands behind it, and without an
/// `api-version`.
/// Any other query stays, to be refused.
///
/// # Errors
/// [`EncodeError::Endpoint`] for a page of the portal.
pub(crate) fn resource_of(endpoint: &str) -> Result<Cow<'_, str>, EncodeError> {
    let (url, query) = endpoint.split_once('?').unwrap_or((endpoint, ""));
    let is_plain = query.split('&').all(|pair| pair.is_empty() || pair.starts_with("api-version="));
    let behind_scheme = url.find("://").map_or(0, |at| at + "://".len());
    let host = url[behind_scheme..].split(['/', '#', ':']).next().unwrap_or_default().to_ascii_lowercase();
    if PORTALS.contains(&host.as_str()) || host.ends_with(".portal.azure.com") {
        let problem = "is a page of the Azure portal, and no endpoint";
        return Err(EncodeError::Endpoint { endpoint: endpoint.to_owned(), problem });
    }
    let is_azure = host.ends_with(".azure.com");
    let path = url[behind_scheme..].find('/').map_or(url.len(), |at| behind_scheme + at);
    let project = || if is_azure { project_in(&url[path..]) } else { None };
    let resource = match project().or_else(|| prefix_in(&url[path..], is_azure)) {
        Some(at) => &url[..path + at],
        None => url.trim_end_matches('/'),
    };
    Ok(if is_plain { resource.into() } else { format!("{resource}?{query}").into() })
}

/// Where the path of a project begins.
fn project_in(path: &str) -> Option<usize> {
    let behind = path.strip_prefix(PROJECTS)?;
    (behind.is_empty() || behind.starts_with('/')).then_some(0)
}

/// Where the slash before the prefix is, when what follows it is no other path of a gateway's.
fn prefix_in(path: &str, is_azure: bool) -> Option<usize> {
    path.match_indices('/').map(|(at, _)| at).find(|at| {
        let mut segments = path[at + 1..].split('/');
        let is_prefix = segments.next() == Some(PREFIX);
        let next = segments.find(|segment| !segment.is_empty());
        is_prefix && next.is_none_or(|next| is_azure || BELOW.contains(&next))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_found_in_what_people_copy() {
        let resource = "https://r.openai.azure.com";
        for behind in [
            "",
            "/",
            "//",
            "/openai",
            "/openai/",
            "/openai/v1/",
            "/?api-version=2024-10-21",
            "?api-version=2024-10-21",
            "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
            "/openai/v1/chat/completions",
            "/openai/something/new?api-version=preview",
        ] {
            assert_eq!(resource_of(&format!("{resource}{behind}")).unwrap(), resource, "{behind}");
        }
        let resource = "https://r.services.ai.azure.com";
        for behind in
            ["", "/", "/openai/v1/", "/api/projects/P", "/api/projects/P/openai/v1", "/api/projects"]
        {
            assert_eq!(resource_of(&format!("{resource}{behind}")).unwrap(), resource, "{behind}");
        }
        for (endpoint, resource) in [
            ("https://g.example/team/openai/deployments/x", "https://g.example/team"),
            ("https://g.example/openai/v1", "https://g.example"),
            ("https://g.example/openai/other", "https://g.example/openai/other"),
            ("https://openai/openai", "https://openai"),
            ("https://g.example/api/projects/P", "https://g.example/api/projects/P"),
            ("https://r.region.inference.ml.azure.com", "https://r.region.inference.ml.azure.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://r.openai.azure.com/?x=1", "https://r.openai.azure.com?x=1"),
            ("r.openai.azure.com", "r.openai.azure.com"),
            ("", ""),
        ] {
            assert_eq!(resource_of(endpoint).unwrap(), resource);
        }
    }

    #[test]
    fn a_page_of_the_portal_is_quoted_as_it_was_typed() {
        for page in [
            "https://portal.azure.com/#@contoso.com/resource/subscriptions/1/overview",
            "https://ai.azure.com/resource/overview?wsid=/subscriptions/1",
            "https://ms.portal.azure.com/#home",
            "https://oai.azure.com/portal",
        ] {
            let said = resource_of(page).unwrap_err().to_string();
            assert_eq!(said, format!("the endpoint `{page}` is a page of the Azure portal, and no endpoint"));
        }
    }
}
