//! A terminal that a test reads.

use std::{
    fs::{File, OpenOptions},
    io::Read as _,
    process::{Child, Command, Stdio},
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
    /// All that came, as it came.
    pub(crate) drawn: String,
}

/// The side of a terminal on which a person sits.
pub(crate) struct Terminal {
    ours: File,
    /// The name of the other side.
    pub(crate) name: String,
}

impl Terminal {
    /// A terminal of so many columns.
    pub(crate) fn new(columns: u16) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        tcsetwinsize(&ours, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        Self { ours: File::from(ours), name }
    }

    /// The side of a command.
    pub(crate) fn side(&self) -> Stdio {
        OpenOptions::new().read(true).write(true).open(&self.name).unwrap().into()
    }

    /// Runs a command that has sides of this terminal, and calls `look` with all that came whenever more comes.
    pub(crate) fn run(mut self, mut command: Command, mut look: impl FnMut(&Child, &str)) -> Screen {
        let mut child = command.spawn().unwrap();
        // The terminal is at its end when nobody has it open any more.
        drop(command);
        let mut drawn = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = self.ours.read(&mut piece) {
            drawn.extend_from_slice(&piece[..count]);
            look(&child, &String::from_utf8_lossy(&drawn));
        }
        let status = child.wait().unwrap().code().unwrap();
        Screen::of(status, String::from_utf8(drawn).unwrap())
    }
}

/// Runs a command with a terminal of so many columns as its standard error.
pub(crate) fn run(mut command: Command, columns: u16) -> Screen {
    let terminal = Terminal::new(columns);
    command.stdout(Stdio::null()).stderr(terminal.side());
    terminal.run(command, |_, _| ())
}

impl Screen {
    fn of(status: i32, drawn: String) -> Self {
        let (mut frames, mut lines) = (Vec::new(), Vec::new());
        for piece in drawn.split("\r\u{1b}[2K") {
            let mut pieces: Vec<_> = piece.split("\r\n").map(str::to_owned).collect();
            // What no line break follows is drawn over.
            frames.extend(pieces.pop().filter(|frame| !frame.is_empty()));
            lines.extend(pieces);
        }
        Self { status, frames, lines, drawn }
    }
}
