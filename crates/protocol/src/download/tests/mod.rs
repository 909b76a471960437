//! The machine against a service in memory, in virtual time.

mod answers;
mod checkpoints;
mod harness;
mod outages;
mod properties;
