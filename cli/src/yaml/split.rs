//! Splits a file into documents as kubectl does: by its lines, before anything parses the YAML. Pure.
//!
//! This is `YAMLReader` of k8s.io/apimachinery/pkg/util/yaml.

/// What a line starts with that separates documents.
pub const SEPARATOR: &str = "---";

/// The text of one document.
#[derive(Debug, PartialEq)]
pub struct Chunk {
    /// The number of its first line in the file, from 1.
    pub first_line: usize,
    /// Its lines, each with a line feed, without the separator.
    pub text: String,
}

/// The documents of `text`, whose first line is line `first_line` of the file. Some may be empty.
///
/// # Errors
/// The line of a separator that is followed by text, which kubectl refuses.
pub fn split(text: &str, first_line: usize) -> Result<Vec<Chunk>, usize> {
    let mut chunks = vec![Chunk { first_line, text: String::new() }];
    for (line, number) in text.lines().zip(first_line..) {
        let Some(rest) = line.strip_prefix(SEPARATOR) else {
            let chunk = chunks.last_mut().expect("there is a first chunk");
            // Concatenated files have a byte order mark each.
            let line = if chunk.text.is_empty() { line.strip_prefix('\u{FEFF}').unwrap_or(line) } else { line };
            chunk.text.push_str(line);
            chunk.text.push('\n');
            continue;
        };
        let rest = rest.trim_start();
        if !rest.is_empty() && !rest.starts_with('#') {
            return Err(number);
        }
        chunks.push(Chunk { first_line: number + 1, text: String::new() });
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_three_hyphens_separate_documents() {
        let chunk = |(first_line, text): &(usize, &str)| Chunk { first_line: *first_line, text: (*text).to_owned() };
        let chunks = |list: &[(usize, &str)]| Ok(list.iter().map(chunk).collect());
        for (text, expected) in [
            ("a: 1\n", chunks(&[(1, "a: 1\n")])),
            ("a: 1\n---\nb: 2", chunks(&[(1, "a: 1\n"), (3, "b: 2\n")])),
            ("---\na: 1\r\n--- # b\r\nb: 2\r\n", chunks(&[(1, ""), (2, "a: 1\n"), (4, "b: 2\n")])),
            ("a: 1\n---\n\u{FEFF}b: 2", chunks(&[(1, "a: 1\n"), (3, "b: 2\n")])),
            ("a: |\n  ---\n  b\n", chunks(&[(1, "a: |\n  ---\n  b\n")])),
            ("a: 1\n--- b\n", Err(2)),
            ("a: 1\n\n----\n", Err(3)),
            ("", chunks(&[(1, "")])),
        ] {
            assert_eq!(split(text, 1), expected, "{text:?}");
        }
    }
}
