//! Taking a form apart as it arrives.

use bytes::{Buf, Bytes};
use memchr::memchr;

use super::delimiter::{DelimiterSearch, Scan};
use super::{Boundary, FieldHead, FormError};

/// Reads a form that arrives in pieces of any size, in memory that does not grow with it.
///
/// Call [`poll`](Self::poll) until it asks for input, then [`push`](Self::push) the next piece, or say with
/// [`finish_input`](Self::finish_input) that there is none. What is held between two pushes is at most one
/// field's header. Data comes as slices of what was pushed; what of a field lies within one push comes as one
/// slice.
///
/// It takes what clients send, not only what RFC 7578 allows: text before the first boundary and after the
/// last, blanks after a boundary, folded and unknown headers, fields without a `Content-Type`, names with or
/// without quotes and with either way of escaping, and `filename*`.
///
/// ```
/// use bytes::Bytes;
/// use http::HeaderValue;
/// use partwise_protocol::multipart::{Boundary, FormEvent, FormLimits, FormReader};
///
/// let body = b"--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--x--\r\n";
/// let boundary = Boundary::of(&HeaderValue::from_static("multipart/form-data; boundary=x"))?;
/// let mut form = FormReader::new(&boundary, FormLimits::default());
/// let mut pieces = body.chunks(10);
/// let (mut names, mut value) = (Vec::new(), Vec::new());
/// loop {
///     match form.poll()? {
///         FormEvent::NeedInput => match pieces.next() {
///             Some(piece) => form.push(Bytes::copy_from_slice(piece)),
///             None => form.finish_input(),
///         },
///         FormEvent::Field(head) => names.push(head.name),
///         FormEvent::Data(bytes) => value.extend_from_slice(&bytes),
///         FormEvent::End => break,
///     }
/// }
/// assert_eq!((names, value), (vec!["purpose".to_owned()], b"batch".to_vec()));
/// # Ok::<(), partwise_protocol::multipart::FormError>(())
/// ```
#[derive(Debug)]
pub struct FormReader {
    limits: FormLimits,
    search: DelimiterSearch,
    input: Bytes,
    input_finished: bool,
    read: u64,
    fields: usize,
    state: State,
}

/// How much a form may ask of its reader.
///
/// ```
/// use partwise_protocol::multipart::FormLimits;
///
/// let limits = FormLimits::default().fields(8);
/// assert_eq!((limits.header, limits.fields), (16 * 1024, 8));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormLimits {
    /// The length of one field's header, in bytes: 16 KiB by default.
    pub header: usize,
    /// The number of fields: 32 by default; the API's largest form has five.
    pub fields: usize,
}

/// What [`FormReader::poll`] found.
///
/// ```
/// use bytes::Bytes;
/// use partwise_protocol::multipart::FormEvent;
///
/// /// A line for a log of what a form has.
/// fn line(event: &FormEvent) -> String {
///     match event {
///         FormEvent::NeedInput => "waiting for more".to_owned(),
///         FormEvent::Field(head) => format!("the field {}", head.name),
///         FormEvent::Data(bytes) => format!("{} bytes of it", bytes.len()),
///         FormEvent::End => "the end".to_owned(),
///     }
/// }
///
/// assert_eq!(line(&FormEvent::Data(Bytes::from("batch"))), "5 bytes of it");
/// ```
#[expect(clippy::exhaustive_enums, reason = "a caller that ignores one of them misreads the form")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormEvent {
    /// The input is used up: push more, or finish it.
    NeedInput,
    /// A field begins, and the one before it has ended.
    Field(FieldHead),
    /// The next bytes of the field's value, never empty.
    Data(Bytes),
    /// The closing boundary; whatever follows it is ignored.
    End,
}

#[derive(Debug)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// After a boundary, and after the first `-` behind it when `closing`.
    Boundary {
        closing: bool,
    },
    /// In a field's header; it holds what has arrived since the boundary.
    Header(Vec<u8>),
    /// In a field's value.
    Value,
    /// After the closing boundary.
    Closed,
    Failed(FormError),
}

impl Default for FormLimits {
    fn default() -> Self {
        Self { header: 16 * 1024, fields: 32 }
    }
}

impl FormLimits {
    /// Sets [`header`](#structfield.header), in bytes.
    #[must_use]
    pub fn header(mut self, header: usize) -> Self {
        self.header = header;
        self
    }

    /// Sets [`fields`](#structfield.fields).
    #[must_use]
    pub fn fields(mut self, fields: usize) -> Self {
        self.fields = fields;
        self
    }
}

impl FormReader {
    /// A reader at the start of a body.
    #[must_use]
    pub fn new(boundary: &Boundary, limits: FormLimits) -> Self {
        Self {
            limits,
            search: DelimiterSearch::from_start(boundary),
            input: Bytes::new(),
            input_finished: false,
            read: 0,
            fields: 0,
            state: State::Preamble,
        }
    }

    /// Takes the next bytes of the body; copies them only when [`poll`](Self::poll) has not yet asked for
    /// input.
    ///
    /// After the end, an error or [`finish_input`](Self::finish_input) they are ignored.
    pub fn push(&mut self, bytes: Bytes) {
        if self.input_finished || matches!(self.state, State::Closed | State::Failed(_)) {
            return;
        }
        self.read += bytes.len() as u64;
        self.input = if self.input.is_empty() { bytes } else { [&*self.input, &*bytes].concat().into() };
    }

    /// Says that the body is complete.
    pub fn finish_input(&mut self) {
        self.input_finished = true;
    }

    /// The next thing in the form.
    ///
    /// # Errors
    /// A [`FormError`] when the input is no form, is cut short, or goes over a limit; each later call returns
    /// it again.
    pub fn poll(&mut self) -> Result<FormEvent, FormError> {
        let polled = self.next_event();
        if let Err(error) = &polled {
            self.fail(error);
        }
        polled
    }

    /// Makes every later poll return this error.
    pub(super) fn fail(&mut self, error: &FormError) {
        self.input = Bytes::new();
        self.state = State::Failed(error.clone());
    }

    fn next_event(&mut self) -> Result<FormEvent, FormError> {
        loop {
            match &mut self.state {
                State::Preamble | State::Value => match self.search.scan(&mut self.input) {
                    Scan::Data(bytes) if matches!(self.state, State::Value) => {
                        return Ok(FormEvent::Data(bytes));
                    }
                    Scan::Data(_preamble) => {}
                    Scan::Delimiter => self.state = State::Boundary { closing: false },
                    Scan::NeedInput => return self.need_input(),
                },
                State::Boundary { closing } => match (self.input.first(), *closing) {
                    (None, _) => return self.need_input(),
                    (Some(b'-'), false) => {
                        self.input.advance(1);
                        *closing = true;
                    }
                    (Some(b'-'), true) => {
                        self.input = Bytes::new();
                        self.state = State::Closed;
                    }
                    (Some(_), true) => return Err(FormError::BadBoundaryLine),
                    (Some(_), false) => self.state = State::Header(Vec::new()),
                },
                State::Header(header) => {
                    if !take_header(&mut self.input, header, self.limits.header)? {
                        return self.need_input();
                    }
                    if self.fields == self.limits.fields {
                        return Err(FormError::TooManyFields { limit: self.limits.fields });
                    }
                    let head = FieldHead::parse(header)?;
                    self.fields += 1;
                    self.state = State::Value;
                    return Ok(FormEvent::Field(head));
                }
                State::Closed => return Ok(FormEvent::End),
                State::Failed(error) => return Err(error.clone()),
            }
        }
    }

    fn need_input(&mut self) -> Result<FormEvent, FormError> {
        // An empty slice would keep the pushed bytes alive.
        self.input = Bytes::new();
        let read = self.read;
        match self.state {
            _ if !self.input_finished => Ok(FormEvent::NeedInput),
            State::Preamble => Err(FormError::BoundaryNotFound { read }),
            _ => Err(FormError::Truncated { read }),
        }
    }
}

/// Moves lines from `input` to the end of `header`, up to the blank one; whether that has come.
fn take_header(input: &mut Bytes, header: &mut Vec<u8>, limit: usize) -> Result<bool, FormError> {
    while !input.is_empty() {
        let line = input.split_to(memchr(b'\n', input).map_or(input.len(), |at| at + 1));
        if line.len() > limit - header.len() {
            return Err(FormError::HeaderTooLong { limit });
        }
        header.extend_from_slice(&line);
        if header.ends_with(b"\r\n\r\n") {
            return Ok(true);
        }
    }
    Ok(false)
}
