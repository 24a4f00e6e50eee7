//! Reads YAML as kubectl does, so that the tool and the API server judge the same document.
//!
//! [`documents`] turns the text of a file into the objects that kubectl would send. yaml_serde parses; what kubectl does
//! otherwise is in [`split`] (where a document ends), [`scalar`] (what a scalar without quotes means) and [`object`]
//! (keys, merges, numbers). Nothing here knows the kinds of the objects.

mod draft;
mod encoding;
mod error;
mod node;
mod object;
mod scalar;
mod split;
#[cfg(test)]
mod tests;

use draft::Draft;
pub use encoding::decode;
pub use error::{Place, YamlError};
use node::Parsed;
pub use object::{Object, Unquoted};
use split::SEPARATOR;

/// The objects of a file, each with the position of its document in the file, from 1. Lists are flattened. Empty documents
/// are skipped and do not count.
///
/// # Errors
/// The first problem for which kubectl refuses the file before it sends anything.
pub fn documents(text: &str) -> Result<Vec<(usize, Object)>, YamlError> {
    let (json, rest) = json_documents(text)?;
    let mut documents: Vec<Parsed> = json.into_iter().map(Parsed::from).collect();
    let first_line = text[..text.len() - rest.len()].matches('\n').count() + 1;
    let chunks = split::split(rest, first_line).map_err(|line| {
        let place = Place { line, column: SEPARATOR.len() + 1 };
        YamlError::new(Some(place), "kubectl refuses text after ---", "move it to the next line")
    })?;
    for chunk in chunks {
        let parsed = node::parse(&chunk).map_err(|error| error.in_document(documents.len() + 1))?;
        if !parsed.root.is_null() {
            documents.push(parsed);
        }
    }
    let mut objects = Vec::new();
    for (Parsed { root, ignored }, index) in documents.iter().zip(1..) {
        let mut object = Object::new(root).map_err(|error| error.in_document(index))?;
        object.notes.extend(
            ignored.map(|place| format!("{place}: kubectl ignores what follows here; write --- between documents")),
        );
        objects.extend(object.flatten().into_iter().map(|object| (index, object)));
    }
    Ok(objects)
}

/// The JSON documents at the start of a file, and the rest of it. Like kubectl, takes a file for JSON if it starts with
/// a brace, and the rest for YAML if it is no JSON and at most one document was.
fn json_documents(text: &str) -> Result<(Vec<Draft>, &str), YamlError> {
    let mut drafts = Vec::new();
    if !text.trim_start().starts_with('{') {
        return Ok((drafts, text));
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter();
    loop {
        let offset = stream.byte_offset();
        match stream.next() {
            None => return Ok((drafts, "")),
            Some(Ok(draft)) => drafts.push(draft),
            Some(Err(error)) if drafts.len() > 1 => {
                let place = Place { line: error.line(), column: error.column() };
                let problem = "a file that starts with several JSON documents must contain only JSON";
                let advice = "correct the JSON, or put --- between the documents";
                return Err(YamlError::new(Some(place), problem, advice).in_document(drafts.len() + 1));
            }
            Some(Err(_)) => return Ok((drafts, &text[offset..])),
        }
    }
}
