//! Reading what a service answered: what cannot be read is taken as missing, and never fails what stands around
//! it.
//!
//! serde's derive fails on a member that stands twice and cannot go on after a value of a wrong type, so this
//! module asks the input what it has (`deserialize_any`) and takes what fits. Nothing is buffered: a list of
//! 10,000 files is read in one pass.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A type that says of every kind of JSON value whether it can be read from it. Each kind is refused unless the
/// type takes it.
pub(crate) trait Lenient: Sized {
    /// The names of an object's members; empty for everything else. A deserializer that is told of them leaves the others to
    /// whoever flattens the object into one of their own.
    const MEMBERS: &'static [&'static str] = &[];

    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    fn from_integer(_: i128) -> Option<Self> {
        None
    }

    fn from_text(_: &str) -> Option<Self> {
        None
    }

    fn from_list<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Option<Self>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Option<Self>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A value that was there, or `None` where what was there is no such value.
struct Maybe<T>(Option<T>);

impl<'de, T: Lenient> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LenientVisitor { due: "any value", of: PhantomData }).map(Self)
    }
}

/// Reads a value that has to be there; `due` says what it should have been.
pub(crate) fn required<'de, T: Lenient, D: Deserializer<'de>>(
    deserializer: D,
    due: &'static str,
) -> Result<T, D::Error> {
    let visitor = LenientVisitor { due, of: PhantomData };
    let value: Option<T> = match T::MEMBERS {
        [] => deserializer.deserialize_any(visitor)?,
        members => deserializer.deserialize_struct("", members, visitor)?,
    };
    value.ok_or_else(|| D::Error::custom(format_args!("expected {due}")))
}

/// Reads the value of the member whose name was just read. One that cannot be read leaves the slot as it was.
pub(crate) fn member<'de, T: Lenient, A: MapAccess<'de>>(
    members: &mut A,
    slot: &mut Option<T>,
) -> Result<(), A::Error> {
    if let Maybe(Some(value)) = members.next_value()? {
        *slot = Some(value);
    }
    Ok(())
}

/// Passes over the value of the member whose name was just read.
pub(crate) fn skip<'de, A: MapAccess<'de>>(members: &mut A) -> Result<(), A::Error> {
    members.next_value::<IgnoredAny>().map(drop)
}

struct LenientVisitor<T> {
    due: &'static str,
    of: PhantomData<T>,
}

impl<'de, T: Lenient> Visitor<'de> for LenientVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.due)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(T::from_bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(T::from_integer(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(T::from_integer(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Self::Value, E> {
        Ok(T::from_integer(value))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Self::Value, E> {
        Ok(value.try_into().ok().and_then(T::from_integer))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::from_text(text))
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        T::from_list(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        T::from_object(members)
    }
}

impl Lenient for bool {
    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl Lenient for u64 {
    fn from_integer(value: i128) -> Option<Self> {
        value.try_into().ok()
    }
}

impl Lenient for String {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl<T: Lenient> Lenient for Box<T> {
    fn from_object<'de, A: MapAccess<'de>>(members: A) -> Result<Option<Self>, A::Error> {
        Ok(T::from_object(members)?.map(Self::new))
    }
}

/// Items that cannot be read are left out.
impl<T: Lenient> Lenient for Vec<T> {
    fn from_list<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Option<Self>, A::Error> {
        let mut list = Self::new();
        while let Some(Maybe(item)) = items.next_element()? {
            if let Some(item) = item {
                list.push(item);
            }
        }
        Ok(Some(list))
    }
}
