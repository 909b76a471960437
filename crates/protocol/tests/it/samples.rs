//! The sample requests and answers of the documents, read by the side that they are meant for.

use std::path::Path;

use bytes::Bytes;
use http::{Method, Request, Response};
use partwise_protocol::{
    Api, Operation,
    operations::{AddUploadPart, CreateFile, OperationId},
};
use serde_json::Value;

use crate::{
    page::assert_page,
    sides::{received, route},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/contract/samples");

fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(Path::new(FOLDER).join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The samples whose index entry has this direction, with their bodies.
fn samples(direction: &str) -> Vec<(Value, Value)> {
    let index = json("index.json");
    let entries = index["samples"].as_array().unwrap().iter().filter(|entry| entry["direction"] == direction);
    entries.map(|entry| (entry.clone(), json(entry["file"].as_str().unwrap()))).collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

/// A sample's form, with whatever a file's field has besides what the page shows.
fn form(body: &Value, of_a_file: &str) -> String {
    let field = |field: &Value| {
        let (name, content) = (text(field, "name"), text(field, "content"));
        let more = if name == "file" { of_a_file } else { "" };
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{content}\r\n")
    };
    body["multipart"].as_array().unwrap().iter().map(field).chain(["--b--\r\n".to_owned()]).collect()
}

fn request(entry: &Value, body: String) -> Request<Bytes> {
    let query = entry["query"]["api-version"].as_str().map(|version| format!("?api-version={version}"));
    Request::builder()
        .method(text(entry, "method").parse::<Method>().unwrap())
        .uri(format!("{}{}", text(entry, "path"), query.unwrap_or_default()))
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body.into())
        .unwrap()
}

fn operation(entry: &Value) -> OperationId {
    let name = text(entry, "operation");
    OperationId::ALL.into_iter().find(|operation| operation.name() == name).unwrap()
}

#[test]
fn a_service_reads_the_sample_requests() {
    let mut found = String::new();
    for (entry, body) in samples("request") {
        let request = |of_a_file| request(&entry, form(&body, of_a_file));
        let (api, route) = route(&request("")).unwrap();
        assert_eq!(route.operation, operation(&entry));
        found += &format!("{}\n    {}: ", text(&entry, "file"), api.dialect());
        found += &match route.operation {
            OperationId::AddUploadPart => format!("{:?}\n", received::<AddUploadPart>(request("")).unwrap()),
            // The page shows no more of a file's field than its name, and no service can do without that of the file.
            OperationId::CreateFile => format!(
                "{}\n    with it: {:?}\n",
                received::<CreateFile>(request("")).unwrap_err(),
                received::<CreateFile>(request("; filename=\"puppy.jsonl\"")).unwrap(),
            ),
            other => panic!("there is a sample of {other}"),
        };
    }
    assert_page("samples", "requests", &found);
}

#[test]
fn a_client_reads_the_sample_answers() {
    let mut found = String::new();
    for (entry, body) in samples("response") {
        let status = entry["status"].as_u64().unwrap();
        let response = Response::builder().status(u16::try_from(status).unwrap());
        let response = response.body(Bytes::from(body.to_string())).unwrap();
        found += &format!("{}\n    ", text(&entry, "file"));
        found += &match operation(&entry) {
            OperationId::AddUploadPart => {
                format!("{:?}\n", AddUploadPart::decode_response(response).unwrap())
            }
            OperationId::CreateFile => format!("{:?}\n", CreateFile::decode_response(response).unwrap()),
            other => panic!("there is a sample of {other}"),
        };
    }
    assert_page("samples", "answers", &found);
}

#[test]
fn a_service_answers_with_the_status_and_place_of_the_sample() {
    for (entry, body) in samples("response") {
        if operation(&entry) != OperationId::CreateFile {
            continue;
        }
        let uri = format!("/openai/files?api-version={}", text(&entry, "api_version"));
        let api = Api::of_request("https://aoairesource.openai.azure.com", &uri.parse().unwrap());
        let file = serde_json::from_value(body).unwrap();
        let response = CreateFile::encode_response(&file, &api.unwrap()).unwrap();
        assert_eq!(u64::from(response.status().as_u16()), entry["status"]);
        // Services were seen to add the api-version.
        let place = response.headers()["location"].to_str().unwrap().split('?').next();
        assert_eq!(place, entry["headers"]["location"].as_str());
    }
}
