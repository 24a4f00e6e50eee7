//! Formats errors on one line.

/// The first paragraph of an error, on one line. In clap's errors it describes the problem; the rest is the usage.
pub fn one_line(error: &str) -> String {
    let paragraph = error.split("\n\n").next().unwrap_or(error).trim_start_matches("error: ");
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An error with its causes on one line, except for causes that it already quotes.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
