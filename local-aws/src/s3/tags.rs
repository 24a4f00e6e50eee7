//! Parses and validates the object tags in `x-amz-tagging`.

use s3s::{S3Result, s3_error};

/// Maximum number of tags per object.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>
const MAX_TAGS: usize = 10;
/// Maximum length of a tag's key, in characters.
const MAX_KEY_CHARS: usize = 128;
/// Maximum length of a tag's value, in characters.
const MAX_VALUE_CHARS: usize = 256;

/// Parses `key=value&…`, percent-encoded; an error if a tag breaks S3's limits or a key is repeated.
pub(super) fn parse(header: &str) -> S3Result<Vec<(String, String)>> {
    let tags: Vec<(String, String)> = url::form_urlencoded::parse(header.as_bytes()).into_owned().collect();
    if tags.len() > MAX_TAGS {
        return Err(super::custom_error("BadRequest", "Object tags cannot be greater than 10"));
    }
    for (index, (key, value)) in tags.iter().enumerate() {
        if !(1..=MAX_KEY_CHARS).contains(&key.chars().count()) {
            return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
        }
        if value.chars().count() > MAX_VALUE_CHARS {
            return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
        }
        if tags[..index].iter().any(|(earlier, _)| earlier == key) {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(tags)
}
