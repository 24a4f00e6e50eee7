//! Values that decide which events a function accepts: name patterns of track events, and origins of web pages.

use super::shape::Rule::Must;
use super::shape::{Shape, text_value};
use super::wildcard;

text_value!(
    /// A pattern of track event names in which `*` matches any text; case-sensitive.
    EventNamePattern,
    Shape { field: "names", example: "\"Order *\"", length: (1, 200), rules: &[] }
);

impl EventNamePattern {
    /// Whether the pattern matches `name`.
    pub fn matches(&self, name: &str) -> bool {
        wildcard::matches(self.as_str(), name)
    }
}

text_value!(
    /// An origin whose pages may send events: scheme, host and port, or `*` for every origin.
    Origin,
    Shape {
        field: "allowedOrigins",
        example: "https://www.example.com",
        length: (1, 300),
        rules: &[Must("^([*]|https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?)$", "is not an origin")],
    }
);
