//! Names that the services want.

use partwise_models::Purpose;

/// Whether the services take a file of this name for this purpose: for fine-tuning and batches it has to end with `.jsonl`,
/// which they look at only when all of the file is there.
///
/// ```
/// use partwise_models::Purpose;
/// use partwise_protocol::jsonl::filename_suits;
///
/// assert!(filename_suits(&Purpose::Batch, "requests.jsonl"));
/// assert!(!filename_suits(&Purpose::Batch, "requests.jsonl.gz"));
/// ```
#[must_use]
pub fn filename_suits(purpose: &Purpose, filename: &str) -> bool {
    let is_jsonl = filename.to_ascii_lowercase().ends_with(".jsonl");
    is_jsonl || !matches!(purpose, Purpose::FineTune | Purpose::Batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_and_training_files_are_named_jsonl() {
        for purpose in [Purpose::FineTune, Purpose::Batch] {
            assert!(filename_suits(&purpose, "a.jsonl") && filename_suits(&purpose, "A.JSONL"));
            assert!(!filename_suits(&purpose, "a.json") && !filename_suits(&purpose, "jsonl"));
        }
        assert!(filename_suits(&Purpose::Assistants, "a.json"));
    }
}
