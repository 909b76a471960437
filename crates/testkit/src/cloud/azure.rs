//! The dialect of Azure Blob Storage.

use http::{StatusCode, header};
use percent_encoding::percent_decode_str;

use super::{
    answer::Answer,
    bucket::Bucket,
    list::{Asked, Entry, Page, Start},
    problem::Problem,
    request::{Kind, Request},
    xml,
};

/// The most entries of a page.
pub(super) const PAGE: usize = 5000;
/// The most objects that one request removes.
const REMOVED_AT_ONCE: usize = 256;
const BATCH: &str = "multipart/mixed; boundary=";
const BOUNDARY: &str = "batchresponse_1";

pub(super) fn carry_out(bucket: &mut Bucket, request: &Request, page: usize) -> Result<Answer, Problem> {
    let key = request.key.as_str();
    Ok(match request.kind {
        Kind::Put | Kind::Create => {
            if request.header("x-ms-blob-type") != Some("BlockBlob") {
                return Err(Problem::Malformed);
            }
            Answer::written(StatusCode::CREATED, bucket.put(key, request.body.clone()))
        }
        Kind::Get | Kind::Head => Answer::object(request, bucket.object(key)?)?,
        Kind::List => list(bucket, request, page)?,
        Kind::Delete if bucket.remove(key) => Answer::empty(StatusCode::ACCEPTED),
        Kind::Delete => return Err(Problem::NoSuchKey),
        Kind::DeleteMany => delete_many(bucket, request)?,
        Kind::Part => {
            let id = request.parameter("blockid").ok_or(Problem::Malformed)?;
            bucket.put_block(key, id, request.body.clone());
            Answer::empty(StatusCode::CREATED)
        }
        Kind::Complete => {
            let ids = xml::insides(request.text()?, "Uncommitted");
            let ids: Vec<String> = ids.into_iter().map(xml::unescape).collect();
            Answer::written(StatusCode::CREATED, bucket.commit_blocks(key, &ids)?)
        }
        Kind::Begin | Kind::Abort => return Err(Problem::Unknown),
    })
}

/// The keys that a request removes of several.
pub(super) fn removed(request: &Request) -> Result<Vec<String>, Problem> {
    Ok(batch(request)?.into_iter().map(|(_, key)| key).collect())
}

/// The requests of a batch: their identifiers, and the keys that they remove.
fn batch(request: &Request) -> Result<Vec<(String, String)>, Problem> {
    request
        .header(header::CONTENT_TYPE.as_str())
        .and_then(|kind| kind.strip_prefix(BATCH))
        .ok_or(Problem::Malformed)?;
    let mut id = None;
    let mut found = Vec::new();
    for line in request.text()?.lines() {
        if let Some(value) = line.strip_prefix("Content-ID: ") {
            id = Some(value.to_owned());
        }
        let Some(path) = line.strip_prefix("DELETE /").and_then(|line| line.strip_suffix(" HTTP/1.1")) else {
            continue;
        };
        let key = path.strip_prefix(&request.bucket).and_then(|path| path.strip_prefix('/'));
        let key = key.and_then(|key| percent_decode_str(key).decode_utf8().ok());
        found.push((id.take().ok_or(Problem::Malformed)?, key.ok_or(Problem::Malformed)?.into_owned()));
    }
    if found.is_empty() || found.len() > REMOVED_AT_ONCE { Err(Problem::Malformed) } else { Ok(found) }
}

fn delete_many(bucket: &mut Bucket, request: &Request) -> Result<Answer, Problem> {
    let mut body = String::new();
    for (id, key) in batch(request)? {
        let status =
            if bucket.remove(&key) { "202 Accepted" } else { "404 The specified blob does not exist." };
        body += &format!("--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: {id}\r\n\r\n");
        body += &format!("HTTP/1.1 {status}\r\nx-ms-version: 2023-11-03\r\n\r\n");
    }
    body += &format!("--{BOUNDARY}--\r\n");
    Ok(Answer::new(StatusCode::ACCEPTED, body).with(header::CONTENT_TYPE, format!("{BATCH}{BOUNDARY}")))
}

fn list(bucket: &mut Bucket, request: &Request, page: usize) -> Result<Answer, Problem> {
    if request.parameter("comp") != Some("list") {
        return Err(Problem::Unknown);
    }
    let limit = request.parameter("maxresults").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE);
    let start = match (request.parameter("marker"), request.parameter("startFrom")) {
        (Some(mark), _) => Start::of_mark(mark).ok_or(Problem::Malformed)?,
        (None, Some(first)) => Start::At(first),
        (None, None) => Start::First,
    };
    if request.parameter("marker").is_none() {
        bucket.count_list();
    }
    let (prefix, delimiter) =
        (request.parameter("prefix").unwrap_or_default(), request.parameter("delimiter"));
    let page = Page::of(bucket, &Asked { prefix, delimiter, start, limit: limit.min(page) });
    let mut blobs = String::new();
    for entry in &page.entries {
        blobs += &match entry {
            Entry::Object(key, object) => {
                let date = xml::text("Last-Modified", &httpdate::fmt_http_date(object.written));
                let sizes = xml::text("Etag", &object.etag())
                    + &xml::text("Content-Length", &object.content.len().to_string())
                    + &xml::text("Content-Type", "application/octet-stream");
                let properties = xml::wrap("Properties", &(date + &sizes));
                xml::wrap("Blob", &(xml::text("Name", key) + &properties))
            }
            Entry::Prefix(prefix) => xml::wrap("BlobPrefix", &xml::text("Name", prefix)),
        };
    }
    let inside = xml::text("Prefix", prefix) + &xml::wrap("Blobs", &blobs);
    let next = xml::text("NextMarker", page.next.as_deref().unwrap_or_default());
    Ok(Answer::xml(StatusCode::OK, xml::document("EnumerationResults", &(inside + &next))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Dialect;

    #[test]
    fn a_batch_names_what_it_removes() {
        let body = "--b\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nDELETE /bucket/a%20b HTTP/1.1\r\n\r\n\r\n--b--\r\n";
        let request = http::Request::post("http://fake/bucket?restype=container&comp=batch");
        let request =
            request.header("x-ms-version", "1").header("content-type", "multipart/mixed; boundary=b");
        let request = Request::read(request.body(body.into()).unwrap()).unwrap();
        assert_eq!((request.dialect, request.kind), (Dialect::Azure, Kind::DeleteMany));
        assert_eq!(batch(&request), Ok(vec![("0".to_owned(), "a b".to_owned())]));
    }
}
