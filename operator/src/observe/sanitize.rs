//! Makes text that pods wrote safe to show in a status. Pure.

/// Maximum characters of a message. The API server accepts 32,768 in a condition, and 1,024 in an Event.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// The text on one line, without control characters, cut to `MAX_MESSAGE_CHARS` characters.
pub fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_MESSAGE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_made_safe() {
        assert_eq!(safe("one\ntwo\u{1b}[31mred"), "one two [31mred");
        assert_eq!(safe(&"x".repeat(5_000)).len(), MAX_MESSAGE_CHARS);
    }
}
