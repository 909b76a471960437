//! What becomes of one request: drawn beforehand, or set by a named story.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use partwise_testkit::dice::Dice;

use crate::clocks::Clocks;

/// How long a way takes on which nothing happens.
const MOMENT: Duration = Duration::from_millis(10);

/// One request's way there and back.
#[derive(Clone, Debug)]
pub(crate) struct Fate {
    /// How long its bytes take to get there.
    pub(crate) there: Duration,
    /// How long the answer takes back.
    pub(crate) back: Duration,
    /// When the client's transport gives up on what will never come.
    pub(crate) patience: Duration,
    pub(crate) way: Way,
}

#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// No connection comes about.
    NoConnection,
    /// It is lost on its way.
    Lost,
    /// The connection breaks after so many of a thousand bytes of the body.
    Cut(u64),
    /// Somebody in between refuses it, or the service does before it does anything.
    Rejected(Response<Bytes>),
    /// It is done.
    Done(Ending),
}

/// What becomes of the answer.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    Answered,
    /// It never comes.
    Lost,
    /// The connection breaks before it comes.
    Reset,
    /// Somebody in between answers something else.
    Replaced(Response<Bytes>),
    /// Half of it comes, and looks complete.
    Truncated,
    /// The connection breaks in the middle of it.
    BrokenOff,
}

/// How often each thing happens, of a thousand requests. Most stories have only some faults, so that they get somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    no_connection: u64,
    lost: u64,
    cut: u64,
    refused: u64,
    answer_lost: u64,
    replaced: u64,
    truncated: u64,
    broken_off: u64,
    /// The quota is used up, for good.
    pub(crate) quota: u64,
    /// How long the ways there and back take, at least and at most.
    ways: (Duration, Duration),
}

impl Rates {
    /// Nothing ever happens.
    pub(crate) fn none() -> Self {
        Self {
            no_connection: 0,
            lost: 0,
            cut: 0,
            refused: 0,
            answer_lost: 0,
            replaced: 0,
            truncated: 0,
            broken_off: 0,
            quota: 0,
            ways: (MOMENT, MOMENT),
        }
    }

    /// Nothing ever arrives.
    pub(crate) fn dead() -> Self {
        Self { lost: 1000, ..Self::none() }
    }

    pub(crate) fn draw(dice: &mut Dice) -> Self {
        // Slow stories are long ones, and a few of them tell enough.
        let slowest = match dice.below(100) {
            0 => 600_000,
            1..6 => 20_000,
            6..40 => 2_000,
            _ => 50,
        };
        let mut rate = |rates: &[u64]| *dice.pick(rates);
        Self {
            no_connection: rate(&[0, 0, 0, 0, 30, 30, 200, 800]),
            lost: rate(&[0, 0, 30, 150]),
            cut: rate(&[0, 0, 50, 200]),
            refused: rate(&[0, 0, 50, 250]),
            answer_lost: rate(&[0, 0, 30, 150]),
            replaced: rate(&[0, 0, 50, 150]),
            truncated: rate(&[0, 0, 30, 100]),
            broken_off: rate(&[0, 0, 30, 100]),
            quota: rate(&[0, 0, 0, 0, 0, 0, 0, 5]),
            ways: (Duration::ZERO, Duration::from_millis(slowest)),
        }
    }
}

impl Fate {
    /// Arrives at once, and so does its answer.
    pub(crate) fn smooth(way: Way) -> Self {
        Self { there: MOMENT, back: MOMENT, patience: Duration::from_secs(5), way }
    }

    /// The same, with an answer that takes so long to come back.
    pub(crate) fn back_after(self, back: Duration) -> Self {
        Self { back, ..self }
    }

    pub(crate) fn draw(rates: &Rates, dice: &mut Dice, clocks: &Clocks) -> Self {
        let way = if dice.chance(rates.no_connection) {
            Way::NoConnection
        } else if dice.chance(rates.lost) {
            Way::Lost
        } else if dice.chance(rates.cut) {
            Way::Cut(dice.below(1000))
        } else if dice.chance(rates.refused) {
            Way::Rejected(refusal(dice, &[408, 409, 429, 429, 500, 502, 503, 503], clocks))
        } else {
            Way::Done(Ending::draw(rates, dice, clocks))
        };
        let patience = Duration::from_secs(4) + dice.up_to(Duration::from_secs(4));
        let (quickest, slowest) = rates.ways;
        let mut takes = || quickest + dice.up_to(slowest - quickest);
        Self { there: takes(), back: takes(), patience, way }
    }
}

impl Ending {
    fn draw(rates: &Rates, dice: &mut Dice, clocks: &Clocks) -> Self {
        if dice.chance(rates.answer_lost) {
            if dice.chance(500) { Self::Lost } else { Self::Reset }
        } else if dice.chance(rates.replaced) {
            // A service that says 429 has not looked at the request, so it never says so afterwards.
            Self::Replaced(refusal(dice, &[408, 500, 502, 503, 504], clocks))
        } else if dice.chance(rates.truncated) {
            Self::Truncated
        } else if dice.chance(rates.broken_off) {
            Self::BrokenOff
        } else {
            Self::Answered
        }
    }
}

/// A refusal by somebody who may be busy, with any kind of wait.
fn refusal(dice: &mut Dice, statuses: &[u16], clocks: &Clocks) -> Response<Bytes> {
    let mut response = Response::builder().status(*dice.pick(statuses));
    if dice.chance(500) {
        let (wait, now) = (dice.below(8), clocks.server());
        response = match dice.below(4) {
            0 => response.header("retry-after-ms", (wait * 900).to_string()),
            1 => response.header("retry-after", wait.to_string()),
            2 => response
                .header("retry-after", Clocks::http_date((now.0 + wait).into()))
                .header("date", Clocks::http_date(now)),
            _ => response.header("retry-after", "soon").header("x-should-retry", "true"),
        };
    }
    if dice.chance(10) {
        response = response.header("x-should-retry", "false");
    }
    let bodies = [
        r#"{"error":{"code":"429","message":"Rate limit is exceeded. Try again in 6 seconds."}}"#,
        r#"{"statusCode":429,"message":"busy"}"#,
        "<html><head><title>502 Bad Gateway</title></head></html>",
        "upstream connect error",
        "{",
        "",
    ];
    response.body(Bytes::from_static(dice.pick(&bodies).as_bytes())).unwrap()
}

/// A refusal with these headers and without a word.
pub(crate) fn bare_refusal(status: u16, headers: &[(&str, &str)]) -> Response<Bytes> {
    let start = Response::builder().status(status);
    let response = headers.iter().fold(start, |response, (name, value)| response.header(*name, *value));
    response.body(Bytes::new()).unwrap()
}

/// The account has nothing left, and waiting does not help.
pub(crate) fn quota_exhausted() -> Response<Bytes> {
    let body = r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"You exceeded your quota"}}"#;
    Response::builder().status(429).body(Bytes::from_static(body.as_bytes())).unwrap()
}
