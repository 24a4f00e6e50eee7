//! What is shown while a function runs: where things are, each problem, a live count, a summary.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use tributary_crds::conditions::{ConditionType, SidecarCondition, Truth};
use tributary_crds::function::{ExternalIdEnforcement, Ingest, SecretKeyRef};
use tributary_sidecar::metrics::Totals;

use super::cloud::Cloud;
use super::function::Function;

/// Standard output: lines, and on a terminal a last line that changes.
pub struct Console {
    terminal: bool,
    live: bool,
    told: Vec<SidecarCondition>,
    /// Whether a role that does not demand its external ID is used all the same.
    enforcement_only_warns: bool,
}

impl Console {
    pub fn new() -> Self {
        Self { terminal: io::stdout().is_terminal(), live: false, told: Vec::new(), enforcement_only_warns: false }
    }

    /// What runs where, and how to send a first event.
    pub fn start(&mut self, function: &Function, cloud: &Cloud, events: &str, admin: &str) {
        let config = &function.config;
        self.enforcement_only_warns = config.spec.external_id_enforcement == ExternalIdEnforcement::Warn;
        let s3 = &config.spec.s3;
        let prefix = s3.prefix.as_ref().map_or("", |prefix| prefix.as_str());
        self.line(&format!("function  {}/{}", config.namespace, config.name));
        let ingest = config.spec.ingest.clone().unwrap_or_default();
        let (scheme, insecure) = if ingest.tls_secret_ref.is_some() { ("https", "-k ") } else { ("http", "") };
        self.line(&format!("events    {scheme}://{events}"));
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
        self.first_event(&ingest, &format!("{scheme}://{events}"), insecure);
    }

    /// How to send a first event, as a shell takes it. Secrets are named, never shown.
    fn first_event(&mut self, ingest: &Ingest, url: &str, insecure: &str) {
        let event = r#""userId":"u1","event":"Order Completed""#;
        match (&ingest.write_key_secret_ref, &ingest.signature_secret_ref) {
            (Some(SecretKeyRef { name, key }), _) => {
                self.line(&format!("Send a first event, with WRITE_KEY as a line of {key} in the Secret {name}:"));
                self.line(&format!("  curl {insecure}-u \"$WRITE_KEY:\" {url}/v1/track -d '{{{event}}}'"));
            }
            (None, Some(SecretKeyRef { name, key })) => {
                self.line(&format!("Send a first event, with SIGNING_SECRET as {key} in the Secret {name}:"));
                self.line(&format!("  event='{{\"type\":\"track\",{event}}}'"));
                self.line("  signature=$(printf %s \"$event\" | openssl dgst -sha1 -hmac \"$SIGNING_SECRET\" -r | cut -d' ' -f1)");
                self.line(&format!("  curl {insecure}-H \"X-Signature: $signature\" {url}/ -d \"$event\""));
            }
            (None, None) => {
                self.line("Send a first event:");
                self.line(&format!("  curl {insecure}{url}/v1/track -d '{{{event}}}'"));
            }
        }
        self.line("");
    }

    /// A line for each condition that turned.
    pub fn conditions(&mut self, now: &[SidecarCondition]) {
        for condition in now {
            let old = self.told.iter().find(|told| told.r#type == condition.r#type);
            let same = old.is_some_and(|old| old.status == condition.status && old.reason == condition.reason);
            let was_wrong = old.is_some_and(|old| old.status == Truth::False || old.reason.is_warning());
            let SidecarCondition { r#type, status, reason, message, .. } = condition;
            match status {
                Truth::False if !same => self.line(&format!("problem   {type} {reason}: {message}")),
                Truth::True if !same && reason.is_warning() => {
                    self.line(&format!("warning   {type} {reason}: {message}"));
                }
                Truth::True if !same && was_wrong => self.line(&format!("mended    {type}: {message}")),
                Truth::True | Truth::Unknown | Truth::False => {}
            }
        }
        if self.ready(now) && !self.ready(&self.told) {
            self.line("ready     the role is assumed; events are taken");
        }
        self.told = now.to_vec();
    }

    /// Whether events are stored: the role is assumed, and demands its external ID, or need not.
    fn ready(&self, conditions: &[SidecarCondition]) -> bool {
        let status = |r#type| conditions.iter().find(|condition| condition.r#type == r#type).map(|found| found.status);
        let enforced = match status(ConditionType::ExternalIdEnforced) {
            Some(Truth::False) => self.enforcement_only_warns,
            status => status == Some(Truth::True),
        };
        enforced && status(ConditionType::RoleAssumed) == Some(Truth::True)
    }

    /// A new sidecar, of which nothing is known yet.
    pub fn forget(&mut self) {
        self.told.clear();
    }

    /// Something that the person who runs it should know.
    pub fn note(&mut self, kind: &str, says: &str) {
        self.line(&format!("{kind:<9} {says}"));
    }

    /// Where the first object is.
    pub fn first_object(&mut self, file: &Path) {
        self.line(&format!("object    {}", file.display()));
    }

    /// The live count, on a terminal.
    pub fn count(&mut self, totals: Totals) {
        if self.terminal {
            let mut stdout = io::stdout();
            let _ = write!(stdout, "\r\x1b[K{}", summary(totals));
            let _ = stdout.flush();
            self.live = true;
        }
    }

    /// The last line.
    pub fn end(&mut self, totals: Totals, place: &str) {
        self.line(&format!("{}; objects are in {place}", summary(totals)));
    }

    fn line(&mut self, text: &str) {
        let clear = if std::mem::take(&mut self.live) { "\r\x1b[K" } else { "" };
        // A reader that has gone away is no reason to stop taking events.
        let _ = writeln!(io::stdout(), "{clear}{text}");
    }
}

fn summary(totals: Totals) -> String {
    let Totals { stored, deduplicated, filtered, rejected, objects, bytes } = totals;
    format!(
        "{stored} events stored ({deduplicated} of them were there already), {objects} objects of {bytes} bytes written, \
         {filtered} events filtered out, {rejected} rejected"
    )
}
