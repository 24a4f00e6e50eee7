//! Generates unusual events that no rule rejects.

use proptest::collection::vec;
use proptest::prelude::*;

use super::json::{Json, Members};
use crate::event::field::Field;

pub(super) fn any_json() -> impl Strategy<Value = Json> {
    let number = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?";
    let leaf = prop_oneof![
        prop_oneof![Just("null"), Just("true"), Just("false")].prop_map(|word| Json::Word(word.to_owned())),
        number.prop_map(Json::Word),
        any::<String>().prop_map(Json::Text),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Json::Array),
            vec((any_key(), inner), 0..5).prop_map(Json::Object),
        ]
    })
}

pub(super) fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-c]{0,2}", Just("userId".to_owned()), Just("$\"\\\u{0}\u{2028}".to_owned())]
}

fn is_envelope(key: &str) -> bool {
    Field::ALL.iter().any(|field| field.as_str() == key)
}

pub(super) fn any_object() -> impl Strategy<Value = Json> {
    vec((any_key(), any_json()), 0..4).prop_map(Json::Object)
}

fn text_or(words: &'static [&'static str], pattern: &'static str) -> impl Strategy<Value = Json> {
    let word = proptest::sample::select(words).prop_map(|word| Json::Word(word.to_owned()));
    prop_oneof![word, pattern.prop_map(Json::Text)]
}

/// An event that no rule rejects, with its members in any order.
pub(super) fn any_event() -> impl Strategy<Value = Members> {
    const TIME: &str =
        "20[0-9]{2}-0[1-9]-[12][0-9]([T ]1[0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,12})?(Z|[+-]0[0-9]:30)?)?";
    let of =
        |key: &'static str, value: BoxedStrategy<Json>| value.prop_map(move |value| (key.to_owned(), value)).boxed();
    let optional = vec![
        of("messageId", text_or(&["null", "7", "-1.50"], "[ -~é😀]{0,20}").boxed()),
        of("timestamp", text_or(&["null", "1", "true"], TIME).boxed()),
        of("sentAt", text_or(&["null", "1"], TIME).boxed()),
        of("originalTimestamp", any_json().boxed()),
        of("receivedAt", any_json().boxed()),
        of("version", text_or(&["1", "2.50", "null", "true"], ".*").boxed()),
        of("type", any_json().boxed()),
        of("writeKey", any_json().boxed()),
        of("channel", any_json().boxed()),
        of("anonymousId", any_json().boxed()),
        of("traits", any_json().boxed()),
        of("batch", any_json().boxed()),
        of("context", any_object().boxed()),
        of("integrations", any_object().boxed()),
        of("properties", any_object().boxed()),
    ];
    let count = optional.len();
    let known = proptest::sample::subsequence((0..count).collect::<Vec<_>>(), 0..=count)
        .prop_flat_map(move |chosen| chosen.iter().map(|index| optional[*index].clone()).collect::<Vec<_>>());
    let needed = vec![
        of("userId", text_or(&["1", "12345678901234567890.0"], ".+").boxed()),
        of("event", ".+".prop_map(Json::Text).boxed()),
    ];
    let unknown = vec((any_key().prop_filter("of the envelope", |key| !is_envelope(key)), any_json()), 0..6);
    (known, needed, unknown).prop_map(|(known, needed, unknown)| [known, needed, unknown].concat()).prop_shuffle()
}
