//! Runs the double of S3 and STS, the project's embedded AWS, in a process of its own.
//!
//! It checks every signature and every policy, and records what it stores ([`StoredEvents`]). The bench reads the
//! messageIds from a file that the double writes: a run has hundreds of thousands.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tributary_local_aws::{Accounts, Action, Fault, LocalAws, Options, Service, Store};

use crate::content::Content;
use crate::process::{self, Helper};
use crate::stored_events::StoredEvents;
use crate::tls::{self, Certificates};

/// The user whose keys the floors sign with, and from which the sidecar assumes its role.
pub const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const EXTERNAL_ID: &str = "bench-external-id";
pub const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/bench";
pub const BUCKET: &str = "bench-bucket";
pub const REGION: &str = "us-west-2";

/// The double, from the bench's side.
pub struct Double {
    helper: Helper,
    /// Where the double writes the messageIds; removed when dropped.
    folder: TempDir,
    /// The authority that its certificate is from; `None` if it serves without TLS.
    authority: Option<PathBuf>,
}

/// What the double does.
#[derive(Args)]
pub struct DoubleOptions {
    /// What the objects contain.
    #[arg(long)]
    pub content: Content,
    /// Milliseconds that each PutObject is delayed.
    #[arg(long)]
    pub latency_ms: u64,
    /// The folder with its certificate; without it, it serves without TLS.
    #[arg(long)]
    pub tls: Option<PathBuf>,
}

/// What the double has stored so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Counts {
    /// PutObjects that succeeded.
    pub objects: u64,
    /// PutObjects that failed.
    pub refused: u64,
    /// Objects whose key an earlier object has.
    pub repeated_keys: u64,
    /// Bytes of the objects.
    pub bytes: u64,
}

/// What the double has stored so far, with the events.
#[derive(Default)]
pub struct Stored {
    pub counts: Counts,
    /// The messageIds of the events in the objects, with repetitions.
    pub message_ids: Vec<u128>,
}

impl Double {
    /// Starts a double that delays each PutObject by `latency` and, if there are certificates, serves over TLS.
    pub async fn start(content: Content, latency: Duration, tls: Option<&Certificates>) -> Result<Double> {
        let mut args = vec![
            "double".to_owned(),
            format!("--content={}", content.name()),
            format!("--latency-ms={}", latency.as_millis()),
        ];
        args.extend(tls.map(|tls| format!("--tls={}", tls.folder().display())));
        let helper = Helper::start(&args).await?;
        Ok(Double { helper, folder: TempDir::new()?, authority: tls.map(Certificates::authority) })
    }

    pub fn pid(&self) -> u32 {
        self.helper.pid
    }

    pub fn address(&self) -> SocketAddr {
        self.helper.address
    }

    /// The URL of S3 and STS.
    pub fn endpoint(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// The authority that a client must trust; `None` if it serves without TLS.
    pub fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }

    /// What it has stored so far. With batches this takes a while, since it decompresses them.
    pub async fn stored(&mut self) -> Result<Stored> {
        let file = self.folder.path().join("message-ids");
        let counts =
            self.helper.request(file.to_str().context("the path of the temporary folder is not text")?).await?;
        let counts = serde_json::from_str(&counts).with_context(|| format!("the double answered {counts:?}"))?;
        Ok(Stored { counts, message_ids: read_ids(&file)? })
    }
}

/// The double's own process: serves until the bench ends.
pub fn run(options: &DoubleOptions) -> Result<()> {
    let &DoubleOptions { content, latency_ms, ref tls } = options;
    let tls = tls.as_deref().map(tls::server_config).transpose()?;
    let stored = Arc::new(Mutex::new(StoredEvents::new(content)));
    let recorder = Arc::clone(&stored);
    let store = Store::consumer(move |object| recorder.lock().add(&object.key, object.body));
    let aws = LocalAws::new(Options { store, record_calls: false, ..Options::new(Accounts::parse(&accounts())?) });
    if latency_ms > 0 {
        let slow = Fault::new(Action::LatencyMs(latency_ms));
        aws.set_faults(vec![Fault { operation: Some("PutObject".to_owned()), ..slow }]);
    }
    let runtime = Runtime::new()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    let server = aws.clone();
    runtime.spawn(async move {
        match tls {
            None => server.serve(listener, std::future::pending()).await,
            Some(tls) => server.serve_tls(listener, tls, std::future::pending()).await,
        }
    });
    process::serve(address, |file| {
        let counts = report(&aws, &mut stored.lock(), Path::new(file))?;
        Ok(serde_json::to_string(&counts)?)
    })
}

/// Writes the messageIds into `file`, and returns the rest.
fn report(aws: &LocalAws, stored: &mut StoredEvents, file: &Path) -> Result<Counts> {
    write_ids(file, stored.ids()?)?;
    let (objects, refused) = puts(&aws.counts());
    Ok(Counts { objects, refused, repeated_keys: stored.repeated_keys, bytes: stored.bytes })
}

fn write_ids(file: &Path, ids: &[u128]) -> Result<()> {
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    fs::write(file, bytes).with_context(|| file.display().to_string())
}

fn read_ids(file: &Path) -> Result<Vec<u128>> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    Ok(bytes.as_chunks().0.iter().map(|id| u128::from_le_bytes(*id)).collect())
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
    fn message_ids_are_read_as_they_were_written() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("ids");
        write_ids(&file, &[0, u128::MAX, 7]).unwrap();
        assert_eq!(read_ids(&file).unwrap(), [0, u128::MAX, 7]);
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
