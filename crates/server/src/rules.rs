//! The rules for the values in a request, by dialect. Where no source states one it is chosen in `docs/contract/choices.md`.

use partwise_models::{CreateUploadRequest, ExpiresAfter, ExpiryAnchor, ImportFileRequest, Purpose};
use partwise_protocol::{
    Dialect,
    jsonl::filename_suits,
    multipart::FieldHead,
    operations::{CreateFile, OperationId},
};

use crate::{id::Attributes, refusal::Refusal};

const DAY: u64 = 24 * 60 * 60;
/// The seconds after which every upload is over, in every dialect.
pub(crate) const LONGEST_UPLOAD: u64 = 2 * 60 * 60;

/// The length of the longest name of a file, in bytes: names are in every list.
const LONGEST_FILENAME: usize = 512;
/// The length of the longest media type, in bytes.
const LONGEST_MEDIA_TYPE: usize = 255;

/// The rules for requests of one dialect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) dialect: &'a Dialect,
    /// Keep to the documents where a live service was seen to take more.
    pub(crate) is_strict: bool,
}

/// An upload that may be begun.
#[derive(Clone, Debug)]
pub(crate) struct NewUpload {
    pub(crate) attributes: Attributes,
    pub(crate) filename: String,
    pub(crate) bytes: u64,
    pub(crate) mime_type: String,
    /// The seconds that it stays open.
    pub(crate) lifetime: u64,
}

impl Rules<'_> {
    /// Checks what the form says of a content before it comes.
    pub(crate) fn check_head(self, head: &FieldHead) -> Result<(), Refusal> {
        check_length("filename", head.filename.as_deref().unwrap_or_default(), LONGEST_FILENAME)?;
        let media_type = head.content_type.as_deref().unwrap_or_default();
        check_length("mime_type", media_type, LONGEST_MEDIA_TYPE)?;
        if media_type.is_empty() && matches!(self.dialect, Dialect::AzureDated { .. }) {
            return Err(Refusal::NoFileType);
        }
        Ok(())
    }

    /// The purpose and the lifetime of a new file, if the dialect allows them.
    pub(crate) fn attributes(
        self,
        purpose: &Purpose,
        filename: &str,
        expires_after: Option<&ExpiresAfter>,
    ) -> Result<Attributes, Refusal> {
        let refused =
            || Refusal::Purpose { purpose: purpose.clone(), accepted: self.accepted_purposes().collect() };
        if !self.accepted_purposes().any(|accepted| accepted == *purpose) {
            return Err(refused());
        }
        self.check_filename(purpose, filename)?;
        let lifetime = self.lifetime(purpose, expires_after)?;
        Attributes::new(purpose, lifetime).ok_or_else(refused)
    }

    /// An upload of at most `limit` bytes, if the dialect allows what it is to become.
    pub(crate) fn upload(self, request: CreateUploadRequest, limit: u64) -> Result<NewUpload, Refusal> {
        let CreateUploadRequest { filename, purpose, bytes, mime_type, expires_after, .. } = request;
        let attributes = self.attributes(&purpose, &filename, expires_after.as_ref())?;
        if mime_type.is_empty() {
            return Err(Refusal::Empty { field: "mime_type" });
        }
        check_length("mime_type", &mime_type, LONGEST_MEDIA_TYPE)?;
        if bytes == 0 || bytes > limit {
            return Err(Refusal::UploadBytes { bytes, limit });
        }
        Ok(NewUpload { attributes, filename, bytes, mime_type, lifetime: self.upload_lifetime() })
    }

    /// Checks what a file that the service is to fetch itself would be called.
    pub(crate) fn check_import(self, request: &ImportFileRequest) -> Result<(), Refusal> {
        check_length("filename", &request.filename, LONGEST_FILENAME)
    }

    /// An hour at OpenAI, two in Azure's documents.
    fn upload_lifetime(self) -> u64 {
        match self.dialect {
            Dialect::OpenAi => 3600,
            _ => LONGEST_UPLOAD,
        }
    }

    /// The purposes that a file may be sent with. The documents of Azure's dated versions also name what jobs write, and those of
    /// OpenAI's uploads leave out two that its clients send: both operations take the same here.
    fn accepted_purposes(self) -> impl Iterator<Item = Purpose> {
        const SENT: [Purpose; 6] = [
            Purpose::FineTune,
            Purpose::Batch,
            Purpose::Assistants,
            Purpose::Evals,
            Purpose::UserData,
            Purpose::Vision,
        ];
        SENT.into_iter().filter(move |purpose| OperationId::CreateFile.takes_purpose(purpose, self.dialect))
    }

    fn check_filename(self, purpose: &Purpose, filename: &str) -> Result<(), Refusal> {
        if filename.is_empty() {
            return Err(Refusal::Empty { field: "filename" });
        }
        check_length("filename", filename, LONGEST_FILENAME)?;
        // OpenAI was seen to take one, which reports contradict.
        let takes_any = *purpose == Purpose::Batch && *self.dialect == Dialect::OpenAi && !self.is_strict;
        if takes_any || filename_suits(purpose, filename) {
            return Ok(());
        }
        Err(Refusal::FilenameSuffix { purpose: purpose.clone(), filename: filename.to_owned() })
    }

    fn lifetime(
        self,
        purpose: &Purpose,
        expires_after: Option<&ExpiresAfter>,
    ) -> Result<Option<u64>, Refusal> {
        if !CreateFile::takes_expiry(self.dialect) {
            return Ok(None);
        }
        let bounds = match self.dialect {
            Dialect::AzureDated { .. } => (14 * DAY, 30 * DAY),
            _ => (3600, 30 * DAY),
        };
        let Some(ExpiresAfter { anchor, seconds, .. }) = expires_after else {
            let by_default = matches!((self.dialect, purpose), (Dialect::OpenAi, Purpose::Batch));
            return Ok(by_default.then_some(30 * DAY));
        };
        if *anchor != ExpiryAnchor::CreatedAt {
            return Err(Refusal::Anchor { anchor: anchor.to_string() });
        }
        if !(bounds.0..=bounds.1).contains(seconds) {
            return Err(Refusal::Lifetime { seconds: *seconds, bounds });
        }
        Ok(Some(*seconds))
    }
}

fn check_length(field: &'static str, text: &str, limit: usize) -> Result<(), Refusal> {
    let bytes = text.len();
    if bytes > limit { Err(Refusal::TooLong { field, bytes, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dated(version: &str) -> Dialect {
        Dialect::AzureDated { api_version: version.into() }
    }

    fn answer(
        dialect: &Dialect,
        purpose: &str,
        filename: &str,
        seconds: Option<u64>,
    ) -> Result<Attributes, String> {
        let expiry = seconds.map(|seconds| ExpiresAfter::new(ExpiryAnchor::CreatedAt, seconds));
        Rules { dialect, is_strict: false }
            .attributes(&Purpose::from(purpose), filename, expiry.as_ref())
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn each_dialect_takes_its_own_purposes() {
        let v1 = Dialect::AzureV1 { api_version: None };
        let previews = ["2024-02-01", "2024-02-15-preview", "2024-05-01-preview", "2024-07-01-preview"];
        let taken_for =
            |purpose| previews.map(|version| answer(&dated(version), purpose, "x.jsonl", None).is_ok());
        assert_eq!(taken_for("assistants"), [false, true, true, true]);
        assert_eq!(taken_for("batch"), [false, false, false, true]);
        assert_eq!(taken_for("fine-tune"), [true; 4]);
        assert_eq!(taken_for("evals"), [false; 4]);
        for (purpose, openai, june, october, later) in [
            ("fine-tune", true, true, true, true),
            ("batch", true, false, true, true),
            ("assistants", true, false, true, true),
            ("evals", true, false, false, true),
            ("user_data", true, false, false, false),
            ("vision", true, false, false, false),
            ("batch_output", false, false, false, false),
            ("fine-tune-results", false, false, false, false),
            ("mine", false, false, false, false),
        ] {
            let taken = |dialect: &Dialect| answer(dialect, purpose, "x.jsonl", None).is_ok();
            assert_eq!((taken(&Dialect::OpenAi), taken(&v1)), (openai, openai), "{purpose}");
            let azure =
                ["2024-06-01", "2024-10-21", "2025-04-01-preview"].map(|version| taken(&dated(version)));
            assert_eq!(azure, [june, october, later], "{purpose}");
        }
        insta::assert_snapshot!(answer(&Dialect::OpenAi, "batch_output", "x", None).unwrap_err(), @"`batch_output` is not a purpose to send a file with: take one of fine-tune, batch, assistants, evals, user_data, vision");
    }

    #[test]
    fn training_and_batch_files_are_named_jsonl_where_the_service_looks_at_it() {
        for dialect in [Dialect::OpenAi, dated("2024-10-21"), Dialect::AzureV1 { api_version: None }] {
            for (purpose, is_taken) in [("fine-tune", false), ("batch", dialect == Dialect::OpenAi)] {
                assert!(answer(&dialect, purpose, "x.JSONL", None).is_ok());
                assert_eq!(
                    answer(&dialect, purpose, "x.json", None).is_ok(),
                    is_taken,
                    "{purpose} {dialect}"
                );
                let strict = Rules { dialect: &dialect, is_strict: true };
                assert!(strict.attributes(&purpose.into(), "x.json", None).is_err(), "{purpose} {dialect}");
            }
        }
        assert!(answer(&Dialect::OpenAi, "assistants", "x.json", None).is_ok());
        assert!(answer(&Dialect::OpenAi, "assistants", "", None).is_err());
    }

    #[test]
    fn a_lifetime_is_kept_to_the_dialects_bounds() {
        let plain = |purpose, lifetime| Ok(Attributes::new(&Purpose::from(purpose), lifetime).unwrap());
        let openai = Dialect::OpenAi;
        assert_eq!(answer(&openai, "assistants", "x", Some(3600)), plain("assistants", Some(3600)));
        assert_eq!(answer(&openai, "assistants", "x", Some(30 * DAY)), plain("assistants", Some(30 * DAY)));
        assert!(answer(&openai, "assistants", "x", Some(3599)).is_err());
        assert!(answer(&openai, "assistants", "x", Some(30 * DAY + 1)).is_err());
        assert!(answer(&dated("2025-04-01-preview"), "assistants", "x", Some(3600)).is_err());
        assert_eq!(
            answer(&dated("2024-10-21"), "assistants", "x", Some(1)),
            plain("assistants", None),
            "ignored"
        );
    }

    #[test]
    fn only_openai_lets_batch_files_expire_by_default() {
        let batch = |lifetime| Ok(Attributes::new(&Purpose::Batch, lifetime).unwrap());
        assert_eq!(answer(&Dialect::OpenAi, "batch", "x.jsonl", None), batch(Some(30 * DAY)));
        assert_eq!(answer(&Dialect::AzureV1 { api_version: None }, "batch", "x.jsonl", None), batch(None));
    }
}
