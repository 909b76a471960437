//! The progress of uploads and downloads on standard error: a line that changes, lines that stay, or objects for programs.

mod json;
mod line;
mod meter;
mod metered;
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
    metered::Metered,
    view::{Direction, Snapshot},
};
use crate::{
    environment::{Environment, ProcessEnvironment},
    log,
    report::visible,
    screen,
};

/// The time between drawings of the line.
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

impl Mode {
    /// The mode for a content that goes to a terminal. There a bar would clear the last line of the content, and a plain line
    /// would stand in it.
    pub(crate) fn with_content_on_terminal(self) -> Self {
        match self {
            Self::Auto if std::io::stderr().is_terminal() => Self::None,
            other => other,
        }
    }
}

/// Shows the progress of one upload or download. Its line is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Display {
    /// The name as it is shown.
    name: String,
    direction: Direction,
    /// Set when what is there is saved for a later run.
    is_saved: bool,
    kind: Kind,
    began: Instant,
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

/// Says whether standard error is a terminal that can draw, and on which no log appears.
fn has_room_for_a_bar() -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    // A value that cannot be read is an error before anything is shown.
    let is_logging = ProcessEnvironment.get(log::VARIABLE).is_ok_and(|filter| filter.is_some());
    std::io::stderr().is_terminal() && !is_dumb && !is_logging
}

/// The moments at which the line is drawn.
fn ticks() -> Interval {
    let mut ticks = interval(DRAW_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

impl Display {
    /// The display of the transfer of `name`. `is_saved` says that what is there is saved for a later run.
    pub(crate) fn new(mode: Mode, direction: Direction, name: &str, is_saved: bool) -> Self {
        let kind = Kind::of(mode);
        Self {
            name: if matches!(kind, Kind::Json(_)) { name.to_owned() } else { visible(name) },
            direction,
            is_saved,
            kind,
            began: Instant::now(),
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
        let mut ticks = ticks();
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
                _ = ticks.tick() => self.show(),
            }
        }
    }

    /// Says whether it draws a line that changes.
    pub(crate) fn is_bar(&self) -> bool {
        matches!(self.kind, Kind::Bar)
    }

    /// Shows what was told now.
    fn show_now(&mut self, snapshot: Snapshot) {
        self.latest = Some((snapshot, Instant::now()));
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
        let mut view = View::new(&self.name, self.direction, snapshot, situation, self.is_saved);
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
        if self.is_bar() {
            screen::clear();
        }
    }
}
