//! The texts of AWS's errors, as conditions and logs show them.

/// Maximum length of an error message, in characters: conditions and logs show it.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// Maximum length of an error code, in characters; AWS's longest have about 50.
const MAX_CODE_CHARS: usize = 64;

/// The message of an error without one, such as that of every HEAD request.
const NO_MESSAGE: &str = "no message";

/// The end of a sentence about an error: AWS's own message, if it has one.
pub(crate) fn aws_said(message: &str) -> String {
    if message == NO_MESSAGE { String::new() } else { format!(". AWS said: {message}") }
}

/// The message of an error. It is cut ([`cut_message`]) only after secrets are removed from it.
pub(crate) fn message(text: Option<&str>) -> String {
    text.unwrap_or(NO_MESSAGE).to_owned()
}

/// The message of an error, cut to [`MAX_MESSAGE_CHARS`], on one line.
pub(crate) fn cut_message(text: &str) -> String {
    on_one_line(text, MAX_MESSAGE_CHARS)
}

/// The code of an error, cut to [`MAX_CODE_CHARS`], on one line.
pub(crate) fn cut_code(text: &str) -> String {
    on_one_line(text, MAX_CODE_CHARS)
}

/// The first characters of a text, without control characters: a line break could forge a line of a log.
fn on_one_line(text: &str, max: usize) -> String {
    text.chars().take(max).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_to_its_maximum() {
        assert_eq!(cut_message(&"é".repeat(60_000)).chars().count(), MAX_MESSAGE_CHARS);
        assert_eq!(cut_message("no\r\n\u{1b}[31m2026 INFO"), "no   [31m2026 INFO");
        assert_eq!(cut_code("Slow\nDown"), "Slow Down");
        assert_eq!(message(None), "no message");
        assert_eq!(aws_said(&message(None)), "");
        assert_eq!(aws_said("Access Denied"), ". AWS said: Access Denied");
    }
}
