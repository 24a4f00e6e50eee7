//! Runs the double of S3 and STS, the project's embedded AWS, in a process of its own.
//!
//! It checks every signature and every policy. It discards objects of one event, and keeps those of many events to
//! count their content when the run is over.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tributary_local_aws::{Accounts, Action, Fault, LocalAws, Options, Service, Store};

use crate::event_counter::EventCounter;
use crate::process::{self, Helper};

/// The user whose keys the floors sign with, and from which the sidecar assumes its role.
pub const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const EXTERNAL_ID: &str = "bench-external-id";
pub const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/bench";
pub const BUCKET: &str = "bench-bucket";
pub const REGION: &str = "us-west-2";

/// The double, from the bench's side.
pub struct Double(Helper);

/// What its objects contain.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Content {
    /// One event.
    Event,
    /// Events, one per line, compressed with gzip.
    Lines,
}

/// What the double has stored so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Counts {
    /// PutObjects that succeeded.
    pub objects: u64,
    /// PutObjects that failed.
    pub refused: u64,
    /// Events in the objects.
    pub events: u64,
    /// Of those, the ones whose messageId another event already has.
    pub repeated: u64,
    /// Bytes of the objects; 0 if they are discarded.
    pub bytes: u64,
}

impl Double {
    /// Starts a double that delays each PutObject by `latency`.
    pub async fn start(content: Content, latency: Duration) -> Result<Double> {
        let content = content.to_possible_value().context("each content has a name")?;
        Helper::start(&["double", content.get_name(), &latency.as_millis().to_string()]).await.map(Double)
    }

    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// What it has stored so far. If it keeps objects this takes a while, since it decompresses them.
    pub async fn counts(&mut self) -> Result<Counts> {
        let counts = self.0.request().await?;
        serde_json::from_str(&counts).with_context(|| format!("the double answered {counts:?}"))
    }
}

/// The double's own process: serves until the bench ends.
pub fn run(content: Content, latency_ms: u64) -> Result<()> {
    let store = match content {
        Content::Event => Store::discard(),
        Content::Lines => Store::memory(),
    };
    let aws = LocalAws::new(Options { store, record_calls: false, ..Options::new(Accounts::parse(&accounts())?) });
    if latency_ms > 0 {
        let slow = Fault::new(Action::LatencyMs(latency_ms));
        aws.set_faults(vec![Fault { operation: Some("PutObject".to_owned()), ..slow }]);
    }
    let runtime = Runtime::new()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    let server = aws.clone();
    runtime.spawn(async move { server.serve(listener, std::future::pending()).await });
    process::serve(address, || Ok(serde_json::to_string(&counts(&aws, content)?)?))
}

fn counts(aws: &LocalAws, content: Content) -> Result<Counts> {
    let (objects, refused) = puts(&aws.counts());
    let mut counts = Counts { objects, refused, ..Counts::default() };
    match content {
        Content::Event => counts.events = objects,
        Content::Lines => {
            let mut counter = EventCounter::default();
            for object in aws.objects() {
                counter.add(&object.body).with_context(|| object.key)?;
                counts.bytes += object.body.len() as u64;
            }
            (counts.events, counts.repeated) = (counter.events, counter.repeated());
        }
    }
    Ok(counts)
}

/// The numbers of PutObjects that succeeded and that failed.
fn puts(counts: &tributary_local_aws::Counts) -> (u64, u64) {
    let (mut stored, mut refused) = (0, 0);
    for ((service, operation, outcome), count) in counts {
        match (service, *operation, outcome.as_ref()) {
            (Service::S3, "PutObject", "ok") => stored += count,
            (Service::S3, "PutObject", _) => refused += count,
            _ => {}
        }
    }
    (stored, refused)
}

/// The double's accounts file: one account with one user, one role and one bucket.
fn accounts() -> String {
    format!(
        "accounts:\n  \
           \"123456789012\":\n    \
             users:\n      \
               bench-base: {{accessKeyId: {ACCESS_KEY_ID}, secretAccessKey: {SECRET_ACCESS_KEY}}}\n    \
             roles:\n      \
               bench: {{externalId: {EXTERNAL_ID}, principals: [\"arn:aws:iam::123456789012:user/bench-base\"]}}\n    \
             buckets:\n      \
               {BUCKET}: {{region: {REGION}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accounts_are_valid() {
        Accounts::parse(&accounts()).unwrap();
    }

    #[test]
    fn only_puts_are_counted() {
        let counts = [
            ((Service::S3, "PutObject", "ok".into()), 5),
            ((Service::S3, "PutObject", "SlowDown".into()), 2),
            ((Service::S3, "PutObject", "cut".into()), 1),
            ((Service::S3, "HeadBucket", "ok".into()), 9),
            ((Service::Sts, "AssumeRole", "ok".into()), 9),
        ];
        assert_eq!(puts(&counts.into_iter().collect()), (5, 3));
    }
}
