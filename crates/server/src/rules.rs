//! What a request may ask for, by dialect. What no source states is chosen in `docs/contract/choices.md`.

use partwise_models::{ExpiresAfter, ExpiryAnchor, Purpose};
use partwise_protocol::{CreateFile, Dialect, OperationId, filename_suits};

use crate::{id::Attributes, refusal::Refusal};

const DAY: u64 = 24 * 60 * 60;

/// The seconds that an upload stays open: an hour at OpenAI, two in Azure's documents.
pub(crate) fn upload_lifetime(dialect: &Dialect) -> u64 {
    match dialect {
        Dialect::OpenAi => 3600,
        _ => 7200,
    }
}

/// What a new file is for and how long it lives, if the dialect allows that.
pub(crate) fn attributes(
    dialect: &Dialect,
    purpose: &Purpose,
    filename: &str,
    expires_after: Option<&ExpiresAfter>,
) -> Result<Attributes, Refusal> {
    let refused =
        || Refusal::Purpose { purpose: purpose.clone(), accepted: accepted_purposes(dialect).collect() };
    if !accepted_purposes(dialect).any(|accepted| accepted == *purpose) {
        return Err(refused());
    }
    check_filename(purpose, filename)?;
    let lifetime = lifetime(dialect, purpose, expires_after)?;
    Attributes::new(purpose, lifetime).ok_or_else(refused)
}

/// What a file may be sent for. The documents of Azure's dated versions also name what jobs write, and those of OpenAI's
/// uploads leave out two that its clients send: both operations take the same here.
fn accepted_purposes(dialect: &Dialect) -> impl Iterator<Item = Purpose> {
    const SENT: [Purpose; 6] = [
        Purpose::FineTune,
        Purpose::Batch,
        Purpose::Assistants,
        Purpose::Evals,
        Purpose::UserData,
        Purpose::Vision,
    ];
    SENT.into_iter().filter(|purpose| OperationId::CreateFile.takes_purpose(purpose, dialect))
}

fn check_filename(purpose: &Purpose, filename: &str) -> Result<(), Refusal> {
    if filename.is_empty() {
        return Err(Refusal::Empty { field: "filename" });
    }
    if !filename_suits(purpose, filename) {
        return Err(Refusal::FilenameSuffix { purpose: purpose.clone(), filename: filename.to_owned() });
    }
    Ok(())
}

fn lifetime(
    dialect: &Dialect,
    purpose: &Purpose,
    expires_after: Option<&ExpiresAfter>,
) -> Result<Option<u64>, Refusal> {
    if !CreateFile::takes_expiry(dialect) {
        return Ok(None);
    }
    let bounds = match dialect {
        Dialect::AzureDated { .. } => (14 * DAY, 30 * DAY),
        _ => (3600, 30 * DAY),
    };
    let Some(ExpiresAfter { anchor, seconds, .. }) = expires_after else {
        let by_default = matches!((dialect, purpose), (Dialect::OpenAi, Purpose::Batch));
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
        attributes(dialect, &Purpose::from(purpose), filename, expiry.as_ref())
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn each_dialect_takes_its_own_purposes() {
        let v1 = Dialect::AzureV1 { api_version: None };
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
    fn training_and_batch_files_are_named_jsonl() {
        for purpose in ["fine-tune", "batch"] {
            assert!(answer(&Dialect::OpenAi, purpose, "x.JSONL", None).is_ok());
            assert!(answer(&Dialect::OpenAi, purpose, "x.json", None).is_err());
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
