//! What happens to the line, and when.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};

use super::{Options, Shared, Span};

/// From here on all happens that the options say.
pub(super) fn begin(options: &Options, shared: &Rc<Shared>) {
    if let Some(seconds) = options.cut_every {
        spawn_local(cuts(shared.clone(), seconds));
    }
    for span in &options.away {
        spawn_local(spanned(shared.clone(), *span, away, back));
    }
    for span in &options.reset {
        let (begin, end) =
            (|shared: &Shared| resetting(shared, true), |shared: &Shared| resetting(shared, false));
        spawn_local(spanned(shared.clone(), *span, begin, end));
    }
    for span in &options.silent {
        spawn_local(spanned(shared.clone(), *span, silent, loud));
    }
}

/// Waits for the first connection, which is when time begins.
async fn first(shared: &Shared) -> Option<Instant> {
    shared.begin.subscribe().wait_for(Option::is_some).await.ok().and_then(|begin| *begin)
}

async fn cuts(shared: Rc<Shared>, seconds: f64) {
    let Some(begin) = first(&shared).await else { return };
    for count in 1_u32.. {
        sleep_until(begin + Duration::from_secs_f64(seconds * f64::from(count))).await;
        shared.say("all connections are reset");
        cut(&shared);
    }
}

async fn spanned(shared: Rc<Shared>, span: Span, from: fn(&Shared), until: fn(&Shared)) {
    let Some(begin) = first(&shared).await else { return };
    sleep_until(begin + span.from).await;
    from(&shared);
    sleep_until(begin + span.until).await;
    until(&shared);
}

fn cut(shared: &Shared) {
    shared.book.borrow_mut().cut();
    shared.orders.send_modify(|orders| orders.cuts += 1);
}

fn away(shared: &Shared) {
    shared.say("all connections are reset, and others refused");
    shared.book.borrow_mut().left(shared.now());
    shared.is_away.send_replace(true);
    cut(shared);
}

fn back(shared: &Shared) {
    shared.book.borrow_mut().returned(shared.now());
    shared.say("connections are accepted again");
    shared.is_away.send_replace(false);
}

fn resetting(shared: &Shared, is: bool) {
    shared.is_resetting.set(is);
    if is {
        shared.book.borrow_mut().left(shared.now());
        shared.say("all connections are reset, those that are accepted too");
        cut(shared);
    } else {
        back(shared);
    }
}

fn silent(shared: &Shared) {
    shared.say("all connections fall silent");
    shared.is_silent.set(true);
    shared.book.borrow_mut().left(shared.now());
    shared.orders.send_modify(|orders| orders.silences += 1);
}

fn loud(shared: &Shared) {
    shared.is_silent.set(false);
    shared.book.borrow_mut().returned(shared.now());
    shared.say("new connections are carried again");
}
