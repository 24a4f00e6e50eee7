//! Measures the sidecar's footprint: binary size, start-up time, and memory when idle and with many requests waiting.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::sleep;

use crate::content::Content;
use crate::double::Double;
use crate::load::{Load, LoadShape, Pace, Server};
use crate::sidecar::{Delivery, Setup, Sidecar};
use crate::usage;

/// Number of starts, of which the median is reported.
const START_COUNT: usize = 5;
/// How long the sidecar idles before its idle memory is read.
const IDLE_TIME: Duration = Duration::from_secs(2);
/// Number of requests of one event that wait for S3 at the same time.
const WAITING_REQUESTS: u32 = 512;
/// Latency of S3 for each of these requests.
const S3_LATENCY: Duration = Duration::from_millis(500);
/// How long the load lasts.
const LOAD_DURATION: Duration = Duration::from_secs(6);

/// The measured figures.
pub struct Footprint {
    binary_mib: f64,
    healthy_after: Duration,
    ready_after: Duration,
    idle_mib: f64,
    loaded_mib: f64,
}

/// Measures the sidecar `binary`, in Object mode.
pub async fn measure(binary: &Path) -> Result<Footprint> {
    let binary_mib = std::fs::metadata(binary)?.len() as f64 / f64::from(1 << 20);
    let double = Double::start(Content::Event, S3_LATENCY, None).await?;
    let setup = Setup::new(&double, Delivery::Object);
    let mut sidecar = Sidecar::start(binary, &setup).await?;
    let times = |sidecar: &Sidecar| [sidecar.healthy_after, sidecar.ready_after];
    let mut starts = vec![times(&sidecar)];
    for _ in 1..START_COUNT {
        sidecar = Sidecar::start(binary, &setup).await?;
        starts.push(times(&sidecar));
    }
    let [healthy_after, ready_after] = [0, 1].map(|which| median(starts.iter().map(|times| times[which]).collect()));
    sleep(IDLE_TIME).await;
    let idle_mib = usage::resident_mib(sidecar.pid)?;
    let shape = LoadShape { connections: WAITING_REQUESTS, events: 1 };
    let load = Load::start(&Server::plain(sidecar.address), shape, Pace::Closed).await?;
    sleep(LOAD_DURATION).await;
    load.stop();
    let tally = load.finish().await?;
    ensure!(tally.failed == 0, "{} events failed: {:?}", tally.failed, tally.first_failure);
    let loaded_mib = usage::peak_mib(sidecar.pid)?;
    Ok(Footprint { binary_mib, healthy_after, ready_after, idle_mib, loaded_mib })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Footprint { binary_mib, healthy_after, ready_after, idle_mib, loaded_mib } = self;
        writeln!(
            f,
            "tributary-sidecar: binary {binary_mib:.1} MiB; /healthz after {} ms, ready after {} ms (with an STS and an \
             S3 that answer at once)",
            healthy_after.as_millis(),
            ready_after.as_millis()
        )?;
        write!(
            f,
            "memory: {idle_mib:.1} MiB idle, {loaded_mib:.1} MiB at most with {WAITING_REQUESTS} requests waiting"
        )
    }
}
