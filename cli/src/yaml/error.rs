//! Errors of reading YAML: the place, the problem, and what to do. None of them shows a value, which may be a secret.

use std::fmt;

use regex_lite::{Captures, Regex};

/// A place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}", self.line, self.column)
    }
}

/// Why kubectl refuses a file before it sends anything.
#[derive(Debug, PartialEq, Eq)]
pub struct YamlError {
    /// The document's position in the file, from 1; `None` if the file can't be split into documents.
    document: Option<usize>,
    place: Option<Place>,
    problem: String,
    advice: String,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let document = self.document.map(|document| format!("document {document}"));
        let position: Vec<_> = document.into_iter().chain(self.place.map(|place| place.to_string())).collect();
        write!(f, "{}: {}", position.join(", "), self.problem)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, "; {}", self.advice) }
    }
}

impl std::error::Error for YamlError {}

impl YamlError {
    /// A problem at a place, which may be unknown.
    pub fn new(place: Option<Place>, problem: &str, advice: &str) -> Self {
        Self { document: None, place, problem: problem.to_owned(), advice: advice.to_owned() }
    }

    /// The same problem, in this document.
    pub fn in_document(self, document: usize) -> Self {
        Self { document: Some(document), ..self }
    }

    /// An error of the parser at a place in the file. `message` has the lines of the parsed text, which `line_of_file`
    /// converts; `next` is the character at the place.
    pub fn syntax(
        message: &str,
        place: Option<Place>,
        next: Option<char>,
        line_of_file: &dyn Fn(usize) -> usize,
    ) -> Self {
        let location = Regex::new(" at (line ([0-9]+) column ([0-9]+)|position [0-9]+)").expect("a constant pattern");
        // The first location is the place itself.
        let message = location.replace(message, "");
        let problem = location.replace_all(&message, |found: &Captures<'_>| {
            let line = found.get(2).and_then(|line| line.as_str().parse().ok()).map_or(0, line_of_file);
            format!(" at line {line} column {}", found.get(3).map_or("", |column| column.as_str()))
        });
        Self::new(place, &problem, &advice(&problem, next))
    }
}

/// What to do about the parser's message; `next` is the character at the place of the problem.
fn advice(problem: &str, next: Option<char>) -> String {
    const NO_START: &str = "found character that cannot start any token";
    const ADVICE: [(&str, &str); 17] = [
        ("found a tab character", "indent with spaces instead of tabs"),
        ("found unexpected end of stream", "close the quotes"),
        ("found unexpected document indicator", "close the quotes"),
        ("did not find expected key", "check the indentation and the quotes of the line"),
        ("did not find expected '-' indicator", "check the indentation of the line"),
        (
            "mapping values are not allowed",
            "check the indentation, and put quotes around a value that contains a colon",
        ),
        ("could not find expected ':'", "write key: value, with a space after the colon"),
        ("did not find expected ',' or ']'", "put commas between the items of the list, and ] after them"),
        ("did not find expected ',' or '}'", "put commas between the entries of the mapping, and } after them"),
        ("did not find expected node content", "close the { or [, or put quotes around text that begins with one"),
        ("block sequence entries are not allowed", "begin the list on a new line"),
        ("found unexpected ':'", "put a space after the colon, or quotes around the text"),
        ("unknown anchor", "define the anchor before its alias, or put quotes around text that begins with *"),
        ("did not find expected alphabetic or numeric character", "put quotes around text that begins with * or &"),
        ("found unknown escape character", "write \\\\ for a backslash in double quotes"),
        ("control characters are not allowed", "remove the character"),
        ("recursion limit exceeded", "remove an alias from the value of its own anchor"),
    ];
    match next {
        Some('\t') if problem.contains(NO_START) => ADVICE[0].1.to_owned(),
        Some(character) if problem.contains(NO_START) => format!("put quotes around text that begins with {character}"),
        _ => ADVICE.iter().find(|(part, _)| problem.contains(part)).map_or("", |(_, advice)| *advice).to_owned(),
    }
}
