//! The exact head and body of every operation in every dialect, in all four directions.
//!
//! A snapshot has one operation. `>` is what a client sends and `<` what a service sends, line by line, with `␍` for the CR
//! of a line that ends with CRLF. `[source a..b]` stands for bytes of the caller's file.

mod files;
mod paper;
mod uploads;

use std::fmt::Debug;

use partwise_protocol::Operation;

use crate::{
    page::assert_page,
    sides::{self, apis},
};
use paper::Paper;

/// What every source range in these requests is of.
const SOURCE: &[u8] = b"{\"a\": 1}\n{\"a\": 2}\n";

/// One request and the answer to it.
struct Exchange<O: Operation> {
    about: &'static str,
    request: O,
    response: O::Response,
}

/// Holds an operation to its snapshot.
fn assert_wire<O: Operation + Debug>(name: &str, exchanges: &[Exchange<O>])
where
    O::Response: Debug,
{
    let mut page = format!("{}\n", O::ID);
    for exchange in exchanges {
        page += &format!("\n==== {} ====\n", exchange.about);
        page += &each_dialect(exchange);
    }
    assert_page("wire", name, &page);
}

/// One exchange in every dialect; one that differs from another by its version alone is named and not shown.
fn each_dialect<O: Operation + Debug>(exchange: &Exchange<O>) -> String
where
    O::Response: Debug,
{
    let mut paper = Paper::default();
    let mut shown: Vec<(String, String)> = Vec::new();
    for api in apis() {
        let name = api.dialect().to_string();
        let mut blank = Paper::default();
        blank.exchange(&api, exchange);
        let version = api.dialect().api_version().unwrap_or("no version");
        let neutral = blank.into_text().replace(version, "VERSION");
        paper.heading(&name);
        match shown.iter().find(|(_, other)| *other == neutral) {
            Some((twin, _)) => paper.line(&format!("as {twin}")),
            None => {
                paper.exchange(&api, exchange);
                shown.push((name, neutral));
            }
        }
    }
    paper.into_text()
}
