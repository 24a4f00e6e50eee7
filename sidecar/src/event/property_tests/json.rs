//! A JSON value for tests, as a reader sees it, which can be written in many ways.

use serde_json::value::RawValue;

use crate::event::object::for_each_member;
use crate::event::value::Value;

/// A value as a reader sees it, except that numbers keep their text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    /// `null`, a boolean or a number.
    Word(String),
    Text(String),
    Array(Vec<Json>),
    Object(Members),
}

pub(super) type Members = Vec<(String, Json)>;

impl Json {
    /// Writes the value, with escapes and white space that `style` determines.
    fn write(&self, style: &mut u64, out: &mut String) {
        let mut list = |open: char, close: char, items: &[(Option<&str>, &Json)]| {
            out.push(open);
            for (index, (key, value)) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                space(style, out);
                if let Some(key) = key {
                    write_text(key, style, out);
                    space(style, out);
                    out.push(':');
                    space(style, out);
                }
                value.write(style, out);
                space(style, out);
            }
            out.push(close);
        };
        match self {
            Self::Word(word) => out.push_str(word),
            Self::Text(text) => write_text(text, style, out),
            Self::Array(items) => list('[', ']', &items.iter().map(|item| (None, item)).collect::<Vec<_>>()),
            Self::Object(members) => {
                let items: Vec<_> = members.iter().map(|(key, value)| (Some(key.as_str()), value)).collect();
                list('{', '}', &items);
            }
        }
    }

    pub(super) fn read(value: Value<'_>) -> Self {
        if value.is_string() {
            Self::Text(value.text().unwrap().into_owned())
        } else if value.is_object() {
            let mut members = Vec::new();
            let member = |key: Value<'_>, value| members.push((key.text().unwrap().into_owned(), Self::read(value)));
            for_each_member(value.raw(), member).unwrap();
            Self::Object(members)
        } else if value.is_array() {
            let items: Vec<&RawValue> = serde_json::from_str(value.raw()).unwrap();
            Self::Array(items.iter().map(|item| Self::read(Value::new(item.get()))).collect())
        } else {
            Self::Word(value.raw().to_owned())
        }
    }
}

/// The next pseudo-random number, from 0 to 7.
fn turn(style: &mut u64) -> u64 {
    *style = style.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *style >> 61
}

fn space(style: &mut u64, out: &mut String) {
    out.push_str([" ", "\n", "\t\r\n", "", "", "", "", ""][turn(style) as usize]);
}

fn write_text(text: &str, style: &mut u64, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        if turn(style) == 0 || char < ' ' || char == '"' || char == '\\' {
            for unit in char.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(char);
        }
    }
    out.push('"');
}

/// The text of `json`, with escapes and white space that `style` determines.
pub(super) fn written(json: &Json, mut style: u64) -> String {
    let mut out = String::new();
    json.write(&mut style, &mut out);
    out
}

/// The member's value; `None` if it is absent or null.
pub(super) fn get<'a>(members: &'a Members, key: &str) -> Option<&'a Json> {
    let value = members.iter().find(|(name, _)| name == key).map(|(_, value)| value);
    value.filter(|value| **value != Json::Word("null".to_owned()))
}
