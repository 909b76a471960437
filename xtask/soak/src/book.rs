//! The files that the server has acknowledged, and that therefore have to be there.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::content::Content;

/// The knowledge about a file that was asked for. Each has a name of its own, so that it is known in a list too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No request that could make it was sent as a whole.
    Impossible,
    /// A request that may have made it has no answer.
    Possible,
    /// It was acknowledged, or seen.
    Stored,
    /// A request that deletes it has no answer.
    PerhapsDeleted,
    /// Its end was acknowledged, or seen.
    Deleted,
}

/// A file that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) content: Content,
    pub(crate) id: Option<String>,
    pub(crate) state: State,
}

/// An upload whose end was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) id: String,
    pub(crate) parts: Vec<String>,
    /// The name of the file that it became; `None` when it was cancelled.
    pub(crate) file: Option<String>,
}

/// The files of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    files: HashMap<String, Entry>,
    names: HashMap<String, String>,
    ended: Vec<Ended>,
}

impl Ledger {
    /// A name that will be asked for.
    pub(crate) fn announce(&mut self, name: &str, content: Content) {
        self.files.insert(name.to_owned(), Entry { content, id: None, state: State::Impossible });
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.files.get(name)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.files.iter()
    }

    pub(crate) fn has_id(&self, id: &str) -> bool {
        self.names.contains_key(id)
    }

    /// A request that may have made the file has no answer.
    pub(crate) fn possible(&mut self, name: &str) {
        self.change(name, |state| if state == State::Impossible { State::Possible } else { state });
    }

    /// It is certain now that no request will make the file.
    pub(crate) fn impossible(&mut self, name: &str) {
        self.change(name, |state| if state == State::Possible { State::Impossible } else { state });
    }

    /// The file was acknowledged.
    ///
    /// # Errors
    ///
    /// When one name has two files, or one identifier two names.
    pub(crate) fn stored(&mut self, name: &str, id: &str) -> Result<(), String> {
        let before = self.names.insert(id.to_owned(), name.to_owned());
        if before.is_some_and(|before| before != name) {
            return Err(format!("{id} is the file of two requests"));
        }
        let Some(entry) = self.files.get_mut(name) else { return Err(format!("{id} was made for nobody")) };
        if entry.id.as_deref().is_some_and(|known| known != id) {
            return Err(format!("one request for {name} made two files"));
        }
        entry.id = Some(id.to_owned());
        if matches!(entry.state, State::Impossible | State::Possible) {
            entry.state = State::Stored;
        }
        Ok(())
    }

    /// A request that deletes the file has no answer.
    pub(crate) fn perhaps_deleted(&mut self, name: &str) {
        self.change(name, |state| if state == State::Stored { State::PerhapsDeleted } else { state });
    }

    pub(crate) fn deleted(&mut self, name: &str) {
        self.change(name, |_| State::Deleted);
    }

    /// A list has this file.
    ///
    /// # Errors
    ///
    /// When it must not.
    pub(crate) fn listed(&mut self, name: &str, id: &str, bytes: u64) -> Result<(), String> {
        let Some(entry) = self.files.get(name) else { return Err("a file that nobody asked for".to_owned()) };
        if entry.content.length() != bytes {
            return Err("a file of another length".to_owned());
        }
        match entry.state {
            State::Impossible => Err("a file of a request that was rejected or cut short".to_owned()),
            State::Deleted => Err("a file whose end was acknowledged".to_owned()),
            State::Possible | State::Stored | State::PerhapsDeleted => self.stored(name, id),
        }
    }

    /// The names of those that a list must have and `listed` has not. Of those that may be gone it is known now.
    pub(crate) fn missing(&mut self, listed: &HashSet<String>) -> Vec<String> {
        let mut missing = Vec::new();
        for (name, entry) in &mut self.files {
            let is_listed = entry.id.as_ref().is_some_and(|id| listed.contains(id));
            match entry.state {
                State::Stored if !is_listed => missing.push(name.clone()),
                State::PerhapsDeleted if !is_listed => entry.state = State::Deleted,
                _ => {}
            }
        }
        missing
    }

    /// The identifiers of those whose end was acknowledged.
    pub(crate) fn gone(&self) -> HashSet<String> {
        let gone = self.files.values().filter(|entry| entry.state == State::Deleted);
        gone.filter_map(|entry| entry.id.clone()).collect()
    }

    /// The end of an upload was acknowledged.
    pub(crate) fn end(&mut self, upload: Ended) {
        self.ended.push(upload);
    }

    pub(crate) fn ended(&self) -> &[Ended] {
        &self.ended
    }

    /// The number of files in this state.
    pub(crate) fn count(&self, state: State) -> usize {
        self.files.values().filter(|entry| entry.state == state).count()
    }

    fn change(&mut self, name: &str, change: impl Fn(State) -> State) {
        if let Some(entry) = self.files.get_mut(name) {
            entry.state = change(entry.state);
        }
    }
}

/// The ledgers of all tenants.
#[derive(Debug)]
pub(crate) struct Book(Vec<Mutex<Ledger>>);

impl Book {
    pub(crate) fn new(tenants: usize) -> Self {
        Self((0..tenants).map(|_| Mutex::default()).collect())
    }

    pub(crate) fn ledger(&self, tenant: usize) -> MutexGuard<'_, Ledger> {
        self.0[tenant].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, state: State) -> usize {
        (0..self.0.len()).map(|tenant| self.ledger(tenant).count(state)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.announce("a", Content::new(1, 10));
        ledger
    }

    #[test]
    fn a_file_that_was_acknowledged_must_be_listed() {
        let mut ledger = ledger();
        assert!(ledger.missing(&HashSet::new()).is_empty());
        ledger.stored("a", "file-1").unwrap();
        assert_eq!(ledger.missing(&HashSet::new()), ["a"]);
        assert!(ledger.missing(&HashSet::from(["file-1".to_owned()])).is_empty());
    }

    #[test]
    fn a_request_without_an_answer_may_have_made_one_file_and_no_second() {
        let mut ledger = ledger();
        ledger.possible("a");
        assert!(ledger.missing(&HashSet::new()).is_empty());
        ledger.listed("a", "file-1", 10).unwrap();
        assert_eq!(ledger.missing(&HashSet::new()), ["a"]);
        ledger.listed("a", "file-2", 10).unwrap_err();
    }

    #[test]
    fn a_request_that_was_cut_short_makes_no_file() {
        ledger().listed("a", "file-1", 10).unwrap_err();
        let mut ledger = ledger();
        ledger.possible("a");
        ledger.impossible("a");
        ledger.listed("a", "file-1", 10).unwrap_err();
    }

    #[test]
    fn a_file_that_was_seen_to_be_gone_stays_gone() {
        let mut ledger = ledger();
        ledger.stored("a", "file-1").unwrap();
        ledger.perhaps_deleted("a");
        ledger.listed("a", "file-1", 10).unwrap();
        assert!(ledger.missing(&HashSet::new()).is_empty());
        ledger.listed("a", "file-1", 10).unwrap_err();
        assert_eq!(ledger.gone(), HashSet::from(["file-1".to_owned()]));
    }

    #[test]
    fn a_file_of_nobody_or_of_another_length_is_none() {
        let mut ledger = ledger();
        ledger.possible("a");
        ledger.listed("b", "file-1", 10).unwrap_err();
        ledger.listed("a", "file-1", 11).unwrap_err();
    }
}
