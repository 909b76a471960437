//! Uploads in parts, which come in any order and at once.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use super::{Client, object};
use crate::book::Ended;
use crate::content::Content;
use crate::wire::Asker;
use crate::world::{Answer, Line, Question, Side, World};

/// The number of attempts for a request that is not acknowledged.
const TRIES: u32 = 6;
const BETWEEN: Duration = Duration::from_millis(300);
/// The number of parts in flight of one upload.
const LANES: usize = 3;
const MOST_PARTS: usize = 6;

/// An upload that was acknowledged, with the parts that make up its content.
pub(super) struct Opened {
    pub(super) name: String,
    pub(super) content: Content,
    pub(super) id: String,
    pub(super) parts: Vec<String>,
}

impl Client<'_> {
    pub(super) fn upload(&mut self) {
        let Some(upload) = self.open() else { return };
        match self.random.u32(0..10) {
            // It is left for later.
            0 | 1 => self.waiting.push(upload),
            2 | 3 => self.cancel(&upload),
            _ => self.complete(&upload),
        }
    }

    /// Cancels what was left for later, also on a full disk.
    pub(super) fn cancel_waiting(&mut self) {
        if let Some(upload) = self.waiting.pop() {
            self.cancel(&upload);
        }
    }

    /// Creates an upload and sends its parts; `None` when not all of that was acknowledged.
    pub(super) fn open(&mut self) -> Option<Opened> {
        let length = self.length();
        let (name, content) = self.announce(length);
        let (asker, purpose) = (self.asker(), self.purpose());
        let request = asker.create_upload(&name, purpose, length);
        let answer = self.ask(Question::new("create an upload", &request, &[200]).with_room());
        let Answer::Got(response) = answer else { return None };
        let id = object(&response)["id"].as_str()?.to_owned();
        if self.random.u32(0..5) == 0 {
            let request = asker.add_part(&id, b"of no use");
            self.ask(Question::new("add a part", &request, &[200]).with_room());
        }
        let ranges = self.cuts(length);
        let parts = self.send_parts(asker, &id, content, &ranges)?;
        Some(Opened { name, content, id, parts })
    }

    fn cuts(&mut self, length: u64) -> Vec<Range<u64>> {
        let cuts = self.random.usize(0..MOST_PARTS);
        let mut places: Vec<u64> = (0..cuts).map(|_| self.random.u64(0..length)).collect();
        places.extend([0, length]);
        places.sort_unstable();
        places.dedup();
        places.windows(2).map(|ends| ends[0]..ends[1]).collect()
    }

    fn send_parts(
        &mut self,
        asker: Asker<'_>,
        upload: &str,
        content: Content,
        ranges: &[Range<u64>],
    ) -> Option<Vec<String>> {
        let mut order: Vec<usize> = (0..ranges.len()).collect();
        self.random.shuffle(&mut order);
        let (order, ids) = (Mutex::new(order), Mutex::new(vec![None; ranges.len()]));
        let world = self.world;
        let lane = |mut random: Rng| {
            let mut line = Line::default();
            loop {
                let next = order.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(place) = next else { return };
                let bytes = content.bytes(ranges[place].clone());
                let id = send_part(world, &mut random, &mut line, asker, upload, &bytes);
                ids.lock().unwrap_or_else(PoisonError::into_inner)[place] = id;
            }
        };
        thread::scope(|scope| {
            for _ in 0..LANES.min(ranges.len()) {
                let random = self.random.fork();
                scope.spawn(|| lane(random));
            }
        });
        ids.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
    }

    pub(super) fn complete(&mut self, upload: &Opened) {
        if self.random.u32(0..6) == 0 {
            let request = self.asker().complete(&upload.id, &upload.parts, Some(&"0".repeat(32)));
            self.ask(Question::new("complete with a wrong md5", &request, &[400]).with_room());
        }
        let md5 = self.random.bool().then(|| upload.content.md5());
        for _ in 0..TRIES {
            let request = self.asker().complete(&upload.id, &upload.parts, md5.as_deref());
            let answer = self.ask(Question::new("complete an upload", &request, &[200]).with_room());
            self.keep(&upload.name, &answer);
            match answer {
                Answer::Got(response) if response.status() == 200 => {
                    self.note_end(upload, Some(upload.name.clone()));
                    return self.touch_completed(upload);
                }
                // What was begun on a full disk may be finished later.
                Answer::Got(response) if response.status() >= 500 => self.may_exist(&upload.name),
                Answer::Got(_) => return,
                Answer::Never | Answer::Unknown => {}
            }
            thread::sleep(BETWEEN);
        }
        self.give_up(upload);
    }

    fn note_end(&self, upload: &Opened, file: Option<String>) {
        let ended = Ended { id: upload.id.clone(), parts: upload.parts.clone(), file };
        self.world.book.ledger(self.tenant).end(ended);
    }

    /// Cancels what may be completed: then it is known whether it is.
    fn give_up(&mut self, upload: &Opened) {
        let request = self.asker().cancel(&upload.id);
        let answer = self.ask(Question::new("cancel what may be completed", &request, &[200, 400]));
        if status(&answer) == Some(200) {
            self.world.book.ledger(self.tenant).impossible(&upload.name);
        }
    }

    fn touch_completed(&mut self, upload: &Opened) {
        let asker = self.asker();
        match self.random.u32(0..8) {
            0 | 1 => {
                let request = asker.complete(&upload.id, &upload.parts, None);
                let answer = self.ask(Question::new("complete an upload again", &request, &[200]));
                if matches!(&answer, Answer::Got(response) if response.status() == 200) {
                    self.keep(&upload.name, &answer);
                }
            }
            2 if upload.parts.len() > 1 => {
                let parts: Vec<_> = upload.parts.iter().rev().cloned().collect();
                let request = asker.complete(&upload.id, &parts, None);
                self.ask(Question::new("complete again with other parts", &request, &[400]));
            }
            3 => {
                let request = asker.cancel(&upload.id);
                self.ask(Question::new("cancel what is completed", &request, &[400]));
            }
            4 => {
                let request = asker.add_part(&upload.id, b"too late");
                self.ask(Question::new("add a part to what is completed", &request, &[400]).with_room());
            }
            _ => {}
        }
    }

    pub(super) fn cancel(&mut self, upload: &Opened) {
        for _ in 0..TRIES {
            let request = self.asker().cancel(&upload.id);
            match self.ask(Question::new("cancel an upload", &request, &[200])) {
                Answer::Got(response) if response.status() == 200 => {
                    self.note_end(upload, None);
                    return self.touch_cancelled(upload);
                }
                Answer::Got(response) if response.status() < 500 => return,
                Answer::Got(_) | Answer::Never | Answer::Unknown => thread::sleep(BETWEEN),
            }
        }
    }

    fn touch_cancelled(&mut self, upload: &Opened) {
        let asker = self.asker();
        let (what, request, expected) = match self.random.u32(0..5) {
            0 => ("cancel an upload again", asker.cancel(&upload.id), 200),
            1 => ("complete what is cancelled", asker.complete(&upload.id, &upload.parts, None), 400),
            2 => ("add a part to what is cancelled", asker.add_part(&upload.id, b"too late"), 400),
            _ => return,
        };
        let expected = [expected];
        let question = Question::new(what, &request, &expected);
        self.ask(if expected == [400] { question.with_room() } else { question });
    }

    /// Completes and cancels at the same time, or completes twice.
    pub(super) fn race(&mut self) {
        let Some(upload) = self.open() else { return };
        let completion = self.asker().complete(&upload.id, &upload.parts, None);
        let is_against_cancel = self.random.bool();
        let other = if is_against_cancel { self.asker().cancel(&upload.id) } else { completion.clone() };
        let expected: &[u16] = if is_against_cancel { &[200, 400] } else { &[200] };
        let (sides, world) = ([self.side(), self.side()], self.world);
        let ask = |side: Side, what, request| {
            world.ask(side, &mut Line::default(), Question::new(what, request, expected).with_room())
        };
        let (one, two) = thread::scope(|scope| {
            let one = scope.spawn(|| ask(sides[0], "complete in a race", &completion));
            let two = ask(sides[1], "complete or cancel in a race", &other);
            (one.join().unwrap_or(Answer::Unknown), two)
        });
        if is_against_cancel {
            self.keep_winner(&upload, &one, &two);
        } else {
            self.keep(&upload.name, &one);
            self.keep(&upload.name, &two);
            self.unless_clear(&upload.name, &[&one, &two]);
        }
    }

    fn keep_winner(&mut self, upload: &Opened, completion: &Answer, cancel: &Answer) {
        match (status(completion), status(cancel)) {
            (Some(200), Some(200)) => {
                self.world.findings.note("an upload is completed and cancelled", upload.id.clone());
                self.keep(&upload.name, completion);
            }
            (Some(400), Some(400)) => {
                self.world.findings.note("neither of complete and cancel wins", upload.id.clone());
            }
            (Some(200), _) => self.keep(&upload.name, completion),
            (_, Some(200)) => {}
            _ => self.unless_clear(&upload.name, &[completion, cancel]),
        }
    }

    /// A file may exist of which no answer tells.
    fn unless_clear(&mut self, name: &str, answers: &[&Answer]) {
        let is_clear = answers.iter().all(|answer| matches!(status(answer), Some(..500)));
        if !is_clear && !answers.iter().all(|answer| matches!(answer, Answer::Never)) {
            self.may_exist(name);
        }
    }
}

fn status(answer: &Answer) -> Option<u16> {
    match answer {
        Answer::Got(response) => Some(response.status()),
        Answer::Never | Answer::Unknown => None,
    }
}

/// Sends a part until it is acknowledged; `None` when it never is.
fn send_part(
    world: &World,
    random: &mut Rng,
    line: &mut Line,
    asker: Asker<'_>,
    upload: &str,
    bytes: &[u8],
) -> Option<String> {
    let request = asker.add_part(upload, bytes);
    for _ in 0..TRIES {
        let side = world.draw(random);
        match world.ask(side, line, Question::new("add a part", &request, &[200]).with_room()) {
            Answer::Got(response) if response.status() == 200 => {
                return object(&response)["id"].as_str().map(str::to_owned);
            }
            Answer::Got(response) if response.status() < 500 => return None,
            Answer::Got(_) | Answer::Never | Answer::Unknown => thread::sleep(BETWEEN),
        }
    }
    None
}
