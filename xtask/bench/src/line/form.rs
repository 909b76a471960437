//! The file's bytes in a form.

use memchr::memmem;

use crate::numbered;

/// A form that has not come to the file by then is none of ours.
const LONGEST: usize = 16 * 1024;

/// What a form has of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// Where in the file, if the file is a numbered one.
    pub(super) offset: Option<u64>,
    pub(super) length: u64,
}

/// The beginning of a body, until the file in it is found.
#[derive(Debug)]
pub(super) struct Form {
    begin: Vec<u8>,
    /// Of the whole body.
    length: u64,
}

impl Form {
    /// The form in a body of that length; 0 when the head does not tell it, and then nothing is known of the file's length.
    pub(super) fn of_length(length: u64) -> Self {
        Self { begin: Vec::new(), length }
    }

    /// Takes the next bytes of the body. `Some` when it is known what there is of a file, or that it will not be known.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<Content> {
        let wanted = bytes.len().min(LONGEST - self.begin.len());
        self.begin.extend_from_slice(&bytes[..wanted]);
        let found = content_at(&self.begin).map(|(at, around)| {
            let length = self.length.saturating_sub(around as u64);
            (at, length)
        });
        let is_all = self.begin.len() == LONGEST || self.begin.len() as u64 >= self.length;
        match found {
            Some((at, length)) if self.begin.len() - at >= numbered::ENOUGH || is_all => {
                Some(Content { offset: numbered::offset_of(&self.begin[at..]), length })
            }
            _ => is_all.then_some(Content { offset: None, length: self.length }),
        }
    }
}

/// Where the file begins, and how many bytes the form has around it when the file is its last field.
fn content_at(begin: &[u8]) -> Option<(usize, usize)> {
    let boundary = &begin[..memmem::find(begin, b"\r\n")?];
    let mut at = 0;
    loop {
        let end = at + memmem::find(&begin[at..], b"\r\n\r\n")? + 4;
        if memmem::find(&begin[at..end], b"filename").is_some() {
            let tail = "\r\n".len() + boundary.len() + "--\r\n".len();
            return Some((end, end + tail));
        }
        at = end + memmem::find(&begin[end..], boundary)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(content: &[u8]) -> Vec<u8> {
        let head = b"--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n";
        [&head[..], content, b"\r\n--b--\r\n"].concat()
    }

    /// What is known of a body that comes in pieces of that length.
    fn taken(body: &[u8], piece: usize) -> Option<Content> {
        let mut form = Form::of_length(body.len() as u64);
        body.chunks(piece).find_map(|bytes| form.take(bytes))
    }

    #[test]
    fn the_file_in_a_form_is_found_however_the_form_is_split() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = numbered::file(folder.path(), 4000).expect("it writes");
        let file = std::fs::read(path).expect("it is there");
        for piece in [1, 7, 100, 10_000] {
            let expected = Content { offset: Some(1001), length: 2000 };
            assert_eq!(taken(&form(&file[1001..3001]), piece), Some(expected));
            let expected = Content { offset: None, length: 2000 };
            assert_eq!(taken(&form(&[b'x'; 2000]), piece), Some(expected));
        }
    }

    #[test]
    fn what_is_no_form_counts_whole() {
        assert_eq!(taken(&[b'x'; 300], 100), Some(Content { offset: None, length: 300 }));
        assert_eq!(taken(&[b'x'; 30_000], 1000), Some(Content { offset: None, length: 30_000 }));
    }

    #[test]
    fn a_form_in_chunks_has_no_bytes_of_a_file() {
        let first_chunk = form(&[b'x'; 2000]);
        for piece in [1, 500, first_chunk.len()] {
            let content = Form::of_length(0).take(&first_chunk[..piece]);
            assert_eq!(content, Some(Content { offset: None, length: 0 }));
        }
    }
}
