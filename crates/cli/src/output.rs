//! Standard output: the service's objects as JSON lines, or a short summary for people.

use std::io::{self, Write};

use console::measure_text_width;
use partwise_models::{File, Upload};
use serde::Serialize;

use crate::{report::Report, report::one_line, screen, size::Human};

/// Standard output of one command. When its reader goes away (`| head -1`) there is nobody left to tell:
/// writing on is quietly skipped.
#[derive(Debug)]
pub(crate) struct Output<W = io::Stdout> {
    writer: W,
    reader_gone: bool,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        Self::new(io::stdout())
    }
}

impl<W: Write> Output<W> {
    fn new(writer: W) -> Self {
        Self { writer, reader_gone: false }
    }

    /// Whether anybody still reads.
    pub(crate) fn is_open(&self) -> bool {
        !self.reader_gone
    }

    /// One line.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Report> {
        if self.reader_gone {
            return Ok(());
        }
        screen::flush();
        match writeln!(self.writer, "{line}").and_then(|()| self.writer.flush()) {
            Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => self.reader_gone = true,
            Err(cause) => return Err(Report::because("cannot write to standard output", &cause)),
            Ok(()) => {}
        }
        Ok(())
    }

    /// One object of the service on one line.
    pub(crate) fn json(&mut self, object: &impl Serialize) -> Result<(), Report> {
        let line = serde_json::to_string(object)
            .map_err(|cause| Report::because("cannot write the answer as JSON", &cause))?;
        self.line(&line)
    }

    /// One file for people.
    pub(crate) fn file(&mut self, file: &File) -> Result<(), Report> {
        let row = Row::of(file);
        let size = file
            .bytes
            .filter(|bytes| *bytes >= 1024)
            .map_or(row.size.clone(), |bytes| format!("{} ({bytes} bytes)", row.size));
        for (name, value) in [
            ("id", &row.id),
            ("name", &row.name),
            ("size", &size),
            ("purpose", &row.purpose),
            ("status", &row.status),
        ] {
            self.line(&format!("{name:<8} {value}"))?;
        }
        if let Some(details) = &file.status_details {
            self.line(&format!("{:<8} {}", "details", one_line(details)))?;
        }
        Ok(())
    }

    /// A table of files for people: sizes to the right, all else to the left.
    pub(crate) fn table(&mut self, files: &[File]) -> Result<(), Report> {
        if files.is_empty() {
            return Ok(());
        }
        let heading = Row { id: "ID", name: "NAME", size: "SIZE", purpose: "PURPOSE", status: "STATUS" }
            .map(str::to_owned);
        let rows = std::iter::once(heading).chain(files.iter().map(Row::of));
        let cells = rows.map(|row| [row.id, row.name, row.size, row.purpose, row.status]);
        self.aligned(&cells.collect::<Vec<_>>(), Some(2))
    }

    /// Rows of cells in columns; one column may be aligned to the right.
    pub(crate) fn aligned<const N: usize>(
        &mut self,
        rows: &[[String; N]],
        right: Option<usize>,
    ) -> Result<(), Report> {
        let widths: [usize; N] = std::array::from_fn(|column| {
            rows.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or(0)
        });
        for row in rows {
            let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
                let space = " ".repeat(width - measure_text_width(cell));
                if right == Some(column) { format!("{space}{cell}") } else { format!("{cell}{space}") }
            });
            self.line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }

    /// One upload for people.
    pub(crate) fn upload(&mut self, upload: &Upload) -> Result<(), Report> {
        let status =
            upload.status.as_ref().map_or_else(|| "-".to_owned(), |status| one_line(status.as_str()));
        self.line(&format!("{:<8} {}", "id", one_line(&upload.id)))?;
        self.line(&format!("{:<8} {status}", "status"))
    }
}

/// What people see of a file; `-` where the service says nothing.
struct Row<T> {
    id: T,
    name: T,
    size: T,
    purpose: T,
    status: T,
}

impl<T> Row<T> {
    fn map<U>(self, f: impl Fn(T) -> U) -> Row<U> {
        Row {
            id: f(self.id),
            name: f(self.name),
            size: f(self.size),
            purpose: f(self.purpose),
            status: f(self.status),
        }
    }
}

impl Row<String> {
    fn of(file: &File) -> Self {
        let or_dash = |text: Option<String>| text.map_or_else(|| "-".to_owned(), |text| one_line(&text));
        Row {
            id: Some(file.id.clone()),
            name: file.filename.clone(),
            size: file.bytes.map(|bytes| Human(bytes).to_string()),
            purpose: file.purpose.as_ref().map(ToString::to_string),
            status: file.status.as_ref().map(ToString::to_string),
        }
        .map(or_dash)
    }
}

#[cfg(test)]
mod tests {
    use partwise_models::{FileState, Purpose};

    use super::*;

    fn file(id: &str, name: &str, bytes: Option<u64>) -> File {
        let mut file = File::new(id).filename(name).purpose(Purpose::FineTune).status(FileState::Processed);
        file.bytes = bytes;
        file
    }

    fn written(write: impl FnOnce(&mut Output<&mut Vec<u8>>) -> Result<(), Report>) -> String {
        let mut bytes = Vec::new();
        write(&mut Output::new(&mut bytes)).expect("a vector takes everything");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_list_is_an_aligned_table() {
        let files =
            [file("file-1", "train.jsonl", Some(67_108_864)), file("file-22", "ü\u{1b}[2J.txt", None)];
        insta::assert_snapshot!(written(|output| output.table(&files)), @"
        ID       NAME           SIZE  PURPOSE    STATUS
        file-1   train.jsonl  64 MiB  fine-tune  processed
        file-22  ü�[2J.txt         -  fine-tune  processed
        ");
    }

    #[test]
    fn wide_characters_take_two_columns_of_a_table() {
        let files = [file("file-1", "学習データ.jsonl", None), file("file-2", "train.jsonl", None)];
        insta::assert_snapshot!(written(|output| output.table(&files)), @"
        ID      NAME              SIZE  PURPOSE    STATUS
        file-1  学習データ.jsonl     -  fine-tune  processed
        file-2  train.jsonl          -  fine-tune  processed
        ");
    }

    #[test]
    fn one_file_is_a_short_summary() {
        insta::assert_snapshot!(written(|output| output.file(&file("file-1", "train.jsonl", Some(67_108_865)))), @"
        id       file-1
        name     train.jsonl
        size     64.0 MiB (67108865 bytes)
        purpose  fine-tune
        status   processed
        ");
        insta::assert_snapshot!(written(|output| output.file(&File::new("file-2"))), @"
        id       file-2
        name     -
        size     -
        purpose  -
        status   -
        ");
    }

    #[test]
    fn an_empty_list_prints_nothing() {
        assert_eq!(written(|output| output.table(&[])), "");
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let mut output = Output::new(Closed);
        output.line("one").expect("nobody to tell");
        assert!(!output.is_open());
    }
}
