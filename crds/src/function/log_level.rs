//! How much the sidecars log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much the sidecars log. Each level includes those before it.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Errors that end the process.
    Error,
    /// Faults that need a person.
    Warn,
    /// Changes of state.
    #[default]
    Info,
    /// One line per request and per upload attempt, without personal data.
    Debug,
    /// The steps within requests and uploads.
    Trace,
}

impl LogLevel {
    /// The level's spelling in the resource.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// The level that the resource spells like this; `None` if there is none.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace].into_iter().find(|level| level.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_levels_are_spelt_as_in_the_resource() {
        for text in ["error", "warn", "info", "debug", "trace"] {
            let level: LogLevel = serde_json::from_value(text.into()).unwrap();
            assert_eq!((level.as_str(), LogLevel::parse(text)), (text, Some(level)));
        }
        assert_eq!(LogLevel::parse("INFO"), None);
        assert!(LogLevel::Error < LogLevel::Warn && LogLevel::Info < LogLevel::Debug);
    }
}
