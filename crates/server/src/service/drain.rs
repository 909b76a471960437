//! The rest of a request's body that an early answer leaves unread.

use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use tokio::time::timeout;

use super::{
    body::{RequestBody, ResponseBody},
    head::Head,
};

/// A rest up to this is read so that the connection can go on, as slowly as any other body may come.
const WORTH_KEEPING: u64 = 1024 * 1024;
/// A rest up to this is read so that the caller sees the answer: one who is still sending finds a closed connection
/// reset, and many never look at what came before that.
const MOST: u64 = 64 * 1024 * 1024;
/// And for so long.
const LONGEST: Duration = Duration::from_secs(30);

/// Reads on beside the answer, within bounds, when the body has not been read to its end.
pub(super) fn drain(mut body: RequestBody, head: &Head, response: &mut Response<ResponseBody>) {
    if body.is_at_end() {
        return;
    }
    // Who waits to be told to go on has sent nothing, and will not; who was too slow is not waited for any longer.
    let is_given_up =
        head.expects_continue() && body.received() == 0 || response.status() == StatusCode::REQUEST_TIMEOUT;
    if is_given_up {
        close(head, response);
        return;
    }
    // Whoever has no key gets no more of the server's time than half a minute, also at the lowest rate.
    let has_key = !matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let most = if has_key { WORTH_KEEPING } else { body.least_within(LONGEST).min(WORTH_KEEPING) };
    let keeps_connection = body.remaining().is_some_and(|rest| rest <= most);
    if !keeps_connection {
        close(head, response);
    }
    let end = body.received().saturating_add(MOST);
    let reading = async move {
        // Behind the last byte of an announced length, hyper says nothing more before the next request comes.
        while !body.is_at_end() && body.received() < end && matches!(body.next().await, Ok(Some(_))) {}
    };
    if keeps_connection {
        tokio::spawn(reading);
    } else {
        tokio::spawn(timeout(LONGEST, reading));
    }
}

/// Tells the caller that the connection ends.
fn close(head: &Head, response: &mut Response<ResponseBody>) {
    if head.has_connection_header() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}
