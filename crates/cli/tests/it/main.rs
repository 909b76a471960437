//! The real binary, run as people and scripts run it.

#![allow(clippy::unwrap_used, reason = "what a test cannot set up ends it")]

mod arguments;
#[cfg(unix)]
mod bad_line;
mod causes;
mod check;
#[cfg(unix)]
mod clouds;
mod download;
mod errors;
mod files;
mod full_disk;
mod interruption;
mod local;
mod network;
#[cfg(unix)]
mod outages;
mod outcomes;
#[cfg(unix)]
mod progress;
mod resume;
mod sandbox;
mod scene;
mod serve;
#[cfg(unix)]
mod serving;
#[cfg(unix)]
mod serving_log;
mod silence;
#[cfg(target_os = "linux")]
mod slow_line;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod touched;
#[cfg(unix)]
mod unread;
mod uploads;
mod wrong_content;
