//! What a request that brought nothing leads to, held against rules 4 and 5.

use std::time::Duration;

use partwise_protocol::{
    transport::FailureKind,
    upload::{Phase, Progress},
};

use super::{Asked, Books, Failures, Flight};
use crate::{
    patience::{Expected, Setback},
    rules::{Rule, hold},
};

impl Books {
    pub(super) fn set_back(
        &mut self,
        flight: &Flight,
        setback: Setback,
        is_whole: bool,
        [before, after]: [&Progress; 2],
        is_past: bool,
        now: Duration,
    ) {
        let is_again = after.statistics.retries.total > before.statistics.retries.total;
        let again = after.latest_retry.filter(|_| is_again).map(|retry| retry.wait);
        let is_commit = matches!(flight.asked, Asked::Complete | Asked::Post);
        let is_in_doubt = is_commit && is_whole && !setback.was_never_done();
        let is_away = self.is_away(flight, setback, is_in_doubt, now);
        self.understood |= setback.is_of_the_api();
        // It ends by itself when the service was away for too long.
        // It starts over, or looks for the file.
        let goes_elsewhere =
            matches!(after.phase, Phase::Creating | Phase::Settling) && before.phase != after.phase;
        let is_ending = self.stops || self.gives_up || goes_elsewhere;
        // A file that is gone is an answer, and a page that was too large is asked for in smaller ones, whatever else the rejection says.
        let is_gone = matches!(setback, Setback::Rejected { status: 404, is_quota: false, .. });
        let is_missing = flight.asked == Asked::Object && is_gone;
        let is_page = flight.asked == Asked::List
            && setback.is_invalid()
            && again.is_none()
            && after.phase == Phase::Settling;
        let is_silent = !is_in_doubt && !is_ending && !is_missing && !is_page && again.is_none();
        self.fails |= is_silent && self.was_out_of_patience;
        let was_ending = self.is_ending();
        if was_ending {
            hold(Rule::StopSilent, again.is_none(), || format!("{setback:?} leads to {again:?}"));
        }
        if setback.is_overload() && !was_ending {
            let hint = setback.hint().filter(|hint| *hint <= self.plan.retry_policy().max_hinted_wait);
            let until = now + hint.max(again).unwrap_or_default();
            self.pace.overloaded(until, flight.number, self.requests);
        }
        match flight.asked {
            Asked::Complete | Asked::Post if is_in_doubt => {
                self.commit_set_back(flight.asked, setback, again, after);
            }
            Asked::Part(start) => {
                let failures = if is_away { Failures::default() } else { self.count_failure(start) };
                let expected = match is_away {
                    true => self.expected_of_outage(flight.left_at, now),
                    false => setback.expected(failures.since, self.understood, self.plan.retry_policy()),
                };
                let is_refilled = failures.since < failures.all && expected.again.is_some();
                let is_over = matches!(after.phase, Phase::Done | Phase::Creating);
                self.fails |= expected.again.is_none() && !is_over;
                if expected.again.is_none() && is_past && !setback.is_completed() {
                    hold(Rule::Believed, is_over, || format!("{setback:?} leads to {:?}", after.phase));
                }
                if !was_ending {
                    judge(&expected, again, self.fails || is_over, setback, is_refilled);
                }
                self.waiting.extend(again.map(|wait| (start, now + wait)));
                self.part_interrupted(start, setback);
            }
            Asked::Content => {}
            Asked::Object if is_missing => {
                (self.understood, self.solo.1, self.solo_excused) = (true, 0, None);
            }
            Asked::Create | Asked::List | Asked::Object | Asked::Cancel | Asked::Complete | Asked::Post => {
                self.solo.1 += u32::from(!is_away);
                self.solo_until = now + again.unwrap_or_default();
                let is_commit = matches!(flight.asked, Asked::Complete | Asked::Post);
                let may_be_made =
                    self.in_doubt && (is_commit || matches!(flight.asked, Asked::List | Asked::Object));
                let is_known = self.understood || may_be_made;
                let expected = match is_away {
                    true => self.expected_of_outage(flight.left_at, now),
                    false => setback.expected(self.solo.1, is_known, self.plan.retry_policy()),
                };
                // Where no upload is opened, the file goes as one request again.
                let is_single_again =
                    flight.asked == Asked::Create && self.fell_back && after.phase == Phase::Checking;
                // It saves before its end that no file was made.
                let saves_the_end = flight.asked == Asked::Complete && after.phase == Phase::Checking;
                self.fails |= saves_the_end;
                let is_over = matches!(after.phase, Phase::Done | Phase::Creating)
                    || (may_be_made && is_commit && after.phase == Phase::Settling)
                    || is_single_again
                    || saves_the_end;
                if is_page {
                    self.solo.1 -= 1;
                    return;
                }
                if !was_ending {
                    judge(&expected, again, is_over, setback, false);
                }
                if flight.asked == Asked::Complete {
                    self.completes_in_doubt = self.completes_in_doubt.saturating_sub(1);
                }
            }
        }
    }

    /// Whether this is a failure of the service, not of the request.
    fn is_away(&mut self, flight: &Flight, setback: Setback, is_in_doubt: bool, now: Duration) -> bool {
        self.is_of_sleep = false;
        let Setback::Failed(kind) = setback else { return false };
        if !matches!(kind, FailureKind::Connect | FailureKind::Interrupted | FailureKind::Timeout) {
            self.line.abandoned(flight.number);
            return false;
        }
        if self.line.has_slept_since(flight.left_at) {
            self.line.abandoned(flight.number);
            self.is_of_sleep = true;
            return flight.asked != Asked::Cancel;
        }
        let is_alone = self.flights.is_empty();
        self.is_of_service = self.line.failed((flight.number, flight.left_at), kind, is_alone, now);
        self.is_of_service && flight.asked != Asked::Cancel && (is_in_doubt || self.is_excused(flight.asked))
    }

    /// What fails in one outage after another may be what breaks the connection.
    fn is_excused(&mut self, asked: Asked) -> bool {
        let outage = self.line.outages;
        let excused = match asked {
            Asked::Part(start) => &mut self.failures.entry(start).or_default().excused,
            _ => &mut self.solo_excused,
        };
        excused.replace(outage).is_none_or(|before| before == outage)
    }

    /// Whether the service was away for as long as the policy waits at least.
    pub(super) fn is_out_of_patience(&self, now: Duration) -> bool {
        let retry = self.plan.retry_policy();
        let shortest = retry.give_up_after.min(retry.give_up_before_contact);
        self.line.since.is_some_and(|since| now - since >= shortest)
    }

    fn expected_of_outage(&self, left_at: Duration, now: Duration) -> Expected {
        if self.line.has_slept_since(left_at) {
            return Expected { rule: Rule::Sleep, again: Some(Duration::ZERO..=Duration::ZERO) };
        }
        let again =
            self.line.wait(now, self.plan.retry_policy().base_wait.min(self.plan.retry_policy().max_wait));
        Expected { rule: Rule::Outage, again: Some(again) }
    }

    fn count_failure(&mut self, start: u64) -> Failures {
        let failures = self.failures.entry(start).or_default();
        failures.all += 1;
        failures.since = if failures.taken_then == self.taken { failures.since + 1 } else { 1 };
        failures.taken_then = self.taken;
        *failures
    }

    /// Rule 5 comes before rule 4.
    fn commit_set_back(&mut self, asked: Asked, setback: Setback, again: Option<Duration>, after: &Progress) {
        let was_in_doubt = self.in_doubt;
        self.in_doubt |= setback.may_be_done();
        let says = || format!("{setback:?} leads to {:?}, again: {again:?}", after.phase);
        if !self.in_doubt {
            let rule = if setback.is_quota() { Rule::QuotaFinal } else { Rule::Final };
            // That no file was made is saved before the end.
            let is_ending = asked == Asked::Complete && after.phase == Phase::Checking;
            let is_over = is_ending || matches!(after.phase, Phase::Done | Phase::Creating);
            hold(rule, again.is_none() && is_over, says);
        } else if !was_in_doubt && asked == Asked::Complete {
            let is_again = again.is_some() || self.is_ending();
            hold(Rule::CompleteOnce, is_again && after.phase == Phase::Completing, says);
        } else {
            let rule = if asked == Asked::Complete { Rule::CompleteOnce } else { Rule::NoBlindPost };
            hold(rule, again.is_none() && after.phase == Phase::Settling, says);
        }
    }
}

fn judge(expected: &Expected, again: Option<Duration>, is_over: bool, setback: Setback, is_refilled: bool) {
    let rule = if is_refilled { Rule::Refill } else { expected.rule };
    let holds = match (&expected.again, again) {
        (Some(due), Some(wait)) => due.contains(&wait),
        // An upload that has expired meanwhile may start over.
        (None, None) => is_over,
        _ => false,
    };
    hold(rule, holds, || format!("{setback:?} leads to {again:?}, over: {is_over}, not {expected:?}"));
}
