//! What goes wrong in one story, and how often.

use bytes::Bytes;
use http::{Response, StatusCode};
use partwise_testkit::dice::Dice;

/// Rates per mille; most stories have only some faults, so that they get somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    /// The connection does not come about.
    pub(crate) connect: u64,
    /// The request is lost on its way.
    pub(crate) request_lost: u64,
    /// The answer is lost on its way.
    pub(crate) answer_lost: u64,
    /// The answer comes, and then once more.
    pub(crate) answer_doubled: u64,
    /// A gateway sends the request on twice.
    pub(crate) request_doubled: u64,
    /// The connection breaks before the whole body is there.
    pub(crate) reset: u64,
    /// The service or a gateway refuses before it does anything.
    pub(crate) refused_before: u64,
    /// The service or a gateway refuses although it was done.
    pub(crate) refused_after: u64,
    /// The service refuses for good.
    pub(crate) refused_finally: u64,
    /// A success is cut on its way.
    pub(crate) truncated: u64,
    /// A comparison cannot be brought to its end.
    pub(crate) compare: u64,
    /// The quota is used up, for good.
    pub(crate) quota: u64,
    /// The process dies before its next step.
    pub(crate) crash: u64,
    /// A checkpoint cannot be saved.
    pub(crate) save: u64,
    /// Somebody else uploads the same file before the next step.
    pub(crate) twin: u64,
    /// The source changes before the next step.
    pub(crate) source_changes: u64,
    /// The source is touched, or rewritten with its modification time put back, before the next step.
    pub(crate) touched: u64,
    /// The source cannot be read.
    pub(crate) source_fails: u64,
    /// The caller gives up before the next step.
    pub(crate) cancel: u64,
    /// The caller stops for now before the next step.
    pub(crate) stop: u64,
    /// Our wall clock is set before the next step.
    pub(crate) clock: u64,
    /// This machine sleeps before the next step.
    pub(crate) sleep: u64,
    /// The next run has the key of another project, which has no such upload.
    pub(crate) stranger: u64,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self {
            connect: 0,
            request_lost: 0,
            answer_lost: 0,
            answer_doubled: 0,
            request_doubled: 0,
            reset: 0,
            refused_before: 0,
            refused_after: 0,
            refused_finally: 0,
            truncated: 0,
            compare: 0,
            quota: 0,
            crash: 0,
            save: 0,
            twin: 0,
            source_changes: 0,
            touched: 0,
            source_fails: 0,
            cancel: 0,
            stop: 0,
            clock: 0,
            sleep: 0,
            stranger: 0,
        }
    }

    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let mut rate = |rates: &[u64]| *dice.pick(rates);
        Self {
            connect: rate(&[0, 0, 30, 200]),
            request_lost: rate(&[0, 0, 30, 150]),
            answer_lost: rate(&[0, 0, 30, 150]),
            answer_doubled: rate(&[0, 0, 50]),
            request_doubled: rate(&[0, 0, 50]),
            reset: rate(&[0, 0, 30, 150]),
            refused_before: rate(&[0, 0, 50, 250]),
            refused_after: rate(&[0, 0, 50, 150]),
            refused_finally: rate(&[0, 0, 0, 0, 10]),
            truncated: rate(&[0, 0, 30, 100]),
            compare: rate(&[0, 0, 30, 150]),
            quota: rate(&[0, 0, 0, 0, 0, 0, 0, 5]),
            crash: rate(&[0, 0, 5, 30]),
            save: rate(&[0, 0, 0, 0, 0, 0, 10]),
            twin: rate(&[0, 0, 0, 10]),
            source_changes: rate(&[0, 0, 0, 0, 0, 0, 5]),
            touched: rate(&[0, 0, 0, 0, 10, 100]),
            source_fails: rate(&[0, 0, 0, 0, 0, 0, 5]),
            cancel: rate(&[0, 0, 0, 0, 0, 0, 10]),
            stop: rate(&[0, 0, 0, 0, 0, 0, 10]),
            clock: rate(&[0, 0, 0, 3, 30]),
            stranger: rate(&[0, 0, 0, 200]),
            sleep: rate(&[0, 0, 0, 5, 50]),
        }
    }
}

/// What refusals say, and the wait in milliseconds that their words ask for.
pub(crate) const BODIES: [(&str, Option<u64>); 8] = [
    (r#"{"error":{"code":"429","message":"Rate limit is exceeded. Try again in 6 seconds."}}"#, Some(6000)),
    (r#"{"error":{"code":"429","message":"Please retry after 1 second."}}"#, Some(1000)),
    (r#"{"error":{"message":"Limit 3. Please try again in 1m0.5s. Visit us","code":null}}"#, Some(60_500)),
    (r#"{"statusCode":429,"message":"busy"}"#, None),
    ("<html><head><title>502 Bad Gateway</title></head></html>", None),
    ("upstream connect error", None),
    ("{", None),
    ("", None),
];

/// A refusal by somebody who may be busy; `executed` when what was asked for has been done nevertheless.
pub(crate) fn refusal(dice: &mut Dice, executed: bool, service_time: u64) -> Response<Bytes> {
    // A service that says 429 has not looked at the request, so it never says so afterwards.
    let statuses: &[u16] =
        if executed { &[408, 500, 502, 503, 504] } else { &[408, 409, 429, 429, 500, 502, 503, 503] };
    let status = *dice.pick(statuses);
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    if dice.chance(500) {
        // Now and then longer than anybody waits.
        let wait = if dice.chance(20) { 121 + dice.below(4000) } else { dice.below(8) };
        let date =
            |at: u64| httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(at));
        response = match dice.below(5) {
            0 => response.header("retry-after-ms", (wait * 900).to_string()),
            1 => response.header("retry-after", wait.to_string()),
            2 => response
                .header("retry-after", (wait + 5).to_string())
                .header("retry-after-ms", (wait * 700).to_string()),
            3 => response.header("retry-after", date(service_time + wait)).header("date", date(service_time)),
            _ => response.header("retry-after", "soon").header("x-should-retry", "true"),
        };
    }
    if dice.chance(10) {
        response = response.header("x-should-retry", "false");
    }
    let (body, _) = *dice.pick(&BODIES);
    response.body(Bytes::from_static(body.as_bytes())).unwrap()
}

/// A refusal of what nobody should ask for again, unless the service itself says so.
pub(crate) fn final_refusal(dice: &mut Dice) -> Response<Bytes> {
    let mut response = Response::builder().status(*dice.pick(&[400, 401, 403, 404, 413, 422, 501]));
    if dice.chance(500) {
        response = response.header("x-should-retry", "true");
    }
    response.body(Bytes::from_static(br#"{"error":{"message":"no"}}"#)).unwrap()
}

/// The account has nothing left, and waiting does not help, whatever the service says of it.
pub(crate) fn quota_exhausted(dice: &mut Dice) -> Response<Bytes> {
    let mut response = Response::builder().status(429);
    if dice.chance(300) {
        response = response.header("x-should-retry", "true").header("retry-after", "1");
    }
    let body = r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"You exceeded your quota"}}"#;
    response.body(Bytes::from_static(body.as_bytes())).unwrap()
}
