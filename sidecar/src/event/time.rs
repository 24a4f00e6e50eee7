//! Parses clients' timestamps, corrects them for clients' clocks, and prints them.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

use super::client_time;
use super::rfc_3339::{self, MIN_TIMESTAMP};
use super::value::Value;

const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// Reads a client's timestamp: RFC 3339, or one of the forms that [`client_time`] reads. `None` for anything else.
pub(super) fn read(value: Value<'_>) -> Option<Timestamp> {
    if value.is_number() {
        return client_time::since_1970(value.raw());
    }
    let text = value.text()?;
    rfc_3339::read(&text).or_else(|| client_time::read(&text))
}

/// The time of the event by the server's clock, for a client whose clock is wrong: `receivedAt - (sentAt -
/// originalTimestamp)`, Segment's rule, limited to the years 0 to 9999.
pub(super) fn corrected(received: Timestamp, sent: Timestamp, original: Timestamp) -> Timestamp {
    received.saturating_sub(sent.duration_since(original)).unwrap_or(received).max(MIN_TIMESTAMP)
}

/// Truncates to the millisecond, as it is printed: readers who compute with the stored members then get the same
/// results as the sidecar.
pub(super) fn to_millis(timestamp: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(timestamp.as_millisecond()).unwrap_or(timestamp)
}

/// Prints a timestamp as a JSON string: RFC 3339 in UTC with milliseconds and `Z`.
pub(super) fn quoted(timestamp: Timestamp) -> String {
    format!("\"{}\"", PRINTER.timestamp_to_string(&timestamp))
}

#[cfg(test)]
mod tests {
    use super::{MIN_TIMESTAMP, Timestamp, Value, corrected, quoted, read, to_millis};

    fn printed(text: &str) -> Option<String> {
        let json = format!("\"{text}\"");
        read(Value::new(&json)).map(|timestamp| timestamp.to_string())
    }

    #[test]
    fn timestamps_are_read() {
        let table = [
            ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z"),
            ("2026-11-23T12:00:00.123Z", "2026-11-23T12:00:00.123Z"),
            ("2026-11-23t12:00:00.123456789z", "2026-11-23T12:00:00.123456789Z"),
            ("2026-11-23T12:00:00.1234567899999Z", "2026-11-23T12:00:00.123456789Z"),
            ("2026-11-23T12:00:00.12345678999+02:00", "2026-11-23T10:00:00.123456789Z"),
            ("2026-11-23T12:00:00+05:30", "2026-11-23T06:30:00Z"),
            ("2026-11-23T12:00:00-0800", "2026-11-23T20:00:00Z"),
            ("2026-11-23T12:00:00-00:00", "2026-11-23T12:00:00Z"),
            ("2026-11-23 12:00:00", "2026-11-23T12:00:00Z"),
            ("2026-11-23T12:00:00.5", "2026-11-23T12:00:00.5Z"),
            ("2026-11-23", "2026-11-23T00:00:00Z"),
            ("2026-11-23T\\u0031\\u0032:00:00Z", "2026-11-23T12:00:00Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ];
        for (text, expected) in table {
            assert_eq!(printed(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_unreadable() {
        let table = [
            "",
            "now",
            "170000000000000",
            "2026-13-01",
            "2026-02-30",
            "2026-11",
            "2026-11-23T25:00:00Z",
            "2026-11-23T12:00:00+99:99",
            "20261123",
            "2026-11-23T12:00:00Z[UTC]",
            "-002026-11-23",
            "+002026-11-23T00:00:00Z",
            "0000-01-01T00:00:00+10:00",
            "9999-12-31T23:59:59Z",
            "2026-11-23T12:00:00Zjunk",
            "Mon, 23 Nov 2026 12:00:00 PM",
            "éééé-11-23",
            "\\ud800",
        ];
        for text in table {
            assert_eq!(printed(text), None, "{text}");
        }
        assert_eq!(read(Value::new("1700000000")), Some(Timestamp::constant(1_700_000_000, 0)));
        for json in ["17", "-1700000000", "1.7e9", "true", "{}", "[]"] {
            assert_eq!(read(Value::new(json)), None, "{json}");
        }
    }

    #[test]
    fn corrected_times_stay_within_rfc_3339() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let received = at("2026-11-23T12:00:00Z");
        let table = [
            ("2026-11-23T12:00:05Z", "2026-11-23T12:00:00Z", "\"2026-11-23T11:59:55.000Z\""),
            ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "\"2026-11-23T12:00:00.000Z\""),
            ("2020-01-01T00:00:00Z", "2020-01-01T00:00:01Z", "\"2026-11-23T12:00:01.000Z\""),
            ("9999-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "\"0000-01-01T00:00:00.000Z\""),
            ("0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "\"9999-12-30T22:00:00.999Z\""),
        ];
        for (sent, original, expected) in table {
            assert_eq!(quoted(corrected(received, at(sent), at(original))), expected);
        }
        assert!(corrected(MIN_TIMESTAMP, Timestamp::MAX, Timestamp::MIN) >= MIN_TIMESTAMP);
    }

    #[test]
    fn milliseconds_are_cut() {
        let fine: Timestamp = "2026-11-23T12:00:00.9999Z".parse().unwrap();
        assert_eq!(quoted(fine), "\"2026-11-23T12:00:00.999Z\"");
        assert_eq!(quoted(to_millis(fine)), quoted(fine));
        assert_eq!(to_millis(fine).subsec_nanosecond(), 999_000_000);
    }
}
