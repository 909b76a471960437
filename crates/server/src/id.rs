//! Identifiers of files, uploads and parts: 32 hex digits that begin with the time, so that names sort by age.
//!
//! A file's or upload's digits also say what a page of files must know without reading the file's record:
//!
//! ```text
//! 10 digits: created_at, unix seconds | 5: microseconds | 10: random | 1: purpose | 6: lifetime in seconds, 0 for none
//! └─────────────────────── stem: names the stored bytes ───────────┘
//! ```
//!
//! The microseconds keep files of one second in the order in which they were made: a server never draws the same twice, and
//! draws later ones while its clock stands still. Earlier releases had random digits there: what they named keeps its place.
//!
//! The stem is drawn when bytes are first written, since these may come before the purpose. An upload and the file that it
//! becomes have the same digits, so that each leads to the other.

use std::{fmt, ops::RangeInclusive};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use partwise_models::{Purpose, UnixSeconds};

use crate::moment::{MOMENT_BITS, Moment};

const ATTRIBUTE_BITS: u32 = 28;
const LIFETIME_BITS: u32 = 24;
const STEM_BITS: u32 = 100;
const STEM_RANDOM_BITS: u32 = STEM_BITS - MOMENT_BITS;
const PART_RANDOM_BITS: u32 = 88;

/// The place of a purpose in this table is its digit in an identifier: never reorder, only append.
static PURPOSES: [Purpose; 6] = [
    Purpose::Assistants,
    Purpose::Batch,
    Purpose::Evals,
    Purpose::FineTune,
    Purpose::UserData,
    Purpose::Vision,
];

/// When a file was stored or an upload begun, and a random number: unique, and known before the purpose is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stem(u128);

impl Stem {
    pub(crate) fn new(created_at: Moment, random: u128) -> Self {
        Self(u128::from(created_at.bits()) << STEM_RANDOM_BITS | random & ((1 << STEM_RANDOM_BITS) - 1))
    }

    pub(crate) fn parse(digits: &str) -> Option<Self> {
        hex(digits, 25).map(Self)
    }

    pub(crate) fn created_at(self) -> UnixSeconds {
        Moment::from_bits((self.0 >> STEM_RANDOM_BITS) as u64).seconds()
    }

    /// All identifiers that a file or upload with this stem can have.
    pub(crate) fn identifiers(self) -> RangeInclusive<ObjectId> {
        let first = self.0 << ATTRIBUTE_BITS;
        ObjectId(first)..=ObjectId(first | ((1 << ATTRIBUTE_BITS) - 1))
    }

    /// The identifier of the file or upload with this stem.
    pub(crate) fn with(self, attributes: Attributes) -> ObjectId {
        ObjectId(self.0 << ATTRIBUTE_BITS | u128::from(attributes.0))
    }
}

/// The purpose and the lifetime of a file: the digits of its identifier that a client decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes(u32);

impl Attributes {
    /// `None` for a purpose that this server does not store, or a lifetime of 2^24 seconds (half a year) and more.
    pub(crate) fn new(purpose: &Purpose, lifetime: Option<u64>) -> Option<Self> {
        let digit = PURPOSES.iter().position(|known| known == purpose)? as u32 + 1;
        let lifetime =
            u32::try_from(lifetime.unwrap_or(0)).ok().filter(|seconds| seconds >> LIFETIME_BITS == 0)?;
        Some(Self(digit << LIFETIME_BITS | lifetime))
    }
}

impl fmt::Display for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:025x}", self.0)
    }
}

/// The digits of a file and of the upload that it came from. Ordered by creation time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectId(u128);

impl ObjectId {
    /// Reads bare digits, as they stand in record names.
    pub(crate) fn parse(digits: &str) -> Option<Self> {
        let id = Self(hex(digits, 32)?);
        id.purpose_digit().checked_sub(1).filter(|place| *place < PURPOSES.len()).map(|_| id)
    }

    pub(crate) fn parse_file(id: &str) -> Option<Self> {
        Self::parse(id.strip_prefix("file-")?)
    }

    pub(crate) fn parse_upload(id: &str) -> Option<Self> {
        Self::parse(id.strip_prefix("upload_")?)
    }

    pub(crate) fn file_id(self) -> String {
        format!("file-{self}")
    }

    pub(crate) fn upload_id(self) -> String {
        format!("upload_{self}")
    }

    pub(crate) fn stem(self) -> Stem {
        Stem(self.0 >> ATTRIBUTE_BITS)
    }

    pub(crate) fn created_at(self) -> UnixSeconds {
        self.stem().created_at()
    }

    pub(crate) fn purpose(self) -> Purpose {
        // `parse` and `with` let no other digit through.
        PURPOSES[self.purpose_digit() - 1].clone()
    }

    /// When the file ends, if it ever does.
    pub(crate) fn expires_at(self) -> Option<UnixSeconds> {
        let lifetime = (self.0 & ((1 << LIFETIME_BITS) - 1)) as u64;
        (lifetime != 0).then(|| UnixSeconds(self.created_at().0.saturating_add(lifetime)))
    }

    fn purpose_digit(self) -> usize {
        (self.0 >> LIFETIME_BITS & 0xf) as usize
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The digits of a part: its time and a random number. Parts have no order but the one in which a completion names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PartId(u128);

impl PartId {
    pub(crate) fn new(created_at: UnixSeconds, random: u128) -> Self {
        let seconds = Moment::from(created_at).seconds();
        Self(u128::from(seconds.0) << PART_RANDOM_BITS | random & ((1 << PART_RANDOM_BITS) - 1))
    }

    /// Reads what a client may name a part by: its `id` or, on Azure, its `azure_block_id`.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        if let Some(digits) = id.strip_prefix("part_") {
            return hex(digits, 32).map(Self);
        }
        let bytes: [u8; 16] = BASE64.decode(id).ok()?.try_into().ok()?;
        Some(Self(u128::from_be_bytes(bytes)))
    }

    /// Reads bare digits, as they stand in record names.
    pub(crate) fn parse_digits(digits: &str) -> Option<Self> {
        hex(digits, 32).map(Self)
    }

    pub(crate) fn part_id(self) -> String {
        format!("part_{self}")
    }

    /// Azure's second name for a part: sixteen bytes in base64.
    pub(crate) fn azure_block_id(self) -> String {
        BASE64.encode(self.0.to_be_bytes())
    }

    pub(crate) fn created_at(self) -> UnixSeconds {
        UnixSeconds((self.0 >> PART_RANDOM_BITS) as u64)
    }
}

impl fmt::Display for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Exactly `digits` lower-case hex digits: one spelling per identifier, so that no two paths mean the same thing.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let canonical =
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    canonical.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identify(time: u64, random: u128, purpose: &Purpose, lifetime: Option<u64>) -> ObjectId {
        Stem::new(UnixSeconds(time).into(), random).with(Attributes::new(purpose, lifetime).unwrap())
    }

    #[test]
    fn an_identifier_says_when_why_and_until_when() {
        let id = identify(1_700_000_000, u128::MAX, &Purpose::FineTune, Some(3600));
        assert_eq!(id.file_id(), "file-006553f10000000ffffffffff4000e10");
        assert_eq!(id.purpose(), Purpose::FineTune);
        assert_eq!(id.expires_at(), Some(UnixSeconds(1_700_003_600)));
    }

    #[test]
    fn only_one_spelling_of_an_identifier_is_known() {
        let id = identify(1, 2, &Purpose::Batch, None);
        assert_eq!(ObjectId::parse_file(&id.file_id()), Some(id));
        for strange in [
            id.upload_id(),
            id.file_id().to_uppercase(),
            format!("{}0", id.file_id()),
            format!("file-{:032x}", 0),
            "file-+0000000000000000000000000000001".to_owned(),
            "file-../../../../../../../etc/passwd".to_owned(),
        ] {
            assert_eq!(ObjectId::parse_file(&strange), None, "{strange}");
        }
    }

    #[test]
    fn a_purpose_that_is_not_stored_makes_no_identifier() {
        assert_eq!(Attributes::new(&Purpose::BatchOutput, None), None);
        assert_eq!(Attributes::new(&Purpose::from("mine"), None), None);
        assert_eq!(Attributes::new(&Purpose::Batch, Some(1 << 24)), None);
    }

    proptest! {
        #[test]
        fn every_identifier_reads_back(
            time in 0u64..1 << 40, random: u128, place in 0usize..6, lifetime in proptest::option::of(1u64..1 << 24),
        ) {
            let stem = Stem::new(UnixSeconds(time).into(), random);
            let id = identify(time, random, &PURPOSES[place], lifetime);
            prop_assert_eq!(Stem::parse(&stem.to_string()), Some(stem));
            prop_assert_eq!(ObjectId::parse_file(&id.file_id()), Some(id));
            prop_assert_eq!(ObjectId::parse_upload(&id.upload_id()), Some(id));
            prop_assert_eq!((id.stem(), id.purpose(), id.created_at()), (stem, PURPOSES[place].clone(), UnixSeconds(time)));
            prop_assert_eq!(id.expires_at(), lifetime.map(|seconds| UnixSeconds(time + seconds)));
            let part = PartId::new(UnixSeconds(time), random);
            prop_assert_eq!(PartId::parse(&part.part_id()), Some(part));
            prop_assert_eq!(PartId::parse(&part.azure_block_id()), Some(part));
        }

        #[test]
        fn identifiers_sort_by_time_first(early in 0u64..1 << 30, later in 1u64..1 << 30, a: u128, b: u128) {
            let first = identify(early, a, &Purpose::Vision, None);
            let second = identify(early + later, b, &Purpose::Assistants, None);
            prop_assert!(first < second && first.to_string() < second.to_string());
        }

        #[test]
        fn identifiers_of_a_second_sort_by_its_microseconds(
            time in 0u64..1 << 40, early in 0u32..999_999, later in 1u32..1_000_000, a: u128, b: u128,
        ) {
            let stem = |micros, random| Stem::new(Moment::new(UnixSeconds(time), micros), random);
            prop_assert!(stem(early, a) < stem((early + later).min(999_999), b));
            prop_assert_eq!(stem(early, a).created_at(), UnixSeconds(time));
        }

        #[test]
        fn identifiers_of_earlier_releases_are_read(time in 0u64..1 << 40, random in 0u128..1 << 60) {
            let digits = format!("{time:010x}{random:015x}1000000");
            let id = ObjectId::parse(&digits).unwrap();
            prop_assert_eq!((id.created_at(), id.purpose()), (UnixSeconds(time), Purpose::Assistants));
            prop_assert_eq!(Stem::parse(&digits[..25]), Some(id.stem()));
        }

        #[test]
        fn a_clock_that_is_no_clock_makes_identifiers_all_the_same(time: u64, random: u128) {
            let stem = Stem::new(UnixSeconds(time).into(), random);
            prop_assert_eq!(Stem::parse(&stem.to_string()), Some(stem));
            let id = identify(time, random, &Purpose::Batch, Some(3600));
            prop_assert_eq!((id.stem(), ObjectId::parse_file(&id.file_id())), (stem, Some(id)));
            prop_assert!(id.expires_at() > Some(id.created_at()));
            let part = PartId::new(UnixSeconds(time), random);
            prop_assert_eq!(PartId::parse(&part.part_id()), Some(part));
        }
    }
}
