//! The dialects of S3 and Google Cloud Storage, which differ in little.

use http::{HeaderName, StatusCode, header};

use super::{
    answer::{Answer, iso_date},
    bucket::Bucket,
    list::{Asked, Entry, Page, Start},
    problem::Problem,
    request::{Dialect, Kind, Request},
    xml,
};

/// The most entries of a page.
pub(super) const PAGE: usize = 1000;
/// The most objects that one request removes.
const REMOVED_AT_ONCE: usize = 1000;

pub(super) fn carry_out(bucket: &mut Bucket, request: &Request, page: usize) -> Result<Answer, Problem> {
    let key = request.key.as_str();
    let upload = || request.parameter("uploadId").ok_or(Problem::Malformed);
    Ok(match request.kind {
        Kind::Put | Kind::Create => Answer::written(StatusCode::OK, bucket.put(key, request.body.clone())),
        Kind::Get | Kind::Head => Answer::object(request, bucket.object(key)?)?,
        Kind::List => list(bucket, request, page)?,
        Kind::Delete => {
            if !bucket.remove(key) && request.dialect == Dialect::Gcs {
                return Err(Problem::NoSuchKey);
            }
            Answer::empty(StatusCode::NO_CONTENT)
        }
        Kind::DeleteMany => delete_many(bucket, request)?,
        Kind::Begin => {
            let id = bucket.begin(key);
            let inside =
                xml::text("Bucket", &request.bucket) + &xml::text("Key", key) + &xml::text("UploadId", &id);
            Answer::xml(StatusCode::OK, xml::document("InitiateMultipartUploadResult", &inside))
        }
        Kind::Part => {
            let number = request.parameter("partNumber").and_then(|number| number.parse().ok());
            let number = number.ok_or(Problem::Malformed)?;
            let etag = bucket.put_part(upload()?, key, number, request.body.clone())?;
            Answer::empty(StatusCode::OK).with(header::ETAG, etag)
        }
        Kind::Complete => {
            let object = bucket.complete(upload()?, key, &named_parts(request)?)?;
            let inside = xml::text("Key", key) + &xml::text("ETag", &object.etag());
            let answer = Answer::xml(StatusCode::OK, xml::document("CompleteMultipartUploadResult", &inside));
            answer.with(HeaderName::from_static("x-goog-generation"), object.generation.to_string())
        }
        Kind::Abort => {
            bucket.abort(upload()?)?;
            Answer::empty(StatusCode::NO_CONTENT)
        }
    })
}

/// The keys that a request removes of several.
pub(super) fn removed(request: &Request) -> Result<Vec<String>, Problem> {
    let keys: Vec<String> = xml::insides(request.text()?, "Key").into_iter().map(xml::unescape).collect();
    if keys.is_empty() || keys.len() > REMOVED_AT_ONCE { Err(Problem::Malformed) } else { Ok(keys) }
}

fn delete_many(bucket: &mut Bucket, request: &Request) -> Result<Answer, Problem> {
    let mut inside = String::new();
    for key in removed(request)? {
        // One that is not there is removed, too.
        bucket.remove(&key);
        inside += &xml::wrap("Deleted", &xml::text("Key", &key));
    }
    Ok(Answer::xml(StatusCode::OK, xml::document("DeleteResult", &inside)))
}

fn named_parts(request: &Request) -> Result<Vec<(u32, String)>, Problem> {
    let part = |inside| {
        let number = xml::text_of(inside, "PartNumber")?.parse().ok()?;
        Some((number, xml::text_of(inside, "ETag")?))
    };
    let parts: Option<Vec<_>> = xml::insides(request.text()?, "Part").into_iter().map(part).collect();
    parts.ok_or(Problem::Malformed)
}

fn list(bucket: &mut Bucket, request: &Request, page: usize) -> Result<Answer, Problem> {
    if request.parameter("list-type") != Some("2") {
        return Err(Problem::Unknown);
    }
    let limit = request.parameter("max-keys").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE);
    let start = match (request.parameter("continuation-token"), request.parameter("start-after")) {
        (Some(mark), _) => Start::of_mark(mark).ok_or(Problem::Malformed)?,
        (None, Some(last)) => Start::Behind(last),
        (None, None) => Start::First,
    };
    if request.parameter("continuation-token").is_none() {
        bucket.count_list();
    }
    let (prefix, delimiter) =
        (request.parameter("prefix").unwrap_or_default(), request.parameter("delimiter"));
    let page = Page::of(bucket, &Asked { prefix, delimiter, start, limit: limit.min(page) });
    let mut inside = xml::text("Name", &request.bucket) + &xml::text("Prefix", prefix);
    inside += &xml::text("KeyCount", &page.entries.len().to_string());
    inside += &xml::text("IsTruncated", &page.next.is_some().to_string());
    for entry in &page.entries {
        inside += &match entry {
            Entry::Object(key, object) => {
                let times = xml::text("LastModified", &iso_date(object.written));
                let sizes =
                    xml::text("ETag", &object.etag()) + &xml::text("Size", &object.content.len().to_string());
                xml::wrap("Contents", &(xml::text("Key", key) + &times + &sizes))
            }
            Entry::Prefix(prefix) => xml::wrap("CommonPrefixes", &xml::text("Prefix", prefix)),
        };
    }
    if let Some(next) = &page.next {
        inside += &xml::text("NextContinuationToken", next);
    }
    Ok(Answer::xml(StatusCode::OK, xml::document("ListBucketResult", &inside)))
}
