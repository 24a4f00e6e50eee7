//! Reads RFC 3339 timestamps, with the deviations that clients make. Pure.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

/// The start of year 0, the earliest time that RFC 3339 can represent.
pub(super) const MIN_TIMESTAMP: Timestamp = Timestamp::constant(-62_167_219_200, 0);

/// Maximum digits of a second's fraction that are read: nanoseconds, as in jiff.
pub(super) const MAX_FRACTION_DIGITS: usize = 9;

/// Reads RFC 3339, also with a space for the `T`, without separators, without an offset (then it is UTC) or as a date
/// only (then it is midnight).
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    // Excludes a signed or longer year and the name of a time zone, which jiff would read.
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let has_date = match digits {
        4 => bytes.len() >= 10 && bytes[4] == b'-',
        // A date without separators must have a time: eight digits alone can be anything.
        8 => bytes.len() > 8,
        _ => false,
    };
    if !has_date || bytes.contains(&b'[') {
        return None;
    }
    let text = without_excess_digits(text);
    let pieces = Pieces::parse(text.as_ref()).ok()?;
    let local = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    let timestamp = offset.to_timestamp(local).ok()?;
    (timestamp >= MIN_TIMESTAMP).then_some(timestamp)
}

/// Truncates a longer fraction: RFC 3339 allows any length, jiff nine digits.
fn without_excess_digits(text: &str) -> Cow<'_, str> {
    let Some((before, fraction)) = text.split_once('.') else {
        return Cow::Borrowed(text);
    };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if digits <= MAX_FRACTION_DIGITS {
        return Cow::Borrowed(text);
    }
    let (kept, after) = (&fraction[..MAX_FRACTION_DIGITS], &fraction[digits..]);
    Cow::Owned(format!("{before}.{kept}{after}"))
}
