//! JSON Schema, through the crate `schemars`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use core::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Described, INTEGER, Member, OTHER_TEXT, Plain, Presence, Writer};
use crate::UnixSeconds;

/// Stands for a described type where `schemars` asks for one of its own trait.
pub(crate) struct JsonSchemaOf<T>(PhantomData<T>);

impl<T: Described> JsonSchema for JsonSchemaOf<T> {
    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("partwise_models::{}", T::NAME).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let is_read = generator.contract().is_deserialize();
        let (properties, required, choices) = (Schema::default(), Vec::new(), Vec::new());
        let mut writer = JsonSchemaWriter { generator, is_read, properties, required, choices };
        T::describe(&mut writer);
        writer.finish(T::TEXT)
    }
}

impl JsonSchema for UnixSeconds {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "UnixSeconds".into()
    }

    fn schema_id() -> Cow<'static, str> {
        "partwise_models::UnixSeconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        plain_schema(Plain::Time)
    }
}

struct JsonSchemaWriter<'a> {
    generator: &'a mut SchemaGenerator,
    /// Set for a schema of what is read, else it is one of what is written.
    is_read: bool,
    /// The members of an object, by name.
    properties: Schema,
    required: Vec<&'static str>,
    /// The values of an enum.
    choices: Vec<Schema>,
}

impl Writer for JsonSchemaWriter<'_> {
    fn plain(&mut self, member: Member, plain: Plain) {
        self.add(&member, |_| plain_schema(plain));
    }

    fn named<T: Described>(&mut self, member: Member) {
        self.add(&member, SchemaGenerator::subschema_for::<JsonSchemaOf<T>>);
    }

    fn list<T: Described>(&mut self, member: Member) {
        self.add(&member, |generator| {
            json_schema!({"type": "array", "items": generator.subschema_for::<JsonSchemaOf<T>>()})
        });
    }

    fn values(&mut self, known: &[(&'static str, &'static str)], reads_integers: bool) {
        let known = known
            .iter()
            .map(|(value, text)| json_schema!({"type": "string", "const": value, "description": text}));
        self.choices.extend(known);
        self.choices.push(json_schema!({"type": "string", "description": OTHER_TEXT}));
        if reads_integers && self.is_read {
            self.choices.push(json_schema!({"type": "integer", "description": INTEGER}));
        }
    }
}

impl JsonSchemaWriter<'_> {
    fn add(&mut self, member: &Member, schema: impl FnOnce(&mut SchemaGenerator) -> Schema) {
        if member.presence == Presence::Spelling && !self.is_read {
            return;
        }
        let mut schema = schema(self.generator);
        if member.is_required() {
            self.required.push(member.name);
        } else if self.is_read {
            // Services send null for what is absent.
            schema = json_schema!({"anyOf": [schema, {"type": "null"}]});
        }
        schema.insert("description".into(), member.text.into());
        self.properties.insert(member.name.into(), schema.into());
    }

    fn finish(self, text: &str) -> Schema {
        if !self.choices.is_empty() {
            return json_schema!({"description": text, "anyOf": self.choices});
        }
        let mut schema = json_schema!({"description": text, "type": "object", "properties": self.properties});
        if !self.required.is_empty() {
            schema.insert("required".into(), self.required.into());
        }
        schema
    }
}

fn plain_schema(plain: Plain) -> Schema {
    match plain {
        Plain::Text => json_schema!({"type": "string"}),
        Plain::Flag => json_schema!({"type": "boolean"}),
        Plain::Count => json_schema!({"type": "integer", "format": "uint64", "minimum": 0}),
        Plain::Time => json_schema!({"type": "integer", "format": "unixtime", "minimum": 0}),
        Plain::Texts => json_schema!({"type": "array", "items": {"type": "string"}}),
    }
}
