//! Summaries of records that may be large, read from their beginnings: a record may name 400,000 parts.

use std::fmt;

use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectStoreExt, path::Path};
use partwise_models::UploadStatus;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};

use crate::{
    record::{EndFields, EndStatus, FileRecord, NoFile},
    store::{RECORDS_AT_ONCE, Store, StoreError},
};

/// The length of the beginning of a record that is read at first, in bytes. Records begin with the name and the size, and a name has at most 512 bytes, which are
/// at most six times as many in JSON; earlier releases took longer ones.
const BEGINNING: u64 = 8 * 1024;

/// Name and size of a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "FileFields")]
pub(crate) struct Summary {
    pub(crate) filename: String,
    pub(crate) bytes: u64,
}

#[derive(Deserialize)]
struct FileFields {
    filename: String,
    bytes: u64,
    #[serde(rename = "content")]
    _content: IgnoredAny,
}

/// How an upload ended, without the parts of its file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "EndFields<Summary>")]
pub(crate) enum End {
    Completed(Summary),
    Cancelled,
    Expired,
}

impl End {
    pub(crate) fn status(&self) -> UploadStatus {
        match self {
            Self::Completed(_) => UploadStatus::Completed,
            Self::Cancelled => UploadStatus::Cancelled,
            Self::Expired => UploadStatus::Expired,
        }
    }
}

impl From<FileFields> for Summary {
    fn from(file: FileFields) -> Self {
        Self { filename: file.filename, bytes: file.bytes }
    }
}

impl From<&FileRecord> for Summary {
    fn from(file: &FileRecord) -> Self {
        Self { filename: file.filename.clone(), bytes: file.bytes }
    }
}

impl TryFrom<EndFields<Summary>> for End {
    type Error = NoFile;

    fn try_from(end: EndFields<Summary>) -> Result<Self, NoFile> {
        Ok(match end.status {
            EndStatus::Completed => Self::Completed(end.file.ok_or(NoFile)?),
            EndStatus::Cancelled => Self::Cancelled,
            EndStatus::Expired => Self::Expired,
        })
    }
}

/// A summary that the beginning of a record shows.
pub(crate) trait Summarized: DeserializeOwned + Send + 'static {
    /// Reads it from the beginning of a record; `None` when it does not end there.
    fn of_beginning(text: &[u8]) -> Option<Self>;

    /// Checks the last bytes of a record.
    fn is_end(text: &[u8]) -> bool;

    /// Reads the summary of a record, if it is there.
    async fn read(store: &Store, path: &Path) -> Result<Option<Self>, StoreError> {
        let glance = {
            let _open = RECORDS_AT_ONCE.acquire().await;
            Glance::at(store, path).await?
        };
        match glance {
            Some(Glance::Summary(summary)) => Ok(Some(summary)),
            Some(Glance::Longer) => store.read(path).await,
            None => Ok(None),
        }
    }
}

impl Summarized for Summary {
    fn of_beginning(text: &[u8]) -> Option<Self> {
        let mut summary = None;
        // The rest of the record is missing, which is an error after the summary was found.
        let _ = FileFinder(&mut summary).deserialize(&mut serde_json::Deserializer::from_slice(text));
        summary
    }

    fn is_end(text: &[u8]) -> bool {
        text.ends_with(b"]}")
    }
}

impl Summarized for End {
    fn of_beginning(text: &[u8]) -> Option<Self> {
        let mut end = None;
        let _ = serde_json::Deserializer::from_slice(text).deserialize_map(EndFinder(&mut end));
        end
    }

    fn is_end(text: &[u8]) -> bool {
        let md5 = b"]},\"md5\":\"";
        text.ends_with(b"]}}")
            || text.ends_with(b"\"}") && text.windows(md5.len()).any(|window| window == md5)
    }
}

/// The beginning of a record, read.
#[derive(Debug)]
pub(crate) enum Glance<S> {
    Summary(S),
    /// The name does not end there.
    Longer,
}

/// The last bytes of a record that are looked at: an MD5 and what stands around it.
const END: u64 = 48;

impl<S: Summarized> Glance<S> {
    /// Reads the beginning of a record, if it is there. A large record whose middle is damaged looks whole.
    pub(crate) async fn at(store: &Store, path: &Path) -> Result<Option<Self>, StoreError> {
        let Some((beginning, size)) = read_beginning(store, path).await? else { return Ok(None) };
        let damaged = |source| StoreError::Record { path: store.shown(path), source };
        if size <= BEGINNING {
            return serde_json::from_slice(&beginning)
                .map(|summary| Some(Self::Summary(summary)))
                .map_err(damaged);
        }
        let Some(summary) = S::of_beginning(&beginning) else { return Ok(Some(Self::Longer)) };
        let end = match store.objects.get_range(path, size - END..size).await {
            // It was swept since.
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            end => end?,
        };
        if !S::is_end(&end) {
            return Err(damaged(serde_json::Error::custom("the record is truncated")));
        }
        Ok(Some(Self::Summary(summary)))
    }
}

/// The beginning of an object, and how long all of it is.
async fn read_beginning(store: &Store, path: &Path) -> Result<Option<(Bytes, u64)>, StoreError> {
    let options = GetOptions { range: Some(GetRange::Bounded(0..BEGINNING)), ..GetOptions::default() };
    match store.objects.get_opts(path, options).await {
        Ok(answer) => {
            let size = answer.meta.size;
            Ok(Some((answer.bytes().await?, size)))
        }
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        // An empty object has no range.
        Err(error) => match store.objects.head(path).await {
            Ok(meta) if meta.size == 0 => Ok(Some((Bytes::new(), 0))),
            _ => Err(error.into()),
        },
    }
}

/// Finds the summary before the end of a file's record.
struct FileFinder<'a>(&'a mut Option<Summary>);

impl<'de> DeserializeSeed<'de> for FileFinder<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FileFinder<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let (mut filename, mut bytes) = (None, None);
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "filename" => filename = Some(members.next_value()?),
                "bytes" => bytes = Some(members.next_value()?),
                // Both are whole when something stands behind them: a number could go on.
                "content" => {
                    if let (Some(filename), Some(bytes)) = (filename, bytes) {
                        *self.0 = Some(Summary { filename, bytes });
                    }
                    return Ok(());
                }
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Finds the summary before the end of an upload's end.
struct EndFinder<'a>(&'a mut Option<End>);

impl<'de> Visitor<'de> for EndFinder<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut status = None;
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "status" => status = Some(members.next_value()?),
                // Without a status before it, the whole record says what it is.
                "file" if status == Some(EndStatus::Completed) => {
                    let mut file = None;
                    let rest = members.next_value_seed(FileFinder(&mut file));
                    *self.0 = file.map(End::Completed);
                    return rest;
                }
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        content::{Manifest, PartPiece},
        id::{Attributes, ObjectId, PartId, Stem},
        record::{FinalRecord, Nonce, UploadEnd},
    };

    fn upload() -> ObjectId {
        let attributes = Attributes::new(&partwise_models::Purpose::Batch, None).unwrap();
        Stem::new(partwise_models::UnixSeconds(7).into(), 7).with(attributes)
    }

    fn record(filename: String, bytes: u64, parts: usize) -> FileRecord {
        let part = |number| PartId::new(partwise_models::UnixSeconds(7), number as u128);
        let piece = |number| PartPiece { part: part(number), bytes: 7 };
        let content = Manifest::Parts { upload: upload(), parts: (0..parts).map(piece).collect() };
        FileRecord { filename, bytes, content }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn every_record_that_is_written_is_summed_up(
            name in "\\PC{0,40}", repeats in prop_oneof![Just(1usize), 1usize..100, 100usize..1000],
            bytes: u64, parts in prop_oneof![0usize..3, 60usize..100], has_md5: bool,
        ) {
            let record = record(name.repeat(repeats), bytes, parts);
            let store = Store::memory();
            let path = Path::from("record");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                store.put_once(&path, &record).await.unwrap();
                let summary: Summary = match Glance::at(&store, &path).await.unwrap().unwrap() {
                    Glance::Summary(summary) => summary,
                    Glance::Longer => {
                        assert!(serde_json::to_string(&record.filename).unwrap().len() as u64 > BEGINNING - 40);
                        store.read(&path).await.unwrap().unwrap()
                    }
                };
                assert_eq!((&summary.filename, summary.bytes), (&record.filename, bytes));
                if parts > 0 {
                    let outcome = UploadEnd::Completed { file: record, md5: has_md5.then(|| "0".repeat(32)) };
                    let end = FinalRecord { at: partwise_models::UnixSeconds(bytes), by: None, outcome };
                    store.put_once(&Path::from("end"), &end).await.unwrap();
                    let end = End::read(&store, &Path::from("end")).await.unwrap().unwrap();
                    assert_eq!(end, End::Completed(summary));
                }
            });
        }
    }

    #[tokio::test]
    async fn a_record_that_is_not_there_is_no_failure() {
        assert!(Glance::<Summary>::at(&Store::memory(), &Path::from("none")).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_number_that_may_go_on_is_not_believed() {
        let store = Store::memory();
        let text = serde_json::to_string(&record("n".repeat(8000), 1_234_567, 100)).unwrap();
        // The number is cut at each of its digits, and what is read of the record with it.
        for missing in 0..200 {
            let name = "n".repeat(8000 + missing);
            let text = text.replace(&"n".repeat(8000), &name);
            store.objects.put(&Path::from("a"), text.into()).await.unwrap();
            match Glance::<Summary>::at(&store, &Path::from("a")).await.unwrap().unwrap() {
                Glance::Summary(summary) => assert_eq!(summary.bytes, 1_234_567),
                Glance::Longer => {}
            }
        }
    }

    #[tokio::test]
    async fn a_large_end_that_breaks_off_is_damaged() {
        let (store, path) = (Store::memory(), Path::from("end"));
        let outcome = UploadEnd::Completed { file: record("a".into(), 7, 1000), md5: Some("0".repeat(32)) };
        let end = FinalRecord { at: partwise_models::UnixSeconds(7), by: Some(Nonce(7)), outcome };
        let text = serde_json::to_vec(&end).unwrap();
        for missing in 1..200 {
            let torn = text[..text.len() - missing].to_vec();
            store.objects.put(&path, torn.into()).await.unwrap();
            assert!(matches!(End::read(&store, &path).await, Err(StoreError::Record { .. })), "{missing}");
        }
    }
}
