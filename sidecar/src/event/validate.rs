//! Validates events by Segment's discard rules: an event that Segment would accept and then drop is rejected here,
//! with the reason (the discards of Segment's delivery overview).

use std::borrow::Cow;
use tributary_crds::function::SegmentType;

use super::envelope::Known;
use super::event_type::EventType;
use super::field::Field;
use super::rejection::{Code, Rejection};
use super::value::Value;

/// The source of an event's type.
#[derive(Clone, Debug)]
pub(super) enum TypeFrom {
    /// From the path, which takes precedence over the event's own.
    Path(EventType),
    /// From the event's `type`, which must satisfy this rule.
    Event(TypeRule),
}

/// Which types an event may state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TypeRule {
    /// The six types of the tracking API.
    Six,
    /// Any word of 1 to 32 letters `a` to `z`: webhook destinations also send `delete`.
    AnyWord,
}

/// The type that the event itself states.
pub(super) fn event_type(known: &Known<'_>, rule: TypeRule) -> Result<EventType, Rejection> {
    let types = match rule {
        TypeRule::Six => "track, identify, page, screen, group or alias",
        TypeRule::AnyWord => "a word of 1 to 32 letters a to z, like track",
    };
    let Some(value) = known.get(Field::Type) else {
        let message = format!("type is missing: it must be {types}");
        return Err(Rejection::new(Code::InvalidType, message));
    };
    let read = match rule {
        TypeRule::Six => EventType::known,
        TypeRule::AnyWord => EventType::parse,
    };
    let text = value.text();
    text.as_deref().and_then(read).ok_or_else(|| {
        let message = format!("type is {value}, not {types}");
        Rejection::new(Code::InvalidType, message)
    })
}

/// Applies the rules for all events and those for the event's type.
pub(super) fn check(known: &Known<'_>, event_type: &EventType) -> Result<(), Rejection> {
    use SegmentType::{Alias, Group, Identify, Page, Screen, Track};

    object(known, Field::Context, Code::ContextNotObject)?;
    object(known, Field::Integrations, Code::IntegrationsNotObject)?;
    check_identity(known, *event_type == EventType::Segment(Alias))?;
    match event_type {
        EventType::Segment(Track) => {
            event_name(known)?;
            object(known, Field::Properties, Code::PropertiesNotObject)
        }
        EventType::Segment(Page | Screen) => {
            string(known, Field::Name, Code::NameNotString)?;
            string(known, Field::Category, Code::CategoryNotString)?;
            object(known, Field::Properties, Code::PropertiesNotObject)
        }
        EventType::Segment(Identify | Group) => object(known, Field::Traits, Code::TraitsNotObject),
        EventType::Segment(Alias) | EventType::Other(_) => Ok(()),
    }
}

/// The `userId` as text, a number as it is written; `None` if it is empty, or neither a string nor a number.
pub(super) fn user_id(known: &Known<'_>) -> Option<String> {
    let value = known.get(Field::UserId).filter(|value| has_identity(*value))?;
    let text = value.lossy_text();
    Some(text.map_or_else(|| value.raw().to_owned(), Cow::into_owned))
}

fn has_identity(value: Value<'_>) -> bool {
    value.is_number() || (value.is_string() && value.raw() != r#""""#)
}

fn check_identity(known: &Known<'_>, alias: bool) -> Result<(), Rejection> {
    let named = |field| known.get(field).is_some_and(has_identity);
    if named(Field::UserId) || named(Field::AnonymousId) || (alias && named(Field::PreviousId)) {
        return Ok(());
    }
    let message = match known.get(Field::UserId).or(known.get(Field::AnonymousId)) {
        Some(value) => format!("{value} is not a userId or anonymousId"),
        None => "userId and anonymousId are both missing".to_owned(),
    };
    Err(Rejection::new(Code::NoUserAnonId, message))
}

fn event_name(known: &Known<'_>) -> Result<(), Rejection> {
    match known.get(Field::Event) {
        Some(value) if !value.is_string() => Err(wrong(Field::Event, value, "a string", Code::EventNotString)),
        Some(value) if value.raw() != r#""""# => Ok(()),
        _ => {
            let message = "event is missing or empty: a track event has a name";
            Err(Rejection::new(Code::EventNotDefined, message))
        }
    }
}

/// Checks that a member is an object, null or absent. Also used for the members of a batch's frame.
pub(super) fn object(known: &Known<'_>, field: Field, code: Code) -> Result<(), Rejection> {
    match known.get(field) {
        Some(value) if !value.is_object() => Err(wrong(field, value, "an object", code)),
        _ => Ok(()),
    }
}

fn string(known: &Known<'_>, field: Field, code: Code) -> Result<(), Rejection> {
    match known.get(field) {
        Some(value) if !value.is_string() => Err(wrong(field, value, "a string", code)),
        _ => Ok(()),
    }
}

fn wrong(field: Field, value: Value<'_>, expected: &str, code: Code) -> Rejection {
    Rejection::new(code, format!("{} is {value}, not {expected}", field.as_str()))
}

#[cfg(test)]
mod tests {
    use super::{EventType, TypeRule, check, event_type, user_id};
    use crate::event::envelope::Envelope;

    /// The code and the message of a rejection; empty if the event is valid.
    fn verdict(kind: &str, json: &str) -> String {
        let envelope = Envelope::alone(json).unwrap();
        let event_type = EventType::parse(kind).unwrap();
        match check(&envelope.known, &event_type) {
            Ok(()) => String::new(),
            Err(error) => format!("{}: {}", error.code.as_str(), error.message),
        }
    }

    #[test]
    fn every_event_needs_a_user_id_or_anonymous_id() {
        let missing = "no_user_anon_id: userId and anonymousId are both missing";
        let table = [
            (r#"{"userId":"u"}"#, ""),
            (r#"{"anonymousId":"a"}"#, ""),
            (r#"{"userId":"","anonymousId":"a"}"#, ""),
            (r#"{"userId":0}"#, ""),
            (r#"{"userId":-1.5e3}"#, ""),
            (r#"{}"#, missing),
            (r#"{"userId":null,"anonymousId":null}"#, missing),
            (r#"{"groupId":"g"}"#, missing),
            (r#"{"userId":"","anonymousId":""}"#, r#"no_user_anon_id: "" is not a userId or anonymousId"#),
            (r#"{"userId":true}"#, "no_user_anon_id: true is not a userId or anonymousId"),
            (r#"{"userId":{"a":1}}"#, "no_user_anon_id: an object is not a userId or anonymousId"),
            (r#"{"anonymousId":[1]}"#, "no_user_anon_id: an array is not a userId or anonymousId"),
        ];
        for (json, expected) in table {
            for kind in ["identify", "page", "screen", "group", "alias", "delete"] {
                assert_eq!(verdict(kind, json), expected, "{kind} {json}");
            }
        }
        assert_eq!(verdict("alias", r#"{"previousId":"p"}"#), "");
        assert_eq!(verdict("identify", r#"{"previousId":"p"}"#), missing);
    }

    #[test]
    fn a_track_event_has_a_name() {
        let undefined = "event_not_defined: event is missing or empty: a track event has a name";
        let table = [
            (r#""event":"Order""#, ""),
            (r#""event":"\ud83d""#, ""),
            (r#""a":1"#, undefined),
            (r#""event":null"#, undefined),
            (r#""event":"""#, undefined),
            (r#""event":42"#, "event_not_string: event is 42, not a string"),
            (r#""event":["a"]"#, "event_not_string: event is an array, not a string"),
        ];
        for (member, expected) in table {
            let json = format!(r#"{{"userId":"u",{member}}}"#);
            assert_eq!(verdict("track", &json), expected, "{json}");
            assert_eq!(verdict("page", &json), "", "{json}");
        }
    }

    #[test]
    fn members_are_checked_for_the_types_that_have_them() {
        let all = ["track", "identify", "page", "screen", "group", "alias", "delete"];
        let table: [(&str, &str, &[&str]); 6] = [
            ("properties", "object", &["track", "page", "screen"]),
            ("traits", "object", &["identify", "group"]),
            ("name", "string", &["page", "screen"]),
            ("category", "string", &["page", "screen"]),
            ("context", "object", &all),
            ("integrations", "object", &all),
        ];
        for (name, expected, kinds) in table {
            let values = [("null", None), ("{}", Some("object")), (r#""s""#, Some("string")), ("7", Some("number"))];
            for (value, is) in values {
                let json = format!(r#"{{"userId":1,"event":"e","{name}":{value}}}"#);
                for kind in all {
                    let fine = is.is_none_or(|is| is == expected) || !kinds.contains(&kind);
                    let seen = verdict(kind, &json);
                    let code = format!("{name}_not_{expected}: ");
                    assert_eq!(seen.is_empty(), fine, "{kind} {json} {seen}");
                    assert!(fine || seen.starts_with(&code), "{kind} {json} {seen}");
                }
            }
        }
        let seen = verdict("page", r#"{"userId":1,"name":[]}"#);
        assert_eq!(seen, "name_not_string: name is an array, not a string");
    }

    #[test]
    fn a_batchs_event_has_one_of_six_types() {
        let table = [
            (r#"{"type":"track"}"#, Ok("track")),
            (r#"{"type":"\u0061lias"}"#, Ok("alias")),
            (r#"{"type":"delete"}"#, Err("type is \"delete\", not ")),
            (r#"{"type":"Track"}"#, Err("type is \"Track\", not ")),
            (r#"{"type":3}"#, Err("type is 3, not ")),
            (r#"{"type":"\ud800"}"#, Err("type is \"\\ud800\", not ")),
            (r#"{"type":null}"#, Err("type is missing: ")),
            (r#"{}"#, Err("type is missing: ")),
        ];
        for (json, expected) in table {
            let envelope = Envelope::alone(json).unwrap();
            match (event_type(&envelope.known, TypeRule::Six), expected) {
                (Ok(seen), Ok(kind)) => assert_eq!(seen.as_str(), kind),
                (Err(error), Err(start)) => assert!(error.message.starts_with(start), "{error}"),
                (seen, _) => panic!("{json}: {seen:?}"),
            }
        }
    }

    #[test]
    fn a_webhooks_event_has_any_word_as_its_type() {
        let verdict = |json: &str| {
            let envelope = Envelope::alone(json).unwrap();
            event_type(&envelope.known, TypeRule::AnyWord).map(|seen| seen.as_str().to_owned())
        };
        assert_eq!(verdict(r#"{"type":"track"}"#).unwrap(), "track");
        assert_eq!(verdict(r#"{"type":"delete"}"#).unwrap(), "delete");
        for (json, start) in [
            (r#"{"type":"../x"}"#, r#"type is "../x", not a word"#),
            (r#"{"type":"Delete"}"#, r#"type is "Delete", not a word"#),
            ("{}", "type is missing: it must be a word"),
        ] {
            let error = verdict(json).unwrap_err();
            assert!(error.message.starts_with(start), "{error}");
        }
    }

    #[test]
    fn a_user_id_is_text() {
        let table = [
            (r#""u\u0031""#, Some("u1")),
            ("00", None),
            ("9007199254740993000", Some("9007199254740993000")),
            ("1.50", Some("1.50")),
            (r#""""#, None),
            ("null", None),
            ("false", None),
            (r#""\ud800""#, Some("\u{fffd}\u{fffd}\u{fffd}")),
        ];
        for (json, expected) in table {
            let json = format!(r#"{{"userId":{json}}}"#);
            let seen = Envelope::alone(&json).ok().and_then(|envelope| user_id(&envelope.known));
            assert_eq!(seen.as_deref(), expected, "{json}");
        }
    }
}
