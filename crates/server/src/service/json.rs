//! JSON bodies, which are held in memory: what all of them in flight may take together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// What is not counted of each body: the number of connections bounds that already, and ordinary requests, of some
/// hundred bytes, are served when large ones have taken everything.
const UNCOUNTED: usize = 16 * 1024;

/// The memory that a server gives to the JSON bodies that it is reading or acting on.
#[derive(Clone, Debug)]
pub(crate) struct JsonBudget(Arc<Semaphore>);

/// The part of it that one request has taken, until it is answered.
#[derive(Debug)]
pub(super) struct JsonShare {
    budget: JsonBudget,
    taken: Option<OwnedSemaphorePermit>,
}

impl JsonBudget {
    pub(crate) fn new(bytes: u32) -> Self {
        Self(Arc::new(Semaphore::new(bytes as usize)))
    }

    pub(super) fn share(&self) -> JsonShare {
        JsonShare { budget: self.clone(), taken: None }
    }
}

impl JsonShare {
    /// Takes what is needed for so many bytes, or refuses when others have taken too much.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let taken = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.saturating_sub(UNCOUNTED).saturating_sub(taken);
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| Refusal::Busy)?;
        let permit = self.budget.0.clone().try_acquire_many_owned(more).map_err(|_| Refusal::Busy)?;
        match &mut self.taken {
            Some(taken) => taken.merge(permit),
            None => self.taken = Some(permit),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_until_nothing_is_left_and_is_given_back() {
        let budget = JsonBudget::new(1000);
        let (mut first, mut second) = (budget.share(), budget.share());
        first.hold(UNCOUNTED + 400).unwrap();
        first.hold(UNCOUNTED + 600).unwrap();
        first.hold(UNCOUNTED + 100).unwrap();
        second.hold(UNCOUNTED).unwrap();
        assert!(matches!(second.hold(UNCOUNTED + 401), Err(Refusal::Busy)));
        second.hold(UNCOUNTED + 400).unwrap();
        drop(first);
        second.hold(UNCOUNTED + 1000).unwrap();
    }
}
