//! Sends a steady stream of events to a sidecar in Batch mode, in an open loop.
//!
//! A request is sent when it is due, not when an earlier one has been answered. Its latency counts from then, so that
//! waiting for a free connection counts too.

use std::fmt;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::connection::Connection;
use crate::content::Content;
use crate::double::{Counts, Double};
use crate::event::EVENT_BYTES;
use crate::latencies::SortedLatencies;
use crate::load::{LAST_ANSWERS_TIMEOUT, LoadShape, Server, Tally, connect};
use crate::machine;
use crate::reading::{CpuCosts, Reading};
use crate::round::faults;
use crate::schedule::Schedule;
use crate::sidecar::{BatchSettings, Binary, Delivery, Setup, Sidecar};
use crate::usage;

/// The latency for which there are enough connections: three times a batch's default `maxAge`. Slower answers delay the
/// requests behind them.
const MAX_EXPECTED_LATENCY: Duration = Duration::from_secs(3);
/// Maximum number of connections: a sidecar accepts 1,024.
const MAX_CONNECTIONS: u32 = 1000;

#[derive(Args)]
pub struct StreamOptions {
    /// Events per second.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// Duration in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// Events per request.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=900))]
    pub events: u32,
    /// Milliseconds that S3 takes for an object; 80 is typical of a small one.
    #[arg(long, value_name = "MS", default_value_t = 80)]
    latency: u64,
    #[command(flatten)]
    pub binary: Binary,
}

impl StreamOptions {
    pub fn latency(&self) -> Duration {
        Duration::from_millis(self.latency)
    }
}

impl fmt::Display for StreamOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamOptions { rate, seconds, events, latency, .. } = self;
        write!(
            f,
            "{rate} events/s for {seconds} s, of {EVENT_BYTES} bytes and {events} per request; Batch mode with its \
             defaults; S3 takes {latency} ms longer per object"
        )
    }
}

/// The results of a stream.
struct StreamResults {
    /// Events answered 200; `failed` counts those with another answer, or none.
    answered: u64,
    failed: u64,
    latencies: SortedLatencies,
    counts: Counts,
    /// Events in the objects.
    stored_events: usize,
    spent: CpuCosts,
    peak_mib: f64,
    faults: Vec<String>,
}

/// Runs the stream and prints its results. The exit code says whether it was free of faults.
pub async fn run(options: &StreamOptions) -> Result<ExitCode> {
    let shape = shape(options);
    let binary = options.binary.path().await?;
    println!("{}\n{options}; {} connections\n", machine::describe()?, shape.connections);
    let mut double = Double::start(Content::Gzip, options.latency(), None).await?;
    let sidecar = Sidecar::start(&binary, &Setup::new(&double, Delivery::Batch(BatchSettings::default()))).await?;

    let before = Reading::read(sidecar.pid, Some(&double))?;
    let mut tally = stream(sidecar.address, shape, options).await?;
    let after = Reading::read(sidecar.pid, Some(&double)).context("the sidecar has exited")?;

    let peak_mib = usage::peak_mib(sidecar.pid)?;
    let stored = double.stored().await?;
    let (counts, stored_events) = (stored.counts, stored.message_ids.len());
    let faults = faults(&mut tally, Some(stored));
    let (answered, failed) = (tally.answered.len() as u64, tally.failed * shape.events as u64);
    if answered == 0 {
        bail!("no event was answered 200: {}{}", faults.join("; "), sidecar.log_tail());
    }
    let spent = before.costs_until(&after, answered as f64);
    let latencies = tally.measured.sorted();
    let results = StreamResults { answered, failed, latencies, counts, stored_events, spent, peak_mib, faults };
    println!("{results}");
    Ok(if results.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn shape(options: &StreamOptions) -> LoadShape {
    let in_flight = f64::from(options.rate) / f64::from(options.events) * MAX_EXPECTED_LATENCY.as_secs_f64();
    LoadShape { connections: (in_flight.ceil() as u32).min(MAX_CONNECTIONS), events: options.events as usize }
}

/// Sends all requests, and waits for the last answers.
async fn stream(address: SocketAddr, shape: LoadShape, options: &StreamOptions) -> Result<Tally> {
    let connections = connect(&Server::plain(address), shape).await?;
    let schedule = Arc::new(schedule(options));
    let senders: JoinSet<Tally> =
        connections.into_iter().map(|connection| send(connection, Arc::clone(&schedule))).collect();
    let duration = Duration::from_secs(options.seconds.into());
    let tallies = timeout(duration + LAST_ANSWERS_TIMEOUT, senders.join_all()).await;
    Ok(Tally::sum(tallies.context("the sidecar can't keep up, or answers are missing")?))
}

/// Sends the next request when it is due, until none is left or the connection breaks.
async fn send(mut connection: Connection, schedule: Arc<Schedule>) -> Tally {
    let mut tally = Tally::default();
    while let Some(due) = schedule.next() {
        sleep_until(due.into()).await;
        let response = connection.send().await;
        if !tally.record(&response, Some(due.elapsed())) {
            break;
        }
    }
    tally
}

fn schedule(options: &StreamOptions) -> Schedule {
    let &StreamOptions { rate, seconds, events, .. } = options;
    let requests = (u64::from(rate) * u64::from(seconds)).div_ceil(events.into());
    Schedule::start(Duration::from_secs(events.into()) / rate, requests)
}

impl fmt::Display for StreamResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamResults { answered, failed, latencies, counts, stored_events: events, spent, peak_mib, faults } =
            self;
        let (Counts { objects, bytes, .. }, events) = (*counts, *events);
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| latencies.percentile_ms(share).unwrap_or_default());
        let double_cores = spent.double.map(|double| double.cores).unwrap_or_default();
        writeln!(f, "events     {} sent, {answered} answered 200, {failed} not", answered + failed)?;
        writeln!(
            f,
            "PUTs       {objects}, of {:.0} events and {:.0} KiB; {:.0} bytes per event",
            events as f64 / objects as f64,
            bytes as f64 / objects as f64 / 1024.0,
            bytes as f64 / events as f64,
        )?;
        writeln!(f, "answers    p50 {p50:.0} ms, p99 {p99:.0} ms, max {most:.0} ms after the request was due")?;
        writeln!(
            f,
            "sidecar    {:.2} cores, {:.1} CPU µs/event; {peak_mib:.1} MiB at most",
            spent.cpu.cores, spent.cpu.micros
        )?;
        write!(
            f,
            "other CPU  {:.2} cores for the load, {double_cores:.2} for S3, {:.2} for others",
            spent.load.cores, spent.other_cores
        )?;
        faults.iter().try_for_each(|fault| write!(f, "\nFAULT: {fault}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: StreamOptions,
    }

    fn options(args: &[&str]) -> StreamOptions {
        CommandLine::parse_from([&["stream"], args].concat()).options
    }

    #[test]
    fn requests_are_due_at_the_requested_rate() {
        let schedule = schedule(&options(&["--rate", "700", "--seconds", "2", "--events", "350"]));
        let due: Vec<_> = std::iter::from_fn(|| schedule.next()).collect();
        let intervals: Vec<_> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(intervals, [Duration::from_millis(500); 3]);
    }

    #[test]
    fn there_is_a_connection_per_waiting_request_up_to_the_sidecars_limit() {
        let connections = |args: &[&str]| shape(&options(args)).connections;
        assert_eq!(connections(&[]), 300);
        assert_eq!(connections(&["--rate", "1", "--events", "900"]), 1);
        assert_eq!(connections(&["--events", "1"]), MAX_CONNECTIONS);
    }
}
