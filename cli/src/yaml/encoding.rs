//! Decodes the bytes of a file as kubectl does. Pure.

/// Text in UTF-8 or, after a byte order mark, in UTF-16, without the mark. Invalid bytes become U+FFFD.
///
/// PowerShell 5 writes UTF-16 with `>`, and some editors on Windows write a mark before UTF-8.
pub fn decode(bytes: &[u8]) -> String {
    match bytes {
        [0xEF, 0xBB, 0xBF, text @ ..] => String::from_utf8_lossy(text).into_owned(),
        [0xFF, 0xFE, text @ ..] => utf16(text, u16::from_le_bytes),
        [0xFE, 0xFF, text @ ..] => utf16(text, u16::from_be_bytes),
        text => String::from_utf8_lossy(text).into_owned(),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks(2).map(|bytes| match bytes {
        [first, second] => unit([*first, *second]),
        _ => 0xFFFD,
    });
    char::decode_utf16(units).map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn a_byte_order_mark_is_removed_and_chooses_the_encoding() {
        for (bytes, text) in [
            (&b"\xC3\xA9"[..], "é"),
            (b"\xEF\xBB\xBF\xC3\xA9", "é"),
            (b"\xFF\xFEa\0\xE9\0\x3D\xD8\x00\xDE", "aé😀"),
            (b"\xFE\xFF\0a\0\xE9\xD8\x3D\xDE\x00", "aé😀"),
            (b"\xFF\xFEa\0\x3D\xD8b", "a\u{FFFD}\u{FFFD}"),
            (b"caf\xE9", "caf\u{FFFD}"),
            (b"", ""),
        ] {
            assert_eq!(decode(bytes), text, "{bytes:?}");
        }
    }
}
