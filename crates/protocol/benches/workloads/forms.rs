//! Forms: written, read, and searched for where they end.

use std::hint::black_box;

use bytes::Bytes;
use partwise_models::Purpose;
use partwise_protocol::{
    Api, Operation,
    multipart::{Boundary, FormEvent, FormLimits, FormReader, FormWriter, decode_whole},
    operations::{AddUploadPart, CreateFile},
    transport::SourceRange,
};

use super::{Amount, Round, Workload, content};

const FORMS: u64 = 100;
/// As a server reads from a socket.
const PIECE: usize = 64 * 1024;

/// Requests that carry a form, half of them parts and half of them whole files.
pub(super) const WRITE: Workload =
    Workload { name: "form-write", amount: Amount::Items(FORMS), prepare: write };

/// Small forms: what a form costs besides its content.
pub(super) const READ: Workload = Workload { name: "form-read", amount: Amount::Items(FORMS), prepare: read };

/// A form with large content, which arrives in pieces.
pub(super) const BOUNDARY_SEARCH: Workload = Workload {
    name: "boundary-search",
    amount: Amount::Bytes(content::LENGTH as u64),
    prepare: || search(&content::lines()),
};

/// The same with content that is made of nothing but beginnings of the boundary.
pub(super) const NEAR_MISSES: Workload = Workload {
    name: "boundary-search-near-misses",
    amount: Amount::Bytes(content::LENGTH as u64),
    prepare: || search(&content::repeated(format!("\r\n--{}", &boundary().as_str()[..31]).as_bytes())),
};

fn boundary() -> Boundary {
    Boundary::from_entropy(*b"one-for-all-runs")
}

fn write() -> Round {
    let api = Api::openai();
    let part = AddUploadPart::new("upload_abc123", SourceRange::new(64 << 20, 128 << 20), boundary());
    let range = SourceRange::new(0, 64 << 20);
    let file = CreateFile::new(Purpose::FineTune, "train.jsonl", "application/jsonl", range, boundary());
    Box::new(move || {
        for _ in 0..FORMS / 2 {
            black_box(part.encode_request(&api).expect("it can be written"));
            black_box(file.encode_request(&api).expect("it can be written"));
        }
    })
}

/// A form of a file with this content, as a client sends it.
fn form(content: Bytes) -> (http::HeaderValue, Bytes) {
    let (content_type, body) = FormWriter::new(boundary())
        .text("purpose", "fine-tune")
        .and_then(|form| form.text("expires_after[anchor]", "created_at"))
        .and_then(|form| form.text("expires_after[seconds]", "86400"))
        .and_then(|form| form.file("file", "train.jsonl", "application/jsonl", content.into()))
        .and_then(FormWriter::finish)
        .expect("it can be written");
    (content_type, body.into_bytes().expect("it is in memory"))
}

fn read() -> Round {
    let (content_type, body) = form(Bytes::from_static(b"{}\n"));
    Box::new(move || {
        for _ in 0..FORMS {
            black_box(decode_whole(&content_type, body.clone(), "file").expect("it is a form"));
        }
    })
}

fn search(content: &Bytes) -> Round {
    let (_, body) = form(content.clone());
    Box::new(move || {
        let mut reader = FormReader::new(&boundary(), FormLimits::default());
        let mut rest = body.clone();
        loop {
            match black_box(reader.poll().expect("it is a form")) {
                FormEvent::NeedInput => reader.push(rest.split_to(rest.len().min(PIECE))),
                FormEvent::Field(_) | FormEvent::Data(_) => {}
                FormEvent::End => break,
            }
        }
    })
}
