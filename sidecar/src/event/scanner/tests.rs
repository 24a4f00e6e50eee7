use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn scans(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.value().is_some() && scanner.end().is_some()
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

#[test]
fn it_accepts_what_serde_json_accepts() {
    let table = [
        "0",
        "-0",
        "01",
        "-",
        "1.",
        ".1",
        "1.5",
        "1e5",
        "1E+5",
        "1e-",
        "1e",
        "+1",
        "1e400",
        "0x1",
        "--1",
        "1 2",
        "12345678901234567890",
        "true",
        "tru",
        "truex",
        "false",
        "null",
        "nul",
        "nullnull",
        "NaN",
        "",
        " ",
        "{}",
        "[]",
        " { } ",
        "[ ]",
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{1:2}",
        "[1 2]",
        "[1",
        "{\"a\":1",
        "[}",
        "{]",
        "[[]",
        "]",
        "{\"a\":[{\"b\":[]}]}",
        "\"",
        "\"\\",
        "\"a\\\"",
        "\"\\q\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\/\\b\\f\\n\\r\\t\"",
        "\"tab\t\"",
        "\"line\n\"",
        "\"\u{7f}\u{80}é😀\"",
        "\"\u{0}\"",
        "\"seven77\u{1f}\"",
        "\"eight888\u{1f}\"",
        "\"1234567\\\"\"",
        "\u{feff}1",
        "1\u{a0}",
        "\u{b}1",
    ];
    for text in table {
        assert_eq!(scans(text), is_json(text), "{text:?}");
    }
}

#[test]
fn nested_values_are_noted_and_found_again() {
    let long = "x".repeat(MIN_NOTED_BYTES);
    let text = format!(
        "[{{\"a\":{{\"b\":[\"{long}\"]}},\"c\":[1],\"d\" : [\"{long}\", {{}}]}}, 7, [[\"{long}\"]], {{\"e\":{{\"f\":\"{long}\"}}}}]"
    );
    let (mut scanner, mut items) = (Scanner::new(&text), Vec::new());
    scanner.note_nested();
    scanner.array(|item| items.push(item)).unwrap();
    let noted = scanner.take_noted();
    let starts: Vec<_> = noted.iter().map(|value| &value.raw()[..4]).collect();
    assert_eq!(starts, ["{\"b\"", "[\"xx", "[\"xx", "{\"f\""]);
    let mut members = Vec::new();
    let mut noted = noted.iter();
    let mut object = Scanner::new(items[0].raw());
    let read = object.object(|_, scanner| scanner.next_member(&mut noted).map(|value| members.push(value.raw().len())));
    assert!(read.is_some() && noted.len() == 2);
    assert_eq!(members, [long.len() + 10, 3, long.len() + 8]);
}

#[test]
fn any_depth_is_scanned() {
    for depth in [1, 63, 64, 65, 127, 128, 129, 200, 5_000] {
        let open: String = (0..depth).map(|level| if level % 3 == 0 { "{\"k\":" } else { "[" }).collect();
        let close: String = (0..depth).rev().map(|level| if level % 3 == 0 { '}' } else { ']' }).collect();
        assert!(scans(&format!("{open}1{close}")), "{depth}");
        assert!(!scans(&format!("{open}1{}", &close[1..])), "{depth}: one bracket is missing");
        let wrong = if close.starts_with('}') { ']' } else { '}' };
        assert!(!scans(&format!("{open}1{wrong}{}", &close[1..])), "{depth}: one bracket is of the other kind");
    }
}

proptest! {
    /// Texts of JSON's parts in any order: mostly invalid, some valid.
    #[test]
    fn it_accepts_any_text_that_serde_json_accepts(
        parts in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", " ", "\n", "\"", "\\", "\"a\"", "\"é\\\"\"", "\"a\":", "1", "-0.5", "1e3", "0",
            "null", "true", "{}", "[1,2]", "\"a\":[1,{\"b\":\"]\"}]", "\"b\" : true", "\\u00e9", "\u{1}", "12345678",
        ]), 0..12),
    ) {
        let text = parts.concat();
        prop_assert_eq!(scans(&text), is_json(&text), "{}", text);
    }

    /// Valid texts with one byte replaced.
    #[test]
    fn one_wrong_byte_is_found_where_serde_json_finds_it(at in 0_usize..64, byte in 0_u8..0x7f) {
        let text = "{\"a\": [1.5e3, {\"bc\\n\\u00e9\": \"dé\"}, true], \"f\": [], \"g\": null}";
        let mut bytes = text.as_bytes().to_vec();
        let at = at % bytes.len();
        if bytes[at].is_ascii() {
            bytes[at] = byte;
        }
        let text = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(scans(&text), is_json(&text), "{}", text);
    }

    #[test]
    fn the_first_special_byte_of_a_word_is_found(word: u64) {
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let expected = word.to_le_bytes().iter().position(is_special);
        let found = special_bytes(word);
        prop_assert_eq!((found != 0).then(|| found.trailing_zeros() as usize / 8), expected);
    }
}
