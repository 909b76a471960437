//! `partwise check`.

use std::{
    fs::File,
    io::{self, Read as _},
    mem,
    path::Path,
};

use partwise_models::Purpose;
use partwise_protocol::jsonl::{BadLine, ForeignFormat, JsonLinesCheck, LineProblem, filename_suits};
use serde::Serialize;

use crate::{
    args::{CheckArguments, LinesPurpose},
    output::Output,
    report::{Report, one_line},
};

/// How much is read at a time: it stays in the processor's cache while it is looked at.
const PIECE: usize = 256 * 1024;

/// How many wrong lines people are shown; programs get all of them.
const SHOWN: u64 = 20;

/// Prints the lines that a service could not read; it is a failure if there are any.
pub(crate) fn run(arguments: &CheckArguments) -> Result<(), Report> {
    let name = one_line(&arguments.file.display().to_string());
    let purpose = arguments.purpose.into();
    let mut found = Found::new(&name, arguments.json);
    let lines = match read(&arguments.file, &purpose, &mut found)? {
        FileContent::Lines(lines) => lines,
        FileContent::Foreign(format) => {
            found.say_of_file(&format.to_string())?;
            return Err(foreign(&name, format));
        }
    };
    if lines == 0 {
        return Err(Report::failed(format!("{name} is empty")));
    }
    let is_named_well = is_named_well(&arguments.file, &purpose);
    if !is_named_well {
        found.say_of_file(BAD_NAME)?;
    }
    if found.bad > 0 {
        found.say_how_many_more()?;
        let wrong = format!("{name}: {} of {} lines are wrong", thousands(found.bad), thousands(lines));
        return Err(Report::failed(wrong).hint(found.hint()));
    }
    if !is_named_well {
        return Err(Report::failed(format!("{name}: {BAD_NAME}")).hint("rename it"));
    }
    if arguments.json {
        return Ok(());
    }
    let objects = lines - found.warnings;
    let all = if objects == 1 { "line, a valid JSON object" } else { "lines, all valid JSON objects" };
    found.output.line(&format!("{name}: {} {all}", thousands(objects)))
}

/// What is wrong with the name of a file for fine-tuning or a batch.
pub(crate) const BAD_NAME: &str = "the name of a file for fine-tuning or a batch must end with .jsonl";

/// Whether the services take a file of this name for this purpose.
fn is_named_well(path: &Path, purpose: &Purpose) -> bool {
    filename_suits(purpose, &path.file_name().unwrap_or_default().to_string_lossy())
}

/// What to do about a file that is no UTF-8 text.
fn foreign(name: &str, format: ForeignFormat) -> Report {
    let report = Report::failed(format!("{name}: {format}"));
    let (file, text, plain) = (quoted(name), beside(name, "utf-8"), beside(name, "unpacked"));
    let recode = |from: &str, shell: &str| {
        format!(
            "iconv -f {from} -t UTF-8 {file} > {text}, or in PowerShell: Get-Content{shell} {file} | Set-Content -Encoding utf8NoBOM {text}"
        )
    };
    match format {
        ForeignFormat::Utf16LittleEndian { has_mark: true }
        | ForeignFormat::Utf16BigEndian { has_mark: true } => report.hint(recode("UTF-16", "")),
        ForeignFormat::Utf16LittleEndian { .. } => report.hint(recode("UTF-16LE", " -Encoding unicode")),
        ForeignFormat::Utf16BigEndian { .. } => {
            report.hint(recode("UTF-16BE", " -Encoding bigendianunicode"))
        }
        ForeignFormat::Utf32 => report.hint(recode("UTF-32", " -Encoding utf32")),
        ForeignFormat::Gzip => report.hint(format!("unpack it first: gunzip -c < {file} > {plain}")),
        ForeignFormat::Zstd => report.hint(format!("unpack it first: zstd -dc < {file} > {plain}")),
        _ => report.hint("unpack it first"),
    }
}

/// A name beside that of the file for what is made of it, as a shell takes it for one word. It is never the file's own.
fn beside(name: &str, what: &str) -> String {
    let (folder, file) = name.split_at(name.rfind('/').map_or(0, |slash| slash + 1));
    let stem = match file.to_ascii_lowercase().find(".jsonl") {
        None | Some(0) => file,
        Some(end) => &file[..end],
    };
    quoted(&format!("{folder}{stem}-{what}.jsonl"))
}

/// A name as a shell takes it for one word.
fn quoted(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'));
    if is_plain { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

/// A number with a comma behind each thousand.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// What a file has in it.
enum FileContent {
    /// So many lines.
    Lines(u64),
    /// No text that could be checked line by line.
    Foreign(ForeignFormat),
}

/// Reads the file to its end, unless it is no text.
fn read(path: &Path, purpose: &Purpose, found: &mut Found<'_>) -> Result<FileContent, Report> {
    let failed = |cause| Report::because(format!("cannot read {}", path.display()), &cause);
    let mut file = File::open(path).map_err(failed)?;
    let mut beginning = Vec::new();
    file.by_ref().take(ForeignFormat::BEGINNING as u64).read_to_end(&mut beginning).map_err(failed)?;
    if let Some(format) = ForeignFormat::of(&beginning) {
        return Ok(FileContent::Foreign(format));
    }
    let (mut check, mut piece) = (JsonLinesCheck::new(purpose), vec![0; PIECE]);
    check.read(&beginning, |bad| found.say(&bad));
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => check.read(&piece[..length], |bad| found.say(&bad)),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(failed(cause)),
        }
        mem::replace(&mut found.said, Ok(()))?;
    }
    let lines = check.finish(|bad| found.say(&bad));
    mem::replace(&mut found.said, Ok(())).map(|()| FileContent::Lines(lines))
}

/// What was found, and where it is said.
#[derive(Debug)]
struct Found<'a> {
    name: &'a str,
    json: bool,
    output: Output,
    /// Whether it could be said.
    said: Result<(), Report>,
    bad: u64,
    /// How many lines a service may take although something is odd about them.
    warnings: u64,
    /// Whether the file looks as if its objects lay over several lines.
    is_spread: bool,
}

/// One wrong line, or what is wrong with the whole file, as programs read it.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u64>,
    problem: String,
    /// Whether a service may take it anyway.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    warning: bool,
}

impl<'a> Found<'a> {
    fn new(name: &'a str, json: bool) -> Self {
        Self { name, json, output: Output::stdout(), said: Ok(()), bad: 0, warnings: 0, is_spread: false }
    }

    fn say(&mut self, bad: &BadLine) {
        let BadLine { line, column, problem, .. } = bad;
        let warning = problem.is_warning();
        *(if warning { &mut self.warnings } else { &mut self.bad }) += 1;
        self.is_spread |= *line == 1
            && match problem {
                LineProblem::NotJson(said) => said.starts_with("EOF"),
                problem => *problem == LineProblem::NotAnObject,
            };
        if self.said.is_err() {
            return;
        }
        self.said = if self.json {
            let (line, column) = (Some(*line), Some(*column));
            self.output.json(&Shown { line, column, problem: problem.to_string(), warning })
        } else if warning {
            self.output.line(&format!("{}:{line}:{column}: warning: {problem}", self.name))
        } else if self.bad <= SHOWN {
            self.output.line(&format!("{}:{line}:{column}: {problem}", self.name))
        } else {
            Ok(())
        };
    }

    /// Says what is wrong with the whole file. People read it in the report, unless that is about lines.
    fn say_of_file(&mut self, problem: &str) -> Result<(), Report> {
        if self.json {
            let problem = problem.to_owned();
            self.output.json(&Shown { line: None, column: None, problem, warning: false })
        } else if self.bad > 0 {
            self.output.line(&format!("{}: {problem}", self.name))
        } else {
            Ok(())
        }
    }

    fn say_how_many_more(&mut self) -> Result<(), Report> {
        if self.json || self.bad <= SHOWN {
            return Ok(());
        }
        self.output.line(&format!("and {} more", self.bad - SHOWN))
    }

    fn hint(&self) -> &'static str {
        if self.is_spread {
            "each line has to be one whole object: `jq -c .` makes such lines, and `jq -c '.[]'` does of an array"
        } else {
            "fix these lines, then upload"
        }
    }
}

impl From<LinesPurpose> for Purpose {
    fn from(purpose: LinesPurpose) -> Self {
        match purpose {
            LinesPurpose::Batch => Self::Batch,
            LinesPurpose::Evals => Self::Evals,
            LinesPurpose::FineTune => Self::FineTune,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_number_is_read_in_thousands() {
        for (number, shown) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (75_000, "75,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(thousands(number), shown);
        }
    }

    #[test]
    fn a_name_is_quoted_where_a_shell_would_split_it() {
        assert_eq!(quoted("a/b-1.jsonl"), "a/b-1.jsonl");
        assert_eq!(quoted("my data.jsonl"), "'my data.jsonl'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
