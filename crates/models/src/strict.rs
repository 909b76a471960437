//! Reading what a caller asks for: nothing is guessed, and every error names the field.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// An object whose members are all read as they are due.
pub(crate) trait Strict: Sized {
    /// What is due in its place.
    const DUE: &'static str;

    /// The names of its members. A deserializer that is told of them leaves the others to whoever flattens the object into one of
    /// their own.
    const MEMBERS: &'static [&'static str];

    fn from_object<'de, A: MapAccess<'de>>(members: A) -> Result<Self, A::Error>;
}

/// Reads one object.
pub(crate) fn object<'de, T: Strict, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_struct("", T::MEMBERS, StrictVisitor(PhantomData))
}

/// Reads the value of the member whose name was just read. An optional member is read as `Option`, so that null
/// means that it is missing.
pub(crate) fn member<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    members: &mut A,
    name: &'static str,
    slot: &mut Option<T>,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(A::Error::duplicate_field(name));
    }
    let value = members.next_value().map_err(|error| A::Error::custom(format_args!("`{name}`: {error}")))?;
    *slot = Some(value);
    Ok(())
}

/// The value of a member that has to be there.
pub(crate) fn required<T, E: Error>(slot: Option<T>, name: &'static str) -> Result<T, E> {
    slot.ok_or_else(|| E::missing_field(name))
}

struct StrictVisitor<T>(PhantomData<T>);

impl<'de, T: Strict> Visitor<'de> for StrictVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::DUE)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        T::from_object(members)
    }
}
