//! The upload machine step by step: what it asks for, in which order, and what it makes of each answer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod adaptive;
mod ambiguous;
mod bench;
mod candidates;
mod checkpoints;
mod endings;
mod fallback;
mod hostile;
mod in_order;
mod misuse;
mod outages;
mod shown;
mod sleep;
mod statistics;
mod steps;
mod stopping;
mod time;
mod together;
mod touched;
