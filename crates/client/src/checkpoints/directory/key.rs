//! What makes two runs work on the same upload.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use http::HeaderMap;
use partwise_models::Purpose;
use partwise_protocol::upload::Plan;
use sha2::{Digest as _, Sha256};

use crate::Client;

/// What identifiers begin with where the service has none.
const LOCAL: &str = "local-";

/// What is uploaded where: the same in every run that works on one upload.
///
/// ```no_run
/// use partwise::{CheckpointDir, Client, Purpose, UploadSubject, protocol::upload::Plan};
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let plan = Plan::new("train.jsonl", "application/jsonl", Purpose::FineTune);
/// let subject = UploadSubject::of_file("data/train.jsonl".as_ref(), &plan, &client)?;
/// let unfinished = CheckpointDir::default()?.enter(&subject).await?;
/// println!("{}", if unfinished.load()?.is_some() { "to be resumed" } else { "new" });
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct UploadSubject {
    /// The path of the file, in the directory that it really is in; of what is no file, the name that it is uploaded under.
    file: PathBuf,
    /// The name that a file is uploaded under, where that is another than its own.
    another_name: Option<String>,
    purpose: Purpose,
    mime_type: String,
    /// What the service is known by.
    place: String,
    /// On whose behalf, where that is said besides the key.
    account: String,
}

/// Names one upload in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(String);

/// The path of `file` without links and dots in its directory. The file's own name stays, since that is the one on the
/// service.
fn settled(file: &Path) -> io::Result<PathBuf> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok(fs::canonicalize(folder)?.join(file.file_name().unwrap_or_default()))
}

impl UploadSubject {
    /// The upload of the file at `path`, as the plan says, by this client.
    ///
    /// # Errors
    /// When the file's directory cannot be found.
    pub fn of_file(path: &Path, plan: &Plan, client: &Client) -> io::Result<Self> {
        let file = settled(path)?;
        let is_another = file.file_name() != Some(OsStr::new(&plan.filename));
        let another_name = is_another.then(|| plan.filename.clone());
        Ok(Self { another_name, ..Self::new(file, plan, client) })
    }

    /// The upload of something that is no file, known by the name in the plan alone.
    #[must_use]
    pub fn of_name(plan: &Plan, client: &Client) -> Self {
        Self::new(PathBuf::from(&plan.filename), plan, client)
    }

    fn new(file: PathBuf, plan: &Plan, client: &Client) -> Self {
        Self {
            file,
            another_name: None,
            purpose: plan.purpose.clone(),
            mime_type: plan.mime_type.clone(),
            place: client.api().identity().to_owned(),
            account: account_of(&client.headers),
        }
    }

    /// The path of the file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What the service is known by.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The same for the same subject in every run and release.
    pub(super) fn key(&self) -> Key {
        self.key_of(&self.file, self.another_name.as_deref())
    }

    /// The key that earlier releases gave a file with another name than it is uploaded under: all files of a directory that are uploaded
    /// under one name share it.
    pub(super) fn earlier_key(&self) -> Option<Key> {
        let name = self.another_name.as_deref()?;
        Some(self.key_of(&self.file.with_file_name(name), None))
    }

    fn key_of(&self, file: &Path, another_name: Option<&str>) -> Key {
        let mut hash = Sha256::new();
        let fields = [
            file.as_os_str().as_encoded_bytes(),
            self.purpose.as_str().as_bytes(),
            self.mime_type.as_bytes(),
            self.place.as_bytes(),
            self.account.as_bytes(),
        ];
        for field in fields.into_iter().chain(another_name.map(str::as_bytes)) {
            // With its length before it no field can run into the next one.
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field);
        }
        Key(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// The headers that say on whose behalf the key is used, as they stand in keys.
fn account_of(headers: &HeaderMap) -> String {
    let said = ["openai-organization", "openai-project"].into_iter().filter_map(|name| {
        let value = String::from_utf8_lossy(headers.get(name)?.as_bytes());
        Some(format!("{name}: {value}"))
    });
    said.collect::<Vec<_>>().join(", ")
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
pub(super) fn is_local(id: &str) -> bool {
    id.starts_with(LOCAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_the_same_and_every_field_counts() {
        let named = |file: &str, name: Option<&str>, purpose: Purpose, mime_type: &str, place: &str| {
            let (file, another_name, account) = (file.into(), name.map(str::to_owned), String::new());
            let (mime_type, place) = (mime_type.to_owned(), place.to_owned());
            UploadSubject { file, another_name, purpose, mime_type, place, account }
        };
        let subject = |file: &str, purpose: Purpose, mime_type: &str, place: &str| {
            named(file, None, purpose, mime_type, place).key().name().to_owned()
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
        let [renamed, other] = ["/data/c.jsonl", "/data/d.jsonl"].map(|file| {
            named(file, Some("a.jsonl"), Purpose::Batch, "application/jsonl", "https://api.openai.com/v1")
        });
        assert!(renamed.key().name() != key && renamed.key() != other.key());
        // Earlier releases gave both the same.
        assert_eq!(
            (renamed.earlier_key().unwrap().name(), renamed.earlier_key()),
            (&*key, other.earlier_key())
        );
    }

    #[test]
    fn a_file_has_another_name_when_it_is_uploaded_under_one_and_other_content_never_has() {
        let api = partwise_protocol::Api::openai();
        let service = tower::service_fn(|_: http::Request<crate::RequestBody>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(
                http_body_util::Empty::<bytes::Bytes>::new(),
            ))
        });
        let credential = partwise_protocol::Credential::key("key").unwrap();
        let client = Client::builder(api, credential).transport(service).build();
        let folder = tempfile::tempdir().unwrap();
        let plan = |name: &str| Plan::new(name, "application/jsonl", Purpose::Batch);
        let of_file = |file: &str, name: &str| {
            UploadSubject::of_file(&folder.path().join(file), &plan(name), &client).unwrap()
        };
        assert_eq!(of_file("a.jsonl", "a.jsonl").earlier_key(), None);
        let renamed = of_file("b.jsonl", "a.jsonl");
        assert_eq!(renamed.earlier_key(), Some(of_file("a.jsonl", "a.jsonl").key()));
        // A name may look like a path without being one.
        assert_eq!(UploadSubject::of_name(&plan("train/a.jsonl"), &client).earlier_key(), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_whose_name_is_no_text_is_found_by_the_key_of_an_earlier_release() {
        use std::os::unix::ffi::OsStrExt as _;

        let subject = |file: &[u8], another_name: Option<&str>| UploadSubject {
            file: PathBuf::from(OsStr::from_bytes(file)),
            another_name: another_name.map(str::to_owned),
            purpose: Purpose::Batch,
            mime_type: "application/jsonl".to_owned(),
            place: "https://api.openai.com/v1".to_owned(),
            account: String::new(),
        };
        let earlier = subject("/data/\u{FFFD}.jsonl".as_bytes(), None).key();
        assert_eq!(subject(b"/data/\xff.jsonl", Some("\u{FFFD}.jsonl")).earlier_key(), Some(earlier));
    }

    #[test]
    fn two_ways_to_the_same_file_are_one_and_a_link_has_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(folder.path()).unwrap().join("a.txt");
        fs::write(&real, "x").unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        let around = folder.path().join("deep/../a.txt");
        assert_eq!(settled(&around).unwrap(), real);
        settled(&folder.path().join("missing/a.txt")).unwrap_err();
        let here = std::env::current_dir().unwrap();
        assert_eq!(settled(Path::new("a.txt")).unwrap(), fs::canonicalize(here).unwrap().join("a.txt"));
    }
}
