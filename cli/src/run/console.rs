//! Prints what happens while a function runs: addresses, problems, refused requests, a live count, a summary.
//!
//! It decides which changes are worth a line, and words them. [`Screen`] writes the lines.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason, SECRET_DELAY_HINT, SidecarCondition};
use tributary_crds::function::ExternalIdEnforcement;
use tributary_crds::values::Endpoint;
use tributary_sidecar::Refusal;
use tributary_sidecar::status::metrics::Totals;

use super::cloud::Cloud;
use super::first_event;
use super::function::Function;
use super::mount::Mount;
use super::repetitions::Repetitions;
use super::screen::Screen;

/// Turns the events of a run into lines on the screen.
pub struct Console {
    screen: Screen,
    /// The running sidecar's conditions as of the last call of [`Console::print_conditions`].
    shown_conditions: Vec<SidecarCondition>,
    /// The conditions of which a problem or a warning was printed and not yet its end. They outlive a sidecar: an edit of
    /// the function that ends a problem replaces the sidecar.
    faults: BTreeSet<ConditionType>,
    /// Whether the running sidecar has become ready, which includes a check that the bucket exists in its region.
    has_begun: bool,
    /// Whether `ready` was printed for the running sidecar. A bucket that fails later prints a problem, and its
    /// recovery does not print `ready` again.
    ready_shown: bool,
    /// The location of dead letters that was printed last.
    dead_letter_location: Option<String>,
    /// Whether the files of the first object of events and of the first dead letter were printed.
    firsts_shown: [bool; 2],
    /// The count of events and objects as of the last call of [`Console::update_count`].
    totals: Totals,
    /// The refusal that was printed last, with the count of its repetitions.
    repetitions: Repetitions,
    /// Whether the function uses a role even if it does not require the external ID (`externalIdEnforcement: Warn`).
    enforcement_only_warns: bool,
}

impl Console {
    pub fn new(screen: Screen) -> Self {
        Self {
            screen,
            shown_conditions: Vec::new(),
            faults: BTreeSet::new(),
            has_begun: false,
            ready_shown: false,
            dead_letter_location: None,
            firsts_shown: [false; 2],
            totals: Totals::default(),
            repetitions: Repetitions::default(),
            enforcement_only_warns: false,
        }
    }

    /// Prints the function's addresses, role and storage, and commands that send a first event.
    pub fn print_start(&mut self, function: &Function, cloud: &Cloud, mount: &Mount, events: &str, admin: &str) {
        let config = &function.config;
        self.enforcement_only_warns = config.spec.external_id_enforcement == ExternalIdEnforcement::Warn;
        let s3 = &config.spec.s3;
        let prefix = s3.prefix.as_ref().map_or("", |prefix| prefix.as_str());
        self.print_line(&format!("function  {}/{}", config.namespace, config.name));
        let ingest = config.spec.ingest.clone().unwrap_or_default();
        let url = format!("{}://{events}", if ingest.tls_secret_ref.is_some() { "https" } else { "http" });
        self.print_line(&format!("events    {url}"));
        self.print_line(&format!("status    http://{admin}/status"));
        self.print_line(&format!("role      {}", config.spec.role_arn));
        self.print_line(&format!("session   {}", config.session_name()));
        let objects = cloud.location(s3.bucket.as_str(), prefix);
        match cloud {
            Cloud::Real(_) => {
                self.print_line(&format!("objects   {objects} in {}", s3.region));
                let sts = config.spec.sts.as_ref().and_then(|sts| sts.endpoint.as_ref());
                let endpoint =
                    |endpoint: Option<&Endpoint>| endpoint.map_or("AWS's own".to_owned(), ToString::to_string);
                let (s3, sts) = (endpoint(s3.endpoint.as_ref()), endpoint(sts));
                self.print_line(&format!("AWS       real; endpoint of S3: {s3}, of STS: {sts}"));
            }
            Cloud::Embedded(embedded) => {
                self.print_line(&format!("objects   {objects}"));
                self.print_line(&format!("AWS       embedded: {}", embedded.description));
            }
        }
        self.print_dead_letter_location(function, cloud);
        self.print_line("");
        for line in first_event::commands(&ingest, mount, &url) {
            self.print_line(&line);
        }
        self.print_line("");
    }

    /// Prints where dead letters are stored, unless that was printed already.
    pub fn print_dead_letter_location(&mut self, function: &Function, cloud: &Cloud) {
        let (spec, bucket) = (&function.config.spec, &function.config.spec.s3.bucket);
        let location = spec.dead_letter_prefix().map(|prefix| cloud.location(bucket.as_str(), &prefix));
        if self.dead_letter_location != location
            && let Some(location) = &location
        {
            self.print_labelled("letters", &format!("{location} (rejected events)"));
        }
        self.dead_letter_location = location;
    }

    /// Prints a line for each condition that became a problem or a warning or recovered, and `ready` once. Updates the
    /// state in the status.
    pub fn print_conditions(&mut self, conditions: &[SidecarCondition]) {
        for condition in conditions {
            let old = self.shown_conditions.iter().find(|shown| shown.r#type == condition.r#type);
            if old.is_some_and(|old| old.status == condition.status && old.reason == condition.reason) {
                continue;
            }
            let SidecarCondition { r#type, status, reason, .. } = condition;
            let message = shown_message(condition);
            if is_fault(condition) {
                let label = if *status == ConditionStatus::False { "problem" } else { "warning" };
                self.print_labelled(label, &format!("{type} {reason}: {message}"));
                self.faults.insert(*r#type);
            } else if is_cleared_fault(condition) && self.faults.contains(r#type) {
                self.print_labelled("retry", &format!("{type}: {message}"));
            } else if *status == ConditionStatus::True || (self.has_begun && *reason != Reason::Pending) {
                // A new sidecar knows nothing yet: its Unknown ends no fault.
                self.print_if_fixed(condition);
            }
        }
        let was_ready = self.is_ready();
        self.shown_conditions = conditions.to_vec();
        self.print_if_ready(was_ready);
    }

    /// Prints the end of the condition's fault, if one was printed.
    fn print_if_fixed(&mut self, condition: &SidecarCondition) {
        if self.faults.remove(&condition.r#type) {
            // The fault was found without an upload, and so is its end.
            let message = if condition.reason == Reason::NotYetWritten {
                "the bucket exists in its region".to_owned()
            } else {
                shown_message(condition)
            };
            self.print_labelled("fixed", &format!("{}: {message}", condition.r#type));
        }
    }

    /// Prints `ready` if the conditions allow it: the sidecar has become ready.
    pub fn print_ready(&mut self) {
        let was_ready = self.is_ready();
        self.has_begun = true;
        self.print_if_ready(was_ready);
    }

    fn print_if_ready(&mut self, was_ready: bool) {
        if self.is_ready() && !was_ready {
            let conditions = self.shown_conditions.clone();
            let is_over = |condition: &&SidecarCondition| !is_fault(condition) && !is_cleared_fault(condition);
            conditions.iter().filter(is_over).for_each(|condition| self.print_if_fixed(condition));
            self.ready_shown = true;
            self.print_line("ready     the role is assumed; the function accepts events");
        }
        self.show_status();
    }

    /// Whether events are stored: the sidecar has become ready, the role is assumed, it requires its external ID or the
    /// function only warns, clients' credentials are known, and the bucket accepts writes. Once `ready` was printed, the
    /// last two are ignored.
    fn is_ready(&self) -> bool {
        let conditions = &self.shown_conditions;
        let status = |r#type| conditions.iter().find(|condition| condition.r#type == r#type).map(|found| found.status);
        let enforced = match status(ConditionType::ExternalIdEnforced) {
            Some(ConditionStatus::False) => self.enforcement_only_warns,
            status => status == Some(ConditionStatus::True),
        };
        self.has_begun
            && enforced
            && status(ConditionType::RoleAssumed) == Some(ConditionStatus::True)
            && (self.ready_shown
                || [ConditionType::IngestConfigured, ConditionType::BucketWritable]
                    .iter()
                    .all(|r#type| status(*r#type) != Some(ConditionStatus::False)))
    }

    /// Forgets the conditions that were shown, because a new sidecar starts.
    pub fn reset_conditions(&mut self) {
        self.shown_conditions.clear();
        (self.has_begun, self.ready_shown) = (false, false);
    }

    /// Prints a message after a label, such as `edit`, which is padded to 9 columns.
    pub fn print_labelled(&mut self, label: &str, message: &str) {
        self.print_line(&format!("{label:<9} {message}"));
    }

    /// Prints the file of a stored object if it is the first, or the first dead letter. Returns whether both were
    /// printed.
    pub fn print_if_first(&mut self, file: &Path, is_dead_letter: bool) -> bool {
        let [object, letter] = &mut self.firsts_shown;
        let (shown, label) = if is_dead_letter { (letter, "letter") } else { (object, "object") };
        if !std::mem::replace(shown, true) {
            self.print_labelled(label, &format!("{} (the first; others are only counted)", file.display()));
        }
        self.firsts_shown == [true; 2]
    }

    /// Prints a request, or an event of a batch, that was refused; repetitions are only counted.
    pub fn print_refusal(&mut self, refusal: &Refusal) {
        let Refusal { method, path, status, event, reason } = refusal;
        let index = event.map(|index| format!(", index {index} of the batch")).unwrap_or_default();
        let line = format!("{method} {path} {status}{index}: {reason}");
        if !self.repetitions.count_if_repeated(&line, Instant::now()) {
            self.print_labelled(if event.is_some() { "rejected" } else { "refused" }, &line);
            self.repetitions.start(line);
        }
    }

    /// Updates the live count. Prints the count of repeated refusals first, if it is due.
    pub fn update_count(&mut self, totals: Totals) {
        let report = self.repetitions.take_due_report(Instant::now());
        self.print_repetitions(report);
        self.totals = totals;
        self.show_status();
    }

    fn show_status(&mut self) {
        self.screen.set_status(status(&self.state(), self.totals));
    }

    /// The state of the function in a few words: the first problem, else the first warning, else whether it is ready.
    fn state(&self) -> String {
        let conditions = &self.shown_conditions;
        if let Some(problem) = conditions.iter().find(|condition| condition.is_fault()) {
            return format!("problem {}", problem.reason);
        }
        if let Some(warning) = conditions.iter().find(|condition| condition.reason.warns(condition.status)) {
            return format!("warning {}", warning.reason);
        }
        (if self.is_ready() { "ready" } else { "starting" }).to_owned()
    }

    /// Prints, after the first Ctrl-C, how many requests the shutdown waits for.
    pub fn print_stopping(&mut self, requests: u64) {
        let in_flight = with_noun(requests, "request");
        self.print_labelled("stopping", &format!("{in_flight} in flight; press Ctrl-C again to stop now"));
    }

    /// Prints how many requests got no answer, after a second Ctrl-C or the end of the grace period.
    pub fn print_unanswered(&mut self, requests: u64) {
        self.print_labelled("stopped", &format!("{} not answered", with_noun(requests, "request")));
    }

    /// Prints the summary of the run, and the location of its objects.
    pub fn print_summary(&mut self, totals: Totals, location: &str) {
        self.print_line(&format!("{}; objects are in {location}", summary(totals)));
    }

    fn print_line(&mut self, text: &str) {
        let report = self.repetitions.finish();
        self.print_repetitions(report);
        self.screen.print_line(text);
    }

    /// Prints how often the last refusal was repeated, if it was.
    fn print_repetitions(&self, report: Option<String>) {
        if let Some(report) = report {
            self.screen.print_line(&format!("refused   {report}"));
        }
    }
}

/// Whether this is a fault of the bucket that an edit of the accounts may have fixed, which only an upload shows. At the
/// start, the reason of BucketWritable is NotYetWritten.
fn is_cleared_fault(condition: &SidecarCondition) -> bool {
    condition.r#type == ConditionType::BucketWritable
        && condition.status == ConditionStatus::Unknown
        && condition.reason == Reason::Pending
}

/// Whether the condition needs a person. Rejected events have their own lines.
fn is_fault(condition: &SidecarCondition) -> bool {
    condition.is_fault() || condition.reason.warns(condition.status)
}

/// The condition's message without the hint at the kubelet's delay: here, changes of a Secret are visible within seconds.
fn shown_message(condition: &SidecarCondition) -> String {
    condition.message.replace(&format!("; {SECRET_DELAY_HINT}"), "")
}

/// The count with its noun, which is in the plural unless the count is 1.
fn with_noun(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The status: the state of the function and the live count. The most important parts come first, because a narrow
/// terminal cuts off the end; for the same reason, what did not happen is not counted.
fn status(state: &str, totals: Totals) -> String {
    let Totals { stored, filtered, rejected, refused_requests, objects, .. } = totals;
    let mut status = format!("{state}: {stored} stored");
    for (count, text) in [
        (rejected, format!("{rejected} rejected")),
        (refused_requests, format!("{} refused", with_noun(refused_requests, "request"))),
        (filtered, format!("{filtered} filtered out")),
        (objects, with_noun(objects, "object")),
    ] {
        if count > 0 {
            status += &format!(", {text}");
        }
    }
    status
}

fn summary(totals: Totals) -> String {
    let Totals { stored, deduplicated, filtered, rejected, dead_letters, refused_requests, objects, bytes } = totals;
    let letters = if dead_letters > 0 { format!(" ({dead_letters} stored as dead letters)") } else { String::new() };
    format!(
        "{} stored ({deduplicated} already there), {} ({}) written, {} filtered out, {rejected} rejected{letters}, {} \
         refused",
        with_noun(stored, "event"),
        with_noun(objects, "object"),
        with_noun(bytes, "byte"),
        with_noun(filtered, "event"),
        with_noun(refused_requests, "request"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_begins_with_the_state_and_counts_only_what_happened() {
        assert_eq!(status("starting", Totals::default()), "starting: 0 stored");
        let totals = Totals { stored: 2, rejected: 1, refused_requests: 1, objects: 2, ..Totals::default() };
        assert_eq!(status("ready", totals), "ready: 2 stored, 1 rejected, 1 request refused, 2 objects");
        let totals = Totals { filtered: 3, ..Totals::default() };
        assert_eq!(status("problem NoSuchBucket", totals), "problem NoSuchBucket: 0 stored, 3 filtered out");
    }
}
