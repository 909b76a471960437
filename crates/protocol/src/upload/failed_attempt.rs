//! Why a request brought nothing.

use std::time::Duration;

use partwise_models::UploadStatus;

use super::{Attempt, Retry, UploadError};
use crate::{
    error::{ApiError, ApiErrorKind, Garbled, ResponseError},
    operations::OperationId,
    retry::service_state::Excuse,
    transport::{Failure, FailureKind, SourceError},
};

/// Why a request brought nothing.
#[derive(Clone)]
pub(super) enum FailedAttempt {
    Rejected(Box<ApiError>),
    Garbled(Box<Garbled>),
    Failed(Failure),
    /// The service cannot be reached: in its outage of this number, or `None` since this machine has slept meanwhile.
    /// `is_broken` when much of the body had left.
    Away {
        failure: Failure,
        outage: Option<u64>,
        is_broken: bool,
    },
}

impl From<ResponseError> for FailedAttempt {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::Rejected(error) => Self::Rejected(error),
            ResponseError::Garbled(garbled) => Self::Garbled(garbled),
        }
    }
}

impl FailedAttempt {
    /// Whether the service has certainly not done what was asked.
    pub(super) fn was_never_done(&self) -> bool {
        match self {
            Self::Rejected(error) => error.kind() == ApiErrorKind::RateLimited,
            Self::Failed(failure) | Self::Away { failure, .. } => failure.kind.is_before_sending(),
            Self::Garbled(_) => false,
        }
    }

    /// Whether the service may have done what was asked anyway: what it refuses for good, it has not done, unless it
    /// says that it did before.
    pub(super) fn may_be_done(&self) -> bool {
        match self {
            Self::Rejected(_) if self.upload_status() == Some(UploadStatus::Completed) => true,
            Self::Rejected(error) => error.is_transient() && error.kind() != ApiErrorKind::QuotaExhausted,
            Self::Failed(failure) | Self::Away { failure, .. } => {
                failure.kind != FailureKind::Source && !failure.kind.is_before_sending()
            }
            Self::Garbled(_) => true,
        }
    }

    /// Whether the service says that what was asked for is wrong in itself.
    pub(super) fn is_invalid(&self) -> bool {
        matches!(self, Self::Rejected(error) if error.kind() == ApiErrorKind::Invalid && !error.is_transient())
    }

    /// What it means that the MD5 of a source which may have changed was rejected: it has changed, if the words are about the
    /// MD5.
    pub(super) fn into_unproven(self, operation: OperationId) -> UploadError {
        if matches!(&self, Self::Rejected(error) if error.is_about_md5()) {
            let difference = "its content is not what was sent".to_owned();
            return UploadError::SourceChanged { difference, file: None };
        }
        UploadError::unproven(self.into_error(operation))
    }

    /// The failed attempt, as the progress shows it.
    pub(super) fn retry(&self, attempt: Attempt, wait: Duration) -> Retry {
        match self {
            Self::Rejected(error) => Retry::after_rejection(attempt, error, wait),
            Self::Garbled(garbled) => Retry::after_garbled(attempt, garbled, wait),
            Self::Failed(failure) | Self::Away { failure, .. } => {
                Retry::after_failure(attempt, failure, wait)
            }
        }
    }

    /// Whether the connection broke.
    pub(super) fn is_interruption(&self) -> bool {
        match self {
            // A sleep says nothing of the line.
            Self::Away { outage: None, .. } => false,
            // Without a connection nothing was interrupted.
            Self::Failed(failure) | Self::Away { failure, .. } => {
                !matches!(failure.kind, FailureKind::Source | FailureKind::Connect)
            }
            _ => false,
        }
    }

    /// Whether nothing at all may be sent for a while.
    pub(super) fn is_overload(&self) -> bool {
        matches!(self, Self::Rejected(error) if error.is_overload())
    }

    /// The final state that the upload is in, as the service says.
    pub(super) fn upload_status(&self) -> Option<UploadStatus> {
        match self {
            Self::Rejected(error) => error.upload_status(),
            _ => None,
        }
    }

    pub(super) fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// A request that fails in one outage after another, or breaks again and again with much of its body sent, may be what
    /// breaks the connection: then the failure is its own.
    pub(super) fn excused_once(self, excuse: &mut Excuse) -> Self {
        match self {
            Self::Away { failure, outage: Some(outage), is_broken } => {
                let is_spent = excuse.is_spent(outage) || is_broken;
                let outage = Some(outage);
                if is_spent { Self::Failed(failure) } else { Self::Away { failure, outage, is_broken } }
            }
            other => other,
        }
    }

    /// Whether it shows that what answers there speaks this API.
    pub(super) fn is_of_the_api(&self) -> bool {
        matches!(self, Self::Rejected(error) if error.is_of_the_api())
    }

    pub(super) fn into_error(self, operation: OperationId) -> UploadError {
        match self {
            Self::Rejected(source) => UploadError::Rejected { operation, source },
            Self::Garbled(source) => UploadError::Garbled { operation, source },
            Self::Failed(source) if source.kind == FailureKind::Source => {
                UploadError::of_source(match source.cause {
                    Some(cause) => SourceError::of_cause(cause),
                    None => SourceError::new("no cause was given"),
                })
            }
            Self::Failed(source) | Self::Away { failure: source, .. } => {
                UploadError::Failed { operation, source }
            }
        }
    }
}
