//! Rule 4, read independently of the crate: what a request that brought nothing has to lead to.

use std::{ops::RangeInclusive, time::Duration};

use bytes::Bytes;
use http::Response;
use partwise_protocol::{retry::RetryPolicy, transport::FailureKind};

use crate::{faults::BODIES, rules::Rule};

/// How a request came to its end.
pub(crate) enum Ending<'a> {
    Answered(&'a Response<Bytes>),
    Failed(FailureKind),
}

/// Why a request brought nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Setback {
    Rejected {
        status: u16,
        is_quota: bool,
        is_of_the_api: bool,
        /// The upload is completed, the service says.
        is_completed: bool,
        should_retry: Option<bool>,
        hint: Option<Duration>,
    },
    Garbled,
    Failed(FailureKind),
}

/// What has to come of it: again after a wait within these bounds, or never; and the rule that says so.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) rule: Rule,
    pub(crate) again: Option<RangeInclusive<Duration>>,
}

impl Ending<'_> {
    /// Why it brought nothing; `None` when it did bring what was asked for.
    pub(crate) fn setback(&self) -> Option<Setback> {
        let response = match self {
            Self::Failed(kind) => return Some(Setback::Failed(*kind)),
            Self::Answered(response) => response,
        };
        if response.status().is_success() {
            let is_whole = serde_json::from_slice::<serde_json::Value>(response.body()).is_ok();
            return (!is_whole).then_some(Setback::Garbled);
        }
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
        let (status, body) = (response.status().as_u16(), response.body());
        // Only of a service that is overloaded the words are about the wait.
        let in_words =
            BODIES.iter().find(|(words, _)| words.as_bytes() == body && matches!(status, 429 | 503));
        let in_words = in_words.and_then(|(_, wait)| wait.map(Duration::from_millis));
        let json = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
        Some(Setback::Rejected {
            status,
            is_quota: json["error"]["code"] == "insufficient_quota",
            is_of_the_api: json["error"].is_object() || json["message"].is_string(),
            is_completed: json["error"]["message"] == "the upload is completed",
            should_retry: header("x-should-retry").map(|value| value == "true"),
            hint: hint(header).or(in_words),
        })
    }
}

fn hint<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<Duration> {
    if let Some(milliseconds) = header("retry-after-ms") {
        return milliseconds.parse().ok().map(Duration::from_millis);
    }
    let value = header("retry-after")?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let [until, now] = [value, header("date")?].map(httpdate::parse_http_date);
    Some(until.ok()?.duration_since(now.ok()?).unwrap_or_default())
}

impl Setback {
    pub(crate) fn hint(&self) -> Option<Duration> {
        match self {
            Self::Rejected { hint, .. } => *hint,
            _ => None,
        }
    }

    pub(crate) fn is_quota(&self) -> bool {
        matches!(self, Self::Rejected { is_quota: true, .. })
    }

    /// Whether it is an error in one of the API's shapes: the service is there.
    pub(crate) fn is_of_the_api(&self) -> bool {
        matches!(self, Self::Rejected { is_of_the_api: true, .. })
    }

    /// Whether the service asks for patience from everything.
    pub(crate) fn is_overload(&self) -> bool {
        matches!(self, Self::Rejected { status: 429 | 503, .. })
    }

    /// Whether the service has certainly not done what was asked.
    pub(crate) fn was_never_done(&self) -> bool {
        matches!(
            self,
            Self::Rejected { status: 429, is_quota: false, .. } | Self::Failed(FailureKind::Connect)
        )
    }

    /// Whether the service finds the request wrong in itself.
    pub(crate) fn is_invalid(&self) -> bool {
        matches!(self, Self::Rejected { status: 400 | 405..=407 | 410..=412 | 414..=428 | 430..=499, is_quota: false, .. })
    }

    /// Whether the upload is completed, as the service says.
    pub(crate) fn is_completed(&self) -> bool {
        matches!(self, Self::Rejected { is_completed: true, .. })
    }

    /// Whether the service may have done what was asked.
    pub(crate) fn may_be_done(&self) -> bool {
        match self {
            Self::Rejected { is_completed: true, .. } => true,
            Self::Rejected { status, is_quota, .. } => is_transient(*status) && !is_quota,
            Self::Failed(kind) => matches!(kind, FailureKind::Interrupted | FailureKind::Timeout),
            Self::Garbled => true,
        }
    }

    /// What has to come of it after so many failures, this one included. `understood`: some answer made sense before.
    pub(crate) fn expected(&self, failures: u32, understood: bool, policy: &RetryPolicy) -> Expected {
        let never = |rule| Expected { rule, again: None };
        if !understood && failures > policy.max_failures_before_contact {
            return never(Rule::Budget);
        }
        let drawn = {
            let doubled = policy.base_wait.saturating_mul(1 << failures.saturating_sub(1).min(20));
            Duration::ZERO..=doubled.min(policy.max_wait)
        };
        let (rule, again) = match *self {
            Self::Rejected { is_quota: true, .. } => return never(Rule::QuotaFinal),
            Self::Rejected { should_retry: Some(false), .. } => return never(Rule::ShouldRetry),
            Self::Rejected { status, should_retry: None, .. } if !is_transient(status) => {
                return never(Rule::Final);
            }
            Self::Rejected { hint: Some(wait), .. } if wait > policy.max_hinted_wait => (Rule::HintCap, None),
            // Never less than the backoff, which may be anything below its cap.
            Self::Rejected { hint: Some(wait), .. } => (Rule::Hints, Some(wait..=wait.max(*drawn.end()))),
            Self::Rejected { should_retry: Some(true), .. } => (Rule::ShouldRetry, Some(drawn)),
            Self::Rejected { should_retry: None, .. } => (Rule::Repeated, Some(drawn)),
            Self::Failed(FailureKind::Connect | FailureKind::Interrupted | FailureKind::Timeout) => {
                (Rule::Repeated, Some(drawn))
            }
            Self::Failed(_) => return never(Rule::Final),
            Self::Garbled if understood => (Rule::Repeated, Some(drawn)),
            // Whatever answers there is not the service.
            Self::Garbled => return never(Rule::Final),
        };
        if failures > policy.max_failures { never(Rule::Budget) } else { Expected { rule, again } }
    }
}

fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 409 | 429 | 500 | 502..=504)
}
