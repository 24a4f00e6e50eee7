//! Folds a repeated line into one line and a count of its repetitions. Pure.

use std::time::{Duration, Instant};

/// How long repetitions are only counted before the count is shown.
const SHOW_AFTER: Duration = Duration::from_secs(5);

/// The line that was shown last, and the repetitions that were not shown yet.
#[derive(Default)]
pub struct Folded {
    line: String,
    more: u64,
    since: Option<Instant>,
}

impl Folded {
    /// Whether `line` is the line that was shown last; if so, counts it.
    pub fn repeats(&mut self, line: &str, now: Instant) -> bool {
        let is_same = self.line == line;
        if is_same {
            self.more += 1;
            self.since.get_or_insert(now);
        }
        is_same
    }

    /// Starts to count repetitions of `line`, which was just shown.
    pub fn begin(&mut self, line: String) {
        *self = Self { line, more: 0, since: None };
    }

    /// The count to show before another line, if there were repetitions; stops counting.
    pub fn end(&mut self) -> Option<String> {
        let count = self.count();
        self.begin(String::new());
        count
    }

    /// The count to show while the line keeps repeating; `None` within [`SHOW_AFTER`] of its first repetition.
    pub fn due(&mut self, now: Instant) -> Option<String> {
        if now < self.since? + SHOW_AFTER {
            return None;
        }
        let count = self.count();
        (self.more, self.since) = (0, None);
        count
    }

    fn count(&self) -> Option<String> {
        match self.more {
            0 => None,
            1 => Some("the same once more".to_owned()),
            more => Some(format!("the same {more} times more")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_comes_again_is_counted() {
        let (mut folded, now) = (Folded::default(), Instant::now());
        assert!(!folded.repeats("a", now));
        folded.begin("a".to_owned());
        assert!(folded.repeats("a", now) && folded.due(now).is_none());
        assert!(folded.repeats("a", now + SHOW_AFTER));
        assert_eq!(folded.due(now + SHOW_AFTER).unwrap(), "the same 2 times more");
        assert!(folded.due(now + 2 * SHOW_AFTER).is_none(), "nothing came since");
        assert!(folded.repeats("a", now) && !folded.repeats("b", now));
        assert_eq!(folded.end().unwrap(), "the same once more");
        assert!(folded.end().is_none() && !folded.repeats("a", now));
    }
}
