//! Decodes base64 as Kubernetes does.

use k8s_openapi::ByteString;

/// Decodes base64. Line breaks are ignored, as by Go's encoding/base64.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    serde_json::from_value(text.into()).ok().map(|ByteString(bytes)| bytes)
}
