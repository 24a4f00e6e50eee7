//! Standard output while a function runs: lines and, on a terminal, one status row below them.
//!
//! The status is drawn again in place, lines go above it, and it never takes more than one row,
//! however wide the terminal is. Elsewhere than on a terminal there are only lines, without any control
//! character.

use std::io::{self, IsTerminal, Write};

/// Goes to the beginning of the row and clears it.
const CLEAR_ROW: &str = "\r\x1b[K";

/// The columns of a terminal that does not say how many it has.
const DEFAULT_COLUMNS: usize = 80;

/// Standard output.
pub struct Screen {
    /// Whether somebody can watch a status.
    shows_status: bool,
    /// What the status row shows, before it is cut to the terminal's width.
    status: Option<String>,
}

impl Screen {
    /// A screen without a status where `only_lines` are wanted, as when others write lines too.
    pub fn new(only_lines: bool) -> Self {
        Self { shows_status: !only_lines && io::stdout().is_terminal(), status: None }
    }

    /// Writes a line, above the status if there is one.
    pub fn line(&self, text: &str) {
        let text = without_control(text);
        match &self.status {
            None => write(&format!("{text}\n")),
            Some(status) => write(&format!("{CLEAR_ROW}{text}\n{}", cut(status, columns()))),
        }
    }

    /// Draws the status.
    pub fn status(&mut self, text: String) {
        if self.shows_status {
            write(&format!("{CLEAR_ROW}{}", cut(&text, columns())));
            self.status = Some(text);
        }
    }
}

/// The shell's prompt, or an error, is not to follow the status on its row.
impl Drop for Screen {
    fn drop(&mut self) {
        if self.status.is_some() {
            write(CLEAR_ROW);
        }
    }
}

/// Writes all at once: the log is written to standard output too, from other threads.
fn write(text: &str) {
    let mut stdout = io::stdout().lock();
    // A reader that has gone away is no reason to stop taking events.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// The terminal's width now: it may have been resized since the last time.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.ok().map(|size| size.ws_col.into()).filter(|columns| *columns > 0).unwrap_or(DEFAULT_COLUMNS)
}

/// At most so many characters of the text; the last one is an ellipsis, where some are left out.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let shown: String = text.chars().take(columns.saturating_sub(1)).collect();
    shown + "…"
}

/// The text on one line: what clients and AWS send may have characters in it that command a terminal.
fn without_control(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_takes_no_more_columns_than_there_are() {
        for (columns, expected) in [(8, "é stored"), (9, "é stored"), (7, "é stor…"), (2, "é…"), (1, "…")] {
            assert_eq!(cut("é stored", columns), expected);
        }
    }

    #[test]
    fn a_line_commands_no_terminal() {
        assert_eq!(without_control("a\x1b[2J b\r\nc\u{9b}2J"), "a [2J b  c 2J");
    }
}
