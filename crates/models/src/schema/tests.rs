//! The schemas have the members that are read.

#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

use alloc::vec::Vec;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use utoipa::PartialSchema;
use utoipa::openapi::{RefOr, Schema};

use super::{Described, JsonSchemaOf};
use crate::lenient::Lenient;
use crate::strict::Strict;
use crate::{
    CompleteUploadRequest, CreateUploadRequest, DeletedFile, Error, ErrorResponse, ExpiresAfter, File,
    FileList, ImportFileRequest, InnerError, Upload, UploadPartResource,
};

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

fn assert_members<T: Described + PartialSchema>(members: &[&str]) {
    let members = sorted(members.to_vec());
    let schema = SchemaGenerator::default().into_root_schema_for::<JsonSchemaOf<T>>();
    let properties = schema.get("properties").and_then(|properties| properties.as_object()).unwrap();
    assert_eq!(sorted(properties.keys().map(|name| &**name).collect()), members, "{}", T::NAME);
    let RefOr::T(Schema::Object(object)) = T::schema() else { panic!("{} is no object", T::NAME) };
    assert_eq!(sorted(object.properties.keys().map(|name| &**name).collect()), members, "{}", T::NAME);
}

#[test]
fn a_schema_has_the_members_that_are_read() {
    macro_rules! members_of {
        ($how:ident: $($name:ident),*) => {$(assert_members::<$name>(<$name as $how>::MEMBERS);)*};
    }
    members_of!(Lenient: DeletedFile, Error, ErrorResponse, File, FileList, InnerError, Upload, UploadPartResource);
    members_of!(Strict: CompleteUploadRequest, CreateUploadRequest, ExpiresAfter, ImportFileRequest);
}

#[test]
fn a_schema_of_what_is_written_has_one_spelling_of_each_member_and_no_null() {
    let generator = SchemaGenerator::new(SchemaSettings::default().for_serialize());
    let schema = generator.into_root_schema_for::<JsonSchemaOf<InnerError>>();
    let properties = schema.get("properties").and_then(|properties| properties.as_object()).unwrap();
    assert_eq!(properties.keys().collect::<Vec<_>>(), ["code", "innererror"]);
    assert_eq!(properties["code"].get("anyOf"), None);
}
