//! Setters of what people fill in: each sets the member of its name, and no other.

use std::{fmt::Debug, time::Duration};

use http::StatusCode;
use partwise_models::{ExpiresAfter, ExpiryAnchor, Purpose};
use partwise_protocol::{
    Dialect, Limits,
    download::DownloadPlan,
    error::ApiError,
    multipart::{Boundary, FormLimits},
    operations::{
        Account, ByteRange, ContentRange, CreateFile, DownloadFile, DownloadHead, FileListEnd, ListFiles,
        Order,
    },
    retry::{RetryHint, RetryPolicy},
    transport::Segment,
    upload::{Parallel, Plan, RouteChoice, SourceStamp},
};

/// Compares what a setter makes of `value` with what an assignment does.
fn same<T: Clone + PartialEq + Debug>(value: &T, set: impl FnOnce(T) -> T, assign: impl FnOnce(&mut T)) {
    let mut assigned = value.clone();
    assign(&mut assigned);
    assert_ne!(assigned, *value, "it was so before");
    assert_eq!(set(value.clone()), assigned);
}

/// Setters of members of these names; `some` for those that are absent by default.
macro_rules! setters {
    ($value:expr; $($name:ident: $new:expr),* $(; some $($optional:ident: $some:expr),*)?) => {{
        let value = $value;
        $(same(&value, |value| value.$name($new), |value| value.$name = $new.into());)*
        $($(same(&value, |value| value.$optional($some), |value| value.$optional = Some($some.into()));)*)?
    }};
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn plans_and_policies_are_set_member_by_member() {
    setters!(RetryPolicy::default(); max_failures: 1_u32, max_failures_before_contact: 1_u32, base_wait: SECOND, max_wait: SECOND,
        give_up_after: SECOND, give_up_before_contact: SECOND, max_hinted_wait: SECOND);
    setters!(Plan::new("a", "text/plain", Purpose::Batch); filename: "b", mime_type: "b", purpose: Purpose::Evals,
        route: RouteChoice::Parts, parallel: Parallel::InOrder, md5: true, compare_limit: SECOND, restart_when_expired: true;
        some part_size: 7_u64, expires_after: ExpiresAfter::new(ExpiryAnchor::CreatedAt, 7), retry: RetryPolicy::never());
    setters!(DownloadPlan::new("a"); file_id: "b", ranges: false, parallel: 1_u16;
        some range_size: 7_u64, retry: RetryPolicy::never());
    // Where none is set, it is the default.
    assert_eq!(*Plan::new("a", "text/plain", Purpose::Batch).retry_policy(), RetryPolicy::DEFAULT);
    assert_eq!(*DownloadPlan::new("a").retry_policy(), RetryPolicy::DEFAULT);
    assert_eq!(*DownloadPlan::new("a").retry(RetryPolicy::never()).retry_policy(), RetryPolicy::never());
}

#[test]
fn operations_and_their_answers_are_set_member_by_member() {
    setters!(ListFiles::new();; some purpose: Purpose::Batch, limit: 7_u32, order: Order::Ascending, after: "file-1");
    let range = ByteRange::Suffix(7);
    setters!(DownloadFile::new("a");; some range: range, if_range: "tag");
    let content = Segment::Bytes(bytes::Bytes::from_static(b"text"));
    let create = CreateFile::new(Purpose::Batch, "a", "text/plain", content, Boundary::from_entropy([7; 16]));
    setters!(create;; some expires_after: ExpiresAfter::new(ExpiryAnchor::CreatedAt, 7));
    let part = ContentRange { first: 0, last: 6, total: None };
    setters!(DownloadHead::default();; some length: 7_u64, range: part, filename: "a", etag: "b", last_modified: "c",
        content_type: "d");
    setters!(FileListEnd::default();; some first_id: "a", last_id: "b", has_more: true);
    setters!(Account::default();; some organization: "a", project: "b");
    setters!(RetryHint::default();; some should_retry: true);
    let rejection = ApiError::new(StatusCode::NOT_FOUND, "no such file");
    same(&rejection, |error| error.with_request_id("req_1"), |error| error.request_id = Some("req_1".into()));
}

#[test]
fn limits_and_stamps_are_set_member_by_member() {
    setters!(Limits::for_client(&Dialect::OpenAi); part: 7_u64, upload: 7_u64, file: 7_u64, parts: 7_u64);
    setters!(FormLimits::default(); header: 7_usize, fields: 7_usize);
    setters!(SourceStamp::new(7);; some modified: "a", changed: "b", identity: "c");
}
