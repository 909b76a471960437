//! Clients that are slow, broken or gone.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::{Client, Held};
use crate::http::{Connection, Request};
use crate::world::{Answer, Question};

const STEP: Duration = Duration::from_millis(100);
/// The receive buffer of a slow reader, in bytes.
const WINDOW: usize = 32 << 10;

/// The effect that a request would have if it were not cut.
enum Intent {
    Create(String),
    Complete(String),
    Delete(String),
    Nothing,
}

impl Client<'_> {
    /// Closes the connection in the middle of a request.
    pub(super) fn cut(&mut self) {
        let Some((request, intent)) = self.request_to_cut() else { return };
        let bytes = request.bytes();
        // Sometimes all of it leaves, and only the answer is not waited for.
        let end = if self.random.u32(0..4) == 0 { bytes.len() } else { self.random.usize(0..bytes.len()) };
        let side = self.side();
        let watch = self.world.watch(side);
        let Some(mut connection) = self.world.connect(watch, None) else { return };
        let is_sent = connection.send(&bytes[..end]).is_ok();
        self.world.counts.cuts.fetch_add(1, SeqCst);
        if is_sent && end == bytes.len() {
            match intent {
                Intent::Create(name) | Intent::Complete(name) => self.may_exist(&name),
                Intent::Delete(name) => self.world.book.ledger(self.tenant).perhaps_deleted(&name),
                Intent::Nothing => {}
            }
        }
        let pause = Duration::from_millis(self.random.u64(0..200));
        self.world.dawdle(pause);
        self.part_from(connection);
    }

    fn request_to_cut(&mut self) -> Option<(Request, Intent)> {
        match self.random.u32(0..5) {
            0 => {
                let length = self.length();
                let (name, content) = self.announce(length);
                let request =
                    self.asker().create_file(&name, "assistants", &content.all(), self.random.bool());
                Some((request, Intent::Create(name)))
            }
            1 => {
                let upload = self.open()?;
                let request = self.asker().complete(&upload.id, &upload.parts, Some(&upload.content.md5()));
                Some((request, Intent::Complete(upload.name)))
            }
            2 => {
                let upload = self.open()?;
                let request = self.asker().add_part(&upload.id, &upload.content.all());
                Some((request, Intent::Nothing))
            }
            3 => {
                let held = self.pick()?;
                Some((self.asker().delete(&held.id), Intent::Delete(held.name)))
            }
            _ => Some((self.asker().list("limit=50"), Intent::Nothing)),
        }
    }

    /// Closes the connection in the middle of an answer.
    pub(super) fn hang_up(&mut self) {
        let request = match self.pick() {
            Some(held) if self.random.bool() => self.asker().download(&held.id),
            _ => self.asker().list("limit=1000"),
        };
        let side = self.side();
        let watch = self.world.watch(side);
        let Some(mut connection) = self.world.connect(watch, Some(WINDOW)) else { return };
        if connection.send(&request.bytes()).is_ok() && self.random.bool() {
            let count = self.random.usize(1..8192);
            let _ = connection.read_some(count);
        }
        self.world.counts.cuts.fetch_add(1, SeqCst);
        self.part_from(connection);
    }

    fn part_from(&mut self, connection: Connection) {
        if self.random.bool() {
            connection.reset();
        }
    }

    /// Takes a download a few bytes at a time, then closes or takes the rest.
    pub(super) fn read_slowly(&mut self) {
        let Some(held) = self.largest() else { return };
        let request = self.asker().download(&held.id);
        let side = self.side();
        let watch = self.world.watch(side);
        let Some(mut connection) = self.world.connect(watch, Some(WINDOW)) else { return };
        let begun = connection.send(&request.bytes()).and_then(|()| connection.head());
        let head = match begun {
            Ok(head) if head.status == 200 => head,
            // Other turns find out about other answers.
            Ok(_) => return,
            Err(error) => return self.world.lost(watch, "download slowly", &error),
        };
        let mut came = Vec::new();
        for _ in 0..self.random.u32(10..50) {
            let count = self.random.usize(1..2048);
            match connection.read_some(count) {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => came.extend(bytes),
                Err(error) => return self.world.lost(watch, "download slowly", &error),
            }
            if came.len() as u64 >= held.content.length() || !self.world.dawdle(STEP) {
                break;
            }
        }
        if self.random.bool() {
            return self.part_from(connection);
        }
        while (came.len() as u64) < held.content.length() {
            match connection.read_some(1 << 20) {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => came.extend(bytes),
                Err(error) => return self.world.lost(watch, "download slowly", &error),
            }
        }
        let length = head.field("content-length").and_then(|length| length.parse().ok());
        let is_killed = !self.world.server(side).has_lived_since(watch.life());
        if length == Some(held.content.length()) && is_killed && (came.len() as u64) < held.content.length() {
            return;
        }
        self.compare("a slow download", &held.id, held.content, 0..held.content.length(), &came);
    }

    fn largest(&mut self) -> Option<Held> {
        (0..4).filter_map(|_| self.pick()).max_by_key(|held| held.content.length())
    }

    /// Sends a file a few bytes at a time.
    pub(super) fn trickle(&mut self) {
        let length = self.random.u64(1..2048);
        let (name, content) = self.announce(length);
        let request = self.asker().create_file(&name, "assistants", &content.all(), self.random.bool());
        let side = self.side();
        let watch = self.world.watch(side);
        let Some(mut connection) = self.world.connect(watch, None) else { return };
        let bytes = request.bytes();
        let mut sent = 0;
        while sent < bytes.len() {
            // In quiet, the rest at once.
            let most = if self.world.dawdle(STEP) { self.random.usize(1..128) } else { bytes.len() };
            let piece = &bytes[sent..(sent + most).min(bytes.len())];
            if connection.send(piece).is_err() {
                break;
            }
            sent += piece.len();
        }
        let question = Question::new("create a file slowly", &request, &[200, 201]).with_room();
        let answer = match connection.response() {
            Ok(response) => {
                self.world.judge(watch, question, &response);
                Answer::Got(response)
            }
            Err(error) => {
                self.world.lost(watch, question.what, &error);
                if sent == bytes.len() { Answer::Unknown } else { Answer::Never }
            }
        };
        self.keep(&name, &answer);
    }

    /// Connects and says nothing, or not enough.
    pub(super) fn say_nothing(&mut self) {
        let side = self.side();
        let Some(mut connection) = self.world.connect(self.world.watch(side), None) else { return };
        if self.random.bool() {
            let bytes = self.asker().list("").bytes();
            let end = self.random.usize(1..bytes.len());
            let _ = connection.send(&bytes[..end]);
        }
        let pause = Duration::from_millis(self.random.u64(500..5000));
        self.world.dawdle(pause);
        self.part_from(connection);
    }
}
