//! Reading what is there, and what must not be seen.

use std::ops::Range;
use std::time::Duration;

use super::{Client, object};
use crate::content::Content;
use crate::wire::{Asker, Family};
use crate::world::{Answer, Question};

/// The number of pages read in a turn.
const PAGES: usize = 4;
/// Wrong keys may have to wait.
const PATIENCE_WITH_WRONG_KEYS: Duration = Duration::from_secs(2);

impl Client<'_> {
    pub(super) fn retrieve(&mut self) {
        let Some(held) = self.pick() else { return };
        let request = self.asker().retrieve(&held.id);
        if let Answer::Got(response) = self.ask(Question::new("retrieve a file", &request, &[200])) {
            let file = object(&response);
            let is_it = file["id"] == held.id
                && file["bytes"] == held.content.length()
                && file["filename"] == held.name;
            if response.status() == 200 && !is_it {
                self.world.findings.note("a file's object is not of the file", format!("{held:?}: {file}"));
            }
        }
    }

    pub(super) fn download(&mut self) {
        let Some(held) = self.pick() else { return };
        let request = self.asker().download(&held.id);
        if let Answer::Got(response) = self.ask(Question::new("download a file", &request, &[200])) {
            if response.status() == 200 {
                self.compare(
                    "a file's content",
                    &held.id,
                    held.content,
                    0..held.content.length(),
                    &response.body,
                );
            }
        }
    }

    pub(super) fn range(&mut self) {
        let Some(held) = self.pick() else { return };
        let length = held.content.length();
        let start = self.random.u64(0..length);
        let end = self.random.u64(start..length);
        let (text, range) = match self.random.u32(0..4) {
            0 => (format!("{start}-"), start..length),
            1 => (format!("-{}", length - start), start..length),
            _ => (format!("{start}-{end}"), start..end + 1),
        };
        let request = self.asker().download_range(&held.id, &text);
        // A server that does not know ranges from the end answers with everything.
        let expected: &[u16] = if text.starts_with('-') { &[200, 206] } else { &[206] };
        let Answer::Got(response) = self.ask(Question::new("download a range", &request, expected)) else {
            return;
        };
        let range = if response.status() == 200 { 0..length } else { range };
        if matches!(response.status(), 200 | 206) {
            self.compare("a range of a file", &held.id, held.content, range, &response.body);
        }
    }

    pub(super) fn compare(&self, what: &str, id: &str, content: Content, range: Range<u64>, bytes: &[u8]) {
        if let Some(difference) = content.difference(range.clone(), bytes) {
            self.world.findings.note(format!("{what} is wrong"), format!("{id} {range:?}: {difference}"));
        }
    }

    /// A few pages: whatever else changes meanwhile, they show nothing that was gone before and nothing of others.
    pub(super) fn list(&mut self) {
        let gone = self.world.book.ledger(self.tenant).gone();
        let (limit, order) = (self.random.u32(1..=60), if self.random.bool() { "asc" } else { "desc" });
        let asker = self.asker();
        let mut after = String::new();
        for _ in 0..PAGES {
            let request = asker.list(&format!("limit={limit}&order={order}{after}"));
            let Answer::Got(response) = self.ask(Question::new("list files", &request, &[200])) else {
                return;
            };
            let page = object(&response);
            let files = page["data"].as_array().map(Vec::as_slice).unwrap_or_default();
            for id in files.iter().filter_map(|file| file["id"].as_str()) {
                if gone.contains(id) {
                    self.world.findings.note("a list shows a file whose end was acknowledged", id);
                }
                self.hold_apart(id);
            }
            match files.last().and_then(|file| file["id"].as_str()) {
                Some(last) if page["has_more"] == true => after = format!("&after={last}"),
                _ => return,
            }
        }
    }

    fn hold_apart(&self, id: &str) {
        let others = (0..self.world.keys.len()).filter(|tenant| *tenant != self.tenant);
        for tenant in others {
            if self.world.book.ledger(tenant).has_id(id) {
                self.world.findings.note("a list shows a file of another tenant", id);
            }
        }
    }

    /// Asks for a file with another tenant's key.
    pub(super) fn trespass(&mut self) {
        let Some(held) = self.pick() else { return };
        let other = (self.tenant + self.random.usize(1..self.world.keys.len())) % self.world.keys.len();
        let asker = Asker { key: &self.world.keys[other], ..self.asker() };
        let (what, request) = match self.random.u32(0..3) {
            0 => ("retrieve another tenant's file", asker.retrieve(&held.id)),
            1 => ("download another tenant's file", asker.download(&held.id)),
            _ => ("delete another tenant's file", asker.delete(&held.id)),
        };
        self.ask(Question::new(what, &request, &[404]));
    }

    pub(super) fn mistake_key(&mut self) {
        let asker = Asker { key: "wrong-key", family: Family::OpenAi };
        let request = asker.list("");
        let question = Question::new("list with a wrong key", &request, &[401]);
        self.ask(Question { patience: PATIENCE_WITH_WRONG_KEYS, ..question });
        // Its answer may come later.
        self.line.close();
    }
}
