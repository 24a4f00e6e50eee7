//! Matches text against patterns in which `*` matches any text and nothing else is special. Case-sensitive.

/// Whether `pattern` matches the whole of `text`.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pattern.contains('*').then(|| pieces.next_back().unwrap_or_default()) else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_any_text_and_nothing_else_is_special() {
        for (pattern, text, expected) in [
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
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
