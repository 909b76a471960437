//! The account that a service answers for.

use http::HeaderMap;
use serde::{Deserialize, Serialize};

/// The organization and the project that a service says it answers for: the headers `openai-organization` and
/// `openai-project`. They follow from the key and are no secret. Azure sends neither.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use partwise_protocol::operations::Account;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("openai-organization", HeaderValue::from_static("org-abc"));
/// assert_eq!(Account::of_headers(&headers), Account::default().organization("org-abc"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// `openai-organization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// `openai-project`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

impl Account {
    /// Whether the service said nothing.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the account from an answer's headers.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Self {
        let text =
            |name| Some(headers.get(name)?.to_str().ok()?.trim().to_owned()).filter(|text| !text.is_empty());
        Self { organization: text("openai-organization"), project: text("openai-project") }
    }

    /// Sets [`organization`](#structfield.organization).
    #[must_use]
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.organization = Some(organization.into());
        self
    }

    /// Sets [`project`](#structfield.project).
    #[must_use]
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = Some(project.into());
        self
    }
}
