//! Reads the tables and manifests of `tests/kubectl`, which a test of the crate `tests` reads with kubectl itself.

#[allow(dead_code, reason = "the verdicts are for other tests")]
#[path = "../../tests/kubectl/manifests.rs"]
mod manifests;
#[allow(dead_code, reason = "a function is for another test")]
#[path = "../../tests/kubectl/scalars.rs"]
mod scalars;

use manifests::Verdict;
use proptest::prelude::*;
use serde_json::Value;

use super::{Object, decode, documents};

fn read(text: &str) -> Object {
    documents(text).unwrap_or_else(|error| panic!("{text:?}: {error}")).remove(0).1
}

/// The value that kubectl reads from a scalar, in each place that a scalar can have.
fn check_scalar(scalar: &str, expected: &str) {
    let expected: Value = serde_json::from_str(expected).unwrap();
    let last = scalar.lines().count() > 1;
    for text in [
        format!("a: {scalar}\n"),
        format!("a: {scalar} # comment\n"),
        format!("b: &b {scalar}\na: *b\n"),
        format!("b: {{c: &b {scalar}}}\na: *b\n"),
        format!("<<: {{a: {scalar}}}\n"),
    ] {
        let value = serde_json::to_value(&read(&text).value["a"]).unwrap();
        assert_eq!(value, expected, "{text:?}");
        if last {
            break;
        }
    }
}

#[test]
fn scalars_without_quotes_are_read_as_by_kubectl() {
    for (expected, scalars) in scalars::VALUES {
        scalars.iter().for_each(|scalar| check_scalar(scalar, expected));
    }
    for text in scalars::TEXTS {
        check_scalar(text, &serde_json::to_string(text).unwrap());
    }
    for scalar in scalars::REFUSED {
        assert!(documents(&format!("a: {scalar}")).is_err(), "{scalar}");
        assert!(documents(&format!("a: '{scalar}'")).is_ok(), "{scalar}");
    }
}

#[test]
fn tags_and_quotes_are_read_as_by_kubectl() {
    for (scalar, expected) in scalars::TAGGED.iter().chain(scalars::QUOTED) {
        let value = serde_json::to_value(&read(&format!("a: {scalar}\n")).value["a"]).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(expected).unwrap(), "{scalar}");
    }
    for scalar in scalars::REFUSED_TAGS {
        let error = documents(&format!("a: {scalar}")).unwrap_err().to_string();
        assert!(error.contains("document 1, line 1 column 4: a: a value does not fit its tag"), "{error}");
    }
}

#[test]
fn keys_are_read_as_by_kubectl() {
    for (key, expected) in scalars::KEYS {
        let object = read(&format!("{key}: 1\n"));
        assert_eq!(serde_json::to_value(&object.value).unwrap(), serde_json::json!({*expected: 1}), "{key}");
        assert_eq!(object.notes.is_empty(), key == expected, "{key}");
        assert!(read(&format!("\"{key}\": 1\n")).notes.is_empty(), "{key}");
    }
    for key in scalars::REFUSED_KEYS {
        assert!(documents(&format!("? {key}\n: 1\n")).is_err(), "{key}");
    }
}

#[test]
fn manifests_are_read_as_by_kubectl() {
    for manifests::Case { name, file, verdict } in manifests::cases() {
        let Verdict::Accepted { values, .. } = verdict else { continue };
        let documents = documents(&decode(&file)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let function = documents.iter().find(|(_, object)| object.value["kind"] == "DestinationFunction");
        let function = serde_json::to_value(&function.expect("a function").1.value).unwrap();
        for (pointer, expected) in values {
            let expected: Value = serde_json::from_str(expected).unwrap();
            assert_eq!(function.pointer(pointer), Some(&expected), "{name}");
        }
    }
}

#[test]
fn errors_have_a_place_and_a_remedy() {
    for (text, message) in [
        (
            "a: @b\n",
            "line 1 column 4: found character that cannot start any token, while scanning for the next token; put quotes around text that begins with @",
        ),
        (
            "a:\n- b\nc\nd: e\n",
            "line 4 column 1: could not find expected ':', while scanning a simple key at line 3 column 1; write key: value, with a space after the colon",
        ),
        (
            "a: - b\n",
            "line 1 column 4: block sequence entries are not allowed in this context; begin the list on a new line",
        ),
        (
            "- a\nb: c\n",
            "line 2 column 1: did not find expected '-' indicator, while parsing a block collection at line 1 column 1; check the indentation of the line",
        ),
        (
            "a: {b: c\n",
            "line 2 column 1: did not find expected ',' or '}', while parsing a flow mapping at line 1 column 4; put commas between the entries of the mapping, and } after them",
        ),
        ("a: {{ b }}\n", "line 1 column 7: kubectl refuses a key that is not text; put quotes around the key"),
        (
            "a: [b:]\n",
            "line 1 column 6: found unexpected ':', while scanning a plain scalar at line 1 column 5; put a space after the colon, or quotes around the text",
        ),
        (
            "a: *\n",
            "line 1 column 5: did not find expected alphabetic or numeric character, while scanning an alias at line 1 column 4; put quotes around text that begins with * or &",
        ),
        (
            "a: \"\\d\"\n",
            "line 1 column 5: found unknown escape character, while parsing a quoted scalar at line 1 column 4; write \\\\ for a backslash in double quotes",
        ),
        ("a: é\nb: c\u{1}\n", "line 2 column 5: control characters are not allowed; remove the character"),
        ("a: &a [*a]\n", "line 1 column 4: recursion limit exceeded; remove an alias from the value of its own anchor"),
        (
            "a: {<<: b}\n",
            "line 1 column 9: a merge key (<<) without a mapping; give it an alias of a mapping, or a list of these",
        ),
        (
            "{\"a\": 1}{\"b\": 1}{\"c\"}",
            "line 1 column 21: a file that starts with several JSON documents must contain only JSON; correct the JSON, or put --- between the documents",
        ),
    ] {
        let error = documents(text).unwrap_err().to_string();
        assert!(error.ends_with(message), "{text:?}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the text is, and whatever surrounds it: quotes keep it text, and nothing is taken for quoted that is not.
    #[test]
    fn quotes_are_recognised(text in "[ -~]{0,12}", yes in "(yes|010|1e3|~)") {
        let single = format!("'{}'", text.replace('\'', "''"));
        let double = serde_json::to_string(&text).unwrap();
        let text = Value::from(text);
        let bare = read(&format!("a: {yes}")).value["a"].clone();
        let bare = serde_json::to_value(bare).unwrap();
        for quoted in [single, double] {
            let flow = format!("{{a: {quoted}, b: {yes}, {quoted}: {yes}, c: [{yes}, {quoted}, {yes}, {quoted}]}}");
            let block = format!("a: {quoted}\nb: {yes}\nc:\n- {yes}\n- {quoted}\n- {yes}\n- {quoted}\n");
            for document in [flow, block] {
                let value = serde_json::to_value(read(&document).value).unwrap();
                prop_assert_eq!(&value["c"], &serde_json::json!([bare, text, bare, text]), "{}", document);
            }
        }
    }
}
