//! Reads the members of an event or of a batch's frame, and finds those of the envelope.

use super::field::Field;
use super::object::{ValidMembers, for_each_member};
use super::rejection::{Code, Rejection};
use super::value::Value;

/// A member of an event, as sent.
pub(super) struct Member<'a> {
    pub(super) key: Value<'a>,
    /// The envelope's field that the key names, if any.
    pub(super) field: Option<Field>,
    pub(super) value: Value<'a>,
}

/// Initial capacity for members: those of a typical event need no second allocation.
const TYPICAL_MEMBERS: usize = 24;

/// The values of the envelope's members, by field.
#[derive(Default)]
pub(super) struct Known<'a>([Option<Value<'a>>; Field::COUNT]);

impl<'a> Known<'a> {
    /// The member's value; `None` if it is absent or null.
    pub(super) fn get(&self, field: Field) -> Option<Value<'a>> {
        self.0[field as usize].filter(|value| !value.is_null())
    }

    /// Adds a member, and returns whether it is new. A second one with another value is an error; with the same value it
    /// does no harm, and RudderStack's Rust library sends it.
    fn add(&mut self, field: Field, value: Value<'a>) -> Result<bool, Rejection> {
        match self.0[field as usize] {
            None => {
                self.0[field as usize] = Some(value);
                Ok(true)
            }
            Some(first) if first.raw() == value.raw() => Ok(false),
            Some(_) => {
                let message = format!("{} occurs more than once, with different values", field.as_str());
                Err(Rejection::new(Code::DuplicateKey, message))
            }
        }
    }
}

/// The members of one event, as sent.
pub(super) struct Envelope<'a> {
    /// All members, in order, duplicates of unknown ones included.
    pub(super) members: Vec<Member<'a>>,
    /// The values of those of the envelope.
    pub(super) known: Known<'a>,
}

impl<'a> Envelope<'a> {
    /// Reads an event, which must be an object with one value for each member of the envelope.
    pub(super) fn read(json: &'a str) -> Result<Self, Rejection> {
        let mut reader = Reader::default();
        for_each_member(json, |key, value| reader.add(key, value))?;
        reader.finish()
    }

    /// Reads an event whose text is known to be a JSON object.
    pub(super) fn read_valid(json: &'a str) -> Result<Self, Rejection> {
        let mut reader = Reader::default();
        ValidMembers::of(json).for_each(|(key, value)| reader.add(key, value));
        reader.finish()
    }
}

/// The members of an event that were read so far.
struct Reader<'a> {
    members: Vec<Member<'a>>,
    known: Known<'a>,
    fault: Option<Rejection>,
}

impl Default for Reader<'_> {
    fn default() -> Self {
        Self { members: Vec::with_capacity(TYPICAL_MEMBERS), known: Known::default(), fault: None }
    }
}

impl<'a> Reader<'a> {
    fn add(&mut self, key: Value<'a>, value: Value<'a>) {
        // In an event `batch` is a member like any other.
        let field = Field::of(key).filter(|field| *field != Field::Batch);
        let value = as_object(field, value);
        let is_new = match field {
            Some(field) => self.known.add(field, value).unwrap_or_else(|rejection| {
                self.fault.get_or_insert(rejection);
                false
            }),
            None => true,
        };
        if is_new {
            self.members.push(Member { key, field, value });
        }
    }

    fn finish(self) -> Result<Envelope<'a>, Rejection> {
        let Self { members, known, fault } = self;
        fault.map_or(Ok(Envelope { members, known }), Err)
    }
}

/// The value of a member, or an empty object if it is an empty array and should be an object: PHP has one type for both,
/// and writes `[]` for an empty one.
fn as_object(field: Option<Field>, value: Value<'_>) -> Value<'_> {
    let is_of_objects = field.is_some_and(Field::is_of_objects);
    if is_of_objects && value.is_empty_array() { Value::new("{}") } else { value }
}

/// Reads the frame of a batch, of which only the known members matter.
pub(super) fn read_frame(json: &str) -> Result<Known<'_>, Rejection> {
    let mut known = Known::default();
    let mut fault = None;
    for_each_member(json, |key, value| {
        if let Some(field) = Field::of(key)
            && let Err(rejection) = known.add(field, as_object(Some(field), value))
        {
            fault.get_or_insert(rejection);
        }
    })?;
    fault.map_or(Ok(known), Err)
}

#[cfg(test)]
mod tests {
    use super::{Envelope, read_frame};
    use crate::event::field::Field;

    #[test]
    fn a_member_that_is_repeated_with_the_same_value_is_read_once() {
        let json = r#"{"type":"track","a":1,"a":1,"t\u0079pe":"track","userId":[ 1 ],"userId":[ 1 ]}"#;
        let envelope = Envelope::read(json).unwrap();
        let keys: Vec<_> = envelope.members.iter().map(|member| member.key.raw()).collect();
        assert_eq!(keys, [r#""type""#, r#""a""#, r#""a""#, r#""userId""#]);
        assert_eq!(read_frame(r#"{"batch":[1],"batch":[1]}"#).unwrap().get(Field::Batch).unwrap().raw(), "[1]");
        for different in
            [r#"{"type":"track","type":"page"}"#, r#"{"userId":1,"userId":1.0}"#, r#"{"userId":null,"userId":1}"#]
        {
            assert!(Envelope::read(different).is_err() && read_frame(different).is_err(), "{different}");
        }
    }

    #[test]
    fn an_empty_array_stands_for_an_empty_object() {
        for field in Field::ALL {
            let name = field.as_str();
            for (sent, expected) in [("[]", "{}"), ("[ \n]", "{}"), ("[1]", "[1]"), ("[[]]", "[[]]"), ("{}", "{}")] {
                let json = format!(r#"{{"{name}":{sent},"other":[]}}"#);
                let expected = if field.is_of_objects() { expected } else { sent };
                assert_eq!(read_frame(&json).unwrap().get(field).unwrap().raw(), expected, "{json}");
                let event = Envelope::read(&json).unwrap();
                assert_eq!((event.members[0].value.raw(), event.members[1].value.raw()), (expected, "[]"), "{json}");
            }
        }
    }

    #[test]
    fn duplicate_members_of_the_envelope_are_refused() {
        for field in Field::ALL {
            let text = field.as_str();
            let (first, rest) = text.split_at(1);
            let escaped = format!("\\u{:04x}{rest}", first.as_bytes()[0]);
            for other in [text, &escaped] {
                let json = format!(r#"{{"{text}":null,"a":1,"a":2,"{other}":3}}"#);
                let frame = read_frame(&json).err().unwrap();
                assert_eq!(frame.message, format!("{text} occurs more than once, with different values"));
                match Envelope::read(&json) {
                    Ok(envelope) => {
                        assert_eq!(field, Field::Batch);
                        assert_eq!(envelope.members.len(), 4);
                    }
                    Err(error) => assert_eq!(error, frame),
                }
            }
        }
    }

    #[test]
    fn a_duplicate_does_not_hide_bad_json() {
        let error = Envelope::read(r#"{"type":1,"type":2"#).err().unwrap();
        assert!(error.message.starts_with("the body is not JSON"), "{error}");
    }

    #[test]
    fn null_is_absent() {
        let envelope = Envelope::read(r#"{"userId":null,"event":""}"#).unwrap();
        assert!(envelope.known.get(Field::UserId).is_none());
        assert!(envelope.known.get(Field::Type).is_none());
        assert_eq!(envelope.known.get(Field::Event).unwrap().raw(), r#""""#);
    }
}
