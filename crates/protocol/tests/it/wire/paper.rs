//! How an exchange is written down.

use std::fmt::{Debug, Write as _};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use partwise_protocol::{
    Api, Operation,
    transport::{Body, Segment},
};

use super::{Exchange, SOURCE, sides};

/// What is written, and what readers have found so far: the same again is not written again.
#[derive(Default)]
pub(super) struct Paper {
    text: String,
    found: Vec<(String, String)>,
}

impl Paper {
    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn heading(&mut self, name: &str) {
        self.line(&format!("\n-- {name}"));
    }

    /// All four directions of an exchange in one dialect.
    pub(super) fn exchange<O: Operation + Debug>(&mut self, api: &Api, exchange: &Exchange<O>)
    where
        O::Response: Debug,
    {
        match exchange.request.encode_request(api) {
            Ok(request) => {
                self.request(&request);
                let read = sides::received::<O>(sides::arrived(request, SOURCE)).unwrap();
                self.found(api, "the service reads", &read);
            }
            Err(error) => {
                self.line(&format!("the client refuses: {error}"));
                self.line(&format!("    {error:?}"));
                if !O::ID.available_in(api.dialect()) {
                    self.no_route::<O>(api);
                }
                return;
            }
        }
        let response = O::encode_response(&exchange.response, api).unwrap();
        self.response(&response);
        self.found(api, "the client reads", &sides::answered::<O>(response).unwrap());
    }

    /// What a service says to an operation that its dialect does not have.
    fn no_route<O: Operation>(&mut self, api: &Api) {
        let path = O::ID.path().replace("{upload_id}", "upload_abc123");
        let version = api.dialect().api_version().map(|version| format!("?api-version={version}"));
        let uri = format!("{}{path}{}", api.base(), version.unwrap_or_default());
        let request = Request::builder().method(O::ID.method()).uri(uri).body(Body::empty()).unwrap();
        self.request(&request);
        let error = sides::route(&sides::arrived(request, SOURCE)).unwrap_err();
        self.line(&format!("the service refuses: {error}"));
        self.line(&format!("    {error:?}"));
    }

    fn request(&mut self, request: &Request<Body>) {
        self.line(&format!("> {} {}", request.method(), request.uri()));
        self.message('>', request.headers(), request.body());
        let stated = sides::stated_length(request.headers());
        assert!(stated.is_none_or(|length| length == request.body().content_length()));
    }

    fn response(&mut self, response: &Response<Body>) {
        self.line(&format!("< {}", response.status()));
        self.message('<', response.headers(), response.body());
    }

    fn message(&mut self, mark: char, headers: &HeaderMap, body: &Body) {
        for (name, value) in headers {
            self.line(&format!("{mark} {name}: {}", value.to_str().unwrap()));
        }
        self.line(&mark.to_string());
        for line in shown(body).lines() {
            self.line(format!("{mark} {line}").trim_end());
        }
    }

    /// What one side found in what the other one sent.
    fn found(&mut self, api: &Api, who: &str, what: &impl Debug) {
        let what = format!("{what:?}");
        let twin = self.found.iter().find(|(_, other)| *other == what).map(|(dialect, _)| dialect.clone());
        match twin {
            Some(dialect) => self.line(&format!("{who} the same as in {dialect}")),
            None => {
                self.line(&format!("{who} {what}"));
                self.found.push((api.dialect().to_string(), what));
            }
        }
    }

    pub(super) fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{line}");
    }
}

fn shown(body: &Body) -> String {
    let segments = body.segments().iter().map(|segment| match segment {
        Segment::Bytes(bytes) => text_of(bytes),
        Segment::Source(range) => format!("[source {}..{}]", range.start(), range.end()),
    });
    segments.collect::<String>()
}

fn text_of(bytes: &Bytes) -> String {
    std::str::from_utf8(bytes).unwrap().replace("\r\n", "␍\n")
}
