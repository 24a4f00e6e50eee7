//! `tributary send`: sends track events to a function and counts the answers.

mod client;
mod tally;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ArgGroup;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant as TokioInstant, sleep_until};

use crate::Outcome;
use client::{Client, SendOptions};
use tally::Tally;

/// How often progress is printed while events are sent at a rate.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// Sends track events to a function, and prints the answers.
///
/// For a single event, prints the answer; for several, prints how many got each status. Fails unless every event is
/// answered with 200.
#[derive(clap::Args)]
#[command(
    group = ArgGroup::new("key").multiple(false),
    after_help = "\
Examples:
  tributary send http://127.0.0.1:8080
  tributary send http://orders.shop.svc --count 24000 --rate 200
  tributary send https://orders.shop.svc --ca-file ca.crt --write-key my-key"
)]
pub struct Arguments {
    /// URL of the function: scheme, host and, if needed, port
    url: String,

    /// Number of events
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count)]
    count: u64,

    /// Events per second, sent without waiting for earlier answers; by default, one event after the other
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<u32>,

    /// Prefix of the events' messageIds; by default, a new random one
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,

    /// Write key of the function
    #[arg(long, value_name = "KEY", group = "key")]
    write_key: Option<String>,

    /// File with the write key, read again for each event
    #[arg(long, value_name = "FILE", group = "key")]
    write_key_file: Option<PathBuf>,

    /// File with the signing secret of a webhook, read again for each event; sends to / instead of /v1/track
    #[arg(long, value_name = "FILE", group = "key")]
    signature_file: Option<PathBuf>,

    /// PEM file with the CA certificates to trust; by default the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Open a new connection for each event
    #[arg(long)]
    no_keep_alive: bool,

    /// Seconds during which failed attempts that may succeed later (errors, 408, 429, 5xx) are retried
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = seconds)]
    retry: u64,
}

/// Parses a number of events.
fn count(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|count| *count > 0).ok_or("not a whole number from 1; write it like 1000")
}

/// Parses a number of events per second.
fn rate(text: &str) -> Result<u32, &'static str> {
    text.parse().ok().filter(|rate| (1..=10_000).contains(rate)).ok_or("not a whole number from 1 to 10000")
}

/// Parses a number of seconds.
fn seconds(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "not a whole number of seconds; write it like 30")
}

/// Sends the events; fails unless all are answered with 200.
pub fn run(arguments: &Arguments) -> Outcome {
    let options = match SendOptions::from_arguments(arguments) {
        Ok(options) => options,
        Err(error) => return Outcome::Usage(error),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Outcome::Error(format!("can't start the runtime: {error}")),
    };
    let tally = runtime.block_on(send(arguments, Client::new(options)));
    if tally.all_stored() { Outcome::Done(tally.to_string()) } else { Outcome::Failed(tally.to_string()) }
}

async fn send(arguments: &Arguments, client: Client) -> Tally {
    let prefix = arguments.prefix.clone().unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
    let retry = Duration::from_secs(arguments.retry);
    let mut tally = Tally::default();
    let event = |i: u64| {
        let now = jiff::Timestamp::now();
        json!({
            "type": "track",
            "messageId": format!("{prefix}-{i}"),
            "userId": "tributary-send",
            "event": "Test Event",
            "timestamp": now.to_string(),
            "properties": {"number": i},
        })
    };
    let Some(rate) = arguments.rate else {
        for i in 0..arguments.count {
            tally.add(client.send(event(i).to_string(), retry).await);
        }
        return tally;
    };
    let (start, interval) = (TokioInstant::now(), Duration::from_secs(1) / rate);
    let mut in_flight = JoinSet::new();
    let mut last_progress = Instant::now();
    for i in 0..arguments.count {
        let due = start + interval * u32::try_from(i).unwrap_or(u32::MAX);
        loop {
            tokio::select! {
                () = sleep_until(due) => break,
                Some(Ok(sent)) = in_flight.join_next() => tally.add(sent),
            }
        }
        let (client, body) = (client.clone(), event(i).to_string());
        in_flight.spawn(async move { client.send(body, retry).await });
        if last_progress.elapsed() >= PROGRESS_INTERVAL {
            eprintln!("{} of {} events sent; {tally}", i + 1, arguments.count);
            last_progress = Instant::now();
        }
    }
    while let Some(sent) = in_flight.join_next().await {
        sent.into_iter().for_each(|sent| tally.add(sent));
    }
    tally
}
