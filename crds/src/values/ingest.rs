//! What a function lets in.

use super::shape::Rule::Must;
use super::shape::{Shape, text_value};
use super::wildcard;

text_value!(
    /// A track event's name, in which `*` stands for any text; case-sensitive.
    EventNamePattern,
    Shape { field: "names", example: "\"Order *\"", length: (1, 200), rules: &[] }
);

impl EventNamePattern {
    /// Whether `name` is one of those meant.
    pub fn matches(&self, name: &str) -> bool {
        wildcard::matches(self.as_str(), name)
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
