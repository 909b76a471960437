//! Pages of lists.

use super::bucket::{Bucket, Object};

/// A list that is asked for.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) prefix: &'a str,
    /// Keys that have this behind the prefix are shown as one.
    pub(super) delimiter: Option<&'a str>,
    pub(super) start: Start<'a>,
    /// The most entries of a page.
    pub(super) limit: usize,
}

/// Where a page starts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start<'a> {
    First,
    /// At this key.
    At(&'a str),
    /// Behind this key.
    Behind(&'a str),
    /// Behind all keys with this prefix.
    BehindAll(&'a str),
}

#[derive(Debug)]
pub(super) enum Entry<'a> {
    Object(&'a str, &'a Object),
    Prefix(&'a str),
}

#[derive(Debug, Default)]
pub(super) struct Page<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    /// Where the next page starts; `None` for the last one.
    pub(super) next: Option<String>,
}

/// What the marks of pages begin with whose last entry is an object, or a prefix.
const OBJECT: &str = "object ";
const PREFIX: &str = "prefix ";

impl<'a> Start<'a> {
    /// Reads the mark that a page has left.
    pub(super) fn of_mark(mark: &'a str) -> Option<Self> {
        mark.strip_prefix(OBJECT).map(Self::Behind).or_else(|| mark.strip_prefix(PREFIX).map(Self::BehindAll))
    }

    fn leaves_out(self, key: &str) -> bool {
        match self {
            Self::First => false,
            Self::At(first) => key < first,
            Self::Behind(last) => key <= last,
            Self::BehindAll(prefix) => key < prefix || key.starts_with(prefix),
        }
    }
}

impl Entry<'_> {
    fn mark(&self) -> String {
        match self {
            Self::Object(key, _) => format!("{OBJECT}{key}"),
            Self::Prefix(prefix) => format!("{PREFIX}{prefix}"),
        }
    }
}

impl<'a> Page<'a> {
    pub(super) fn of(bucket: &'a Bucket, asked: &Asked<'a>) -> Self {
        let mut page = Self::default();
        let objects = bucket.listed(asked.prefix).take_while(|(key, _)| key.starts_with(asked.prefix));
        for (key, object) in objects.filter(|(key, _)| !asked.start.leaves_out(key)) {
            let entry = match asked.group(key) {
                Some(prefix) => Entry::Prefix(prefix),
                None => Entry::Object(key, object),
            };
            let last = page.entries.last();
            if matches!((&entry, last), (Entry::Prefix(one), Some(Entry::Prefix(other))) if one == other) {
                continue;
            }
            if page.entries.len() == asked.limit {
                page.next = last.map(Entry::mark);
                break;
            }
            page.entries.push(entry);
        }
        page
    }
}

impl Asked<'_> {
    /// The prefix that a key is shown as.
    fn group<'k>(&self, key: &'k str) -> Option<&'k str> {
        let (delimiter, behind) = (self.delimiter?, self.prefix.len());
        let at = key[behind..].find(delimiter)?;
        Some(&key[..behind + at + delimiter.len()])
    }
}
