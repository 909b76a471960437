//! Types of the API beside others in one object.

use partwise_models::{CreateUploadRequest, File};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

#[derive(Deserialize, Serialize)]
struct WithRest<T> {
    #[serde(flatten)]
    known: T,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[test]
fn what_a_type_knows_is_written_once_and_the_rest_is_kept() {
    let written = json!({"id": "file-1", "bytes": 5, "purpose": "batch", "tags": ["a"], "score": 0.5});
    let read: WithRest<File> = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(read.known.bytes, Some(5));
    assert_eq!(read.rest.keys().collect::<Vec<_>>(), ["score", "tags"]);
    let text = serde_json::to_string(&read).unwrap();
    assert_eq!(text.matches("\"id\"").count(), 1, "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), written);
}

#[test]
fn a_request_beside_other_members_is_still_read_strictly() {
    let request =
        json!({"filename": "a", "purpose": "batch", "bytes": 5, "mime_type": "text/plain", "trace": "x"});
    let read: WithRest<CreateUploadRequest> = serde_json::from_value(request.clone()).unwrap();
    assert_eq!(read.rest.keys().collect::<Vec<_>>(), ["trace"]);
    assert_eq!(serde_json::to_value(&read).unwrap(), request);
    let wrong = json!({"filename": 5, "purpose": "batch", "bytes": 5, "mime_type": "text/plain"});
    assert!(serde_json::from_value::<WithRest<CreateUploadRequest>>(wrong).is_err());
}
