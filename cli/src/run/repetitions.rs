//! Counts the repetitions of a printed line, so that a line and its count replace identical lines. Does no I/O.

use std::time::{Duration, Instant};

/// How long repetitions are only counted before their count is printed.
const REPORT_DELAY: Duration = Duration::from_secs(5);

/// The line that was printed last, and its repetitions that were not reported yet.
#[derive(Default)]
pub struct Repetitions {
    line: String,
    count: u64,
    /// When the first repetition that was not reported yet came.
    since: Option<Instant>,
}

impl Repetitions {
    /// Counts `line` if it equals the line that was printed last. Returns whether it does.
    pub fn count_if_repeated(&mut self, line: &str, now: Instant) -> bool {
        let is_repeated = self.line == line;
        if is_repeated {
            self.count += 1;
            self.since.get_or_insert(now);
        }
        is_repeated
    }

    /// Starts to count repetitions of `line`, which was just printed.
    pub fn start(&mut self, line: String) {
        *self = Self { line, count: 0, since: None };
    }

    /// Stops counting. Returns the report to print before another line, if there were repetitions.
    pub fn finish(&mut self) -> Option<String> {
        let report = self.report();
        self.start(String::new());
        report
    }

    /// The report to print while the line keeps repeating; `None` within [`REPORT_DELAY`] of its first repetition.
    pub fn take_due_report(&mut self, now: Instant) -> Option<String> {
        if now < self.since? + REPORT_DELAY {
            return None;
        }
        let report = self.report();
        (self.count, self.since) = (0, None);
        report
    }

    fn report(&self) -> Option<String> {
        match self.count {
            0 => None,
            1 => Some("repeated once".to_owned()),
            count => Some(format!("repeated {count} times")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_line_is_counted() {
        let (mut repetitions, now) = (Repetitions::default(), Instant::now());
        assert!(!repetitions.count_if_repeated("a", now));
        repetitions.start("a".to_owned());
        assert!(repetitions.count_if_repeated("a", now) && repetitions.take_due_report(now).is_none());
        assert!(repetitions.count_if_repeated("a", now + REPORT_DELAY));
        assert_eq!(repetitions.take_due_report(now + REPORT_DELAY).unwrap(), "repeated 2 times");
        assert!(repetitions.take_due_report(now + 2 * REPORT_DELAY).is_none(), "there was no repetition since");
        assert!(repetitions.count_if_repeated("a", now) && !repetitions.count_if_repeated("b", now));
        assert_eq!(repetitions.finish().unwrap(), "repeated once");
        assert!(repetitions.finish().is_none() && !repetitions.count_if_repeated("a", now));
    }
}
