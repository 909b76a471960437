//! What an error of the client means, and what can be done about it.

use std::{error::Error as StdError, io};

use partwise_protocol::{ApiErrorKind, Dialect, EncodeError, FailureKind, PlanError, TransferError};
use partwise_transport_hyper::{
    Error,
    stack::{ConnectError, StackError, TlsError},
};

use crate::{
    report::{Report, chain},
    service::{Reach, Service},
};

const UPLOAD_AGAIN: &str = "upload it again when nothing writes to it any more";

/// Turns errors of one service's client into reports.
#[derive(Debug)]
pub(crate) struct Explain {
    base: String,
    dialect: Dialect,
    embedded: bool,
    /// The variable that holds the key or token.
    key: &'static str,
}

impl Explain {
    pub(crate) fn new(service: &Service, key: &'static str) -> Self {
        Self {
            base: service.api.base().to_owned(),
            dialect: service.api.dialect().clone(),
            embedded: matches!(service.reach, Reach::Embedded { .. }),
            key,
        }
    }

    /// `what` could not be done because of `error`.
    pub(crate) fn report(&self, what: &str, error: &Error) -> Report {
        match error {
            Error::Encode(cause) => return self.unsendable(cause),
            Error::Plan(cause) => return unplannable(what, cause),
            Error::Transfer(cause) => {
                if let TransferError::Encode { source, .. } = &**cause {
                    return self.unsendable(source);
                }
            }
            _ => {}
        }
        let place = if self.embedded { String::new() } else { format!(" at {}", self.base) };
        Report::failed(format!("{what}{place}: {}", chain(error))).maybe_hint(self.hint(error))
    }

    /// What was asked for cannot be sent, whatever the service is like: the arguments are wrong.
    fn unsendable(&self, cause: &EncodeError) -> Report {
        let report = Report::usage(chain(cause));
        match cause {
            EncodeError::Unavailable { .. } if self.dialect == Dialect::OpenAi => {
                report.hint("only Azure's dated api-versions have it: --provider azure")
            }
            EncodeError::Unavailable { .. } => report.hint("another --provider or --api-version may have it"),
            _ => report,
        }
    }

    fn hint(&self, error: &Error) -> Option<String> {
        if let Some(refusal) = error.refusal() {
            let about_the_thing = refusal.error.param.is_some() || refusal.error.code.is_some();
            return match refusal.kind() {
                ApiErrorKind::Unauthorized => {
                    Some(format!("{} holds nothing that this service takes", self.key))
                }
                ApiErrorKind::Forbidden => Some(format!("what {} holds may not be used for this", self.key)),
                ApiErrorKind::RateLimited => Some("try again later, or with a smaller --parallel".into()),
                ApiErrorKind::NotFound if !about_the_thing => Some(self.other_service()),
                ApiErrorKind::Other => Some(self.other_service()),
                _ => None,
            };
        }
        match error {
            Error::Garbled(_) => return Some(self.other_service()),
            Error::Transfer(cause) => {
                if let Some(hint) = self.transfer_hint(cause) {
                    return Some(hint);
                }
            }
            _ => {}
        }
        causes(error).find_map(stack_hint).or_else(|| match error.failure() {
            Some(FailureKind::Connect) => {
                Some(format!("is the service running, and is {} where it is?", self.base))
            }
            _ => None,
        })
    }

    fn other_service(&self) -> String {
        format!("something else may be answering: is {} the right endpoint?", self.base)
    }

    fn transfer_hint(&self, cause: &TransferError) -> Option<String> {
        match cause {
            TransferError::Garbled { .. } => Some(self.other_service()),
            TransferError::SourceChanged { file: Some(file), .. } => {
                Some(format!("the service made {} of what it got: delete it", file.id))
            }
            TransferError::SourceChanged { file: None, .. } => Some(UPLOAD_AGAIN.into()),
            TransferError::Source(cause) if ends_early(cause) => Some(UPLOAD_AGAIN.into()),
            TransferError::Expired => Some("try again with a larger --parallel".into()),
            TransferError::Cancelled { file_possible: true } => {
                Some("look with `partwise files list` whether the file is there".into())
            }
            TransferError::CompletionUnknown { candidates, .. } => {
                Some(match candidates.as_deref().unwrap_or_default() {
                    [] => "look with `partwise files list` in a while, before you upload it again".into(),
                    candidates => {
                        let ids: Vec<_> = candidates.iter().map(|file| file.id.as_str()).collect();
                        format!("it may be one of {}", ids.join(", "))
                    }
                })
            }
            _ => None,
        }
    }
}

/// A plan that does not work for any file is wrong by its arguments alone.
fn unplannable(what: &str, cause: &PlanError) -> Report {
    match cause {
        PlanError::PartSize { .. } | PlanError::NoUploads { .. } | PlanError::Md5WithoutParts => {
            Report::usage(cause.to_string())
        }
        PlanError::TooLarge { way: "in one request", .. } => Report::because(what, cause)
            .hint("in parts it may be larger, for the purposes that have them: --route parts"),
        _ => Report::because(what, cause),
    }
}

fn stack_hint(cause: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(TlsError::UnknownIssuer) = cause.downcast_ref() {
        return Some(
            "--ca-cert FILE trusts another CA's certificate, SSL_CERT_FILE a whole file of them".into(),
        );
    }
    match cause.downcast_ref()? {
        StackError::Connect(ConnectError::Resolve { .. }) => {
            Some("check how the endpoint is spelt, and the network".into())
        }
        StackError::NotHttp { .. } => Some("something else listens there".into()),
        _ => None,
    }
}

/// Whether a file became shorter than it was.
fn ends_early(cause: &(dyn StdError + 'static)) -> bool {
    causes(cause)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::UnexpectedEof)
}

fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
