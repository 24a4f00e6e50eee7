//! Where nobody can watch a status, or the log is shown too, the output is lines and nothing else.

use std::time::Duration;

use super::capture::Capture;
use super::terminal::Terminal;
use super::{EVENT, request};

/// Longer than it takes until a status would have been drawn.
const SEVERAL_REDRAWS: Duration = Duration::from_millis(1_600);

/// An event of a kind that is refused, with a character in it that tells a terminal to begin a command.
const BAD_EVENT: &str = "{\"userId\":\"u1\",\"event\":{\"\u{9b}2J\":1}}";

/// Has an event stored and another one refused, with time for a status before, between and after.
fn use_it(events: &str) {
    std::thread::sleep(SEVERAL_REDRAWS);
    assert_eq!(request(events, "POST /v1/track", EVENT).0, 200);
    std::thread::sleep(SEVERAL_REDRAWS);
    assert_eq!(request(events, "POST /v1/track", BAD_EVENT).0, 400);
    std::thread::sleep(SEVERAL_REDRAWS);
}

fn assert_plain(output: &str) {
    let control = output.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "{output:?}");
    // The log's lines begin with a brace or a year.
    let glued = |line: &&str| !line.starts_with(['{', '2']) && line.contains("tributary_sidecar::");
    assert_eq!(output.lines().find(glued), None);
    assert!(output.contains("\nrefused "), "{output}");
    assert!(!output.contains("\nfixed "), "nothing was wrong: {output}");
    assert!(output.lines().last().unwrap().starts_with("1 event stored (0 already there), 1 object of "), "{output}");
}

#[test]
fn a_pipe_gets_plain_lines() {
    for arguments in [&[][..], &["--logs"]] {
        let (output, stdout) = std::io::pipe().unwrap();
        let capture = Capture::start(arguments, stdout, output);
        use_it(&capture.ready());
        assert_plain(&capture.end());
    }
}

#[test]
fn with_logs_a_terminal_gets_plain_lines_too() {
    let terminal = Terminal::start(80, &["--logs"]);
    use_it(&terminal.capture.ready());
    // A terminal's driver makes this of each line's end.
    assert_plain(&terminal.capture.end().replace("\r\n", "\n"));
}
