//! Reads the times that client libraries send in other forms than RFC 3339, for [`time::read`](super::time::read), which
//! tries that form first. Pure.
//!
//! If a time can't be read, the event's key has the time of receipt, so the event gets a second object if it is sent
//! again.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::rfc_3339::{self, MAX_FRACTION_DIGITS};

/// Maximum bytes of a time that is read: more than any form needs, in any script's digits.
const MAX_BYTES: usize = 96;

/// Digits of seconds since 1970: the years 1973 to 2286.
const SECONDS_DIGITS: std::ops::RangeInclusive<usize> = 9..=10;
/// Digits of milliseconds since 1970: the same years.
const MILLIS_DIGITS: std::ops::RangeInclusive<usize> = 12..=13;

/// The characters for zero in the scripts whose digits devices print in dates: Arabic, Persian, Devanagari, Bengali,
/// Thai and Burmese. The other digits follow them.
const ZEROS: [char; 6] = ['٠', '۰', '०', '০', '๐', '၀'];

const RFC_2822: rfc2822::DateTimeParser = rfc2822::DateTimeParser::new();

/// Reads a text that is not RFC 3339:
///
/// | form | example |
/// | --- | --- |
/// | seconds or milliseconds since 1970 | `1700000000`, `1700000000123`, `1700000000.123` |
/// | compact ISO 8601 | `20260305T100000Z` |
/// | a colon before the Z (Segment's Swift library) | `2021-10-16T16:00:27.029:Z` |
/// | an offset or a zone after a space (Ruby, Go) | `2026-03-05 10:00:00 UTC`, `… +0000`, `… +0000 UTC` |
/// | RFC 2822 (JavaScript's `toUTCString`) | `Thu, 05 Mar 2026 10:00:00 GMT` |
/// | digits of other scripts | `٢٠٢٦-٠٣-٠٥T١٠:٠٠:٠٠Z` |
pub(super) fn read(text: &str) -> Option<Timestamp> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let text = &with_ascii_digits(text.trim_ascii());
    since_1970(text).or_else(|| rfc_3339::read(&repaired(text))).or_else(|| RFC_2822.parse_timestamp(&**text).ok())
}

/// Reads a decimal number of seconds or milliseconds since 1970; which of them, its number of digits tells.
pub(super) fn since_1970(number: &str) -> Option<Timestamp> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_decimal = [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if !is_decimal || whole.len() > *MILLIS_DIGITS.end() {
        return None;
    }
    let digits = whole.len();
    let whole: i64 = whole.parse().ok()?;
    if MILLIS_DIGITS.contains(&digits) {
        return Timestamp::from_millisecond(whole).ok();
    }
    if !SECONDS_DIGITS.contains(&digits) {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(MAX_FRACTION_DIGITS)];
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Timestamp::new(whole, nanoseconds).ok()
}

/// The time as RFC 3339 writes it, if it differs in one of the known ways; otherwise as it is.
fn repaired(text: &str) -> Cow<'_, str> {
    if let Some(time) = text.strip_suffix(":Z") {
        return Cow::Owned(format!("{time}Z"));
    }
    let time = [" UTC", " GMT", " Z"].iter().find_map(|zone| text.strip_suffix(zone)).unwrap_or(text);
    match time.rsplit_once(' ') {
        Some((time, offset)) if offset.starts_with(['+', '-']) => Cow::Owned(format!("{time}{offset}")),
        _ => Cow::Borrowed(time),
    }
}

fn with_ascii_digits(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let ascii = |c: char| {
        let digit =
            ZEROS.iter().find_map(|zero| u32::from(c).checked_sub(u32::from(*zero)).filter(|digit| *digit < 10));
        digit.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c)
    };
    Cow::Owned(text.chars().map(ascii).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_client_libraries_are_read() {
        for (text, expected) in [
            ("1700000000", "2023-11-14T22:13:20Z"),
            ("1700000000.5", "2023-11-14T22:13:20.5Z"),
            ("1700000000.1234567899", "2023-11-14T22:13:20.123456789Z"),
            ("1700000000123", "2023-11-14T22:13:20.123Z"),
            ("1700000000123.9", "2023-11-14T22:13:20.123Z"),
            ("100000000", "1973-03-03T09:46:40Z"),
            ("9999999999", "2286-11-20T17:46:39Z"),
            ("9999999999999", "2286-11-20T17:46:39.999Z"),
            ("20260305T100000Z", "2026-03-05T10:00:00Z"),
            ("20260305T100000.123Z", "2026-03-05T10:00:00.123Z"),
            ("20260305T100000+0200", "2026-03-05T08:00:00Z"),
            ("20260305T100000", "2026-03-05T10:00:00Z"),
            ("2021-10-16T16:00:27.029:Z", "2021-10-16T16:00:27.029Z"),
            ("2026-03-05 10:00:00 UTC", "2026-03-05T10:00:00Z"),
            ("2026-03-05 10:00:00.5 GMT", "2026-03-05T10:00:00.5Z"),
            ("2026-03-05 10:00:00 +0000", "2026-03-05T10:00:00Z"),
            ("2026-03-05 10:00:00 -0800", "2026-03-05T18:00:00Z"),
            ("2026-03-05 10:00:00 +0000 UTC", "2026-03-05T10:00:00Z"),
            ("Thu, 05 Mar 2026 10:00:00 GMT", "2026-03-05T10:00:00Z"),
            ("٢٠٢٦-٠٣-٠٥T١٠:٠٠:٠٠.١٢٣Z", "2026-03-05T10:00:00.123Z"),
            ("۲۰۲۶-۰۳-۰۵T۱۰:۰۰:۰۰Z", "2026-03-05T10:00:00Z"),
            ("२०२६-०३-०५T१०:००:००Z", "2026-03-05T10:00:00Z"),
            (" 2026-03-05T10:00:00Z ", "2026-03-05T10:00:00Z"),
        ] {
            assert_eq!(read(text).map(|read| read.to_string()).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_are_not_taken_for_times() {
        let long = "1".repeat(200);
        for text in [
            "",
            " ",
            ".",
            "now",
            "0",
            "1",
            "-1700000000",
            "+1700000000",
            "1.7e9",
            "1700000000.",
            ".5",
            "17000000001",
            "17000000000000",
            "1700000000123456789",
            "20260305",
            "20261305T100000Z",
            "2026-03-05 10:00:00 PST",
            "2026-03-05T10:00:00 PM",
            "05/03/2026",
            "2569-03-05T10:00:00:Z Z",
            "UTC",
            " +0000",
            "٢٠٢٦",
            long.as_str(),
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
