//! Scans JSON text (RFC 8259) once, from left to right, and finds the extent of its values. Pure.
//!
//! It accepts exactly the texts that serde_json accepts for a value that stays text, in about a third of the time, and
//! allocates nothing for usual nesting. It does not say what is wrong with a text: serde_json words that.

#[cfg(test)]
mod tests;

use std::{ptr, slice};

use super::value::Value;

/// One in each byte of a word, and the highest bit of each byte.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHEST_BITS: u64 = u64::from_ne_bytes([0x80; 8]);

/// The shortest object or array that is noted: to find the end of a shorter one again costs little. Short in tests, whose
/// generated values are.
const MIN_NOTED_BYTES: usize = if cfg!(test) { 8 } else { 64 };

/// Maximum number of objects and arrays that are noted, which bounds their memory. The rest are scanned again.
const MAX_NOTED: usize = 8_192;

/// A position in JSON text. Every method that returns `None` has met text that is not JSON; the position is then
/// meaningless.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The objects and arrays in the members of the objects that were scanned, if they are noted.
    noted: Option<Vec<Value<'a>>>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, noted: None }
    }

    /// From here on, notes the objects and arrays directly in each scanned value. With them,
    /// [`next_member`](Self::next_member) reads the members of that value without a second scan of their content.
    pub(super) fn note_nested(&mut self) {
        self.noted = Some(Vec::new());
    }

    /// The noted objects and arrays, in their order. No more are noted.
    pub(super) fn take_noted(&mut self) -> Vec<Value<'a>> {
        self.noted.take().unwrap_or_default()
    }

    /// Scans the value of a member. If it is the first of `noted`, which must be of the same text, its end is known.
    pub(super) fn next_member(&mut self, noted: &mut slice::Iter<'_, Value<'a>>) -> Option<Value<'a>> {
        self.next_byte()?;
        let here = self.text.as_bytes().get(self.at..)?.as_ptr();
        match noted.as_slice().first() {
            Some(value) if ptr::eq(value.raw().as_ptr(), here) => {
                noted.next();
                self.at += value.raw().len();
                Some(*value)
            }
            _ => self.value(),
        }
    }

    /// Scans an object. `read` is called for each member with its key, a string with its quotes and escapes, and must
    /// scan its value.
    pub(super) fn object(&mut self, mut read: impl FnMut(Value<'a>, &mut Self) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.next_byte()? == b'}' {
            return self.take(b'}');
        }
        loop {
            self.next_byte()?;
            let key = self.value_of(Self::string)?;
            self.take(b':')?;
            read(key, self)?;
            match self.next_byte()? {
                b',' => self.at += 1,
                _ => return self.take(b'}'),
            }
        }
    }

    /// Scans an array, and calls `each` for its items.
    pub(super) fn array(&mut self, mut each: impl FnMut(Value<'a>)) -> Option<()> {
        self.take(b'[')?;
        if self.next_byte()? == b']' {
            return self.take(b']');
        }
        loop {
            each(self.value()?);
            match self.next_byte()? {
                b',' => self.at += 1,
                _ => return self.take(b']'),
            }
        }
    }

    /// Scans the start of an array up to the end of its first item, and returns that; `None` also for an empty array.
    pub(super) fn first_item(&mut self) -> Option<Value<'a>> {
        self.take(b'[')?;
        let item = self.value()?;
        matches!(self.next_byte()?, b',' | b']').then_some(item)
    }

    /// Scans a value of any kind.
    pub(super) fn value(&mut self) -> Option<Value<'a>> {
        self.next_byte()?;
        self.value_of(Self::skip_value)
    }

    /// Scans the end of the text, which only white space may precede.
    pub(super) fn end(&mut self) -> Option<()> {
        self.next_byte().is_none().then_some(())
    }

    /// The next byte that is not white space, which becomes the position; `None` at the end of the text.
    pub(super) fn next_byte(&mut self) -> Option<u8> {
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// The text that `scan` scans, which begins at the position.
    pub(super) fn value_of(&mut self, scan: impl FnOnce(&mut Self) -> Option<()>) -> Option<Value<'a>> {
        let start = self.at;
        scan(self)?;
        Some(Value::new(self.text.get(start..self.at)?))
    }

    /// Scans `byte`, after any white space.
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next_byte()? == byte).then(|| self.at += 1)
    }

    /// Scans the value that begins at the position: a loop, since a client decides how deep it is nested.
    fn skip_value(&mut self) -> Option<()> {
        let mut nesting = Nesting::default();
        // Where the object or array directly in the value begins.
        let mut nested_at = 0;
        loop {
            let byte = self.next_byte()?;
            if nesting.depth == 1 {
                nested_at = self.at;
            }
            match byte {
                b'"' => self.string()?,
                b'{' => {
                    self.at += 1;
                    if self.next_byte()? != b'}' {
                        nesting.enter(true);
                        self.key()?;
                        continue;
                    }
                    self.at += 1;
                }
                b'[' => {
                    self.at += 1;
                    if self.next_byte()? != b']' {
                        nesting.enter(false);
                        continue;
                    }
                    self.at += 1;
                }
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => return None,
            }
            // A value has ended, and with it perhaps the arrays and objects around it.
            loop {
                let Some(in_object) = nesting.is_in_object() else { return Some(()) };
                match (self.next_byte()?, in_object) {
                    (b',', true) => {
                        self.at += 1;
                        self.key()?;
                        break;
                    }
                    (b',', false) => {
                        self.at += 1;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        nesting.leave();
                        if nesting.depth == 1 {
                            self.note(nested_at)?;
                        }
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Notes the value from `start` to the position, if values are noted.
    fn note(&mut self, start: usize) -> Option<()> {
        if let Some(noted) = &mut self.noted
            && self.at - start >= MIN_NOTED_BYTES
            && noted.len() < MAX_NOTED
        {
            noted.push(Value::new(self.text.get(start..self.at)?));
        }
        Some(())
    }

    /// Scans a key and its colon.
    fn key(&mut self) -> Option<()> {
        self.next_byte()?;
        self.string()?;
        self.take(b':')
    }

    /// Scans the string that begins at the position.
    fn string(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        if *bytes.get(self.at)? != b'"' {
            return None;
        }
        let mut at = self.at + 1;
        loop {
            // Eight bytes at a time, up to one that ends the string, escapes or is not allowed.
            while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
                let special = special_bytes(u64::from_le_bytes(*word));
                if special != 0 {
                    at += special.trailing_zeros() as usize / 8;
                    break;
                }
                at += 8;
            }
            match *bytes.get(at)? {
                b'"' => {
                    self.at = at + 1;
                    return Some(());
                }
                b'\\' => at = escape_end(bytes, at)?,
                0..0x20 => return None,
                _ => at += 1,
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        let mut at = self.at + usize::from(byte(self.at) == b'-');
        // A number has no leading zeros.
        at = if byte(at) == b'0' { at + 1 } else { digits_end(bytes, at)? };
        if byte(at) == b'.' {
            at = digits_end(bytes, at + 1)?;
        }
        if matches!(byte(at), b'e' | b'E') {
            let is_signed = matches!(byte(at + 1), b'+' | b'-');
            at = digits_end(bytes, at + 1 + usize::from(is_signed))?;
        }
        self.at = at;
        Some(())
    }

    fn literal(&mut self, literal: &str) -> Option<()> {
        self.text.as_bytes().get(self.at..)?.starts_with(literal.as_bytes()).then(|| self.at += literal.len())
    }
}

/// The highest bit of each byte that ends a string, escapes or is a control character. Bits above the lowest one that is
/// set may be wrong, because the subtractions borrow.
fn special_bytes(word: u64) -> u64 {
    let equal = |byte: u8| {
        let difference = word ^ (ONES * u64::from(byte));
        difference.wrapping_sub(ONES) & !difference
    };
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (equal(b'"') | equal(b'\\') | control) & HIGHEST_BITS
}

/// The index after the escape that begins at `at`. Any four hexadecimal digits are valid, an unpaired surrogate too.
fn escape_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit).then_some(at + 6),
        _ => None,
    }
}

/// The index after the digits that begin at `at`, of which there is at least one.
fn digits_end(bytes: &[u8], at: usize) -> Option<usize> {
    let digits = bytes.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then_some(at + digits)
}

/// The arrays and objects around a position: one bit each, which is 1 for an object; the innermost is the lowest.
#[derive(Default)]
struct Nesting {
    depth: usize,
    innermost: u64,
    /// Those further out, 64 at a time.
    outer: Vec<u64>,
}

impl Nesting {
    fn enter(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.innermost);
        }
        self.innermost = self.innermost << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.innermost >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.innermost = self.outer.pop().unwrap_or_default();
        }
    }

    /// Whether the innermost is an object; `None` if there is none.
    fn is_in_object(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.innermost & 1 == 1)
    }
}
