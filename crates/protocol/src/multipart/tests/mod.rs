//! Forms as a whole: written and read back, as real clients send them, and broken.

mod clients;
mod malformed;
mod round_trip;

use bytes::Bytes;

use super::{Boundary, FieldHead, FormError, FormEvent, FormLimits, FormReader};

/// What a reader found before it came to an end, and that end.
#[derive(Debug, Default, PartialEq)]
struct Found {
    fields: Vec<(FieldHead, Vec<u8>)>,
    error: Option<FormError>,
}

/// Reads `body` in pieces of these sizes, over and over; none stands for one piece.
///
/// # Panics
/// When the reader keeps any of a piece alive that it has asked to go on from, or when its end is not final.
fn read_in_pieces(boundary: &Boundary, limits: FormLimits, body: &[u8], sizes: &[usize]) -> Found {
    let mut reader = FormReader::new(boundary, limits);
    let mut found = Found::default();
    let mut rest = body;
    let mut sizes = sizes.iter().cycle();
    let mut piece = Bytes::new();
    loop {
        match reader.poll() {
            Ok(FormEvent::NeedInput) => {
                assert!(piece.is_empty() || piece.is_unique(), "the reader holds on to what it has read");
                let next;
                (next, rest) = rest.split_at(sizes.next().map_or(rest.len(), |size| rest.len().min(*size)));
                piece = Bytes::copy_from_slice(next);
                if piece.is_empty() {
                    reader.finish_input();
                }
                reader.push(piece.clone());
            }
            Ok(FormEvent::Field(head)) => found.fields.push((head, Vec::new())),
            Ok(FormEvent::Data(bytes)) => {
                assert!(!bytes.is_empty());
                found.fields.last_mut().expect("data comes after its field").1.extend_from_slice(&bytes);
            }
            Ok(FormEvent::End) => {
                reader.push(Bytes::from_static(b"epilogue"));
                assert_eq!(reader.poll(), Ok(FormEvent::End));
                return found;
            }
            Err(error) => {
                assert_eq!(reader.poll(), Err(error.clone()));
                found.error = Some(error);
                return found;
            }
        }
    }
}
