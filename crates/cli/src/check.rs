//! `partwise check`.

use std::{
    fs::File,
    io::{self, Read as _},
    mem,
    path::Path,
};

use partwise_models::Purpose;
use partwise_protocol::{BadLine, JsonLinesCheck, LineProblem};
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
    let mut found = Found::new(&name, arguments.json);
    let lines = read(&arguments.file, &arguments.purpose.into(), &mut found)?;
    if lines == 0 {
        return Err(Report::failed(format!("{name} is empty")));
    }
    if found.bad > 0 {
        found.say_how_many_more()?;
        let wrong = format!("lines that are wrong in {name}: {} of {lines}", found.bad);
        return Err(Report::failed(wrong).hint(found.hint()));
    }
    if arguments.json {
        Ok(())
    } else {
        found.output.line(&format!("{name}: lines that are JSON objects: {lines} of {lines}"))
    }
}

/// Reads the file to its end and returns the number of its lines.
fn read(path: &Path, purpose: &Purpose, found: &mut Found<'_>) -> Result<u64, Report> {
    let failed = |cause| Report::because(format!("cannot read {}", path.display()), &cause);
    let mut file = File::open(path).map_err(failed)?;
    let (mut check, mut piece) = (JsonLinesCheck::new(purpose), vec![0; PIECE]);
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
    mem::replace(&mut found.said, Ok(())).map(|()| lines)
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
    /// Whether the file looks as if its objects lay over several lines.
    is_spread: bool,
}

/// One wrong line, as programs read it.
#[derive(Debug, Serialize)]
struct Shown {
    line: u64,
    column: u64,
    problem: String,
}

impl<'a> Found<'a> {
    fn new(name: &'a str, json: bool) -> Self {
        Self { name, json, output: Output::stdout(), said: Ok(()), bad: 0, is_spread: false }
    }

    fn say(&mut self, bad: &BadLine) {
        self.bad += 1;
        let BadLine { line, column, problem, .. } = bad;
        self.is_spread |= *line == 1
            && match problem {
                LineProblem::NotJson(said) => said.starts_with("EOF"),
                problem => *problem == LineProblem::NotAnObject,
            };
        if self.said.is_err() {
            return;
        }
        self.said = if self.json {
            self.output.json(&Shown { line: *line, column: *column, problem: problem.to_string() })
        } else if self.bad <= SHOWN {
            self.output.line(&format!("{}:{line}:{column}: {problem}", self.name))
        } else {
            Ok(())
        };
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
            "mend these lines before the file is uploaded"
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
