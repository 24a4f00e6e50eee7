//! Runs `tributary run` in a pseudo-terminal, with a terminal emulator that shows what a user would see.

use std::fs::File;
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::capture::Capture;
use super::{EVENT, WAIT_TIMEOUT, request};

/// Fewer rows than the run prints, so that the screen scrolls from the start, as it does for a user.
const ROWS: u16 = 12;

/// Long enough for several updates of the status, which come every 500 ms.
const SEVERAL_UPDATES: Duration = Duration::from_millis(2_500);

/// A pseudo-terminal in which a function runs.
pub struct Terminal {
    pub capture: Capture,
    /// The side of the pseudo-terminal that a terminal window would hold (the master).
    window: File,
    emulator: vt100::Parser,
    /// Number of the written bytes that the emulator has processed.
    emulated: usize,
}

impl Terminal {
    /// Starts a run in a terminal with this number of columns.
    pub fn start(columns: u16, arguments: &[&str]) -> Self {
        let (window, program) = open(columns);
        let capture = Capture::start(arguments, program, window.try_clone().unwrap());
        let emulator = vt100::Parser::new(nonzero(ROWS), nonzero(columns), 1_000);
        Self { capture, window, emulator, emulated: 0 }
    }

    fn resize(&mut self, columns: u16) {
        self.emulate();
        rustix::termios::tcsetwinsize(&self.window, size(columns)).unwrap();
        self.emulator.set_size(nonzero(ROWS), nonzero(columns));
    }

    fn emulate(&mut self) {
        let written = self.capture.written();
        self.emulator.process(&written[self.emulated..]);
        self.emulated = written.len();
    }

    /// The visible rows, down to the last one that is not empty, and the number of rows that have scrolled away.
    fn visible_rows(&mut self) -> (Vec<String>, usize) {
        self.emulate();
        let screen = self.emulator.screen();
        let (_, columns) = screen.size();
        let mut rows: Vec<_> = screen.rows(0, columns.get()).collect();
        rows.truncate(rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1));
        (rows, screen.scrollback_len())
    }

    /// Waits until the last row is a status that `is_expected` accepts, and returns it.
    fn status(&mut self, is_expected: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            let (rows, _) = self.visible_rows();
            if let Some(row) = rows.last().filter(|row| is_status(row) && is_expected(row)) {
                return row.clone();
            }
            assert!(Instant::now() < deadline, "the last row is not the expected status: {rows:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asserts that nothing is written while nothing happens: not even the same status again.
    fn assert_still(&mut self) {
        let (before, written) = (self.visible_rows(), self.emulated);
        std::thread::sleep(SEVERAL_UPDATES);
        let after = self.visible_rows();
        assert_eq!(after, before, "the screen moves");
        assert_eq!(self.emulated, written, "the status is drawn again");
        let statuses = after.0.iter().filter(|row| is_status(row)).count();
        assert_eq!(statuses, 1, "{:#?}", after.0);
        let (row, _) = self.emulator.screen().cursor_position();
        assert_eq!(usize::from(row), after.0.len() - 1, "the cursor is not on the status");
    }
}

/// Whether the row begins with a state, such as `ready: ` or `problem NoSuchBucket: `. No line begins like that.
fn is_status(row: &str) -> bool {
    let state = row.split_once(": ").map_or(row, |(state, _)| state);
    matches!(state.split(' ').collect::<Vec<_>>()[..], ["starting" | "ready"] | ["problem" | "warning", _])
}

/// Opens a pseudo-terminal: its master side, for the window, and the side for the program.
fn open(columns: u16) -> (File, File) {
    let window = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    rustix::pty::grantpt(&window).unwrap();
    rustix::pty::unlockpt(&window).unwrap();
    rustix::termios::tcsetwinsize(&window, size(columns)).unwrap();
    let name = rustix::pty::ptsname(&window, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let program = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
    (window.into(), program.into())
}

fn size(columns: u16) -> Winsize {
    Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn nonzero(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

#[test]
fn the_status_fits_one_row_of_a_terminal_with_40_or_80_columns() {
    for columns in [40, 80] {
        let mut terminal = Terminal::start(columns, &[]);
        let events = terminal.capture.ready();
        terminal.status(|status| status == "ready: 0 stored");
        terminal.assert_still();
        assert_eq!(request(&events, "POST /v1/track", EVENT).0, 200);
        terminal.capture.line("object ");
        terminal.status(|status| status == "ready: 1 stored, 1 object");
        terminal.assert_still();
    }
}

#[test]
fn a_narrow_terminal_cuts_off_counters_and_not_the_reason() {
    for columns in [40, 80] {
        let mut terminal = Terminal::start(columns, &["--accounts", "accounts.yaml"]);
        let events = terminal.capture.ready();
        assert_eq!(request(&events, "POST /v1/track", EVENT).0, 200);
        for _ in 0..3 {
            assert_eq!(request(&events, "POST /v1/track", "{}").0, 400);
        }
        terminal.capture.edit("accounts.yaml", "        externalId: ", "        # externalId: ");
        let status = terminal.status(|status| status.starts_with("problem NotEnforced: 1 stored, 3 reject"));
        assert_eq!(status.contains('…'), columns == 40, "{status}");
        terminal.assert_still();
    }
}

#[test]
fn lines_are_printed_above_the_status() {
    let mut terminal = Terminal::start(80, &[]);
    let events = terminal.capture.ready();
    assert_eq!(request(&events, "POST /v1/track", "{}").0, 400);
    terminal.capture.line("refused ");
    terminal.status(|status| status.contains("1 rejected"));
    terminal.assert_still();
    let (rows, _) = terminal.visible_rows();
    let above = |row: &String| row.starts_with("refused   POST /v1/track 400: ");
    assert!(rows[..rows.len() - 1].iter().any(above), "{rows:#?}");

    // The summary does not follow the status on the same row either.
    let Terminal { capture, mut emulator, emulated, .. } = terminal;
    emulator.process(&capture.stop().as_bytes()[emulated..]);
    let shown = emulator.screen().contents();
    assert!(shown.lines().last().unwrap().starts_with("0 events stored ("), "{shown}");
}

#[test]
fn the_status_fits_after_a_resize() {
    let mut terminal = Terminal::start(80, &[]);
    let events = terminal.capture.ready();
    assert_eq!(request(&events, "POST /v1/track", EVENT).0, 200);
    terminal.status(|status| status == "ready: 1 stored, 1 object");
    for columns in [24, 100, 12] {
        terminal.resize(columns);
        terminal.status(|status| status.contains('…') == (columns < 25));
        terminal.assert_still();
    }
}
