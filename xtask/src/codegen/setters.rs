//! The methods that fill structs in.

use crate::codegen::rust::doc;
use crate::codegen::struct_fields::{Field, rust_type};
use crate::contract::Kind;

/// A constructor that takes this field alone.
pub(super) fn constructor(field: &Field<'_>) -> String {
    let Field { name, .. } = field;
    let text = doc(&format!("Creates one with `{name}` alone. {}", field.property.description), 1);
    format!(
        "{text}pub fn {name}({name}: {}) -> Self {{\nSelf {{ {}, ..Self::default() }}\n}}\n",
        parameter_type(field),
        assignment(field)
    )
}

/// A method that sets this field and gives the rest back as it was.
pub(super) fn setter(field: &Field<'_>) -> String {
    let Field { name, .. } = field;
    let text = doc(&format!("Sets `{name}`. {}", field.property.description), 1);
    format!(
        "{text}#[must_use]\npub fn {name}(self, {name}: {}) -> Self {{\nSelf {{ {}, ..self }}\n}}\n",
        parameter_type(field),
        assignment(field)
    )
}

/// The type of the value itself: neither its box nor its being optional is the caller's business.
fn parameter_type(field: &Field<'_>) -> String {
    match field.kind {
        Kind::Text => "impl Into<String>".to_owned(),
        _ => rust_type(&field.kind),
    }
}

fn assignment(field: &Field<'_>) -> String {
    let Field { name, .. } = field;
    match field.kind {
        Kind::List(_) => (*name).to_owned(),
        Kind::Text => format!("{name}: Some({name}.into())"),
        _ if field.boxed => format!("{name}: Some(Box::new({name}))"),
        _ => format!("{name}: Some({name})"),
    }
}
