//! The comparison of a server's lists and contents with the book.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use serde_json::Value;

use crate::book::{Entry, State};
use crate::http::Request;
use crate::wire::{Asker, Family};
use crate::world::{Answer, Line, Question, Side, World};

const PAGE: usize = 100;
/// More pages than any tenant has: a list that goes round in circles ends.
const MOST_PAGES: usize = 10_000;
/// The number of deleted files, of uploads that have ended, and of files asked for with another key, that are tried for each tenant.
const SAMPLE: usize = 40;

/// Compares one server's view with the book. No client may have a turn meanwhile.
pub(crate) fn audit(world: &World, side: Side) {
    world.counts.audits.fetch_add(1, SeqCst);
    thread::scope(|scope| {
        for tenant in 0..world.keys.len() {
            scope.spawn(move || {
                let mut auditor = Auditor { world, side, tenant, line: Line::default() };
                auditor.list();
                auditor.contents();
                auditor.deleted();
                auditor.ended();
                auditor.strangers();
            });
        }
    });
}

/// Looks at one tenant.
struct Auditor<'w> {
    world: &'w World,
    side: Side,
    tenant: usize,
    line: Line,
}

impl Auditor<'_> {
    fn asker(&self) -> Asker<'_> {
        Asker { family: Family::OpenAi, key: &self.world.keys[self.tenant] }
    }

    /// Every file that has to be listed is, once, and no other.
    fn list(&mut self) {
        let mut listed = HashSet::new();
        let mut after = String::new();
        for _ in 0..MOST_PAGES {
            let request = self.asker().list(&format!("limit={PAGE}&order=asc{after}"));
            let question = Question::new("audit: list files", &request, &[200]);
            let Answer::Got(response) = self.world.ask(self.side, &mut self.line, question) else { return };
            let page: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            if response.status() != 200 || !page["data"].is_array() {
                return;
            }
            if self.page(&page, &mut listed).is_break() {
                break;
            }
            after = format!("&after={}", page["last_id"].as_str().unwrap_or_default());
        }
        for name in self.world.book.ledger(self.tenant).missing(&listed) {
            self.world.findings.note("audit: a list misses a file that was acknowledged", name);
        }
    }

    fn page(&self, page: &Value, listed: &mut HashSet<String>) -> ControlFlow<()> {
        for file in page["data"].as_array().into_iter().flatten() {
            let (id, name) =
                (file["id"].as_str().unwrap_or_default(), file["filename"].as_str().unwrap_or_default());
            if !listed.insert(id.to_owned()) {
                self.world.findings.note("audit: a list has a file twice", id);
            }
            let mut ledger = self.world.book.ledger(self.tenant);
            if let Err(fault) = ledger.listed(name, id, file["bytes"].as_u64().unwrap_or_default()) {
                self.world.findings.note(format!("audit: a list has {fault}"), file.to_string());
            }
        }
        if page["has_more"] == true { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn files(&self, state: State) -> Vec<(String, Entry)> {
        let ledger = self.world.book.ledger(self.tenant);
        let files = ledger.entries().filter(|(_, entry)| entry.state == state && entry.id.is_some());
        files.map(|(name, entry)| (name.clone(), entry.clone())).collect()
    }

    /// Every file has the bytes that were sent.
    fn contents(&mut self) {
        for (name, entry) in self.files(State::Stored) {
            self.content(&name, &entry, &[200]);
        }
        for (name, entry) in self.files(State::PerhapsDeleted) {
            self.content(&name, &entry, &[200, 404]);
        }
    }

    fn content(&mut self, name: &str, entry: &Entry, expected: &[u16]) {
        let id = entry.id.as_deref().unwrap_or_default();
        let request = self.asker().download(id);
        let question = Question::new("audit: download a file", &request, expected);
        let Answer::Got(response) = self.world.ask(self.side, &mut self.line, question) else { return };
        match response.status() {
            200 => {
                self.world.counts.compared.fetch_add(1, SeqCst);
                let whole = 0..entry.content.length();
                if let Some(difference) = entry.content.difference(whole, &response.body) {
                    self.world
                        .findings
                        .note("audit: a file has other content", format!("{name} {id}: {difference}"));
                }
            }
            404 if entry.state == State::PerhapsDeleted => self.world.book.ledger(self.tenant).deleted(name),
            _ => {}
        }
    }

    /// Nothing comes back.
    fn deleted(&mut self) {
        for (_, entry) in self.files(State::Deleted).into_iter().take(SAMPLE) {
            let request = self.asker().download(entry.id.as_deref().unwrap_or_default());
            let question = Question::new("audit: download a deleted file", &request, &[404]);
            self.world.ask(self.side, &mut self.line, question);
        }
    }

    /// Uploads stay as they ended: a completion that is sent again gets the same file, or is rejected.
    fn ended(&mut self) {
        let ended = self.world.book.ledger(self.tenant).ended().to_vec();
        for upload in ended.into_iter().rev().take(SAMPLE) {
            let request = self.asker().complete(&upload.id, &upload.parts, None);
            match upload.file {
                Some(name) => self.completed(&name, &request),
                None => {
                    // A full disk may have no room for the record that says so.
                    let expected: &[u16] = if self.world.disk.is_some() { &[400, 404] } else { &[400] };
                    let question = Question::new("audit: complete what is cancelled", &request, expected);
                    self.world.ask(self.side, &mut self.line, question.with_room());
                }
            }
        }
    }

    fn completed(&mut self, name: &str, request: &Request) {
        let entry = self.world.book.ledger(self.tenant).entry(name).cloned();
        let Some(entry) = entry.filter(|entry| entry.state == State::Stored) else { return };
        let question = Question::new("audit: complete an upload again", request, &[200]);
        let Answer::Got(response) = self.world.ask(self.side, &mut self.line, question) else { return };
        let upload: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        if response.status() == 200 && upload["file"]["id"].as_str() != entry.id.as_deref() {
            self.world.findings.note("audit: an upload became another file", format!("{name}: {upload}"));
        }
    }

    /// Other tenants see nothing.
    fn strangers(&mut self) {
        let other = (self.tenant + 1) % self.world.keys.len();
        for (_, entry) in self.files(State::Stored).into_iter().take(SAMPLE) {
            let asker = Asker { key: &self.world.keys[other], ..self.asker() };
            let request = asker.download(entry.id.as_deref().unwrap_or_default());
            let question = Question::new("audit: download another tenant's file", &request, &[404]);
            self.world.ask(self.side, &mut self.line, question);
        }
    }
}
