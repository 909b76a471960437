//! Hints and policies.

use http::StatusCode;

use super::*;
use crate::transport::FailureKind;

const NOW: Now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1_000_000_000) };

fn hint(headers: &[(&'static str, &str)]) -> RetryHint {
    let pairs = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    RetryHint::of_headers(&pairs.collect())
}

#[test]
fn milliseconds_come_before_seconds_and_dates() {
    assert_eq!(
        hint(&[("retry-after-ms", "1500"), ("retry-after", "9")]).wait(NOW),
        Some(Duration::from_millis(1500))
    );
    assert_eq!(hint(&[("retry-after", "9")]).wait(NOW), Some(Duration::from_secs(9)));
    assert_eq!(hint(&[("retry-after", "0.5")]).wait(NOW), Some(Duration::from_millis(500)));
    assert_eq!(
        hint(&[("retry-after-ms", "soon"), ("retry-after", "2")]).wait(NOW),
        Some(Duration::from_secs(2))
    );
}

#[test]
fn a_date_is_read_against_the_services_own_clock_when_it_names_it() {
    let date = ("retry-after", "Sun, 09 Sep 2001 01:47:40 GMT");
    assert_eq!(hint(&[date]).wait(NOW), Some(Duration::from_secs(60)));
    assert_eq!(
        hint(&[date, ("date", "Sun, 09 Sep 2001 01:47:30 GMT")]).wait(NOW),
        Some(Duration::from_secs(10))
    );
    assert_eq!(hint(&[date, ("date", "Sun, 09 Sep 2001 02:00:00 GMT")]).wait(NOW), Some(Duration::ZERO));
}

#[test]
fn unreadable_hints_count_as_none() {
    for value in ["", "-1", "NaN", "inf", "1e300", "tomorrow"] {
        assert_eq!(
            hint(&[("retry-after", value), ("x-should-retry", "perhaps")]),
            RetryHint::default(),
            "{value}"
        );
    }
}

#[test]
fn a_hint_is_read_again_as_it_was_written() {
    let hints = [
        RetryHint::after(Duration::from_millis(1500)),
        RetryHint { should_retry: Some(false), after: Some(RetryAfter::Until(UnixSeconds(LAST_DATE))) },
        RetryHint::default(),
    ];
    for hint in hints {
        let mut headers = HeaderMap::new();
        hint.write_to(&mut headers);
        assert_eq!(RetryHint::of_headers(&headers), hint);
    }
}

#[test]
fn a_moment_behind_all_dates_is_written_as_the_last_one() {
    let mut headers = HeaderMap::new();
    RetryHint { after: Some(RetryAfter::Until(UnixSeconds(u64::MAX))), should_retry: None }
        .write_to(&mut headers);
    assert_eq!(headers[header::RETRY_AFTER], "Fri, 31 Dec 9999 23:59:59 GMT");
}

fn refused(status: u16) -> ApiError {
    ApiError::new(StatusCode::from_u16(status).unwrap(), "no")
}

fn verdict(repeat: Repeat, error: &ApiError) -> Verdict {
    RetryPolicy::default().on_rejection(repeat, 1, error, NOW, u64::MAX / 3)
}

#[test]
fn only_transient_statuses_are_repeated() {
    for status in [408, 409, 429, 500, 502, 503, 504, 529] {
        assert_ne!(verdict(Repeat::Orphans, &refused(status)), Verdict::GiveUp, "{status}");
    }
    for status in [301, 400, 401, 403, 404, 413, 415, 422, 501, 505, 507] {
        assert_eq!(verdict(Repeat::Orphans, &refused(status)), Verdict::GiveUp, "{status}");
    }
}

#[test]
fn the_service_decides_over_the_status() {
    let mut error = refused(500);
    error.retry.should_retry = Some(false);
    assert_eq!(verdict(Repeat::Harmless, &error), Verdict::GiveUp);
    let mut error = refused(400);
    error.retry.should_retry = Some(true);
    assert_ne!(verdict(Repeat::Harmless, &error), Verdict::GiveUp);
}

#[test]
fn advice_to_retry_never_repeats_what_may_have_been_executed() {
    for status in [408, 409, 500, 502, 503, 504] {
        let mut error = refused(status);
        error.retry.should_retry = Some(true);
        assert_eq!(verdict(Repeat::Ambiguous, &error), Verdict::GiveUp, "{status}");
    }
    // A rejection says that nothing was executed.
    for status in [400, 429] {
        let mut error = refused(status);
        error.retry.should_retry = Some(true);
        assert_ne!(verdict(Repeat::Ambiguous, &error), Verdict::GiveUp, "{status}");
    }
}

#[test]
fn an_exhausted_quota_is_final_even_when_the_service_says_retry() {
    let mut error = refused(429).with_code(partwise_models::ErrorCode::InsufficientQuota);
    error.retry.should_retry = Some(true);
    assert_eq!(verdict(Repeat::Harmless, &error), Verdict::GiveUp);
}

#[test]
fn a_wait_over_the_cap_is_a_failure_and_not_an_hour_of_sleep() {
    let mut error = refused(429);
    error.retry = RetryHint::after(Duration::from_secs(121));
    assert_eq!(verdict(Repeat::Harmless, &error), Verdict::GiveUp);
    error.retry = RetryHint::after(Duration::from_secs(120));
    assert_eq!(
        verdict(Repeat::Harmless, &error),
        Verdict::Retry { wait: Duration::from_secs(120), hold_all: true }
    );
}

#[test]
fn a_hint_never_makes_a_wait_shorter_than_the_drawn_backoff() {
    let (policy, random) = (RetryPolicy::default(), u64::MAX / 3);
    let past = ("retry-after", "Sun, 09 Sep 2001 01:46:30 GMT");
    for hinted in [("retry-after-ms", "0"), ("retry-after", "0"), ("retry-after-ms", "1"), past] {
        let mut error = refused(429);
        error.retry = hint(&[hinted]);
        assert!(error.retry.after.is_some(), "{hinted:?}");
        for failures in 1..=8 {
            let verdict = policy.on_rejection(Repeat::Orphans, failures, &error, NOW, random);
            let wait = policy.wait(failures, random);
            assert!(wait > Duration::from_millis(1), "{wait:?}");
            assert_eq!(verdict, Verdict::Retry { wait, hold_all: true }, "{hinted:?}");
        }
    }
}

#[test]
fn what_may_have_been_done_is_not_done_again() {
    let policy = RetryPolicy::default();
    let failed = |kind| policy.on_failure(Repeat::Ambiguous, 1, &Failure::new(kind), 0);
    assert_eq!(verdict(Repeat::Ambiguous, &refused(500)), Verdict::GiveUp);
    assert_eq!(failed(FailureKind::Interrupted), Verdict::GiveUp);
    assert_ne!(verdict(Repeat::Ambiguous, &refused(429)), Verdict::GiveUp);
    assert_ne!(failed(FailureKind::Connect), Verdict::GiveUp);
}

#[test]
fn waits_double_up_to_their_cap_and_are_drawn_from_nothing_on() {
    let policy = RetryPolicy::default();
    let longest = |failures| {
        (0..2000u64).map(|i| policy.wait(failures, i.wrapping_mul(0x9E37_79B9_7F4A_7C15))).max().unwrap()
    };
    let near = |wait: Duration, cap: u64| {
        wait <= Duration::from_millis(cap) && wait > Duration::from_millis(cap * 9 / 10)
    };
    assert!(near(longest(1), 500) && near(longest(2), 1000) && near(longest(3), 2000));
    assert!(near(longest(40), 20_000));
    assert_eq!(policy.wait(3, 0), Duration::ZERO);
}
