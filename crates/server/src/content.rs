//! The content of a file: the blobs that it consists of. A file may have 400,000 parts, so each takes 32 bytes and no more.

use std::{fmt, ops::Range, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
};

use crate::{
    id::{ObjectId, PartId, Stem},
    layout::BlobName,
};

/// A whole blob as a stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlobStretch {
    pub(crate) blob: BlobName,
    pub(crate) bytes: u64,
}

/// A part of an upload as a stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartPiece {
    pub(crate) part: PartId,
    pub(crate) bytes: u64,
}

/// The blobs of a file, in its order. Clones share everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manifest {
    /// A file that was sent at once.
    Whole { stem: Stem, bytes: u64 },
    /// A file that an upload became.
    Parts { upload: ObjectId, parts: Arc<[PartPiece]> },
}

impl Manifest {
    pub(crate) fn pieces(&self) -> impl Iterator<Item = BlobStretch> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// The bytes of memory that so many parts take.
    pub(crate) fn size_of(parts: usize) -> usize {
        parts.saturating_mul(size_of::<PartPiece>())
    }

    /// Checks that the file consists of these parts of this upload.
    pub(crate) fn is_of(&self, upload: ObjectId, parts: &[PartId]) -> bool {
        match self {
            Self::Whole { .. } => false,
            Self::Parts { upload: ours, parts: pieces } => {
                *ours == upload && pieces.iter().map(|piece| &piece.part).eq(parts)
            }
        }
    }

    /// The number of pieces.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Whole { .. } => 1,
            Self::Parts { parts, .. } => parts.len(),
        }
    }

    fn get(&self, index: usize) -> Option<BlobStretch> {
        match self {
            Self::Whole { stem, bytes } => {
                (index == 0).then_some(BlobStretch { blob: BlobName::Whole(*stem), bytes: *bytes })
            }
            Self::Parts { upload, parts } => parts
                .get(index)
                .map(|piece| BlobStretch { blob: BlobName::Part(*upload, piece.part), bytes: piece.bytes }),
        }
    }

    /// The same file with these pieces alone.
    fn slice(&self, pieces: Range<usize>) -> Self {
        match self {
            Self::Parts { upload, parts } if pieces != (0..parts.len()) => {
                Self::Parts { upload: *upload, parts: parts[pieces].into() }
            }
            all => all.clone(),
        }
    }
}

/// A range of a file's bytes, with the pieces that hold it and no others. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pieces: Manifest,
    /// Counted from the beginning of the first piece.
    range: Range<u64>,
}

/// A stretch of one blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) blob: BlobName,
    /// The bytes that the whole blob must have.
    pub(crate) bytes: u64,
    pub(crate) range: Range<u64>,
}

impl Section {
    /// The bytes from `range.start` up to `range.end`.
    pub(crate) fn of(content: &Manifest, range: Range<u64>) -> Self {
        let (mut start, mut first, mut end) = (0u64, None, 0);
        for (index, piece) in content.pieces().enumerate() {
            let next = start.saturating_add(piece.bytes);
            if !range.is_empty() && start < range.end && next > range.start {
                first.get_or_insert((index, start));
                end = index + 1;
            }
            start = next;
        }
        let (first, skipped) = first.unwrap_or_default();
        let range = range.start.saturating_sub(skipped)..range.end.saturating_sub(skipped);
        Self { pieces: content.slice(first..end), range }
    }

    /// The bytes of memory that the pieces take.
    pub(crate) fn size(&self) -> usize {
        Manifest::size_of(self.pieces.len())
    }

    /// The stretches of the blobs, each made when it is asked for.
    pub(crate) fn stretches(self) -> impl Iterator<Item = Stretch> {
        let (mut index, mut start) = (0, 0u64);
        std::iter::from_fn(move || {
            loop {
                let BlobStretch { blob, bytes } = self.pieces.get(index)?;
                let end = start.saturating_add(bytes);
                let wanted = self.range.start.max(start)..self.range.end.min(end);
                let range = wanted.start.saturating_sub(start)..wanted.end.saturating_sub(start);
                (index, start) = (index + 1, end);
                if !range.is_empty() {
                    return Some(Stretch { blob, bytes, range });
                }
            }
        })
    }
}

impl Serialize for Manifest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.pieces())
    }
}

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Manifest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one whole blob, or the parts of one upload")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pieces: A) -> Result<Manifest, A::Error> {
        let other = || de::Error::custom("the content mixes blobs that do not belong together");
        let first: BlobStretch = pieces.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let (upload, part) = match first.blob {
            BlobName::Part(upload, part) => (upload, part),
            BlobName::Whole(stem) => {
                return match pieces.next_element::<BlobStretch>()? {
                    None => Ok(Manifest::Whole { stem, bytes: first.bytes }),
                    Some(_) => Err(other()),
                };
            }
        };
        let mut parts = vec![PartPiece { part, bytes: first.bytes }];
        while let Some(BlobStretch { blob, bytes }) = pieces.next_element()? {
            match blob {
                BlobName::Part(of, part) if of == upload => parts.push(PartPiece { part, bytes }),
                _ => return Err(other()),
            }
        }
        Ok(Manifest::Parts { upload, parts: parts.into() })
    }
}

#[cfg(test)]
mod tests {
    use partwise_models::{Purpose, UnixSeconds};
    use proptest::prelude::*;

    use super::*;
    use crate::id::Attributes;

    fn upload() -> ObjectId {
        let attributes = Attributes::new(&Purpose::Batch, None).unwrap();
        Stem::new(UnixSeconds(7).into(), 7).with(attributes)
    }

    fn parts(sizes: &[u64]) -> Manifest {
        let part = |(number, bytes): (usize, &u64)| PartPiece {
            part: PartId::new(UnixSeconds(7), number as u128),
            bytes: *bytes,
        };
        Manifest::Parts { upload: upload(), parts: sizes.iter().enumerate().map(part).collect() }
    }

    #[test]
    fn a_part_takes_32_bytes() {
        assert_eq!(Manifest::size_of(1), 32);
    }

    #[test]
    fn contents_are_written_as_they_always_were() {
        let whole = Manifest::Whole { stem: upload().stem(), bytes: 3 };
        insta::assert_snapshot!(serde_json::to_string(&whole).unwrap(), @r#"[{"blob":"0000000007000000000000007","bytes":3}]"#);
        insta::assert_snapshot!(serde_json::to_string(&parts(&[4, 5])).unwrap(), @r#"[{"blob":"00000000070000000000000072000000-00000000070000000000000000000000","bytes":4},{"blob":"00000000070000000000000072000000-00000000070000000000000000000001","bytes":5}]"#);
    }

    #[test]
    fn contents_that_no_server_writes_are_damaged() {
        let part = "\"00000000070000000000000072000000-00000000070000000000000000000000\"";
        let foreign = "\"00000000070000000000000082000000-00000000070000000000000000000000\"";
        let whole = "\"0000000007000000000000007\"";
        let mut said = String::new();
        for blobs in
            [&[][..], &["\"../../etc/passwd\""], &[whole, whole], &[part, whole], &[part, foreign], &["7"]]
        {
            let pieces: Vec<_> =
                blobs.iter().map(|blob| format!("{{\"blob\":{blob},\"bytes\":1}}")).collect();
            let read: Result<Manifest, _> = serde_json::from_str(&format!("[{}]", pieces.join(",")));
            said += &format!("{}\n", read.unwrap_err());
        }
        insta::assert_snapshot!(said, @r#"
        invalid length 0, expected one whole blob, or the parts of one upload at line 1 column 2
        invalid value: string "../../etc/passwd", expected the name of a blob at line 1 column 27
        the content mixes blobs that do not belong together at line 1 column 95
        the content mixes blobs that do not belong together at line 1 column 135
        the content mixes blobs that do not belong together at line 1 column 175
        invalid type: integer `7`, expected the name of a blob at line 1 column 10
        "#);
    }

    proptest! {
        #[test]
        fn every_content_reads_back(sizes in prop::collection::vec(any::<u64>(), 1..20), is_whole: bool) {
            let content = match is_whole {
                true => Manifest::Whole { stem: upload().stem(), bytes: sizes[0] },
                false => parts(&sizes),
            };
            let text = serde_json::to_vec(&content).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<Manifest>(&text).unwrap(), &content);
            prop_assert_eq!(serde_json::from_reader::<_, Manifest>(&text[..]).unwrap(), content);
        }

        #[test]
        fn a_section_has_the_bytes_of_its_range_and_no_other_pieces(
            sizes in prop::collection::vec(0u64..4, 1..12), a in 0u64..40, b in 0u64..40,
        ) {
            let total: u64 = sizes.iter().sum();
            let range = a.min(b).min(total)..a.max(b).min(total);
            let all = sizes.iter().enumerate().flat_map(|(part, bytes)| (0..*bytes).map(move |byte| (part, byte)));
            let expected: Vec<_> = all.skip(range.start as usize).take((range.end - range.start) as usize).collect();
            let section = Section::of(&parts(&sizes), range);
            let (first, last) = (expected.first(), expected.last());
            let pieces = first.zip(last).map_or(0, |(first, last)| last.0 - first.0 + 1);
            prop_assert_eq!(section.size(), Manifest::size_of(pieces));
            let mut found = Vec::new();
            for stretch in section.stretches() {
                let BlobName::Part(_, part) = stretch.blob else { panic!("parts alone") };
                let place = (0..sizes.len()).find(|place| PartId::new(UnixSeconds(7), *place as u128) == part);
                prop_assert_eq!(stretch.bytes, sizes[place.unwrap()]);
                found.extend(stretch.range.map(|byte| (place.unwrap(), byte)));
            }
            prop_assert_eq!(found, expected);
        }
    }
}
