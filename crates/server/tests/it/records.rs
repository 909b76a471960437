//! Records of files as a server would have written them, many and quickly.

use object_store::{ObjectStoreExt, path::Path};

use crate::world::{START, World};

/// Where the record of the file with this number stands.
pub(crate) fn record_path(index: u64) -> Path {
    // Second, random number, purpose `assistants`, no lifetime.
    format!("tenants/team-a/files/{:010x}{index:015x}1000000.json", START + index / 100).into()
}

/// Puts the record of a file of one blob, which is not there.
pub(crate) async fn put_record(world: &World, index: u64, filename: &str) {
    put_text(world, index, &record(filename, 1)).await;
}

/// Puts any text where a record should be.
pub(crate) async fn put_text(world: &World, index: u64, text: &str) {
    world.objects.put(&record_path(index), text.to_owned().into()).await.unwrap();
}

/// The record of a file in this many parts.
pub(crate) fn record(filename: &str, parts: usize) -> String {
    let digits = "0".repeat(32);
    let piece = format!("{{\"blob\":\"{digits}-{digits}\",\"bytes\":7}}");
    let name = serde_json::Value::from(filename);
    format!("{{\"filename\":{name},\"bytes\":{},\"content\":[{}]}}", 7 * parts, vec![piece; parts].join(","))
}
