//! Prints what happens while a function runs: addresses, problems, refused requests, a live count, a summary.

use std::path::Path;
use std::time::Instant;

use tributary_crds::conditions::{ConditionStatus, ConditionType, SidecarCondition};
use tributary_crds::function::ExternalIdEnforcement;
use tributary_sidecar::Refusal;
use tributary_sidecar::status::metrics::Totals;

use super::cloud::Cloud;
use super::first_event;
use super::folded::Folded;
use super::function::Function;
use super::mount::Mount;
use super::screen::Screen;

/// Turns the events of a run into lines on the screen.
pub struct Console {
    screen: Screen,
    /// The conditions as they were shown last.
    told: Vec<SidecarCondition>,
    /// Whether `ready` was printed. A bucket that fails later is a problem, and its recovery no second `ready`.
    told_ready: bool,
    /// The refusal that was shown last, with the count of its repetitions.
    refused: Folded,
    /// Whether the function uses a role even if it does not require the external ID (`externalIdEnforcement: Warn`).
    enforcement_only_warns: bool,
}

impl Console {
    pub fn new(screen: Screen) -> Self {
        Self { screen, told: Vec::new(), told_ready: false, refused: Folded::default(), enforcement_only_warns: false }
    }

    /// Prints the function's addresses, role and storage, and commands that send a first event.
    pub fn start(&mut self, function: &Function, cloud: &Cloud, mount: &Mount, events: &str, admin: &str) {
        let config = &function.config;
        self.enforcement_only_warns = config.spec.external_id_enforcement == ExternalIdEnforcement::Warn;
        let s3 = &config.spec.s3;
        let prefix = s3.prefix.as_ref().map_or("", |prefix| prefix.as_str());
        self.line(&format!("function  {}/{}", config.namespace, config.name));
        let ingest = config.spec.ingest.clone().unwrap_or_default();
        let url = format!("{}://{events}", if ingest.tls_secret_ref.is_some() { "https" } else { "http" });
        self.line(&format!("events    {url}"));
        self.line(&format!("status    http://{admin}/status"));
        self.line(&format!("role      {}", config.spec.role_arn));
        self.line(&format!("session   {}", config.session_name()));
        match cloud {
            Cloud::Real => {
                self.line(&format!("objects   s3://{}/{prefix} in {}", s3.bucket, s3.region));
            }
            Cloud::Embedded(embedded) => {
                let folder = embedded.data.join(s3.bucket.as_str()).join(prefix);
                self.line(&format!("objects   {}", folder.display()));
                self.line(&format!("AWS       embedded: {}", embedded.note));
            }
        }
        self.line("");
        for line in first_event::lines(&ingest, mount, &url) {
            self.line(&line);
        }
        self.line("");
    }

    /// Prints a line for each condition that became a problem or a warning or recovered, and `ready` once.
    pub fn conditions(&mut self, now: &[SidecarCondition]) {
        for condition in now {
            let old = self.told.iter().find(|told| told.r#type == condition.r#type);
            let same = old.is_some_and(|old| old.status == condition.status && old.reason == condition.reason);
            let was_wrong = old.is_some_and(|old| old.status == ConditionStatus::False || old.reason.warns(old.status));
            let SidecarCondition { r#type, status, reason, message, .. } = condition;
            match status {
                ConditionStatus::False if !same => self.line(&format!("problem   {type} {reason}: {message}")),
                ConditionStatus::True if !same && reason.warns(*status) => {
                    self.line(&format!("warning   {type} {reason}: {message}"));
                }
                ConditionStatus::True if !same && was_wrong => self.line(&format!("fixed     {type}: {message}")),
                ConditionStatus::True | ConditionStatus::Unknown | ConditionStatus::False => {}
            }
        }
        if self.ready(now) && !self.ready(&self.told) {
            self.told_ready = true;
            self.line("ready     the role is assumed; events are taken");
        }
        self.told = now.to_vec();
    }

    /// Whether events are stored: the role is assumed, it requires its external ID or the function only warns, and
    /// the bucket accepts writes. Once `ready` was printed, the bucket does not count any more.
    fn ready(&self, conditions: &[SidecarCondition]) -> bool {
        let status = |r#type| conditions.iter().find(|condition| condition.r#type == r#type).map(|found| found.status);
        let enforced = match status(ConditionType::ExternalIdEnforced) {
            Some(ConditionStatus::False) => self.enforcement_only_warns,
            status => status == Some(ConditionStatus::True),
        };
        enforced
            && status(ConditionType::RoleAssumed) == Some(ConditionStatus::True)
            && (self.told_ready || status(ConditionType::BucketWritable) != Some(ConditionStatus::False))
    }

    /// Forgets the conditions that were shown, because a new sidecar starts.
    pub fn forget(&mut self) {
        self.told.clear();
        self.told_ready = false;
    }

    /// Prints a line with a label, padded to 9 columns: an edit, a problem.
    pub fn note(&mut self, kind: &str, says: &str) {
        self.line(&format!("{kind:<9} {says}"));
    }

    /// Prints the file of the first object.
    pub fn first_object(&mut self, file: &Path) {
        self.line(&format!("object    {}", file.display()));
    }

    /// Prints a request, or an event of a batch, that was refused; repetitions are only counted.
    pub fn refused(&mut self, refusal: &Refusal) {
        let Refusal { method, path, status, event, reason } = refusal;
        let event = event.map(|index| format!(", event {index}")).unwrap_or_default();
        let line = format!("{method} {path} {status}{event}: {reason}");
        if !self.refused.repeats(&line, Instant::now()) {
            self.note("refused", &line);
            self.refused.begin(line);
        }
    }

    /// Updates the live count, after the count of repeated refusals if it is due.
    pub fn count(&mut self, totals: Totals) {
        let more = self.refused.due(Instant::now());
        self.repeated(more);
        self.screen.status(status(totals));
    }

    /// Prints, after the first Ctrl-C, how many requests the shutdown waits for.
    pub fn stopping(&mut self, requests: u64) {
        let in_flight = counted(requests, "request");
        self.note("stopping", &format!("{in_flight} in flight; press Ctrl-C again to stop now"));
    }

    /// Prints how many requests got no answer, after a second Ctrl-C or the end of the grace period.
    pub fn stopped(&mut self, requests: u64) {
        self.note("stopped", &format!("{} not answered", counted(requests, "request")));
    }

    /// Prints the summary of the run, and where its objects are.
    pub fn end(&mut self, totals: Totals, place: &str) {
        self.line(&format!("{}; objects are in {place}", summary(totals)));
    }

    fn line(&mut self, text: &str) {
        let more = self.refused.end();
        self.repeated(more);
        self.screen.line(text);
    }

    /// Prints how often the last refusal was repeated, if it was.
    fn repeated(&self, more: Option<String>) {
        if let Some(more) = more {
            self.screen.line(&format!("refused   {more}"));
        }
    }
}

fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The live count, with the most important numbers first: a narrow terminal cuts off the end.
fn status(totals: Totals) -> String {
    let Totals { stored, filtered, rejected, refused_requests, objects, bytes, .. } = totals;
    format!(
        "{stored} stored, {rejected} rejected, {filtered} filtered out, {}, {}; {} refused",
        counted(objects, "object"),
        counted(bytes, "byte"),
        counted(refused_requests, "request"),
    )
}

fn summary(totals: Totals) -> String {
    let Totals { stored, deduplicated, filtered, rejected, refused_requests, objects, bytes } = totals;
    format!(
        "{} stored ({deduplicated} already there), {} of {} written, {} filtered out, {rejected} rejected, {} refused",
        counted(stored, "event"),
        counted(objects, "object"),
        counted(bytes, "byte"),
        counted(filtered, "event"),
        counted(refused_requests, "request"),
    )
}
