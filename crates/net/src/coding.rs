//! Decodes answers that come coded although every request asks for them as they are.

use std::{
    fmt,
    io::{self, Write as _},
    mem,
};

use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::{HeaderMap, header};

/// So many coded bytes are decoded at a time. Deflate makes at most 1032 bytes of one, so that what is decoded at a time
/// stays at about a mebibyte, whatever a service sends.
pub const STEP: usize = 1024;

/// A coding that is decoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Coding {
    /// `gzip` and `x-gzip`.
    Gzip,
    /// `deflate`: zlib, or deflate without a frame.
    Deflate,
}

impl Coding {
    /// The coding of an answer, if it has exactly one and that is decoded here.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(header::CONTENT_ENCODING).iter();
        let mut codings = values
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
        match (codings.next()?.to_ascii_lowercase().as_slice(), codings.next()) {
            (b"gzip" | b"x-gzip", None) => Some(Self::Gzip),
            (b"deflate", None) => Some(Self::Deflate),
            _ => None,
        }
    }

    /// Decodes a whole body, as far as `limit` and a byte more.
    ///
    /// # Errors
    /// When the body is not coded so. With the error comes what was decoded before it.
    pub fn decode(self, coded: &[u8], limit: usize) -> Result<Vec<u8>, (Vec<u8>, io::Error)> {
        let mut plain = Vec::new();
        let mut decoder = Decoder::new(self);
        for piece in coded.chunks(STEP) {
            match decoder.decode(piece) {
                Ok(decoded) => plain.extend(decoded),
                Err(error) => return Err((plain, error)),
            }
            if plain.len() > limit {
                plain.truncate(limit + 1);
                return Ok(plain);
            }
        }
        if !coded.is_empty() {
            match decoder.finish() {
                Ok(decoded) => plain.extend(decoded),
                Err(error) => return Err((plain, error)),
            }
        }
        Ok(plain)
    }
}

/// As the header has it.
impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "Content-Encoding: gzip",
            Self::Deflate => "Content-Encoding: deflate",
        })
    }
}

/// Takes what describes the coded body out of the head of an answer that is decoded.
pub fn strip(headers: &mut HeaderMap) {
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
}

/// Decodes a body piece by piece. No bytes at all are an empty body in every coding.
#[derive(Debug)]
pub struct Decoder(State);

#[derive(Debug)]
enum State {
    Gzip(Box<GzDecoder<Vec<u8>>>),
    /// Zeros behind the last member of gzip, which some pad it with.
    Padding,
    /// Deflate whose frame is not known yet, and what came of it: less than two bytes.
    Deflate(Vec<u8>),
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    Raw(Box<DeflateDecoder<Vec<u8>>>),
}

impl Decoder {
    /// A decoder before the first byte.
    #[must_use]
    pub fn new(coding: Coding) -> Self {
        Self(match coding {
            Coding::Gzip => State::Gzip(Box::new(GzDecoder::new(Vec::new()))),
            Coding::Deflate => State::Deflate(Vec::new()),
        })
    }

    /// Decodes the next bytes, which should be no more than [`STEP`].
    ///
    /// # Errors
    /// When the bytes are not coded so.
    pub fn decode(&mut self, coded: &[u8]) -> io::Result<Vec<u8>> {
        if let State::Deflate(first) = &mut self.0 {
            first.extend_from_slice(coded);
            let [a, b, ..] = **first else { return Ok(Vec::new()) };
            let first = mem::take(first);
            // HTTP's deflate has the frame of zlib, and many send it without.
            self.0 = match is_zlib(a, b) {
                true => State::Zlib(Box::new(ZlibDecoder::new(Vec::new()))),
                false => State::Raw(Box::new(DeflateDecoder::new(Vec::new()))),
            };
            return self.decode(&first);
        }
        match &mut self.0 {
            State::Gzip(gzip) => {
                let mut plain = Vec::new();
                let is_padded = decode_members(gzip, coded, &mut plain)?;
                if is_padded {
                    self.0 = State::Padding;
                }
                Ok(plain)
            }
            State::Padding if coded.iter().all(|byte| *byte == 0) => Ok(Vec::new()),
            State::Padding => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "more comes behind the padding"))
            }
            State::Zlib(zlib) => {
                zlib.write_all(coded)?;
                zlib.flush()?;
                Ok(mem::take(zlib.get_mut()))
            }
            State::Raw(raw) => {
                raw.write_all(coded)?;
                raw.flush()?;
                Ok(mem::take(raw.get_mut()))
            }
            State::Deflate(_) => Ok(Vec::new()),
        }
    }

    /// Decodes the rest once all bytes were given, of which there must be one.
    ///
    /// # Errors
    /// When more would have to come.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self.0 {
            State::Gzip(gzip) => gzip.finish(),
            State::Padding => Ok(Vec::new()),
            State::Zlib(zlib) => zlib.finish(),
            State::Raw(raw) => raw.finish(),
            State::Deflate(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Decodes one member of gzip after the other, and says whether nothing but zeros follows the last one.
fn decode_members(gzip: &mut GzDecoder<Vec<u8>>, mut coded: &[u8], plain: &mut Vec<u8>) -> io::Result<bool> {
    while !coded.is_empty() {
        match gzip.write(coded)? {
            // A member is complete: its decoder reads nothing more.
            0 => {
                gzip.try_finish()?;
                plain.append(gzip.get_mut());
                if coded.iter().all(|byte| *byte == 0) {
                    return Ok(true);
                }
                *gzip = GzDecoder::new(Vec::new());
            }
            count => coded = &coded[count..],
        }
    }
    gzip.flush()?;
    plain.append(gzip.get_mut());
    Ok(false)
}

/// Whether two bytes begin the frame of zlib (RFC 1950). No deflate stream that any compressor writes begins so.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0F == 8 && u16::from_be_bytes([first, second]) % 31 == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use http::HeaderValue;

    use super::*;

    fn codings(plain: &[u8]) -> Vec<(&'static str, Coding, Vec<u8>)> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(plain).unwrap();
        zlib.write_all(plain).unwrap();
        raw.write_all(plain).unwrap();
        vec![
            ("gzip", Coding::Gzip, gzip.finish().unwrap()),
            ("zlib", Coding::Deflate, zlib.finish().unwrap()),
            ("raw", Coding::Deflate, raw.finish().unwrap()),
        ]
    }

    fn decoded(coding: Coding, coded: &[u8], step: usize) -> io::Result<Vec<u8>> {
        let mut decoder = Decoder::new(coding);
        let mut plain = Vec::new();
        for piece in coded.chunks(step) {
            plain.extend(decoder.decode(piece)?);
        }
        plain.extend(decoder.finish()?);
        Ok(plain)
    }

    #[test]
    fn every_coding_is_decoded_however_its_bytes_are_cut() {
        let noise: Vec<_> = (0..100_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for plain in [&b""[..], b"x", b"{\"a\":1}\n", &noise] {
            for (name, coding, coded) in codings(plain) {
                for step in [1, 2, 7, STEP] {
                    assert!(decoded(coding, &coded, step).unwrap() == plain, "{name} in steps of {step}");
                }
            }
        }
    }

    #[test]
    fn several_members_of_gzip_are_one_body() {
        let (_, coding, first) = codings(b"one ").swap_remove(0);
        let second = codings(b"two").swap_remove(0).2;
        for step in [1, STEP] {
            assert_eq!(decoded(coding, &[&first[..], &second].concat(), step).unwrap(), b"one two");
        }
    }

    #[test]
    fn zeros_behind_the_last_member_of_gzip_are_padding() {
        let (_, coding, member) = codings(b"one ").swap_remove(0);
        for step in [1, 7, STEP] {
            let padded = [&member[..], &member, &[0; 600]].concat();
            assert_eq!(decoded(coding, &padded, step).unwrap(), b"one one ");
            let more = [&member[..], &[0; 20], b"x"].concat();
            assert!(decoded(coding, &more, step).is_err(), "text behind the zeros");
        }
        assert!(decoded(coding, &[0; 20], STEP).is_err(), "nothing but zeros");
    }

    #[test]
    fn a_stream_that_is_cut_off_or_changed_is_an_error() {
        for (name, coding, coded) in codings(b"some text, and some text again") {
            for end in 1..coded.len() {
                assert!(decoded(coding, &coded[..end], STEP).is_err(), "{name} cut at {end}");
            }
            assert!(
                decoded(coding, &[&coded[..], b"x"].concat(), STEP).is_err(),
                "{name} with more behind it"
            );
        }
        let (_, coding, mut coded) = codings(b"some text").swap_remove(0);
        *coded.last_mut().unwrap() ^= 1;
        assert!(decoded(coding, &coded, STEP).is_err());
    }

    #[test]
    fn a_step_decodes_to_about_a_mebibyte_at_most() {
        let bomb = codings(&vec![0; 8 << 20]);
        for (name, coding, coded) in bomb {
            let mut decoder = Decoder::new(coding);
            for piece in coded.chunks(STEP) {
                let length = decoder.decode(piece).unwrap().len();
                assert!(length <= (1032 * STEP) + (64 << 10), "{name}: {length}");
            }
        }
    }

    #[test]
    fn a_single_known_coding_is_read_from_the_head() {
        let of = |values: &[&'static str]| {
            let headers =
                values.iter().map(|value| (header::CONTENT_ENCODING, HeaderValue::from_static(value)));
            Coding::of(&headers.collect())
        };
        assert_eq!(of(&["gzip"]), Some(Coding::Gzip));
        assert_eq!(of(&["identity", " X-GZip ,"]), Some(Coding::Gzip));
        assert_eq!(of(&["Deflate"]), Some(Coding::Deflate));
        for values in [&[][..], &[""], &["identity"], &["br"], &["gzip, br"], &["gzip", "gzip"]] {
            assert_eq!(of(values), None, "{values:?}");
        }
    }
}
