//! Tests that the output is plain lines without a status if it goes to a pipe or includes the log.

use std::time::Duration;

use super::capture::Capture;
use super::terminal::Terminal;
use super::{EVENT, request};

/// Long enough for several redraws of a status, which come every 500 ms.
const SEVERAL_REDRAWS: Duration = Duration::from_millis(1_600);

/// An event that is refused, with the control character (CSI) that starts a terminal escape sequence.
const BAD_EVENT: &str = "{\"userId\":\"u1\",\"event\":{\"\u{9b}2J\":1}}";

/// Sends an event that is stored and one that is refused, with time for a status before, between and after.
fn exercise(events: &str) {
    std::thread::sleep(SEVERAL_REDRAWS);
    assert_eq!(request(events, "POST /v1/track", EVENT).0, 200);
    std::thread::sleep(SEVERAL_REDRAWS);
    assert_eq!(request(events, "POST /v1/track", BAD_EVENT).0, 400);
    std::thread::sleep(SEVERAL_REDRAWS);
}

fn assert_plain(output: &str) {
    let control = output.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "{output:?}");
    // Log lines start with a brace (JSON) or a year (text).
    let joined = |line: &&str| !line.starts_with(['{', '2']) && line.contains("tributary_sidecar::");
    assert_eq!(output.lines().find(joined), None);
    assert!(output.contains("\nrefused "), "{output}");
    assert!(!output.contains("\nfixed "), "there was no problem to fix: {output}");
    assert!(output.lines().last().unwrap().starts_with("1 event stored (0 already there), 1 object ("), "{output}");
}

#[test]
fn a_pipe_gets_plain_lines() {
    for arguments in [&[][..], &["--logs"]] {
        let (output, stdout) = std::io::pipe().unwrap();
        let capture = Capture::start(arguments, stdout, output);
        exercise(&capture.ready());
        assert_plain(&capture.stop());
    }
}

#[test]
fn a_terminal_gets_plain_lines_with_logs() {
    let terminal = Terminal::start(80, &["--logs"]);
    exercise(&terminal.capture.ready());
    // The terminal driver turns each \n into \r\n.
    assert_plain(&terminal.capture.stop().replace("\r\n", "\n"));
}
