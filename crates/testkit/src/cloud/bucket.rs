//! The one bucket that all dialects share.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::{problem::Problem, request::Condition};

/// The least bytes of a part that is not the last one.
const SMALLEST_PART: usize = 5 * 1024 * 1024;
/// The numbers that parts may have.
const PART_NUMBERS: std::ops::RangeInclusive<u32> = 1..=10_000;

/// Objects, and what may become some.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    objects: BTreeMap<String, Object>,
    /// Uploads of parts, by their identifiers.
    uploads: HashMap<String, Upload>,
    /// The blocks that no object has yet, by the key that they are for and their identifiers.
    blocks: HashMap<String, HashMap<String, Bytes>>,
    /// The generation that was given last.
    generation: u64,
    /// The lists that were asked for.
    lists: u64,
    pub(super) lateness: Lateness,
}

#[derive(Debug)]
pub(super) struct Object {
    pub(super) content: Bytes,
    pub(super) generation: u64,
    pub(super) written: SystemTime,
    created: Instant,
    /// The lists that were asked for before it was there.
    lists_before: u64,
}

/// How late lists are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lateness {
    /// The lists in which a new object is not to be seen.
    pub(super) lists: u64,
    /// The time for which it is not.
    pub(super) time: Duration,
}

#[derive(Debug)]
struct Upload {
    key: String,
    parts: BTreeMap<u32, Part>,
}

#[derive(Debug)]
struct Part {
    etag: String,
    content: Bytes,
}

impl Object {
    pub(super) fn etag(&self) -> String {
        etag(self.generation)
    }
}

fn etag(generation: u64) -> String {
    format!("\"{generation}\"")
}

impl Bucket {
    pub(super) fn object(&self, key: &str) -> Result<&Object, Problem> {
        self.objects.get(key).ok_or(Problem::NoSuchKey)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.objects.keys().map(String::as_str)
    }

    /// The objects that a list shows from this key on, in order.
    pub(super) fn listed(&self, from: &str) -> impl Iterator<Item = (&str, &Object)> {
        let objects = self.objects.range(from.to_owned()..).map(|(key, object)| (key.as_str(), object));
        objects.filter(|(_, object)| self.is_listed(object))
    }

    fn is_listed(&self, object: &Object) -> bool {
        let Lateness { lists, time } = self.lateness;
        self.lists - object.lists_before > lists && object.created.elapsed() >= time
    }

    pub(super) fn count_list(&mut self) {
        self.lists += 1;
    }

    /// The uploads of parts that are neither completed nor given up, and the keys that have blocks.
    pub(super) fn unfinished(&self) -> usize {
        self.uploads.len() + self.blocks.len()
    }

    pub(super) fn check(&self, key: &str, condition: Condition) -> Result<(), Problem> {
        let found = self.objects.get(key).map(|object| object.generation);
        match condition {
            Condition::Absent if found.is_some() => Err(Problem::Exists),
            Condition::Is(generation) if found != Some(generation) => Err(Problem::Changed),
            _ => Ok(()),
        }
    }

    pub(super) fn put(&mut self, key: &str, content: Bytes) -> &Object {
        self.blocks.remove(key);
        let before = self.objects.get(key).map(|object| (object.created, object.lists_before));
        let (created, lists_before) = before.unwrap_or((Instant::now(), self.lists));
        let (generation, written) = (self.next_generation(), SystemTime::now());
        let object = Object { content, generation, written, created, lists_before };
        self.objects.insert(key.to_owned(), object);
        &self.objects[key]
    }

    /// Removes an object; `false` when there is none.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        self.objects.remove(key).is_some()
    }

    /// Begins an upload of parts; returns its identifier.
    pub(super) fn begin(&mut self, key: &str) -> String {
        let id = format!("upload-{}", self.next_generation());
        self.uploads.insert(id.clone(), Upload { key: key.to_owned(), parts: BTreeMap::new() });
        id
    }

    /// Keeps a part; returns its `ETag`.
    pub(super) fn put_part(
        &mut self,
        id: &str,
        key: &str,
        number: u32,
        content: Bytes,
    ) -> Result<String, Problem> {
        let etag = etag(self.next_generation());
        let upload =
            self.uploads.get_mut(id).filter(|upload| upload.key == key).ok_or(Problem::NoSuchUpload)?;
        if !PART_NUMBERS.contains(&number) {
            return Err(Problem::Malformed);
        }
        upload.parts.insert(number, Part { etag: etag.clone(), content });
        Ok(etag)
    }

    /// Makes an object of these parts, which are named by their numbers and `ETag`s.
    pub(super) fn complete(
        &mut self,
        id: &str,
        key: &str,
        named: &[(u32, String)],
    ) -> Result<&Object, Problem> {
        let upload = self.uploads.get(id).filter(|upload| upload.key == key).ok_or(Problem::NoSuchUpload)?;
        if named.is_empty() || !named.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(Problem::Malformed);
        }
        let mut content = BytesMut::new();
        for (index, (number, etag)) in named.iter().enumerate() {
            let part =
                upload.parts.get(number).filter(|part| part.etag == *etag).ok_or(Problem::NoSuchPart)?;
            if part.content.len() < SMALLEST_PART && index + 1 < named.len() {
                return Err(Problem::PartTooSmall);
            }
            content.extend_from_slice(&part.content);
        }
        self.uploads.remove(id);
        Ok(self.put(key, content.freeze()))
    }

    /// Gives up an upload of parts.
    pub(super) fn abort(&mut self, id: &str) -> Result<(), Problem> {
        self.uploads.remove(id).map(drop).ok_or(Problem::NoSuchUpload)
    }

    /// Keeps a block.
    pub(super) fn put_block(&mut self, key: &str, id: &str, content: Bytes) {
        self.blocks.entry(key.to_owned()).or_default().insert(id.to_owned(), content);
    }

    /// Makes an object of these blocks; the others are dropped.
    pub(super) fn commit_blocks(&mut self, key: &str, ids: &[String]) -> Result<&Object, Problem> {
        let mut content = BytesMut::new();
        for id in ids {
            let block = self.blocks.get(key).and_then(|blocks| blocks.get(id)).ok_or(Problem::NoSuchPart)?;
            content.extend_from_slice(block);
        }
        Ok(self.put(key, content.freeze()))
    }

    fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }
}
