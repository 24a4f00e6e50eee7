//! Scalars without quotes, and what kubectl reads.
//!
//! The results are those of kubectl 1.34 (sigs.k8s.io/yaml 1.6). The crate `tests` reads the tables with kubectl itself.

/// What kubectl reads, as JSON, and the scalars.
pub const VALUES: &[(&str, &[&str])] = &[
    ("null", &["", "~", "null", "Null", "NULL"]),
    ("true", &["true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"]),
    ("false", &["false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"]),
    ("0", &["0", "00", "-0", "+0", "0.0", "-0.0", "1e-400", "0x0", "0_0"]),
    ("1", &["1", "+1", "1.", "1.0", "01", "1_", "0x1", "0x_1", "0_x1", "0b1", "0o1"]),
    ("-1", &["-1", "-_1", "-1.0", "-0x1", "-0b1", "0b-1"]),
    ("8", &["8", "010", "+010", "0_10", "0o10", "0O10", "0b1000", "0B1000", "0x8", "0X8"]),
    // Not octal, so they are decimal fractions.
    ("89", &["89", "089", "0089", "08_9", "89.0"]),
    ("31", &["31", "0x1f", "0X1F", "0x1F", "037"]),
    ("1000", &["1000", "1_000", "1__000_", "1e3", "1E3", "1e+3", "1.0e3", "01750"]),
    ("0.5", &["0.5", ".5", "+.5", "5e-1"]),
    ("1000.5", &["1000.5", "1_000.5", "1.0005e3"]),
    ("0.51", &[".51", ".5_1"]),
    ("12345678901", &["012345678901"]),
    ("2185785799", &["020222070707"]),
    ("91234567890", &["091234567890"]),
    ("123456789012", &["123456789012"]),
    ("777777777777777800", &["777777777777777777.7"]),
    ("9223372036854775807", &["9223372036854775807", "0777777777777777777777", "0x7fffffffffffffff"]),
    ("-9223372036854775808", &["-9223372036854775808"]),
    // Beyond 64 bits, the API server has only floats.
    ("9223372036854775808.0", &["9223372036854775808", "+9223372036854775808"]),
    ("18446744073709551616.0", &["18446744073709551615", "18446744073709551616", "0xffffffffffffffff"]),
    ("1e21", &["1e21", "1000000000000000000000"]),
];

/// Scalars that are text.
pub const TEXTS: &[&str] = &[
    "nUll",
    "tRue",
    "yEs",
    "nO",
    "oN",
    "none",
    "yeah",
    "inf",
    "nan",
    "+inf",
    "Infinity",
    "=",
    "<<",
    "e3",
    "a",
    "a b",
    "--1",
    "+-1",
    "_1",
    "+",
    "-.",
    ".",
    "+_",
    ".5_",
    "._5",
    "1e",
    "1e400",
    "-1e400",
    "1.5.2",
    "12e",
    "1d5",
    "0x1p4",
    "0o",
    "0x",
    "0b",
    "0o8",
    "0b2",
    "0xg",
    "017o",
    "12:30:45",
    "190:20:30",
    "1:30",
    "2026-01-01",
    "2026-01",
    "2026-01-01T10:00:00Z",
    "2026-01-01 10:00:00",
    "3Mi",
    "250m",
    "us-west-2",
    "10.0.0.1",
    "é",
    "١",
    "-a",
    "a:b",
    "a#b",
];

/// Scalars that kubectl refuses, because JSON has no such number.
pub const REFUSED: &[&str] =
    &[".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"];

/// Keys without quotes, and the keys that kubectl reads.
pub const KEYS: &[(&str, &str)] = &[
    ("a", "a"),
    ("yes", "true"),
    ("no", "false"),
    ("010", "8"),
    ("089", "89"),
    ("1_000", "1000"),
    ("1.10", "1.1"),
    ("-0.0", "-0"),
    ("123456.5", "123456.5"),
    ("1234567.5", "1.2345675e+06"),
    ("1e6", "1e+06"),
    ("0.0001", "0.0001"),
    ("0.00001", "1e-05"),
    ("16777217.0", "1.6777216e+07"),
    ("1e39", ".inf"),
    (".nan", ".nan"),
    ("-.inf", "-.inf"),
    ("2026-01-01", "2026-01-01"),
    ("=", "="),
];

/// Keys that kubectl refuses.
pub const REFUSED_KEYS: &[&str] = &["~", "null", "18446744073709551615", "[a]", "{a: b}"];

/// Scalars with a tag, and what kubectl reads, as JSON.
pub const TAGGED: &[(&str, &str)] = &[
    ("!!str 010", "\"010\""),
    ("!!str yes", "\"yes\""),
    ("!!str &a 010", "\"010\""),
    ("&b !!str 010", "\"010\""),
    ("!!int \"010\"", "8"),
    ("!!float 5", "5"),
    ("!!bool \"on\"", "true"),
    ("!!null ~", "null"),
    ("!!binary aGk=", "\"hi\""),
    ("!!timestamp 2026-01-01", "\"2026-01-01\""),
    ("!local 010", "\"010\""),
    ("! 010", "\"010\""),
    ("!!seq [010]", "[8]"),
    ("!!map {a: yes}", "{\"a\":true}"),
    ("!!set {a, b}", "{\"a\":null,\"b\":null}"),
    ("!local {a: yes}", "{\"a\":true}"),
];

/// Scalars that do not fit their tags.
pub const REFUSED_TAGS: &[&str] = &["!!int a", "!!int 1.5", "!!float a", "!!bool 1", "!!null a", "!!binary '*'"];

/// Texts in quotes or blocks, which stay as they are, and the texts, as JSON.
pub const QUOTED: &[(&str, &str)] = &[
    ("'yes'", "\"yes\""),
    ("\"010\"", "\"010\""),
    ("''", "\"\""),
    ("\"\"", "\"\""),
    ("'it''s'", "\"it's\""),
    ("\"1\\x30\"", "\"10\""),
    ("\"a\\\\b\"", "\"a\\\\b\""),
    ("\"\\\\5\"", "\"\\\\5\""),
    ("|-\n  010", "\"010\""),
    (">-\n  010", "\"010\""),
    ("|\n  yes\n  no", "\"yes\\nno\\n\""),
    ("1\n  2", "\"1 2\""),
    ("'1\n  2'", "\"1 2\""),
];

/// The text of a block mapping from `k0`, `k1` and so on to the scalars, for the end of a manifest.
pub fn mapping<'a>(scalars: impl IntoIterator<Item = &'a str>) -> String {
    scalars.into_iter().enumerate().map(|(index, scalar)| format!("k{index}: {scalar}\n")).collect()
}
