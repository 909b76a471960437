//! The part of a file's record that a list shows, read without the rest of it: a record may name 400,000 parts.

use std::fmt;

use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectStoreExt, path::Path};
use serde::{
    Deserialize, Deserializer as _,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};

use crate::store::{Store, StoreError};

/// The length of the beginning of a record that is read at first, in bytes. Records begin with the name and the size, and a name has at most 512 bytes, which are
/// at most six times as many in JSON; earlier releases took longer ones.
const BEGINNING: u64 = 8 * 1024;
/// The end of every record: that of its content, and its own.
const END: &[u8] = b"]}";

/// Name and size of a file.
#[derive(Debug, Deserialize)]
pub(crate) struct Summary {
    pub(crate) filename: String,
    pub(crate) bytes: u64,
    #[serde(rename = "content")]
    _content: IgnoredAny,
}

/// The beginning of a record, read.
#[derive(Debug)]
pub(crate) enum Glance {
    Summary(Summary),
    /// The name does not end there.
    Longer,
}

impl Glance {
    /// Reads the beginning of a record, if it is there. A large record whose middle is damaged looks whole.
    pub(crate) async fn at(store: &Store, path: &Path) -> Result<Option<Self>, StoreError> {
        let Some((beginning, size)) = read_beginning(store, path).await? else { return Ok(None) };
        let damaged = |source| StoreError::Record { path: store.shown(path), source };
        if size <= BEGINNING {
            return serde_json::from_slice(&beginning)
                .map(|summary| Some(Self::Summary(summary)))
                .map_err(damaged);
        }
        let Some(summary) = parse_beginning(&beginning) else { return Ok(Some(Self::Longer)) };
        let end = match store.objects.get_range(path, size - END.len() as u64..size).await {
            // It was swept since.
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            end => end?,
        };
        if end != END {
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

fn parse_beginning(text: &[u8]) -> Option<Summary> {
    let mut summary = None;
    // The rest of the record is missing, which is an error after the summary was found.
    let _ = serde_json::Deserializer::from_slice(text).deserialize_map(Finder(&mut summary));
    summary
}

/// Finds the summary before the end of a record.
struct Finder<'a>(&'a mut Option<Summary>);

impl<'de> Visitor<'de> for Finder<'_> {
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
                        *self.0 = Some(Summary { filename, bytes, _content: IgnoredAny });
                    }
                    return Ok(());
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
        id::{Attributes, ObjectId, PartId, Stem},
        layout::BlobName,
        record::{FileRecord, Piece},
    };

    fn upload() -> ObjectId {
        let attributes = Attributes::new(&partwise_models::Purpose::Batch, None).unwrap();
        Stem::new(partwise_models::UnixSeconds(7).into(), 7).with(attributes)
    }

    fn record(filename: String, bytes: u64, parts: usize) -> FileRecord {
        let part = |number| PartId::new(partwise_models::UnixSeconds(7), number as u128);
        let piece = |number| Piece { blob: BlobName::of_part(upload(), part(number)), bytes: 7 };
        FileRecord { filename, bytes, content: (0..parts).map(piece).collect() }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn every_record_that_is_written_is_summed_up(
            name in "\\PC{0,40}", repeats in prop_oneof![Just(1usize), 1usize..100, 100usize..1000],
            bytes: u64, parts in prop_oneof![0usize..3, 60usize..100],
        ) {
            let record = record(name.repeat(repeats), bytes, parts);
            let store = Store::memory();
            let path = Path::from("record");
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                store.put_once(&path, &record).await.unwrap();
                let summary = match Glance::at(&store, &path).await.unwrap().unwrap() {
                    Glance::Summary(summary) => summary,
                    Glance::Longer => {
                        assert!(serde_json::to_string(&record.filename).unwrap().len() as u64 > BEGINNING - 40);
                        store.read(&path).await.unwrap().unwrap()
                    }
                };
                assert_eq!((summary.filename, summary.bytes), (record.filename, bytes));
            });
        }
    }

    #[tokio::test]
    async fn a_record_that_is_not_there_is_no_failure() {
        assert!(Glance::at(&Store::memory(), &Path::from("none")).await.unwrap().is_none());
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
            match Glance::at(&store, &Path::from("a")).await.unwrap().unwrap() {
                Glance::Summary(summary) => assert_eq!(summary.bytes, 1_234_567),
                Glance::Longer => {}
            }
        }
    }
}
