//! Requests and their answers, as they pass.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::Shared;
use super::form::{Content, Form};
use super::messages::{Body, Watcher};
use crate::sink::Head;

/// The requests of one connection that are not answered yet.
#[derive(Default)]
pub(super) struct Exchanges(RefCell<VecDeque<Rc<Exchange>>>);

/// A request on its way.
struct Exchange {
    is_head: bool,
    /// `None` of a request that brings no file.
    content: Cell<Option<Content>>,
}

/// Watches what the client says.
pub(super) struct Requests {
    shared: Rc<Shared>,
    exchanges: Rc<Exchanges>,
    /// The request that brings a file, until it is known what it brings.
    begun: Option<(Rc<Exchange>, Form)>,
}

/// Watches what the client is told.
pub(super) struct Answers {
    shared: Rc<Shared>,
    exchanges: Rc<Exchanges>,
    status: u16,
}

impl Requests {
    pub(super) fn new(shared: Rc<Shared>, exchanges: Rc<Exchanges>) -> Self {
        Self { shared, exchanges, begun: None }
    }
}

impl Watcher for Requests {
    fn head(&mut self, head: &Head) -> Body {
        let body = Body::of(head);
        let last = head.path().rsplit('/').next();
        let brings_file = head.method() == "POST" && [Some("parts"), Some("files")].contains(&last);
        let content = brings_file.then(Content::default).into();
        let exchange = Rc::new(Exchange { is_head: head.method() == "HEAD", content });
        if brings_file {
            self.shared.book.borrow_mut().attempt();
            let length = if let Body::Length(length) = body { length } else { 0 };
            self.begun = Some((exchange.clone(), Form::of_length(length)));
        }
        self.exchanges.0.borrow_mut().push_back(exchange);
        body
    }

    fn body(&mut self, bytes: &[u8]) {
        let Some((exchange, form)) = &mut self.begun else { return };
        if let Some(content) = form.take(bytes) {
            exchange.content.set(Some(content));
            self.shared.book.borrow_mut().brings(self.shared.now(), content);
            self.begun = None;
        }
    }

    fn end(&mut self) {
        self.begun = None;
    }
}

impl Answers {
    pub(super) fn new(shared: Rc<Shared>, exchanges: Rc<Exchanges>) -> Self {
        Self { shared, exchanges, status: 0 }
    }
}

impl Watcher for Answers {
    fn head(&mut self, head: &Head) -> Body {
        self.status = head.status().unwrap_or_default();
        let answers_head = self.exchanges.0.borrow().front().is_some_and(|exchange| exchange.is_head);
        match self.status {
            100..=199 | 204 | 304 => Body::Length(0),
            _ if answers_head => Body::Length(0),
            _ if head.header("content-length").is_none() && head.header("transfer-encoding").is_none() => {
                Body::Rest
            }
            _ => Body::of(head),
        }
    }

    fn body(&mut self, _bytes: &[u8]) {}

    fn end(&mut self) {
        if self.status < 200 {
            // The answer is still to come.
            return;
        }
        let exchange = self.exchanges.0.borrow_mut().pop_front();
        if let (200, Some(content)) = (self.status, exchange.and_then(|exchange| exchange.content.get())) {
            self.shared.book.borrow_mut().acknowledged(self.shared.now(), content);
        }
    }
}
