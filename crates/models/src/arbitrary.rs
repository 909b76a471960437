//! Random values of the types, for tests that use the crate `proptest`.

use alloc::string::String;

use proptest::arbitrary::{Arbitrary, any};
use proptest::collection::vec;
use proptest::strategy::{BoxedStrategy, Strategy};

use crate::UnixSeconds;

/// Any text that is not too long.
pub(crate) fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

impl Arbitrary for UnixSeconds {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        any::<u64>().prop_map(Self).boxed()
    }
}

/// Lets an enum have known values and any others.
macro_rules! arbitrary_enum {
    ($name:ident) => {
        impl proptest::arbitrary::Arbitrary for $name {
            type Parameters = ();
            type Strategy = proptest::strategy::BoxedStrategy<Self>;

            fn arbitrary_with((): ()) -> Self::Strategy {
                let known = proptest::sample::select(Self::KNOWN);
                proptest::prop_oneof![known, $crate::arbitrary::text().prop_map(Self::from)].boxed()
            }
        }
    };
}

pub(crate) use arbitrary_enum;
