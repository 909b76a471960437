//! Schemas of OpenAPI, through the crate `utoipa`.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, RefBuilder, SchemaType};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use super::{Described, INTEGER, Member, OTHER_TEXT, Plain, Writer};
use crate::UnixSeconds;

/// Schemas and their names.
type Schemas = Vec<(String, RefOr<Schema>)>;

/// Returns the schema of a type; other types in it are references.
pub(crate) fn schema_of<T: Described>() -> RefOr<Schema> {
    OpenApiWriter::of::<T>().finish(T::TEXT)
}

/// Adds the schemas that the one of this type refers to, directly or not.
pub(crate) fn add_referenced<T: Described>(schemas: &mut Schemas) {
    for add in OpenApiWriter::of::<T>().referenced {
        add(schemas);
    }
}

/// Adds the schema of a type and those that it refers to, unless it is there.
fn add<T: Described>(schemas: &mut Schemas) {
    if schemas.iter().all(|(name, _)| name != T::NAME) {
        schemas.push((T::NAME.into(), schema_of::<T>()));
        add_referenced::<T>(schemas);
    }
}

impl PartialSchema for UnixSeconds {
    fn schema() -> RefOr<Schema> {
        plain_schema(Plain::Time, None)
    }
}

impl ToSchema for UnixSeconds {
    fn name() -> Cow<'static, str> {
        "UnixSeconds".into()
    }
}

struct OpenApiWriter {
    object: ObjectBuilder,
    /// The values of an enum.
    choices: Option<AnyOfBuilder>,
    referenced: Vec<fn(&mut Schemas)>,
}

impl OpenApiWriter {
    fn of<T: Described>() -> Self {
        let object = ObjectBuilder::new().schema_type(Type::Object);
        let mut writer = Self { object, choices: None, referenced: Vec::new() };
        T::describe(&mut writer);
        writer
    }

    fn add(&mut self, member: &Member, schema: impl Into<RefOr<Schema>>) {
        let mut object = core::mem::take(&mut self.object).property(member.name, schema);
        if member.is_required() {
            object = object.required(member.name);
        }
        self.object = object;
    }

    fn finish(self, text: &str) -> RefOr<Schema> {
        match self.choices {
            Some(choices) => choices.description(Some(text)).into(),
            None => self.object.description(Some(text)).into(),
        }
    }
}

impl Writer for OpenApiWriter {
    fn plain(&mut self, member: Member, plain: Plain) {
        self.add(&member, plain_schema(plain, Some(&member)));
    }

    fn named<T: Described>(&mut self, member: Member) {
        self.referenced.push(add::<T>);
        let reference = RefBuilder::new().ref_location_from_schema_name(T::NAME);
        if member.is_required() {
            return self.add(&member, RefOr::Ref(reference.description(Some(member.text)).build()));
        }
        let choices = AnyOfBuilder::new().item(reference).item(ObjectBuilder::new().schema_type(Type::Null));
        self.add(&member, choices.description(Some(member.text)));
    }

    fn list<T: Described>(&mut self, member: Member) {
        self.referenced.push(add::<T>);
        let items = RefBuilder::new().ref_location_from_schema_name(T::NAME).build();
        let list =
            ArrayBuilder::new().schema_type(type_of(Type::Array, Some(&member))).items(RefOr::Ref(items));
        self.add(&member, list.description(Some(member.text)));
    }

    fn values(&mut self, known: &[(&'static str, &'static str)], reads_integers: bool) {
        let plain = |kind, text| ObjectBuilder::new().schema_type(kind).description(Some(text));
        let mut choices = AnyOfBuilder::new();
        for (value, text) in known {
            choices = choices.item(plain(Type::String, *text).enum_values(Some([*value])));
        }
        choices = choices.item(plain(Type::String, OTHER_TEXT));
        if reads_integers {
            choices = choices.item(plain(Type::Integer, INTEGER));
        }
        self.choices = Some(choices);
    }
}

/// Adds null to the type of a member that is not required: services send it for what is absent.
fn type_of(kind: Type, member: Option<&Member>) -> SchemaType {
    match member.is_some_and(|member| !member.is_required()) {
        true => SchemaType::from_iter([kind, Type::Null]),
        false => SchemaType::new(kind),
    }
}

fn plain_schema(plain: Plain, member: Option<&Member>) -> RefOr<Schema> {
    let of = |kind| {
        let text = member.map(|member| member.text);
        ObjectBuilder::new().schema_type(type_of(kind, member)).description(text)
    };
    let integer = |format| of(Type::Integer).format(Some(format)).minimum(Some(0));
    match plain {
        Plain::Text => of(Type::String).into(),
        Plain::Flag => of(Type::Boolean).into(),
        Plain::Count => integer(SchemaFormat::KnownFormat(KnownFormat::Int64)).into(),
        Plain::Time => integer(SchemaFormat::Custom("unixtime".into())).into(),
        Plain::Texts => ArrayBuilder::new()
            .schema_type(type_of(Type::Array, member))
            .items(RefOr::from(ObjectBuilder::new().schema_type(Type::String)))
            .description(member.map(|member| member.text))
            .into(),
    }
}
