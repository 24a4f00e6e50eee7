//! Text that others wrote, to be shown in a status. Pure.

/// Characters of a message. The API server takes 32,768 in a condition, and 1,024 in an Event.
const LONGEST: usize = 1_000;

/// A text on one line, without what terminals act upon.
pub fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_made_safe() {
        assert_eq!(safe("one\ntwo\u{1b}[31mred"), "one two [31mred");
        assert_eq!(safe(&"x".repeat(5_000)).len(), LONGEST);
    }
}
