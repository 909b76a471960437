//! Where the checkpoints of a story are kept: it takes its time, and sometimes it is full.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use partwise::CheckpointStore;
use partwise_protocol::upload::Checkpoint;
use partwise_testkit::dice::Dice;
use serde_json::Value;
use tokio::time::sleep;

use crate::rules::{Broken, Rule};

/// A store of checkpoints that survives whatever happens to an upload.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seed: u64,
    slowest: Duration,
    /// How many of a thousand saves fail.
    failing: u64,
    broken: Broken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    durable: Option<String>,
    saves: u64,
    being_saved: bool,
}

/// One save under way; it ends when this is dropped.
struct Turn<'d>(&'d Disk);

impl Disk {
    pub(crate) fn new(seed: u64, slowest: Duration, failing: u64, broken: Broken) -> Self {
        Self(Arc::new(Inner { seed, slowest, failing, broken, state: Mutex::default() }))
    }

    /// What would be found after a crash now.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        let durable = self.0.state.lock().unwrap().durable.clone()?;
        Some(serde_json::from_str(&durable).expect("what was written can be read"))
    }

    /// Identifiers of the parts that it knows as acknowledged, by where they begin in the file.
    pub(crate) fn acknowledged(&self) -> Vec<(u64, String)> {
        let Some(route) = self.route() else { return Vec::new() };
        let parts = route["parts"]["acknowledged"].as_array().into_iter().flatten();
        parts.map(|part| (part["start"].as_u64().unwrap(), part["id"].as_str().unwrap().to_owned())).collect()
    }

    /// Whether it says that the request that makes the file is about to leave or has left.
    pub(crate) fn announces_a_file(&self) -> bool {
        self.route().is_some_and(|route| {
            route["parts"]["completing"] == true || route["single"]["posted_at"].is_u64()
        })
    }

    fn route(&self) -> Option<Value> {
        let durable = self.0.state.lock().unwrap().durable.clone()?;
        let checkpoint: Value = serde_json::from_str(&durable).expect("a checkpoint is JSON");
        Some(checkpoint["route"].clone())
    }

    fn turn(&self) -> (Turn<'_>, Dice) {
        let mut state = self.0.state.lock().unwrap();
        state.saves += 1;
        let was_being_saved = std::mem::replace(&mut state.being_saved, true);
        self.0.broken.hold(Rule::OneSave, !was_being_saved, || "two are saved at a time".to_owned());
        (Turn(self), Dice::of(self.0.seed, "save", state.saves))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.0.state.lock().unwrap().being_saved = false;
    }
}

impl CheckpointStore<Checkpoint> for Disk {
    type Error = &'static str;

    async fn save(&self, checkpoint: Checkpoint) -> Result<(), Self::Error> {
        let (_turn, mut dice) = self.turn();
        sleep(dice.up_to(self.0.slowest)).await;
        if dice.chance(self.0.failing) {
            return Err("no space is left");
        }
        let durable = serde_json::to_string(&checkpoint).expect("a checkpoint can be written");
        self.0.state.lock().unwrap().durable = Some(durable);
        sleep(dice.up_to(self.0.slowest)).await;
        Ok(())
    }

    async fn remove(&self) -> Result<(), Self::Error> {
        let (_turn, mut dice) = self.turn();
        sleep(dice.up_to(self.0.slowest)).await;
        self.0.state.lock().unwrap().durable = None;
        Ok(())
    }
}
