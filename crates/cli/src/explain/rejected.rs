//! What can be done about an answer that says no.

use http::StatusCode;
use partwise_protocol::{
    Dialect,
    error::{ApiError, ApiErrorKind},
    operations::OperationId,
    retry::RetryAfter,
};

use super::Explain;
use crate::{size::limit, uploads::now};

/// A page with 401 or 403 says nothing about a key: who sent it never looked at one.
const TURNED_AWAY: &str = "something in front of the service turned the request away: a firewall, a proxy, a sign-in page, or a block of this network or country";

/// OpenAI's code for requests from where it does not serve.
const UNSUPPORTED_REGION: &str = "unsupported_country_region_territory";

/// What Azure says when a network rule of the resource is in the way, in lower case.
const NETWORK_RULES: [&str; 4] =
    ["virtual network", "firewall rules", "public access is disabled", "private endpoint"];

/// What Azure says when an identity has no role that allows the request, in lower case.
const NO_ROLE: &str = "lacks the required data action";

impl Explain {
    /// What to do about a refusal, of this operation of an upload where that is known.
    pub(super) fn rejected(&self, refusal: &ApiError, operation: Option<OperationId>) -> Option<String> {
        if refusal.status == StatusCode::INSUFFICIENT_STORAGE {
            return Some("the service has no room left: make room there first".into());
        }
        // Elsewhere a wait hides what a person has to do.
        if matches!(refusal.kind(), ApiErrorKind::RateLimited | ApiErrorKind::Failed) {
            if let Some(wait) = asked_wait(refusal) {
                return Some(format!("the service asks to wait {wait} s before the next attempt"));
            }
        }
        let about_the_thing = refusal.error.param.is_some() || refusal.error.code.is_some();
        match refusal.kind() {
            ApiErrorKind::Unauthorized | ApiErrorKind::Forbidden => Some(self.no_access(refusal)),
            ApiErrorKind::RateLimited if operation == Some(OperationId::AddUploadPart) => {
                Some("try again later, or with a smaller --parallel".into())
            }
            ApiErrorKind::RateLimited => Some("try again later".into()),
            ApiErrorKind::TooLarge => self.too_large(operation),
            ApiErrorKind::NotFound | ApiErrorKind::Invalid if self.has_no_uploads(refusal, operation) => {
                Some(self.other_route(refusal))
            }
            ApiErrorKind::NotFound if !about_the_thing => Some(self.other_service()),
            ApiErrorKind::Other => Some(self.other_service()),
            _ => None,
        }
    }

    fn no_access(&self, refusal: &ApiError) -> String {
        let said = refusal.error.message.as_deref().unwrap_or_default().to_lowercase();
        let (key, kind) = (self.key.variable, self.key.kind());
        if refusal.is_page {
            return TURNED_AWAY.into();
        }
        if NETWORK_RULES.iter().any(|rule| said.contains(rule)) {
            return "this network is not allowed to reach the resource: see its Networking page in the Azure portal".into();
        }
        if said.contains(NO_ROLE) {
            return "give this identity a role on the resource that has the data action, in the resource's Access control page".into();
        }
        if refusal.error.code.as_ref().is_some_and(|code| code.as_str() == UNSUPPORTED_REGION) {
            return "the service does not serve the country or region that this request came from: a proxy or VPN may be what places it there".into();
        }
        let is_quoted = self.key.is_quoted && refusal.kind() == ApiErrorKind::Unauthorized;
        if !refusal.is_of_the_api() && !is_quoted {
            return format!(
                "this may be no answer of the service: look at the proxy, firewall or gateway on the way, and whether {} is the right endpoint",
                self.base
            );
        }
        match refusal.kind() {
            _ if is_quoted => {
                format!("{key} has quotes around the {kind}, and they are sent with it: leave them out")
            }
            ApiErrorKind::Unauthorized if self.key.is_token() => {
                format!("the service rejected the token in {key} (401): it may have expired")
            }
            ApiErrorKind::Unauthorized => {
                format!(
                    "the service rejected the {kind} in {key} (401): check which key it is, and of which service"
                )
            }
            _ => format!("the service does not allow this with the {kind} in {key} (403)"),
        }
    }

    fn too_large(&self, operation: Option<OperationId>) -> Option<String> {
        let takes_none = |what: &str| {
            format!("the service, or a gateway in front of it, takes no {what} of this size: raise its limit")
        };
        Some(match operation? {
            OperationId::AddUploadPart => {
                "send smaller parts, from the beginning: --no-resume and a smaller --part-size".into()
            }
            OperationId::CreateUpload => format!("{}, or split the file", takes_none("file")),
            OperationId::CreateFile if OperationId::CreateUpload.available_in(&self.dialect) => format!(
                "{}, or send smaller requests with --route parts and a small --part-size",
                takes_none("request")
            ),
            OperationId::CreateFile => takes_none("request"),
            _ => return None,
        })
    }

    /// Whether nothing answers where uploads are made.
    fn has_no_uploads(&self, refusal: &ApiError, operation: Option<OperationId>) -> bool {
        operation == Some(OperationId::CreateUpload)
            && matches!(refusal.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
    }

    fn other_route(&self, refusal: &ApiError) -> String {
        let limit = limit(self.largest_file);
        let mut hint = format!(
            "this service may have no uploads of parts: --route single sends the file as one request (up to {limit})"
        );
        // Its gateway has the status as a code.
        let is_gateway = refusal.error.code.as_ref().is_some_and(|code| code.as_str() == "404");
        if self.dialect != Dialect::OpenAi || is_gateway || self.base.contains(".azure.com") {
            hint.push_str("; on Azure the endpoint may be a project's: --provider azure with the resource's endpoint has them");
        }
        hint
    }
}

/// How many seconds the service asks to wait before anything is sent again, when it asks for some.
fn asked_wait(refusal: &ApiError) -> Option<u64> {
    let wait = match refusal.retry.after? {
        RetryAfter::Wait(wait) => wait.as_secs_f64().ceil() as u64,
        RetryAfter::Until(moment) => moment.0.saturating_sub(now()),
    };
    (wait > 0).then_some(wait)
}
