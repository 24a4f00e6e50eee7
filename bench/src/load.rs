//! Generates the load of a round, in a closed or an open loop.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tokio_rustls::TlsConnector;

use crate::connection::{Answer, Connection};
use crate::event::Events;
use crate::latencies::Latencies;
use crate::response::Response;
use crate::schedule::Schedule;

/// How long the last answers may take after no more requests are sent; the sidecar answers within 9 s.
pub const LAST_ANSWERS_TIMEOUT: Duration = Duration::from_secs(15);

/// The shape of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadShape {
    /// Connections kept alive.
    pub connections: u32,
    /// Events per request.
    pub events: usize,
}

/// The server that the load is for.
pub struct Server {
    pub address: SocketAddr,
    /// The client for TLS; `None` without TLS.
    pub tls: Option<TlsConnector>,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// A closed loop: every connection has one request in flight at any time.
    Closed,
    /// An open loop with this many requests per second, which are sent when they are due.
    Open(f64),
}

/// When the measured phase began and ended; `None` if it has not yet.
#[derive(Clone, Copy, Default)]
struct Phase {
    begin: Option<Instant>,
    end: Option<Instant>,
}

impl Phase {
    /// Whether `time`, which is not in the future, is in the measured phase.
    fn contains(self, time: Instant) -> bool {
        self.begin.is_some_and(|begin| time >= begin) && self.end.is_none_or(|end| time < end)
    }
}

impl Server {
    /// A server without TLS.
    pub fn plain(address: SocketAddr) -> Server {
        Server { address, tls: None }
    }
}

/// A running load.
pub struct Load {
    phase: watch::Sender<Phase>,
    connections: JoinSet<Tally>,
}

/// The results of a load.
#[derive(Default)]
pub struct Tally {
    /// The messageIds of the events answered 200, measured or not.
    pub answered: Vec<u128>,
    /// Latencies of requests answered 200 in the measured phase.
    pub measured: Latencies,
    /// Requests that got another answer, or none.
    pub failed: u64,
    /// A description of the first of these.
    pub first_failure: Option<String>,
}

impl Load {
    /// Opens the connections and begins to send, in the warm-up phase.
    pub async fn start(server: &Server, shape: LoadShape, pace: Pace) -> Result<Load> {
        let phase = watch::Sender::new(Phase::default());
        let connections = connect(server, shape).await?.into_iter();
        let connections = match pace {
            Pace::Closed => connections.map(|connection| send(connection, phase.subscribe())).collect(),
            Pace::Open(rate) => {
                let schedule = Arc::new(Schedule::start(Duration::from_secs_f64(1.0 / rate), u64::MAX));
                let send = |connection| send_when_due(connection, Arc::clone(&schedule), phase.subscribe());
                connections.map(send).collect()
            }
        };
        Ok(Load { connections, phase })
    }

    /// Begins the measured phase.
    pub fn measure(&self) {
        self.phase.send_modify(|phase| phase.begin = Some(Instant::now()));
    }

    /// Ends the measured phase: no more requests are sent, except those that were due before.
    pub fn stop(&self) {
        self.phase.send_modify(|phase| phase.end = Some(Instant::now()));
    }

    /// Waits for the last answers, and sums up all connections.
    pub async fn finish(self) -> Result<Tally> {
        let connections = tokio::time::timeout(LAST_ANSWERS_TIMEOUT, self.connections.join_all());
        let tallies =
            connections.await.with_context(|| format!("answers are missing after {LAST_ANSWERS_TIMEOUT:?}"))?;
        Ok(Tally::sum(tallies))
    }
}

/// Opens the connections, which share one set of events.
pub async fn connect(server: &Server, shape: LoadShape) -> Result<Vec<Connection>> {
    let events = Events::generate()?;
    let mut connections = Vec::new();
    for _ in 0..shape.connections {
        connections.push(Connection::open(server.address, server.tls.as_ref(), events.clone(), shape.events).await?);
    }
    Ok(connections)
}

/// Sends one request after the other until the load is stopped or the connection breaks. A request counts as measured if
/// it is answered in the measured phase.
async fn send(mut connection: Connection, phase: watch::Receiver<Phase>) -> Tally {
    let mut tally = Tally::default();
    while phase.borrow().end.is_none() {
        let sent = Instant::now();
        let answer = connection.send().await;
        let answered = Instant::now();
        let is_measured = phase.borrow().contains(answered);
        if !tally.record(&answer, is_measured.then(|| answered - sent)) {
            break;
        }
    }
    tally
}

/// Sends requests when they are due, until the load is stopped or the connection breaks. Latencies count from when a
/// request was due, and it counts as measured if that was in the measured phase: a request that waits for a free
/// connection is not left out.
async fn send_when_due(mut connection: Connection, schedule: Arc<Schedule>, phase: watch::Receiver<Phase>) -> Tally {
    let mut tally = Tally::default();
    while let Some(due) = schedule.next() {
        sleep_until(due.into()).await;
        if phase.borrow().end.is_some_and(|end| due >= end) {
            break;
        }
        let answer = connection.send().await;
        let latency = due.elapsed();
        let is_measured = phase.borrow().contains(due);
        if !tally.record(&answer, is_measured.then_some(latency)) {
            break;
        }
    }
    tally
}

impl Tally {
    /// Records an answer, with its latency if one is given. Returns whether the connection can be used again. After an
    /// error it can't: the run has failed, and the other connections continue to show the extent.
    pub fn record(&mut self, answer: &std::io::Result<Answer<'_>>, latency: Option<Duration>) -> bool {
        match answer {
            Ok(Answer { response: Response { status: 200, .. }, message_ids }) => {
                self.answered.extend_from_slice(message_ids);
                latency.into_iter().for_each(|latency| self.measured.record(latency));
            }
            Ok(Answer { response: Response { status, body }, .. }) => self.fail(status, String::from_utf8_lossy(body)),
            Err(error) => self.fail("no answer", error),
        }
        answer.is_ok()
    }

    fn fail(&mut self, what: impl Display, why: impl Display) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| format!("{what}: {why}"));
    }

    pub fn sum(tallies: impl IntoIterator<Item = Tally>) -> Tally {
        let mut sum = Tally::default();
        for tally in tallies {
            sum.answered.extend(tally.answered);
            sum.measured.merge(tally.measured);
            sum.failed += tally.failed;
            sum.first_failure = sum.first_failure.or(tally.first_failure);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_phase_includes_its_begin_and_excludes_its_end() {
        let now = Instant::now();
        let [begin, middle, end] = [0, 1, 2].map(|seconds| now + Duration::from_secs(seconds));
        assert!(!Phase::default().contains(begin));
        assert!(Phase { begin: Some(begin), end: None }.contains(middle));
        let phase = Phase { begin: Some(begin), end: Some(end) };
        assert_eq!([begin, middle, end].map(|time| phase.contains(time)), [true, true, false]);
        assert!(!Phase { begin: Some(middle), end: Some(end) }.contains(begin));
    }
}
