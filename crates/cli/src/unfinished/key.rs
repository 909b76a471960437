//! What makes two runs work on the same upload.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use partwise_models::Purpose;
use sha2::{Digest as _, Sha256};

/// What identifiers begin with where the service has none.
const LOCAL: &str = "local-";

/// What is uploaded where.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    /// The file, by the name that it is uploaded under, in the folder that it really is in.
    pub(crate) file: PathBuf,
    pub(crate) purpose: &'a Purpose,
    pub(crate) mime_type: &'a str,
    /// What the service is known by.
    pub(crate) place: &'a str,
    /// On whose behalf, where that is said besides the key.
    pub(crate) account: &'a str,
}

/// Names one upload in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(String);

/// The path of `file` without links and dots in its folder. The file's own name stays, since that is the one on the
/// service.
pub(crate) fn settled(file: &Path) -> io::Result<PathBuf> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok(fs::canonicalize(folder)?.join(file.file_name().unwrap_or_default()))
}

impl Subject<'_> {
    /// The same for the same subject in every run and release.
    pub(super) fn key(&self) -> Key {
        let mut hash = Sha256::new();
        for field in [
            self.file.as_os_str().as_encoded_bytes(),
            self.purpose.as_str().as_bytes(),
            self.mime_type.as_bytes(),
            self.place.as_bytes(),
            self.account.as_bytes(),
        ] {
            // With its length before it no field can run into the next one.
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field);
        }
        Key(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Key {
    pub(super) fn of_name(name: &str) -> Self {
        Self(name.to_owned())
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// An identifier for people, where the service has none.
    pub(super) fn local_id(&self) -> String {
        format!("{LOCAL}{}", self.0.chars().take(12).collect::<String>())
    }
}

/// Whether this is an identifier of ours.
pub(crate) fn is_local(id: &str) -> bool {
    id.starts_with(LOCAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_the_same_and_every_field_counts() {
        let subject = |file: &str, purpose: Purpose, mime_type: &str, place: &str| {
            Subject { file: file.into(), purpose: &purpose, mime_type, place, account: "" }
                .key()
                .name()
                .to_owned()
        };
        let key = subject("/data/a.jsonl", Purpose::Batch, "application/jsonl", "https://api.openai.com/v1");
        assert_eq!(key, "62bf7624690c15208b0c149b36942071");
        let others = [
            subject("/data/b.jsonl", Purpose::Batch, "application/jsonl", "https://api.openai.com/v1"),
            subject("/data/a.jsonl", Purpose::FineTune, "application/jsonl", "https://api.openai.com/v1"),
            subject("/data/a.jsonl", Purpose::Batch, "application/json", "https://api.openai.com/v1"),
            subject("/data/a.jsonl", Purpose::Batch, "application/jsonl", "https://other.example/v1"),
        ];
        assert!(!others.contains(&key));
    }

    #[test]
    fn two_ways_to_the_same_file_are_one_and_a_link_has_its_own_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let real = fs::canonicalize(folder.path()).expect("it exists").join("a.txt");
        fs::write(&real, "x").expect("writable");
        fs::create_dir(folder.path().join("deep")).expect("writable");
        let around = folder.path().join("deep/../a.txt");
        assert_eq!(settled(&around).expect("it exists"), real);
        settled(&folder.path().join("missing/a.txt")).expect_err("no such folder");
        let here = std::env::current_dir().expect("there is one");
        assert_eq!(
            settled(Path::new("a.txt")).expect("here"),
            fs::canonicalize(here).expect("here").join("a.txt")
        );
    }
}
