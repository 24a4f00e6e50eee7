//! What a function lets in.

use super::shape::Rule::Must;
use super::shape::{Shape, text_value};

text_value!(
    /// A track event's name, in which `*` stands for any text; case-sensitive.
    EventNamePattern,
    Shape { field: "names", example: "\"Order *\"", length: (1, 200), rules: &[] }
);

impl EventNamePattern {
    /// Whether `name` is one of those meant.
    pub fn matches(&self, name: &str) -> bool {
        let mut pieces = self.as_str().split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = self.as_str().contains('*').then(|| pieces.next_back().unwrap_or_default()) else {
            return rest.is_empty();
        };
        for piece in pieces {
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

text_value!(
    /// An origin that browsers may send from: scheme, host and port, or `*`.
    Origin,
    Shape {
        field: "allowedOrigins",
        example: "https://www.example.com",
        length: (1, 300),
        rules: &[Must("^([*]|https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?)$", "is not an origin")],
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_nothing_else_is_special() {
        for (pattern, name, expected) in [
            ("Order *", "Order Completed", true),
            ("Order *", "Order ", true),
            ("Order *", "order completed", false),
            ("Order Completed", "Order Completed", true),
            ("Order Completed", "Order Completed!", false),
            ("*", "", true),
            ("*ed", "Completed", true),
            ("*ed", "Completing", false),
            ("a*b*a", "aba", true),
            ("a*b*a", "ab", false),
            ("a*a", "a", false),
            ("a.c", "abc", false),
            ("a?c", "abc", false),
        ] {
            let parsed: EventNamePattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(name), expected, "{pattern} on {name}");
        }
    }
}
