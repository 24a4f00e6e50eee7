//! Runs one round of one process: starts it, warms it up, measures and checks it, and ends it.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use tokio::time::sleep;

use crate::double::{Counts, Double, Stored};
use crate::exactly_once::Differences;
use crate::external::External;
use crate::load::{Load, LoadShape, Pace, Server, Tally};
use crate::options::Options;
use crate::process::Helper;
use crate::reading::{CpuCosts, Reading};
use crate::sidecar::{Setup, Sidecar};
use crate::target::{Program, Target};
use crate::tls::{self, Certificates};
use crate::usage;

pub struct Round<'a> {
    pub target: Target,
    pub options: &'a Options,
    /// Requests per second of an open loop; `None` for a closed loop.
    pub rate: Option<f64>,
    pub certificates: &'a Certificates,
    /// The sidecar's binary; `None` if only floors are measured.
    pub sidecar: Option<&'a Path>,
}

/// The results of a round.
pub struct RoundResult {
    pub shape: LoadShape,
    pub events_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub peak_mib: f64,
    pub spent: CpuCosts,
    /// The messages of [`faults()`]: what must not happen.
    pub faults: Vec<String>,
}

/// The process under test.
enum UnderTest {
    Floor(Helper),
    Sidecar(Sidecar),
    External(External),
}

impl Round<'_> {
    pub async fn run(&self) -> Result<RoundResult> {
        let workload = self.target.workload;
        let mut double = match workload.content {
            Some(content) => {
                let tls = workload.s3_tls.then_some(self.certificates);
                Some(Double::start(content, workload.s3_latency, tls).await?)
            }
            None => None,
        };
        let mut under_test = self.start(double.as_ref()).await?;

        let shape = self.options.shape(workload);
        let client = workload.client_tls.then(|| tls::connector(&self.certificates.authority())).transpose()?;
        let server = Server { address: under_test.address(), tls: client };
        let load = Load::start(&server, shape, self.rate.map_or(Pace::Closed, Pace::Open)).await?;
        sleep(self.options.warm_up()).await;
        let read = || Reading::read(under_test.pid(), double.as_ref());
        let before = read().context("the process exited during the warm-up")?;
        load.measure();
        sleep(self.options.measured()).await;
        load.stop();
        let after = read().context("the process exited")?;
        let mut tally = load.finish().await?;

        let peak_mib = usage::peak_mib(under_test.pid())?;
        if let UnderTest::External(external) = &mut under_test {
            external.stop().await?;
        }
        let stored = match double.as_mut() {
            Some(double) => Some(double.stored().await?),
            None => None,
        };
        let faults = faults(&mut tally, stored);
        let events = (tally.measured.count() * shape.events) as f64;
        let spent = before.costs_until(&after, events);
        let sorted = tally.measured.sorted();
        let [Some(p50_ms), Some(p99_ms), Some(p999_ms)] = [0.5, 0.99, 0.999].map(|share| sorted.percentile_ms(share))
        else {
            bail!("{}: no event was answered 200: {}{}", self.target, faults.join("; "), under_test.log_tail());
        };
        let events_per_second = events / spent.seconds;
        Ok(RoundResult { shape, events_per_second, p50_ms, p99_ms, p999_ms, peak_mib, spent, faults })
    }

    async fn start(&self, double: Option<&Double>) -> Result<UnderTest> {
        let client_tls = self.target.workload.client_tls.then_some(self.certificates);
        match self.target.program {
            Program::Floor => self.start_floor(double).await.map(UnderTest::Floor),
            Program::Peer(_) | Program::Node(_) => self.start_external(double).await.map(UnderTest::External),
            Program::Sidecar { worker_threads } => {
                let binary = self.sidecar.context("no sidecar was built or given")?;
                let (delivery, double) = self.target.delivery().zip(double).context("the sidecar stores events")?;
                Sidecar::start(binary, &Setup { double, delivery, client_tls, worker_threads })
                    .await
                    .map(UnderTest::Sidecar)
            }
        }
    }

    async fn start_external(&self, double: Option<&Double>) -> Result<External> {
        let (content, double) = self.target.workload.content.zip(double).context("the program stores events")?;
        match self.target.program {
            Program::Peer(peer) => {
                let binary = self.options.peer_binary(peer).context("the peer has no binary")?;
                let connections = self.options.shape(self.target.workload).connections;
                peer.start(binary, content, connections, double).await
            }
            Program::Node(sdk) => sdk.start(double).await,
            Program::Floor | Program::Sidecar { .. } => bail!("{} is not an external program", self.target),
        }
    }

    async fn start_floor(&self, double: Option<&Double>) -> Result<Helper> {
        let workload = self.target.workload;
        let mut args = vec!["floor".to_owned()];
        if let Some((double, content)) = double.zip(workload.content) {
            args.extend([format!("--s3={}", double.address()), format!("--content={}", content.name())]);
            args.extend(double.authority().map(|authority| format!("--s3-authority={}", authority.display())));
        }
        if workload.client_tls {
            args.push(format!("--tls={}", self.certificates.folder().display()));
        }
        if workload.shape.events > 1 {
            args.push("--many".to_owned());
        }
        Helper::start(&args).await
    }
}

impl UnderTest {
    fn pid(&self) -> u32 {
        match self {
            UnderTest::Floor(helper) => helper.pid,
            UnderTest::Sidecar(sidecar) => sidecar.pid,
            UnderTest::External(external) => external.pid,
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            UnderTest::Floor(helper) => helper.address,
            UnderTest::Sidecar(sidecar) => sidecar.address,
            UnderTest::External(external) => external.address,
        }
    }

    /// The end of its log. Floors have none: they write to standard error.
    fn log_tail(&self) -> String {
        match self {
            UnderTest::Floor(_) => String::new(),
            UnderTest::Sidecar(sidecar) => sidecar.log_tail(),
            UnderTest::External(external) => external.log_tail(),
        }
    }
}

/// Reports answers other than 200, and events answered 200 that are not in S3 exactly once. Sorts the messageIds.
pub fn faults(tally: &mut Tally, stored: Option<Stored>) -> Vec<String> {
    let mut faults = Vec::new();
    if tally.failed > 0 {
        let first = tally.first_failure.as_deref().unwrap_or_default();
        faults.push(format!("{} requests not answered 200; first failure: {first}", tally.failed));
    }
    if let Some(Stored { counts: Counts { objects, refused, repeated_keys, .. }, mut message_ids }) = stored {
        let differences = Differences::between(&mut tally.answered, &mut message_ids);
        if (differences, repeated_keys) != (Differences::default(), 0) {
            let Differences { missing, repeated, unanswered } = differences;
            faults.push(format!(
                "{} events answered 200, of which {missing} are not stored; {repeated} repetitions and {unanswered} \
                 events not answered 200 are stored; {objects} objects, {repeated_keys} of them with the key of another; \
                 {refused} PUTs refused",
                tally.answered.len()
            ));
        }
    }
    faults
}

/// The round's line of progress.
impl fmt::Display for RoundResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} events/s, {:.1} CPU µs/event", self.events_per_second, self.spent.cpu.micros)?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  FAULT: {fault}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answered_events_must_be_stored_exactly_once() {
        let check = |stored: &[u128], repeated_keys| {
            let mut tally = Tally { answered: vec![1, 2, 3], ..Tally::default() };
            let counts = Counts { repeated_keys, ..Counts::default() };
            faults(&mut tally, Some(Stored { counts, message_ids: stored.to_vec() })).len()
        };
        assert_eq!(check(&[3, 1, 2], 0), 0);
        assert_eq!(check(&[3, 1, 2], 1), 1);
        for stored in [&[1, 2][..], &[1, 2, 2], &[1, 2, 3, 3], &[1, 2, 3, 4], &[1, 2, 4]] {
            assert_eq!(check(stored, 0), 1, "{stored:?}");
        }
    }

    #[test]
    fn a_failed_request_is_a_fault() {
        let mut tally = Tally { failed: 2, first_failure: Some("503: busy".to_owned()), ..Tally::default() };
        assert_eq!(faults(&mut tally, None), ["2 requests not answered 200; first failure: 503: busy"]);
    }
}
