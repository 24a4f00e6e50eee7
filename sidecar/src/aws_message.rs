//! The texts of AWS's errors, as conditions and logs show them.

/// Maximum length of an error message, in characters: conditions and logs show it.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// Maximum length of an error code, in characters; AWS's longest have about 50.
const MAX_CODE_CHARS: usize = 64;

/// The message of an error without one, such as that of every HEAD request.
const NO_MESSAGE: &str = "no message";

/// Separates [`NO_MESSAGE`] from the body that stands for the message.
const BUT: &str = ", but ";

/// The end of a sentence about an error of `service` ("STS" or "S3", which another store may provide): its own message,
/// if it has one.
pub(crate) fn said(service: &str, message: &str) -> String {
    match message.strip_prefix(NO_MESSAGE) {
        Some("") => String::new(),
        Some(rest) => format!(". {service} answered with {}", rest.trim_start_matches(BUT)),
        None => format!(". {service} said: {message}"),
    }
}

/// The message of an error. It is cut ([`cut_message`]) only after secrets are removed from it. If it has none, `start`
/// stands for it: the start of the body, which is safe to show ([`excerpt`](crate::redact::excerpt)).
pub(crate) fn message(text: Option<&str>, start: &str) -> String {
    match text {
        Some(text) => text.to_owned(),
        None if start.is_empty() => NO_MESSAGE.to_owned(),
        None => format!("{NO_MESSAGE}{BUT}a body that begins with: {start}"),
    }
}

/// The code and the message of an error whose XML has another form than AWS's, so that the SDK finds no code: moto's STS
/// has one more element around it.
pub(crate) fn nested_error(body: &[u8]) -> Option<(String, Option<String>)> {
    let xml = std::str::from_utf8(body).ok()?;
    let error = &xml[xml.find("<Error")?..];
    let code =
        element(error, "Code").filter(|code| code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.'));
    let message = element(error, "Message").map(str::to_owned);
    code.map(|code| (code.to_owned(), message))
}

/// The text of the first element of this name, if it is not empty.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// The message of an error, cut to [`MAX_MESSAGE_CHARS`], on one line.
pub(crate) fn cut_message(text: &str) -> String {
    on_one_line(text, MAX_MESSAGE_CHARS)
}

/// The code of an error, cut to [`MAX_CODE_CHARS`], on one line.
pub(crate) fn cut_code(text: &str) -> String {
    on_one_line(text, MAX_CODE_CHARS)
}

/// The first characters of a text, without control characters: a line break could forge a line of a log.
fn on_one_line(text: &str, max: usize) -> String {
    text.chars().take(max).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_to_its_maximum() {
        assert_eq!(cut_message(&"é".repeat(60_000)).chars().count(), MAX_MESSAGE_CHARS);
        assert_eq!(cut_message("no\r\n\u{1b}[31m2026 INFO"), "no   [31m2026 INFO");
        assert_eq!(cut_code("Slow\nDown"), "Slow Down");
    }

    #[test]
    fn a_sentence_ends_with_what_the_service_said() {
        assert_eq!(message(None, ""), "no message");
        for (text, start, expected) in [
            (None, "", ""),
            (None, "{\"error\":1}", ". S3 answered with a body that begins with: {\"error\":1}"),
            (Some("Access Denied"), "<Error>", ". S3 said: Access Denied"),
        ] {
            assert_eq!(said("S3", &message(text, start)), expected);
        }
    }

    #[test]
    fn an_error_is_read_wherever_it_is_in_the_xml() {
        let moto = "<?xml version=\"1.0\"?>\n<ErrorResponse><Errors><Error><Code>AccessDenied</Code>\
                    <Message>no</Message><Type>Sender</Type></Error></Errors></ErrorResponse>";
        assert_eq!(nested_error(moto.as_bytes()), Some(("AccessDenied".to_owned(), Some("no".to_owned()))));
        assert_eq!(nested_error(b"<Error><Code>A.B</Code></Error>"), Some(("A.B".to_owned(), None)));
        for other in ["", "<html><Code>x</Code></html>", "<Error></Error>", "<Error><Code>a b</Code></Error>"] {
            assert_eq!(nested_error(other.as_bytes()), None, "{other}");
        }
        assert_eq!(element("<Error><Header> If-None-Match\n</Header></Error>", "Header"), Some("If-None-Match"));
        assert_eq!(element("<Header>", "Header").or(element("<Header></Header>", "Header")), None);
    }
}
