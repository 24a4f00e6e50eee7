//! Resolves scalars as kubectl does. Pure.
//!
//! kubectl reads manifests with sigs.k8s.io/yaml 1.6, which uses go-yaml 2 (`resolve.go` of go.yaml.in/yaml/v2 2.4):
//! YAML 1.1, but numbers to the base of 60 and timestamps are text. Go's integer syntax adds `0o17`, and a number that is
//! no octal number, such as `089`, is a decimal fraction.

use serde_yaml::Value;

use crate::base64;

/// The namespace of YAML's own tags in [`Scalar::of_tagged`], instead of `tag:yaml.org,2002:`.
pub const CORE_TAG: &str = "core:";

/// What a scalar means.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Null,
    Bool(bool),
    /// An integer between the minimum of `i64` and the maximum of `u64`; larger ones are fractions.
    Integer(i128),
    Float(f64),
    Text(String),
}

impl Scalar {
    /// Resolves a scalar without quotes and without a tag.
    pub fn of_plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
                return Self::Bool(true);
            }
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
                return Self::Bool(false);
            }
            ".nan" | ".NaN" | ".NAN" => return Self::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Self::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Self::Float(f64::NEG_INFINITY),
            _ => {}
        }
        let number = match text.as_bytes().first() {
            Some(b'0'..=b'9' | b'+' | b'-') => {
                let digits = text.replace('_', "");
                integer(&digits).map(Self::Integer).or_else(|| float(&digits).map(Self::Float))
            }
            Some(b'.') => float(&without_separators(text)).map(Self::Float),
            _ => None,
        };
        number.unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// Resolves a scalar with a tag, which is [`CORE_TAG`] and a name for YAML's own tags. Quotes make no difference.
    /// `None` if the text does not fit the tag.
    pub fn of_tagged(tag: &str, text: &str) -> Option<Self> {
        match (tag.strip_prefix(CORE_TAG), Self::of_plain(text)) {
            (Some("int"), Self::Integer(integer)) => Some(Self::Integer(integer)),
            // go-yaml converts only integers of its type int, which has 64 bits.
            #[allow(clippy::cast_precision_loss, reason = "so does Go")]
            (Some("float"), Self::Integer(integer)) => i64::try_from(integer).ok().map(|int| Self::Float(int as f64)),
            (Some("float"), Self::Float(float)) => Some(Self::Float(float)),
            (Some("bool"), Self::Bool(truth)) => Some(Self::Bool(truth)),
            (Some("null"), Self::Null) => Some(Self::Null),
            (Some("int" | "float" | "bool" | "null"), _) => None,
            (Some("binary"), _) => {
                base64::decode(text).map(|bytes| Self::Text(String::from_utf8_lossy(&bytes).into_owned()))
            }
            _ => Some(Self::Text(text.to_owned())),
        }
    }

    /// The value as the API server gets it in JSON. `None` for infinity and NaN, which JSON does not have.
    ///
    /// An integer has 64 bits. kubectl writes a float with its shortest digits, and what has no fraction then is an
    /// integer.
    pub fn to_json(&self) -> Option<Value> {
        Some(match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            #[allow(clippy::cast_precision_loss, reason = "so does the API server")]
            Self::Integer(integer) => i64::try_from(*integer).map_or_else(|_| (*integer as f64).into(), Value::from),
            Self::Float(float) if !float.is_finite() => return None,
            Self::Float(float) => {
                float.to_string().parse().map_or_else(|_| (*float).into(), |integer: i64| integer.into())
            }
            Self::Text(text) => Value::from(text.as_str()),
        })
    }

    /// The value as a key in JSON, which is always text. `None` for a null and for integers beyond 63 bits, which
    /// kubectl refuses as keys.
    pub fn to_key(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Bool(truth) => Some(truth.to_string()),
            Self::Integer(integer) => i64::try_from(*integer).ok().map(|integer| integer.to_string()),
            Self::Float(float) => Some(float_key(*float)),
            Self::Text(text) => Some(text.clone()),
        }
    }
}

/// Go's `strconv.ParseInt` and `ParseUint` with base 0.
fn integer(text: &str) -> Option<i128> {
    let magnitude = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (radix, digits) = match magnitude.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &magnitude[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &magnitude[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &magnitude[2..]),
        [b'0', _, ..] => (8, &magnitude[1..]),
        _ => (10, magnitude),
    };
    if digits.starts_with(['+', '-']) {
        // go-yaml parses what follows 0b once more, with a sign.
        let digits = text.strip_prefix("0b")?;
        return i64::from_str_radix(digits, 2).ok().map(i128::from);
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    let integer = if text.starts_with('-') { -magnitude } else { magnitude };
    let unsigned = !text.starts_with(['+', '-']) && u64::try_from(integer).is_ok();
    (unsigned || i64::try_from(integer).is_ok()).then_some(integer)
}

/// The text without underscores between digits, which Go's `strconv.ParseFloat` ignores.
fn without_separators(text: &str) -> String {
    let is_digit = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
    let is_separator = |at: usize, c| c == '_' && is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
    text.char_indices().filter(|(at, c)| !is_separator(*at, *c)).map(|(_, c)| c).collect()
}

/// A decimal fraction. A number beyond the range of `f64` is text.
fn float(text: &str) -> Option<f64> {
    // Rust also parses words such as infinity.
    let has_only_digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    text.parse().ok().filter(|float: &f64| has_only_digits && float.is_finite())
}

/// A fraction as a key: Go's `strconv.FormatFloat` with format `g`, the shortest digits and 32 bits.
fn float_key(float: f64) -> String {
    /// From this power of ten on, the format `g` has an exponent.
    const MIN_LARGE_EXPONENT: i32 = 6;
    #[allow(clippy::cast_possible_truncation, reason = "sigs.k8s.io/yaml formats keys with 32 bits")]
    let float = float as f32;
    if !float.is_finite() {
        return if float.is_nan() {
            ".nan"
        } else if float > 0.0 {
            ".inf"
        } else {
            "-.inf"
        }
        .to_owned();
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').expect("the format e has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is an integer");
    if (-4..MIN_LARGE_EXPONENT).contains(&exponent) {
        return float.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}
