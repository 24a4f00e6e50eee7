//! Parses a document of a YAML file into nodes, with the scalars resolved as kubectl does and their places.
//!
//! kubectl's parser (go-yaml 2) and that of yaml_serde are both ports of libyaml, so they agree on the structure. But
//! yaml_serde resolves scalars by YAML 1.2 and reports neither their quotes nor, for numbers, their text. So a document
//! is parsed twice: the first time for its structure and tags ([`Draft`]), the second time for the text of each scalar.
//! That text is a slice of the file, unless it contains escapes or line breaks. The slice's place in the file shows
//! whether quotes enclose it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::draft::Draft;
use super::scalar::{CORE_TAG, Scalar};
use super::split::Chunk;
use super::{Place, YamlError};

/// A node of a document.
#[derive(Clone, Debug)]
pub enum Node {
    Scalar {
        value: Scalar,
        /// Where the scalar is in the file; `None` if it has escapes or line breaks.
        place: Option<Place>,
        /// The text in the file, of a scalar without quotes and without a tag.
        unquoted: Option<String>,
    },
    Sequence(Vec<Node>),
    /// The entries in their order, duplicates and merge keys included.
    Mapping(Vec<(Node, Node)>),
}

/// The first document of a chunk.
pub struct Parsed {
    pub root: Node,
    /// Where the chunk goes on after its first document, most likely after a line of three dots. kubectl ignores that.
    pub ignored: Option<Place>,
}

impl Node {
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Scalar { value: Scalar::Null, .. })
    }

    /// The text in the file, if the node is a scalar without quotes and without a tag.
    pub fn unquoted(&self) -> Option<&str> {
        match self {
            Self::Scalar { unquoted, .. } => unquoted.as_deref(),
            Self::Sequence(_) | Self::Mapping(_) => None,
        }
    }

    /// The place of the node's first scalar, if it is known.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Scalar { place, .. } => *place,
            Self::Sequence(items) => items.first()?.place(),
            Self::Mapping(entries) => entries.first()?.0.place(),
        }
    }
}

impl From<Draft> for Parsed {
    /// A document of JSON.
    fn from(draft: Draft) -> Self {
        Self { root: draft.into(), ignored: None }
    }
}

impl From<Draft> for Node {
    /// A node of JSON, which needs no second reading.
    fn from(draft: Draft) -> Self {
        match draft {
            Draft::Nothing => Self::Scalar { value: Scalar::Null, place: None, unquoted: None },
            Draft::Scalar { value, .. } => Self::Scalar { value, place: None, unquoted: None },
            Draft::Sequence(items) => Self::Sequence(items.into_iter().map(Self::from).collect()),
            Draft::Mapping(entries) => {
                Self::Mapping(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
            }
        }
    }
}

/// Parses the first document of a chunk.
///
/// # Errors
/// If it is not YAML, or a scalar does not fit its tag.
pub fn parse(chunk: &Chunk) -> Result<Parsed, YamlError> {
    if let Some(line) = directive(&chunk.text) {
        let place = Place { line: chunk.first_line + line, column: 1 };
        return Err(YamlError::new(Some(place), "kubectl refuses directives such as %YAML", "remove the line"));
    }
    // Gives YAML's own tags, such as !!str, a name that yaml_serde reports.
    let text = format!("%TAG !! !{CORE_TAG}\n{DOCUMENT_START}{}", chunk.text);
    let source = Source::new(&text, chunk.first_line);
    let syntax = |error: serde_yaml::Error| source.syntax_error(&error);
    let mut documents = serde_yaml::Deserializer::from_str(&text);
    let first = documents.next().expect("a text with --- has a document");
    let draft = serde::Deserialize::deserialize(first).map_err(syntax)?;
    let ignored = documents.next().map(|_| source.document_end());
    let again = serde_yaml::Deserializer::from_str(&text).next().expect("it has the same document");
    let root = match &draft {
        Draft::Nothing => draft.into(),
        draft => Reader { source: &source, draft }.deserialize(again).map_err(syntax)?,
    };
    Ok(Parsed { root, ignored })
}

/// The index of the line with a directive before the document. kubectl cuts the document off at the `---` after it.
fn directive(text: &str) -> Option<usize> {
    let is_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let (index, line) = text.lines().enumerate().find(|(_, line)| is_content(line))?;
    line.starts_with('%').then_some(index)
}

/// A key without quotes that merges its value into the mapping.
pub const MERGE_KEY: &str = "<<";
/// The tag of [`MERGE_KEY`], which makes no difference.
const MERGE_TAG: &str = "core:merge";

/// The line that follows the directive.
const DOCUMENT_START: &str = "---\n";
/// The lines that [`parse`] puts before a chunk.
const LINES_BEFORE: usize = 2;

/// The text that is parsed: a chunk, and the lines before it.
struct Source<'t> {
    text: &'t str,
    /// The offset of each line in `text`.
    lines: Vec<usize>,
    /// The line of the file that is the chunk's first.
    first_line: usize,
}

impl<'t> Source<'t> {
    fn new(text: &'t str, first_line: usize) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(feed, _)| feed + 1)).collect();
        Self { text, lines, first_line }
    }

    /// The offset of a slice of the text.
    fn offset(&self, slice: &str) -> Option<usize> {
        let offset = slice.as_ptr().addr().checked_sub(self.text.as_ptr().addr())?;
        (offset + slice.len() <= self.text.len()).then_some(offset)
    }

    /// The place in the file.
    fn place(&self, offset: usize) -> Place {
        let index = self.lines.partition_point(|start| *start <= offset) - 1;
        let column = self.text[self.lines[index]..offset].chars().count() + 1;
        Place { line: self.line_of_file(index + 1), column }
    }

    /// The line of the file for a line of the text; both from 1.
    fn line_of_file(&self, line: usize) -> usize {
        (line + self.first_line).saturating_sub(LINES_BEFORE + 1).max(self.first_line)
    }

    /// Whether quotes enclose the slice at `offset`. A scalar without quotes is never directly before a quote, except an
    /// empty one, which then is not directly after a quote too.
    fn is_quoted(&self, offset: usize, slice: &str) -> bool {
        let quote = |at: Option<&u8>| at.copied().filter(|byte| matches!(byte, b'"' | b'\''));
        let bytes = self.text.as_bytes();
        let closing = quote(bytes.get(offset + slice.len()));
        closing.is_some() && (!slice.is_empty() || quote(bytes.get(offset - 1)) == closing)
    }

    /// The first line of three dots, which ends a document; the end of the text if there is none.
    fn document_end(&self) -> Place {
        self.place(self.text.find("\n...").map_or(self.text.len(), |feed| feed + 1))
    }

    fn syntax_error(&self, error: &serde_yaml::Error) -> YamlError {
        let message = error.to_string();
        // A character that YAML does not allow anywhere has only an offset.
        let offset = message.rsplit_once(" at position ").and_then(|(_, offset)| offset.parse().ok());
        let index = offset.or_else(|| error.location().map(|location| location.index()));
        let index = index.filter(|index| self.text.is_char_boundary(*index));
        let next = index.and_then(|index| self.text[index..].chars().next());
        YamlError::syntax(&message, index.map(|index| self.place(index)), next, &|line| self.line_of_file(line))
    }
}

/// Reads a node again whose structure is known.
struct Reader<'s, 't> {
    source: &'s Source<'t>,
    draft: &'s Draft,
}

impl<'de> DeserializeSeed<'de> for Reader<'_, 'de> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self.draft {
            Draft::Nothing | Draft::Scalar { .. } => deserializer.deserialize_str(self),
            Draft::Sequence(_) => deserializer.deserialize_seq(self),
            Draft::Mapping(_) => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Reader<'_, 'de> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the same document as before")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Node, E> {
        let Some(offset) = self.source.offset(text) else { return self.visit_str(text) };
        let place = Some(self.source.place(offset));
        let has_tag = self.tag().is_some_and(|tag| tag != MERGE_TAG || text != MERGE_KEY);
        if has_tag || self.source.is_quoted(offset, text) {
            return Ok(Node::Scalar { value: self.value(text)?, place, unquoted: None });
        }
        Ok(Node::Scalar { value: Scalar::of_plain(text), place, unquoted: Some(text.to_owned()) })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Scalar { value: self.value(text)?, place: None, unquoted: None })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let Draft::Sequence(drafts) = self.draft else { return Err(differs()) };
        let source = self.source;
        let read = |draft| items.next_element_seed(Reader { source, draft })?.ok_or_else(differs);
        drafts.iter().map(read).collect::<Result<_, _>>().map(Node::Sequence)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let Draft::Mapping(drafts) = self.draft else { return Err(differs()) };
        let source = self.source;
        let read = |(key, value)| {
            entries.next_entry_seed(Reader { source, draft: key }, Reader { source, draft: value })?.ok_or_else(differs)
        };
        drafts.iter().map(|(key, value)| (key, value)).map(read).collect::<Result<_, _>>().map(Node::Mapping)
    }
}

impl Reader<'_, '_> {
    fn tag(&self) -> Option<&str> {
        match self.draft {
            Draft::Scalar { tag, .. } => tag.as_deref(),
            _ => None,
        }
    }

    /// The value of a scalar with quotes or a tag.
    fn value<E: Error>(&self, text: &str) -> Result<Scalar, E> {
        match self.tag() {
            None => Ok(Scalar::Text(text.to_owned())),
            Some(tag) => Scalar::of_tagged(tag, text).ok_or_else(|| E::custom(TAG_MISMATCH)),
        }
    }
}

/// The problem of a scalar that does not fit its tag. It does not quote the scalar, which may be a secret.
const TAG_MISMATCH: &str = "a value does not fit its tag";

/// The error if the second reading finds another structure than the first, which can't happen.
fn differs<E: Error>() -> E {
    E::custom("two readings of the same document differ")
}
