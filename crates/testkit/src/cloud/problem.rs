//! The rejections of a store, in the words of each dialect.

use http::{HeaderValue, StatusCode, header};

use super::{answer::Answer, request::Dialect, xml};

/// A request that is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    /// The credentials are not the store's.
    Stranger,
    /// The object is there, and was to be made.
    Exists,
    /// The object is not the one that was to be replaced.
    Changed,
    OutOfRange {
        length: u64,
    },
    PartTooSmall,
    NoSuchPart,
    Malformed,
    /// No dialect has such a request here.
    Unknown,
    /// A test wants this status.
    Wanted(u16),
}

impl Problem {
    /// The status, and the code of the error.
    fn told(self, dialect: Dialect) -> (u16, &'static str) {
        use Dialect::{Azure, Gcs, S3};
        match (self, dialect) {
            (Self::NoSuchBucket, Azure) => (404, "ContainerNotFound"),
            (Self::NoSuchBucket, S3 | Gcs) => (404, "NoSuchBucket"),
            (Self::NoSuchKey, Azure) => (404, "BlobNotFound"),
            (Self::NoSuchKey, S3 | Gcs) => (404, "NoSuchKey"),
            (Self::NoSuchUpload, _) => (404, "NoSuchUpload"),
            (Self::Stranger, S3) => (403, "InvalidAccessKeyId"),
            (Self::Stranger, Azure) => (403, "AuthenticationFailed"),
            (Self::Stranger, Gcs) => (401, "AuthenticationRequired"),
            (Self::Exists, Azure) => (409, "BlobAlreadyExists"),
            (Self::Exists, S3 | Gcs) => (412, "PreconditionFailed"),
            (Self::Changed, Azure) => (412, "ConditionNotMet"),
            (Self::Changed, S3 | Gcs) => (412, "PreconditionFailed"),
            (Self::OutOfRange { .. }, _) => (416, "InvalidRange"),
            (Self::PartTooSmall, _) => (400, "EntityTooSmall"),
            (Self::NoSuchPart, Azure) => (400, "InvalidBlockList"),
            (Self::NoSuchPart, S3 | Gcs) => (400, "InvalidPart"),
            (Self::Malformed, Azure) => (400, "InvalidInput"),
            (Self::Malformed, S3 | Gcs) => (400, "InvalidArgument"),
            (Self::Unknown, _) => (501, "NotImplemented"),
            (Self::Wanted(409), S3) => (409, "ConditionalRequestConflict"),
            (Self::Wanted(409), Azure) => (409, "BlobAlreadyExists"),
            (Self::Wanted(503), S3) => (503, "SlowDown"),
            (Self::Wanted(503), Azure) => (503, "ServerBusy"),
            (Self::Wanted(403), _) => (403, "AccessDenied"),
            (Self::Wanted(status), _) => (status, "Wanted"),
        }
    }

    pub(super) fn answer(self, dialect: Dialect) -> Answer {
        let (status, code) = self.told(dialect);
        let inside = xml::text("Code", code) + &xml::text("Message", "a fake store says so");
        let mut answer = Answer::xml(StatusCode::from_u16(status).unwrap(), xml::document("Error", &inside));
        if let Self::OutOfRange { length } = self {
            answer = answer.with(header::CONTENT_RANGE, format!("bytes */{length}"));
        }
        if dialect == Dialect::Azure {
            answer.response.headers_mut().insert("x-ms-error-code", HeaderValue::from_static(code));
        }
        answer
    }
}
