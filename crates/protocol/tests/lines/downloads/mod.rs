//! Virtual lines for the download machine, played in the same way.

mod play;
mod report;
mod rules;
mod table;
