//! Writes standard output while a function runs: lines and, on a terminal, one status row below them.
//!
//! The status is redrawn in place, with lines above it, and truncated to one row of the terminal's current
//! width. It is redrawn only after a line, or if its text or the width changes: anything else would flicker and fill
//! recordings of the terminal. If standard output is not a terminal, only lines are written, without control characters.

use std::io::{self, IsTerminal, Write};

/// Moves the cursor to the start of its row and clears the row.
const CLEAR_ROW: &str = "\r\x1b[K";

/// Columns to assume for a terminal that does not report its size.
const DEFAULT_COLUMNS: usize = 80;

/// Standard output, as lines and a status row.
pub struct Screen {
    /// Whether there is a status row: on a terminal, unless only lines are wanted.
    shows_status: bool,
    /// The current status; `None` until it is first drawn.
    status: Option<Status>,
}

/// The status as it was drawn last.
#[derive(PartialEq)]
struct Status {
    /// The text, before it is truncated.
    text: String,
    /// The terminal's width when the text was set.
    columns: usize,
}

impl Screen {
    /// A screen; `only_lines` turns the status off, because the log writes to standard output too.
    pub fn new(only_lines: bool) -> Self {
        Self { shows_status: !only_lines && io::stdout().is_terminal(), status: None }
    }

    /// Writes a line, above the status if there is one; control characters become spaces.
    pub fn print_line(&self, text: &str) {
        let text = without_control(text);
        match &self.status {
            None => write(&format!("{text}\n")),
            Some(status) => write(&format!("{CLEAR_ROW}{text}\n{}", truncate(&status.text, columns()))),
        }
    }

    /// Draws the status, unless the row shows it already; without a status row, does nothing.
    pub fn set_status(&mut self, text: String) {
        if !self.shows_status {
            return;
        }
        let new = Status { text, columns: columns() };
        if self.status.as_ref() != Some(&new) {
            write(&format!("{CLEAR_ROW}{}", truncate(&new.text, new.columns)));
            self.status = Some(new);
        }
    }
}

/// Clears the status, so that the shell's prompt or an error does not follow it on its row.
impl Drop for Screen {
    fn drop(&mut self) {
        if self.status.is_some() {
            write(CLEAR_ROW);
        }
    }
}

/// Writes the text under one lock: other threads write the log to standard output too.
fn write(text: &str) {
    let mut stdout = io::stdout().lock();
    // A closed pipe must not stop the function.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// The terminal's current width, read each time because the terminal may be resized.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.ok().map(|size| size.ws_col.into()).filter(|columns| *columns > 0).unwrap_or(DEFAULT_COLUMNS)
}

/// The text truncated to `columns` characters; if something is removed, the last one is an ellipsis.
fn truncate(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let shown: String = text.chars().take(columns.saturating_sub(1)).collect();
    shown + "…"
}

/// The text with spaces for control characters: text from clients and AWS may contain terminal escape sequences.
fn without_control(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_truncated_to_the_columns_of_the_terminal() {
        for (columns, expected) in [(8, "é stored"), (9, "é stored"), (7, "é stor…"), (2, "é…"), (1, "…")] {
            assert_eq!(truncate("é stored", columns), expected);
        }
    }

    #[test]
    fn control_characters_become_spaces() {
        assert_eq!(without_control("a\x1b[2J b\r\nc\u{9b}2J"), "a [2J b  c 2J");
    }
}
