//! The JSON of the types, described once for all kinds of schemas.

#[cfg(feature = "schemars")]
mod json_schema;
#[cfg(feature = "utoipa")]
mod openapi;
#[cfg(all(test, feature = "schemars", feature = "utoipa"))]
mod tests;

#[cfg(feature = "schemars")]
pub(crate) use json_schema::JsonSchemaOf;
#[cfg(feature = "utoipa")]
pub(crate) use openapi::{add_referenced, schema_of};

/// A type that describes its JSON.
pub(crate) trait Described: 'static {
    /// The name of its schema.
    const NAME: &'static str;
    /// A description for people.
    const TEXT: &'static str;

    /// Tells the members of an object, or the values of an enum.
    fn describe(to: &mut impl Writer);
}

/// Makes a schema of what a type tells.
pub(crate) trait Writer {
    /// Takes a member of a plain kind.
    fn plain(&mut self, member: Member, plain: Plain);

    /// Takes a member of another type.
    fn named<T: Described>(&mut self, member: Member);

    /// Takes a member that lists values of another type.
    fn list<T: Described>(&mut self, member: Member);

    /// Takes the known values of an enum, each with its description. Any other text is a value too, and so is a whole number if
    /// the enum reads integers.
    fn values(&mut self, known: &[(&'static str, &'static str)], reads_integers: bool);
}

/// A member of an object.
pub(crate) struct Member {
    name: &'static str,
    text: &'static str,
    presence: Presence,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
    /// Another spelling of a member, which is read and never written.
    Spelling,
}

impl Member {
    pub(crate) fn required(name: &'static str, text: &'static str) -> Self {
        Self { name, text, presence: Presence::Required }
    }

    pub(crate) fn optional(name: &'static str, text: &'static str) -> Self {
        Self { name, text, presence: Presence::Optional }
    }

    pub(crate) fn spelling(name: &'static str, text: &'static str) -> Self {
        Self { name, text, presence: Presence::Spelling }
    }

    fn is_required(&self) -> bool {
        self.presence == Presence::Required
    }
}

/// A kind of value that has no schema with a name.
#[derive(Clone, Copy)]
pub(crate) enum Plain {
    Text,
    Flag,
    Count,
    Time,
    Texts,
}

/// The description of the values that an enum takes besides the known ones.
const OTHER_TEXT: &str = "Any other value is kept as it came.";

/// The description of the numbers that an enum reads.
const INTEGER: &str = "A number is read as its decimal text.";

/// Implements the traits of both schema crates for types that are described.
macro_rules! described {
    ($name:ident) => {
        #[cfg(feature = "schemars")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> alloc::borrow::Cow<'static, str> {
                $crate::schema::JsonSchemaOf::<Self>::schema_name()
            }

            fn schema_id() -> alloc::borrow::Cow<'static, str> {
                $crate::schema::JsonSchemaOf::<Self>::schema_id()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::schema::JsonSchemaOf::<Self>::json_schema(generator)
            }
        }

        #[cfg(feature = "utoipa")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $crate::schema::schema_of::<Self>()
            }
        }

        #[cfg(feature = "utoipa")]
        impl utoipa::ToSchema for $name {
            fn name() -> alloc::borrow::Cow<'static, str> {
                <Self as $crate::schema::Described>::NAME.into()
            }

            fn schemas(
                schemas: &mut alloc::vec::Vec<(
                    alloc::string::String,
                    utoipa::openapi::RefOr<utoipa::openapi::Schema>,
                )>,
            ) {
                $crate::schema::add_referenced::<Self>(schemas);
            }
        }
    };
}

pub(crate) use described;
