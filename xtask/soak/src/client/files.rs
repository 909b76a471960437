//! Making and deleting whole files.

use super::Client;
use crate::book::State;
use crate::world::{Answer, Question};

impl Client<'_> {
    pub(super) fn create(&mut self, length: u64) {
        let (name, content) = self.announce(length);
        let (asker, purpose, content_first) = (self.asker(), self.purpose(), self.random.bool());
        let request = asker.create_file(&name, purpose, &content.all(), content_first);
        let answer = self.ask(Question::new("create a file", &request, &[200, 201]).with_room());
        self.keep(&name, &answer);
    }

    pub(super) fn delete(&mut self) {
        let Some(held) = self.pick_in(&[State::Stored, State::PerhapsDeleted]) else {
            // Perhaps none of them was made.
            let ledger = self.world.book.ledger(self.tenant);
            self.held.retain(|name| ledger.entry(name).is_some_and(|entry| entry.id.is_some()));
            return;
        };
        let is_certain = {
            let ledger = self.world.book.ledger(self.tenant);
            ledger.entry(&held.name).is_some_and(|entry| entry.state == State::Stored)
        };
        let request = self.asker().delete(&held.id);
        let expected: &[u16] = if is_certain { &[200] } else { &[200, 404] };
        let answer = self.ask(Question::new("delete a file", &request, expected));
        let mut ledger = self.world.book.ledger(self.tenant);
        match answer {
            Answer::Never => return,
            Answer::Got(response) if response.status() == 200 => ledger.deleted(&held.name),
            Answer::Got(response) if response.status() == 404 && !is_certain => ledger.deleted(&held.name),
            Answer::Got(_) | Answer::Unknown => return ledger.perhaps_deleted(&held.name),
        }
        drop(ledger);
        self.look_for_deleted(&held.id);
    }

    fn look_for_deleted(&mut self, id: &str) {
        let (what, request) = match self.random.u32(0..6) {
            0 => ("delete a deleted file", self.asker().delete(id)),
            1 => ("retrieve a deleted file", self.asker().retrieve(id)),
            2 => ("download a deleted file", self.asker().download(id)),
            _ => return,
        };
        self.ask(Question::new(what, &request, &[404]));
    }
}
