//! What was asked of the server, by which run of the command, and what became of it.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use partwise_protocol::operations::{OperationId, Route};
use serde_json::Value;

/// For what must come.
const SAFETY: Duration = Duration::from_secs(120);
/// How often it is looked whether the run that is waited for still runs.
const LOOK: Duration = Duration::from_millis(50);

/// A request and its fate.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) run: u32,
    pub(crate) operation: OperationId,
    /// The upload that the path names.
    pub(crate) upload: Option<String>,
    /// Where in the file the part begins, once enough of it has arrived to tell.
    pub(crate) offset: Option<u64>,
    /// What the server made of it, if that is a success.
    pub(crate) done: Option<Value>,
    /// Whether that was told to the client.
    pub(crate) is_answered: bool,
}

/// All exchanges in the order of their arrival. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<(Mutex<Vec<Exchange>>, Condvar)>);

/// One exchange, to write on.
#[derive(Clone)]
pub(crate) struct Entry {
    journal: Journal,
    index: usize,
}

impl Journal {
    pub(crate) fn arrived(&self, run: u32, route: Route) -> Entry {
        let Route { operation, id: upload, .. } = route;
        let exchange = Exchange { run, operation, upload, offset: None, done: None, is_answered: false };
        let mut exchanges = self.0.0.lock().unwrap();
        exchanges.push(exchange);
        self.0.1.notify_all();
        Entry { journal: self.clone(), index: exchanges.len() - 1 }
    }

    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits until the exchanges are like that, as long as it is still going on.
    pub(crate) fn wait(
        &self,
        condition: impl Fn(&[Exchange]) -> bool,
        mut is_going_on: impl FnMut() -> bool,
    ) {
        let begin = Instant::now();
        let mut exchanges = self.0.0.lock().unwrap();
        while !condition(&exchanges) {
            assert!(is_going_on(), "the run has ended before the moment came");
            assert!(begin.elapsed() < SAFETY, "the moment never comes");
            exchanges = self.0.1.wait_timeout(exchanges, LOOK).unwrap().0;
        }
    }
}

impl Entry {
    pub(crate) fn is_of(&self, offset: u64) {
        self.change(|exchange| exchange.offset = Some(offset));
    }

    pub(crate) fn done(&self, what: Value) {
        self.change(|exchange| exchange.done = Some(what));
    }

    pub(crate) fn answered(&self) {
        self.change(|exchange| exchange.is_answered = true);
    }

    fn change(&self, change: impl FnOnce(&mut Exchange)) {
        let (exchanges, changed) = &*self.journal.0;
        change(&mut exchanges.lock().unwrap()[self.index]);
        changed.notify_all();
    }
}
