//! A terminal that a test reads.

use std::{
    fs::{File, OpenOptions},
    io::Read as _,
    process::{Command, Stdio},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// What a command drew on a terminal.
pub(crate) struct Screen {
    pub(crate) status: i32,
    /// Each line that changed, as it was drawn.
    pub(crate) frames: Vec<String>,
    /// The lines that stay.
    pub(crate) lines: Vec<String>,
}

/// Runs a command with a terminal of so many columns as its standard error.
pub(crate) fn run(mut command: Command, columns: u16) -> Screen {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    tcsetwinsize(&ours, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut child = command.stdout(Stdio::null()).stderr(theirs).spawn().unwrap();
    // The terminal is at its end when nobody has it open any more.
    drop(command);
    let mut drawn = Vec::new();
    let mut ours = File::from(ours);
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = ours.read(&mut piece) {
        drawn.extend_from_slice(&piece[..count]);
    }
    let status = child.wait().unwrap().code().unwrap();
    Screen::of(status, &String::from_utf8(drawn).unwrap())
}

impl Screen {
    fn of(status: i32, drawn: &str) -> Self {
        let (mut frames, mut lines) = (Vec::new(), Vec::new());
        for piece in drawn.split("\r\u{1b}[2K") {
            let mut pieces: Vec<_> = piece.split("\r\n").map(str::to_owned).collect();
            // What no line break follows is drawn over.
            frames.extend(pieces.pop().filter(|frame| !frame.is_empty()));
            lines.extend(pieces);
        }
        Self { status, frames, lines }
    }
}
