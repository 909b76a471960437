//! One of the clients: it does one thing after the other, drawn by chance.

mod files;
mod reads;
mod rude;
mod uploads;

use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

use self::uploads::Opened;
use crate::book::State;
use crate::content::Content;
use crate::http::Response;
use crate::wire::{Asker, Family};
use crate::world::{Answer, Line, Question, Side, World};

/// A client deletes before it holds more files than this, and by chance only while it holds more than the least.
const MOST_HELD: usize = 24;
const LEAST_HELD: usize = 8;
/// So many of the clients begin with a large file, which slow readers need.
const WITH_LARGE_FILE: usize = 8;
/// More than a store elsewhere takes in one piece.
const LARGE: u64 = 9 << 20;

/// A client of one tenant.
pub(crate) struct Client<'w> {
    world: &'w World,
    number: usize,
    tenant: usize,
    random: Rng,
    /// The number of names it has made up.
    names: u64,
    /// The names of the files that it may delete: no other client does.
    held: Vec<String>,
    /// Uploads whose parts were acknowledged and that were left for later.
    waiting: Vec<Opened>,
    line: Line,
}

/// A file that should be there.
#[derive(Clone, Debug)]
struct Held {
    name: String,
    id: String,
    content: Content,
}

impl<'w> Client<'w> {
    pub(crate) fn new(world: &'w World, number: usize, seed: u64) -> Self {
        let random = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9).wrapping_add(number as u64));
        let tenant = number % world.keys.len();
        Self {
            world,
            number,
            tenant,
            random,
            names: 0,
            held: Vec::new(),
            waiting: Vec::new(),
            line: Line::default(),
        }
    }

    /// Works until the load is over.
    pub(crate) fn run(mut self) {
        while !self.world.is_over() {
            {
                let _turn = self.world.gate.read().unwrap_or_else(PoisonError::into_inner);
                self.turn();
            }
            thread::sleep(Duration::from_millis(self.random.u64(0..60)));
        }
    }

    fn turn(&mut self) {
        if self.names == 0 && self.number < WITH_LARGE_FILE {
            return self.create(LARGE);
        }
        if self.held.len() > MOST_HELD {
            return self.delete();
        }
        let may_write = self.world.budget.allows();
        match self.random.u32(0..100) {
            0..14 if may_write => {
                let length = self.length();
                self.create(length);
            }
            14..28 if may_write => self.upload(),
            28..31 if may_write => self.race(),
            31..37 if may_write => self.cut(),
            37..40 if may_write => self.trickle(),
            40..44 => self.read_slowly(),
            44..47 => self.say_nothing(),
            47..51 => self.hang_up(),
            51..57 => self.list(),
            57..68 => self.download(),
            68..76 => self.range(),
            76..80 => self.retrieve(),
            80..90 if self.held.len() > LEAST_HELD => self.delete(),
            90..94 => self.trespass(),
            94 => self.mistake_key(),
            95 | 96 => self.cancel_waiting(),
            _ => thread::sleep(Duration::from_millis(50)),
        }
    }

    fn side(&mut self) -> Side {
        self.world.draw(&mut self.random)
    }

    fn asker(&mut self) -> Asker<'w> {
        let family = Family::ALL[self.random.usize(0..Family::ALL.len())];
        Asker { family, key: &self.world.keys[self.tenant] }
    }

    /// Mostly small, now and then many pages.
    fn length(&mut self) -> u64 {
        let most = match self.random.u32(0..20) {
            0..14 => 2 << 10,
            14..19 => 64 << 10,
            _ => 768 << 10,
        };
        self.random.u64(1..=most)
    }

    /// Announces a file to the book.
    fn announce(&mut self, length: u64) -> (String, Content) {
        self.names += 1;
        let name = format!("c{}-{}.jsonl", self.number, self.names);
        let content = Content::new(self.random.u64(..), length);
        self.world.budget.spend(length);
        self.world.book.ledger(self.tenant).announce(&name, content);
        (name, content)
    }

    fn purpose(&mut self) -> &'static str {
        if self.random.bool() { "fine-tune" } else { "assistants" }
    }

    /// One of the files that are there. What is gone is forgotten.
    fn pick(&mut self) -> Option<Held> {
        self.pick_in(&[State::Stored])
    }

    fn pick_in(&mut self, states: &[State]) -> Option<Held> {
        let ledger = self.world.book.ledger(self.tenant);
        self.held.retain(|name| ledger.entry(name).is_some_and(|entry| entry.state != State::Deleted));
        let start = self.random.usize(0..self.held.len().max(1));
        let names = self.held.iter().cycle().skip(start).take(self.held.len());
        names.into_iter().find_map(|name| {
            let entry = ledger.entry(name).filter(|entry| states.contains(&entry.state))?;
            Some(Held { name: name.clone(), id: entry.id.clone()?, content: entry.content })
        })
    }

    fn ask(&mut self, question: Question<'_>) -> Answer {
        let side = self.side();
        self.world.ask(side, &mut self.line, question)
    }

    /// Keeps what an answer says of the file that a request should have made.
    fn keep(&mut self, name: &str, answer: &Answer) {
        match answer {
            Answer::Never => {}
            Answer::Unknown => self.may_exist(name),
            Answer::Got(response) if matches!(response.status(), 200 | 201) => {
                let object = object(response);
                let file = if object["object"] == "upload" { &object["file"] } else { &object };
                self.keep_file(name, file);
            }
            // A full disk has room for nothing new: rejected, and nothing came of it.
            Answer::Got(response) if matches!(response.status(), 400..500 | 507) => {}
            Answer::Got(_) => self.may_exist(name),
        }
    }

    fn keep_file(&mut self, name: &str, file: &Value) {
        let mut ledger = self.world.book.ledger(self.tenant);
        let bytes = ledger.entry(name).map(|entry| entry.content.length());
        if file["filename"] != *name || file["bytes"].as_u64() != bytes {
            self.world.findings.note("a file's object is not of the file", format!("{name}: {file}"));
        }
        if let Err(fault) = ledger.stored(name, file["id"].as_str().unwrap_or_default()) {
            self.world.findings.note(fault, format!("{name}: {file}"));
        }
        self.hold(name);
    }

    fn may_exist(&mut self, name: &str) {
        self.world.book.ledger(self.tenant).possible(name);
        self.hold(name);
    }

    fn hold(&mut self, name: &str) {
        if !self.held.iter().any(|held| held == name) {
            self.held.push(name.to_owned());
        }
    }
}

/// The JSON of an answer; null when it is not JSON.
fn object(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_default()
}
