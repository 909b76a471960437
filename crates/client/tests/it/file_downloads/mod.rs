//! Whole files to a target: in parallel ranges from the real server, and from peers that are not so kind.

mod answers;
mod async_targets;
mod checkpoints;
mod ranges;
mod targets;
