//! Reads the members of an event or of a batch's frame, and finds those of the envelope.

use super::field::Field;
use super::object::for_each_member;
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

    /// Adds a member; a duplicate is an error.
    fn add(&mut self, field: Field, value: Value<'a>) -> Result<(), Rejection> {
        match self.0[field as usize].replace(value) {
            None => Ok(()),
            Some(_) => {
                let message = format!("{} occurs more than once", field.as_str());
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
    /// Reads an event, which must be an object with each member of the envelope at most once.
    pub(super) fn read(json: &'a str) -> Result<Self, Rejection> {
        let mut members = Vec::with_capacity(TYPICAL_MEMBERS);
        let mut known = Known::default();
        let mut outcome = Ok(());
        for_each_member(json, |key, value| {
            // In an event `batch` is a member like any other.
            let field = Field::of(key).filter(|field| *field != Field::Batch);
            members.push(Member { key, field, value });
            if let (Some(field), Ok(())) = (field, &outcome) {
                outcome = known.add(field, value);
            }
        })?;
        outcome.map(|()| Self { members, known })
    }
}

/// Reads the frame of a batch, of which only the known members matter.
pub(super) fn read_frame(json: &str) -> Result<Known<'_>, Rejection> {
    let mut known = Known::default();
    let mut outcome = Ok(());
    for_each_member(json, |key, value| {
        if let (Some(field), Ok(())) = (Field::of(key), &outcome) {
            outcome = known.add(field, value);
        }
    })?;
    outcome.map(|()| known)
}

#[cfg(test)]
mod tests {
    use super::{Envelope, read_frame};
    use crate::event::field::Field;

    #[test]
    fn duplicate_members_of_the_envelope_are_refused() {
        for field in Field::ALL {
            let text = field.as_str();
            let (first, rest) = text.split_at(1);
            let escaped = format!("\\u{:04x}{rest}", first.as_bytes()[0]);
            for other in [text, &escaped] {
                let json = format!(r#"{{"{text}":null,"a":1,"a":2,"{other}":3}}"#);
                let frame = read_frame(&json).err().unwrap();
                assert_eq!(frame.message, format!("{text} occurs more than once"));
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
