//! The progress of uploads and downloads on standard error: a line that changes, lines that stay, or objects for programs.

mod json;
mod line;
mod meter;
mod name;
mod plain;
#[cfg(test)]
mod samples;
mod view;
mod words;

use std::{io::IsTerminal as _, time::Duration};

use clap::ValueEnum;
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use self::view::{View, Waits};
pub(crate) use self::{
    meter::Meter,
    view::{Direction, Snapshot},
};
use crate::{log, report::one_line, screen};

/// How often the line is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// The ways to show the progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Auto,
    Bar,
    Plain,
    Json,
    None,
}

/// Shows the progress of one upload or download. Its line is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Display {
    name: String,
    direction: Direction,
    /// Set when what is there is saved for a later run.
    is_saved: bool,
    kind: Kind,
    began: Instant,
    ticks: Interval,
    latest: Option<(Snapshot, Instant)>,
    waits: Waits,
}

#[derive(Debug)]
enum Kind {
    Bar,
    Plain(plain::Cadence),
    Json(json::Cadence),
    Nothing,
}

impl Kind {
    fn of(mode: Mode) -> Self {
        match mode {
            Mode::Auto if has_room_for_a_bar() => Self::Bar,
            Mode::Bar => Self::Bar,
            Mode::Auto | Mode::Plain => Self::Plain(plain::Cadence::new(Duration::ZERO)),
            Mode::Json => Self::Json(json::Cadence::default()),
            Mode::None => Self::Nothing,
        }
    }
}

/// A terminal that can draw, and on which no log appears.
fn has_room_for_a_bar() -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !is_dumb && std::env::var_os(log::VARIABLE).is_none()
}

impl Display {
    /// The display of the transfer of `name`. `is_saved` says that what is there is saved for a later run.
    pub(crate) fn new(mode: Mode, direction: Direction, name: &str, is_saved: bool) -> Self {
        let mut ticks = interval(DRAW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            name: one_line(name),
            direction,
            is_saved,
            kind: Kind::of(mode),
            began: Instant::now(),
            ticks,
            latest: None,
            waits: Waits::default(),
        }
    }

    /// Shows the progress until its channel closes, and calls `changed` with each.
    pub(crate) async fn follow<P: Clone>(
        &mut self,
        mut progress: watch::Receiver<P>,
        mut changed: impl FnMut(&P),
    ) where
        for<'p> Snapshot: From<&'p P>,
    {
        self.update(Snapshot::from(&*progress.borrow()));
        loop {
            tokio::select! {
                change = progress.changed() => {
                    if change.is_err() {
                        return;
                    }
                    let now = progress.borrow_and_update().clone();
                    changed(&now);
                    self.update(Snapshot::from(&now));
                }
                _ = self.ticks.tick() => self.show(),
            }
        }
    }

    /// Shows what the meter measures while something is waited for.
    pub(crate) async fn beside<T>(&mut self, waited: impl Future<Output = T>, meter: &mut Meter) -> T {
        let mut waited = std::pin::pin!(waited);
        meter.waits(Instant::now());
        loop {
            tokio::select! {
                biased;
                // First, since what is waited for may be ready each time.
                _ = self.ticks.tick() => self.look_at(meter),
                result = &mut waited => return result,
            }
        }
    }

    /// Shows what the meter measures.
    pub(crate) fn look_at(&mut self, meter: &mut Meter) {
        self.latest = Some((meter.snapshot(Instant::now()), Instant::now()));
        self.show();
    }

    fn update(&mut self, snapshot: Snapshot) {
        self.latest = Some((snapshot, Instant::now()));
        // The others look at the time anyway.
        if matches!(self.kind, Kind::Json(_)) {
            self.show();
        }
    }

    fn show(&mut self) {
        let Some((snapshot, since)) = &self.latest else { return };
        let situation = self.waits.situation(self.direction, snapshot, since.elapsed());
        // They may be those of the moment before.
        let (rate, time_left) =
            if situation.moves() { (snapshot.rate, snapshot.time_left) } else { (None, None) };
        let mut view = View {
            name: &self.name,
            direction: self.direction,
            total: snapshot.total,
            there: snapshot.there,
            in_flight: snapshot.in_flight,
            rate,
            time_left,
            situation,
            is_kept: self.is_saved && snapshot.resumable > 0,
        };
        let now = self.began.elapsed();
        match &mut self.kind {
            Kind::Bar => screen::draw(line::line(&view, screen::columns())),
            Kind::Plain(cadence) => {
                if cadence.is_due(&situation, now) {
                    // Nobody presses a key in a log.
                    view.is_kept = false;
                    screen::say_progress(plain::line(&view));
                }
            }
            Kind::Json(cadence) => {
                if cadence.is_due(&situation, now) {
                    screen::say_progress(json::line(&view));
                }
            }
            Kind::Nothing => {}
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if matches!(self.kind, Kind::Bar) {
            screen::clear();
        }
    }
}
