//! `tributary send`: track events for a function, one or many, and what was answered.

mod client;
mod tally;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ArgGroup;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant as Tick, sleep_until};

use crate::Outcome;
use client::{Client, Given};
use tally::Tally;

/// Sends track events to a function, and says what was answered.
///
/// Fails unless every event is stored.
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
    /// Where the function takes events: scheme, host and, if need be, port
    url: String,

    /// How many events
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u64,

    /// Events a second, whether those before are answered or not; without it, one after the other
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: Option<u32>,

    /// What the events' messageIds begin with; by default, something that no others begin with
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,

    /// A write key
    #[arg(long, value_name = "KEY", group = "key")]
    write_key: Option<String>,

    /// A file with the write key, read anew for each event
    #[arg(long, value_name = "FILE", group = "key")]
    write_key_file: Option<PathBuf>,

    /// A file with the signing secret of a webhook, read anew for each event: sends to /
    #[arg(long, value_name = "FILE", group = "key")]
    signature_file: Option<PathBuf>,

    /// Certificates to trust, in PEM; by default the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// A new connection for every event
    #[arg(long)]
    no_keep_alive: bool,

    /// Try again what may succeed later, as libraries do, for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    retry: u64,
}

/// Sends.
pub fn run(arguments: &Arguments) -> Outcome {
    let given = match Given::of(arguments) {
        Ok(given) => given,
        Err(says) => return Outcome::Usage(says),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Outcome::Failed(format!("can't start: {error}\n")),
    };
    let tally = runtime.block_on(send(arguments, Client::new(given)));
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
    let (begin, every) = (Tick::now(), Duration::from_secs(1) / rate);
    let mut under_way = JoinSet::new();
    let mut shown = Instant::now();
    for i in 0..arguments.count {
        let due = begin + every * u32::try_from(i).unwrap_or(u32::MAX);
        loop {
            tokio::select! {
                () = sleep_until(due) => break,
                Some(Ok(sent)) = under_way.join_next() => tally.add(sent),
            }
        }
        let (client, body) = (client.clone(), event(i).to_string());
        under_way.spawn(async move { client.send(body, retry).await });
        if shown.elapsed() >= Duration::from_secs(10) {
            eprintln!("{} of {} events sent; {tally}", i + 1, arguments.count);
            shown = Instant::now();
        }
    }
    while let Some(sent) = under_way.join_next().await {
        sent.into_iter().for_each(|sent| tally.add(sent));
    }
    tally
}
