//! Counts the answers to sent events, and formats the counts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The result of sending one event.
#[derive(Clone, Debug)]
pub struct SendResult {
    /// The last answer's status and body; an error if there was none.
    pub answer: Result<(u16, String), String>,
    /// Number of attempts.
    pub attempts: u32,
    /// Time from the start of the first attempt to the end of the last.
    pub duration: Duration,
}

/// The counts over all events.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    sent: u64,
    /// Number of events by status; `none` for those without an answer.
    answers: BTreeMap<String, u64>,
    /// Events that took more than one attempt.
    retried: u64,
    slowest: Duration,
    /// The first answer other than 200, or the first error.
    first_failure: Option<String>,
    /// The last answer, which is printed if it is the only one.
    last: String,
}

impl Tally {
    /// Counts the result of one event.
    pub fn add(&mut self, sent: SendResult) {
        self.sent += 1;
        self.retried += u64::from(sent.attempts > 1);
        self.slowest = self.slowest.max(sent.duration);
        let (status, text) = match sent.answer {
            Ok((status, text)) => (status.to_string(), format!("{status} {}", text.trim_end())),
            Err(error) => ("none".to_owned(), format!("no answer: {error}")),
        };
        *self.answers.entry(status.clone()).or_default() += 1;
        if status != "200" && self.first_failure.is_none() {
            self.first_failure = Some(text.clone());
        }
        self.last = text;
    }

    /// Whether every event was answered with 200.
    pub fn all_stored(&self) -> bool {
        self.answers.keys().all(|status| status == "200")
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sent == 1 {
            return writeln!(f, "{}", self.last);
        }
        let Self { sent, answers, retried, slowest, first_failure, .. } = self;
        let answers = serde_json::json!(answers);
        let slowest = slowest.as_millis();
        writeln!(f, r#"{{"sent":{sent},"answers":{answers},"retried":{retried},"slowestMs":{slowest}}}"#)?;
        first_failure.iter().try_for_each(|failure| writeln!(f, "first failure: {failure}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(answer: Result<(u16, &str), &str>, attempts: u32, millis: u64) -> SendResult {
        let answer = answer.map(|(status, text)| (status, text.to_owned())).map_err(str::to_owned);
        SendResult { answer, attempts, duration: Duration::from_millis(millis) }
    }

    #[test]
    fn a_single_answer_is_printed_and_several_are_counted() {
        let mut tally = Tally::default();
        tally.add(sent(Ok((200, "{\"success\":true}\n")), 1, 5));
        assert_eq!((tally.to_string().as_str(), tally.all_stored()), ("200 {\"success\":true}\n", true));
        tally.add(sent(Ok((503, "{}")), 3, 900));
        tally.add(sent(Err("refused"), 1, 1));
        assert!(!tally.all_stored());
        let expected = "{\"sent\":3,\"answers\":{\"200\":1,\"503\":1,\"none\":1},\"retried\":1,\"slowestMs\":900}\n\
                        first failure: 503 {}\n";
        assert_eq!(tally.to_string(), expected);
    }
}
