//! Reads the members of an event or of a batch's frame, and finds those of the envelope.

use std::slice;

use super::field::Field;
use super::object::not_an_object;
use super::rejection::{Code, Rejection};
use super::scanner::Scanner;
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
    /// Reads an event, which must be an object with one value for each member of the envelope. `noted` begins with those
    /// of its objects and arrays that were noted when its batch was scanned.
    pub(super) fn read(json: &'a str, noted: &mut slice::Iter<'_, Value<'a>>) -> Result<Self, Rejection> {
        let (mut reader, mut scanner) = (Reader::default(), Scanner::new(json));
        let scanned = scanner.object(|key, scanner| {
            reader.add(key, scanner.next_member(noted)?);
            Some(())
        });
        scanned.and_then(|()| scanner.end()).ok_or_else(|| not_an_object(json))?;
        reader.finish()
    }
}

#[cfg(test)]
impl<'a> Envelope<'a> {
    /// Reads an event of which nothing was scanned before.
    pub(super) fn alone(json: &'a str) -> Result<Self, Rejection> {
        Self::read(json, &mut [].iter())
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

/// A batch request without its events' members.
#[derive(Default)]
pub(super) struct Frame<'a> {
    /// The values of its members.
    pub(super) known: Known<'a>,
    /// The items of `batch`; `None` if that is not an array.
    pub(super) items: Option<Items<'a>>,
}

/// The items of an array.
#[derive(Default)]
pub(super) struct Items<'a> {
    /// The first of them, up to a maximum: a body of 1 MiB can have half a million.
    pub(super) first: Vec<Value<'a>>,
    /// The number of all.
    pub(super) count: usize,
    /// Their objects and arrays, as [`Scanner::note_nested`] says.
    pub(super) noted: Vec<Value<'a>>,
}

impl<'a> Items<'a> {
    fn add(&mut self, item: Value<'a>, max: usize) {
        if self.first.len() < max {
            self.first.push(item);
        }
        self.count += 1;
    }

    /// Scans an array, and keeps at most `max` items. Without items to read again, nothing is noted.
    pub(super) fn scan(scanner: &mut Scanner<'a>, max: usize) -> Option<Self> {
        let mut items = Self::default();
        if max > 0 {
            scanner.note_nested();
        }
        scanner.array(|item| items.add(item, max))?;
        items.noted = scanner.take_noted();
        Some(items)
    }
}

/// Reads the frame of a batch, of which only the known members matter, and keeps at most `max_items` items of `batch`.
pub(super) fn read_frame(json: &str, max_items: usize) -> Result<Frame<'_>, Rejection> {
    let mut frame = Frame::default();
    let mut fault = None;
    let mut scanner = Scanner::new(json);
    let scanned = scanner.object(|key, scanner| {
        let field = Field::of(key);
        let value = if field == Some(Field::Batch) && scanner.next_byte()? == b'[' {
            scanner.value_of(|scanner| {
                frame.items = Some(Items::scan(scanner, max_items)?);
                Some(())
            })?
        } else {
            scanner.value()?
        };
        if let Some(field) = field
            && let Err(rejection) = frame.known.add(field, as_object(Some(field), value))
        {
            fault.get_or_insert(rejection);
        }
        Some(())
    });
    scanned.and_then(|()| scanner.end()).ok_or_else(|| not_an_object(json))?;
    fault.map_or(Ok(frame), Err)
}

#[cfg(test)]
mod tests {
    use super::{Envelope, read_frame};
    use crate::event::field::Field;

    #[test]
    fn a_member_that_is_repeated_with_the_same_value_is_read_once() {
        let json = r#"{"type":"track","a":1,"a":1,"t\u0079pe":"track","userId":[ 1 ],"userId":[ 1 ]}"#;
        let envelope = Envelope::alone(json).unwrap();
        let keys: Vec<_> = envelope.members.iter().map(|member| member.key.raw()).collect();
        assert_eq!(keys, [r#""type""#, r#""a""#, r#""a""#, r#""userId""#]);
        assert_eq!(
            read_frame(r#"{"batch":[1],"batch":[1]}"#, 9).unwrap().known.get(Field::Batch).unwrap().raw(),
            "[1]"
        );
        for different in
            [r#"{"type":"track","type":"page"}"#, r#"{"userId":1,"userId":1.0}"#, r#"{"userId":null,"userId":1}"#]
        {
            assert!(Envelope::alone(different).is_err() && read_frame(different, 9).is_err(), "{different}");
        }
    }

    #[test]
    fn an_empty_array_stands_for_an_empty_object() {
        for field in Field::ALL {
            let name = field.as_str();
            for (sent, expected) in [("[]", "{}"), ("[ \n]", "{}"), ("[1]", "[1]"), ("[[]]", "[[]]"), ("{}", "{}")] {
                let json = format!(r#"{{"{name}":{sent},"other":[]}}"#);
                let expected = if field.is_of_objects() { expected } else { sent };
                assert_eq!(read_frame(&json, 9).unwrap().known.get(field).unwrap().raw(), expected, "{json}");
                let event = Envelope::alone(&json).unwrap();
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
                let frame = read_frame(&json, 9).err().unwrap();
                assert_eq!(frame.message, format!("{text} occurs more than once, with different values"));
                match Envelope::alone(&json) {
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
        let error = Envelope::alone(r#"{"type":1,"type":2"#).err().unwrap();
        assert!(error.message.starts_with("the body is not JSON"), "{error}");
    }

    #[test]
    fn null_is_absent() {
        let envelope = Envelope::alone(r#"{"userId":null,"event":""}"#).unwrap();
        assert!(envelope.known.get(Field::UserId).is_none());
        assert!(envelope.known.get(Field::Type).is_none());
        assert_eq!(envelope.known.get(Field::Event).unwrap().raw(), r#""""#);
    }
}
