//! One round of one process: started, warmed up, measured, checked, ended.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::time::sleep;

use crate::cli::Options;
use crate::double::Double;
use crate::load::{Load, Tally};
use crate::process::Helper;
use crate::sidecar::Sidecar;
use crate::target::Target;
use crate::usage;

pub struct Round<'a> {
    pub target: Target,
    pub options: &'a Options,
    /// The sidecar's binary, if it is to be measured at all.
    pub sidecar: Option<&'a Path>,
}

/// What a round came to.
pub struct Outcome {
    pub events_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub peak_mib: f64,
    /// CPU of the process under test.
    pub cpu: Cost,
    /// CPU of the load generator.
    pub load: Cost,
    /// CPU of S3 and STS, where they were behind it.
    pub double: Option<Cost>,
    /// Cores that the rest of the machine kept busy meanwhile.
    pub others: f64,
    /// What must not happen, in words.
    pub faults: Vec<String>,
}

/// CPU time, seen in two ways.
#[derive(Clone, Copy)]
pub struct Cost {
    /// µs an event.
    pub micros: f64,
    /// Cores kept busy.
    pub cores: f64,
}

/// What is loaded.
enum UnderTest {
    Floor(Helper),
    Sidecar(Sidecar),
}

/// CPU time so far: of every process that takes part, and of the machine.
struct Reading {
    under_test: Duration,
    load: Duration,
    double: Option<Duration>,
    machine: Duration,
    at: Instant,
}

impl Round<'_> {
    pub async fn run(&self) -> Result<Outcome> {
        let mut double = if self.target.stores() { Some(Double::start(Duration::ZERO).await?) } else { None };
        let under_test = self.start(double.as_ref()).await?;

        let load = Load::start(under_test.address(), self.options.connections).await?;
        sleep(self.options.warm_up()).await;
        let before = Reading::take(&under_test, double.as_ref()).context("the process is gone after the warm-up")?;
        load.measure();
        sleep(self.options.measured()).await;
        load.stop();
        let after = Reading::take(&under_test, double.as_ref()).context("the process is gone")?;
        let tally = load.finish().await?;

        let peak_mib = usage::peak_mib(under_test.pid())?;
        let faults = faults(&tally, double.as_mut()).await?;
        outcome(tally, peak_mib, &before, &after, faults)
            .with_context(|| format!("{}{}", self.target, under_test.last_words()))
    }

    async fn start(&self, double: Option<&Double>) -> Result<UnderTest> {
        let s3 = || double.map(Double::address).context("nothing is stored without a double");
        Ok(match self.target {
            Target::Take => UnderTest::Floor(Helper::start(&["take"]).await?),
            Target::Object => UnderTest::Floor(Helper::start(&["object", &s3()?.to_string()]).await?),
            Target::Sidecar => {
                let binary = self.sidecar.context("there is no sidecar to measure")?;
                UnderTest::Sidecar(Sidecar::start(binary, s3()?).await?)
            }
        })
    }
}

impl UnderTest {
    fn pid(&self) -> u32 {
        match self {
            UnderTest::Floor(helper) => helper.pid,
            UnderTest::Sidecar(sidecar) => sidecar.pid,
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            UnderTest::Floor(helper) => helper.address,
            UnderTest::Sidecar(sidecar) => sidecar.address,
        }
    }

    /// The end of its log, if it keeps one; floors write to standard error.
    fn last_words(&self) -> String {
        match self {
            UnderTest::Floor(_) => String::new(),
            UnderTest::Sidecar(sidecar) => sidecar.last_words(),
        }
    }
}

impl Reading {
    fn take(under_test: &UnderTest, double: Option<&Double>) -> Result<Reading> {
        Ok(Reading {
            under_test: usage::cpu(under_test.pid())?,
            load: usage::cpu(std::process::id())?,
            double: double.map(|double| usage::cpu(double.pid())).transpose()?,
            machine: usage::machine()?,
            at: Instant::now(),
        })
    }

    /// What took no part.
    fn others(&self) -> Duration {
        self.machine.saturating_sub(self.under_test + self.load + self.double.unwrap_or_default())
    }
}

/// An answer other than 200, and an event answered 200 that isn't in S3 exactly once.
async fn faults(tally: &Tally, double: Option<&mut Double>) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    if tally.failed > 0 {
        let first = tally.first_failure.as_deref().unwrap_or_default();
        faults.push(format!("{} events not answered 200; the first: {first}", tally.failed));
    }
    if let Some(double) = double {
        let counts = double.counts().await?;
        if counts.stored != tally.answered {
            faults.push(format!(
                "{} events answered 200, but {} objects stored and {} refused",
                tally.answered, counts.stored, counts.refused
            ));
        }
    }
    Ok(faults)
}

fn outcome(tally: Tally, peak_mib: f64, before: &Reading, after: &Reading, faults: Vec<String>) -> Result<Outcome> {
    let events = tally.measured.count() as f64;
    let sorted = tally.measured.sorted();
    let (Some(p50_ms), Some(p99_ms)) = (sorted.percentile_ms(0.5), sorted.percentile_ms(0.99)) else {
        bail!("no event was answered 200: {}", faults.join("; "));
    };
    let seconds = (after.at - before.at).as_secs_f64();
    let cost = |before: Duration, after: Duration| {
        let busy = after.saturating_sub(before).as_secs_f64();
        Cost { micros: busy * 1e6 / events, cores: busy / seconds }
    };
    let others = after.others().saturating_sub(before.others()).as_secs_f64();
    Ok(Outcome {
        others: others / seconds,
        events_per_second: events / seconds,
        p50_ms,
        p99_ms,
        peak_mib,
        cpu: cost(before.under_test, after.under_test),
        load: cost(before.load, after.load),
        double: before.double.zip(after.double).map(|(before, after)| cost(before, after)),
        faults,
    })
}

/// A line of progress.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} events/s, {:.1} CPU µs/event", self.events_per_second, self.cpu.micros)?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  FAULT: {fault}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_by_event_and_by_second() {
        let at = Instant::now();
        let reading = |under_test, load, double, seconds| Reading {
            under_test: Duration::from_millis(under_test),
            load: Duration::from_millis(load),
            double: Some(Duration::from_millis(double)),
            machine: Duration::from_millis(under_test + load + double) + Duration::from_secs(seconds / 2),
            at: at + Duration::from_secs(seconds),
        };
        let mut tally = Tally::default();
        (1..=1000).for_each(|ms| tally.measured.record(Duration::from_millis(ms)));
        let outcome = outcome(tally, 1.5, &reading(10, 0, 5, 0), &reading(30, 1000, 9, 2), Vec::new()).unwrap();
        assert_eq!(outcome.events_per_second, 500.0);
        assert_eq!((outcome.p50_ms, outcome.p99_ms), (500.0, 990.0));
        assert!((outcome.cpu.micros - 20.0).abs() < 1e-6);
        assert!((outcome.load.cores - 0.5).abs() < 1e-6);
        assert!((outcome.others - 0.5).abs() < 1e-6);
        assert!((outcome.double.unwrap().micros - 4.0).abs() < 1e-6);
    }

    #[tokio::test]
    async fn a_failed_event_is_a_fault() {
        let tally = Tally { answered: 3, failed: 2, first_failure: Some("503: busy".to_owned()), ..Tally::default() };
        let faults = faults(&tally, None).await.unwrap();
        assert_eq!(faults, ["2 events not answered 200; the first: 503: busy"]);
    }
}
