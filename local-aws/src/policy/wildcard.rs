//! Matches IAM's wildcards: `*` is any run of characters, `?` any single one.

/// Whether `value` matches `pattern`; case-sensitive.
pub(crate) fn matches(pattern: &str, value: &str) -> bool {
    matches_by(pattern, value, |a, b| a == b)
}

/// Whether the action `value` matches `pattern`; case-insensitive, as IAM compares actions.
pub(crate) fn matches_action(pattern: &str, value: &str) -> bool {
    matches_by(pattern, value, |a, b| a.eq_ignore_ascii_case(&b))
}

fn matches_by(pattern: &str, value: &str, same: impl Fn(u8, u8) -> bool) -> bool {
    let (pattern, value) = (pattern.as_bytes(), value.as_bytes());
    let (mut p, mut v) = (0, 0);
    // Where to resume after the last `*` if what follows it does not match.
    let mut retry: Option<(usize, usize)> = None;
    while v < value.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, v));
                p += 1;
            }
            Some(&c) if c == b'?' || same(c, value[v]) => {
                p += 1;
                v += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    v = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_any_characters() {
        for (pattern, value, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*", "abc", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("arn:aws:s3:::b/in/*", "arn:aws:s3:::b/in/x/y", true),
            ("arn:aws:s3:::b/in/*", "arn:aws:s3:::b/inx", false),
            ("arn:aws:s3:::B/*", "arn:aws:s3:::b/x", false),
            ("**a", "ba", true),
        ] {
            assert_eq!(matches(pattern, value), expected, "{pattern} {value}");
        }
        assert!(matches_action("S3:put*", "s3:PutObject"));
    }
}
