//! Sizes and times within bounds: of a batch, of an event, of a connection, and of how long a batch waits.

use std::time::Duration;

use super::shape::Rule::{self, Must};
use super::shape::{Shape, text_value};

text_value!(
    /// The size before compression at which a batch is sealed: `64Ki` to `64Mi`.
    BatchBytes,
    Shape {
        field: "maxBytes",
        example: "5Mi",
        length: (3, 8),
        rules: &[Must(
            "^((6[4-9]|[7-9][0-9]|[1-9][0-9]{2,3})Ki|([1-9]|[1-5][0-9]|6[0-4])Mi)$",
            "is not a size of 64Ki to 64Mi",
        )],
    }
);

text_value!(
    /// The maximum size of an event: `1Ki` to `256Ki`.
    EventBytes,
    Shape {
        field: "maxEventBytes",
        example: "32Ki",
        length: (3, 8),
        rules: &[Must("^([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-6])Ki$", "is not a size of 1Ki to 256Ki")],
    }
);

text_value!(
    /// The longest time that a batch waits to be sealed: `100ms` to `5s`.
    // At most 5 s, because client libraries give up on a request after 10 s.
    BatchAge,
    Shape {
        field: "maxAge",
        example: "1s or 250ms",
        length: (2, 8),
        rules: &[Must("^([1-9][0-9]{2}ms|[1-4][0-9]{3}ms|5000ms|[1-5]s)$", "is not a time of 100ms to 5s")],
    }
);

/// 10 s to one hour, in seconds, minutes or as 1h.
const CONNECTION_TIME: Rule = Must(
    "^([1-9][0-9]{1,2}s|[12][0-9]{3}s|3[0-5][0-9]{2}s|3600s|[1-9]m|[1-5][0-9]m|60m|1h)$",
    "is not a time of 10s to 1h",
);

text_value!(
    /// The longest time that a connection may wait for a request: `10s` to `1h`.
    IdleTimeout,
    Shape { field: "idleTimeout", example: "650s or 2m", length: (2, 5), rules: &[CONNECTION_TIME] }
);

text_value!(
    /// The age from which connections are closed after an answer: `10s` to `1h`.
    ConnectionAge,
    Shape { field: "maxConnectionAge", example: "10m or 90s", length: (2, 5), rules: &[CONNECTION_TIME] }
);

text_value!(
    /// How old an event may be to have a partition by its own time: `1h` to `9999d`.
    EventAge,
    Shape {
        field: "maxEventAge",
        example: "7d or 12h",
        length: (2, 5),
        rules: &[Must("^[1-9][0-9]{0,3}[hd]$", "is not a time of 1h to 9999d")],
    }
);

impl BatchBytes {
    /// The size in bytes.
    pub fn bytes(&self) -> usize {
        binary_bytes(self.as_str())
    }
}

impl EventBytes {
    /// The size in bytes.
    pub fn bytes(&self) -> usize {
        binary_bytes(self.as_str())
    }
}

impl BatchAge {
    /// The time as a `Duration`.
    pub fn duration(&self) -> Duration {
        duration(self.as_str())
    }
}

impl IdleTimeout {
    /// The time as a `Duration`.
    pub fn duration(&self) -> Duration {
        duration(self.as_str())
    }
}

impl ConnectionAge {
    /// The time as a `Duration`.
    pub fn duration(&self) -> Duration {
        duration(self.as_str())
    }
}

impl EventAge {
    /// The age as a `Duration`.
    pub fn duration(&self) -> Duration {
        duration(self.as_str())
    }
}

/// The time of a text of digits and a unit; the shapes above allow no other.
fn duration(text: &str) -> Duration {
    let (digits, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let number: u64 = digits.parse().unwrap_or_default();
    match unit {
        "ms" => Duration::from_millis(number),
        "m" => Duration::from_secs(number * 60),
        "h" => Duration::from_secs(number * 3_600),
        "d" => Duration::from_secs(number * 24 * 3_600),
        _ => Duration::from_secs(number),
    }
}

/// Bytes of a text of digits and `Ki` or `Mi`; the shapes above allow no other.
fn binary_bytes(text: &str) -> usize {
    let (digits, unit) = text.split_at(text.len() - 2);
    let unit = if unit == "Mi" { 1 << 20 } else { 1 << 10 };
    digits.parse::<usize>().unwrap_or_default() * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_keep_their_bounds() {
        for (text, bytes) in [("64Ki", 65_536), ("5Mi", 5_242_880), ("64Mi", 67_108_864), ("9999Ki", 10_238_976)] {
            assert_eq!(text.parse::<BatchBytes>().unwrap().bytes(), bytes);
        }
        for text in ["63Ki", "65Mi", "5", "5MB", "0Mi", "05Mi", "-5Mi", ""] {
            assert!(text.parse::<BatchBytes>().is_err(), "{text}");
        }
        assert_eq!("32Ki".parse::<EventBytes>().unwrap().bytes(), 32_768);
        assert!("257Ki".parse::<EventBytes>().is_err());
        for (text, millis) in [("100ms", 100), ("1s", 1_000), ("5s", 5_000), ("5000ms", 5_000), ("250ms", 250)] {
            assert_eq!(text.parse::<BatchAge>().unwrap().duration(), Duration::from_millis(millis));
        }
        for text in ["99ms", "5001ms", "6s", "0s", "1m", "1"] {
            assert!(text.parse::<BatchAge>().is_err(), "{text}");
        }
        for (text, seconds) in [("10s", 10), ("650s", 650), ("3600s", 3_600), ("1m", 60), ("60m", 3_600), ("1h", 3_600)]
        {
            assert_eq!(text.parse::<IdleTimeout>().unwrap().duration(), Duration::from_secs(seconds));
            assert_eq!(text.parse::<ConnectionAge>().unwrap().duration(), Duration::from_secs(seconds));
        }
        for text in ["9s", "3601s", "61m", "2h", "0m", "10", "100ms", "1h30m"] {
            assert!(text.parse::<IdleTimeout>().is_err(), "{text}");
        }
        for (text, hours) in [("1h", 1), ("7d", 168), ("9999h", 9_999), ("9999d", 239_976)] {
            assert_eq!(text.parse::<EventAge>().unwrap().duration(), Duration::from_secs(hours * 3600));
        }
        for text in ["0h", "7", "d", "10000h", "1w", "1.5d", "-1h"] {
            assert!(text.parse::<EventAge>().is_err(), "{text}");
        }
    }
}
