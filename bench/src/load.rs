//! The load: connections kept alive, each with one event under way at any time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::event::Request;
use crate::latencies::Latencies;
use crate::response::Reader;

/// How long answers may take to come when no more is sent: the sidecar answers within 9 s.
const LAST_ANSWERS: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    WarmUp,
    Measured,
    Over,
}

/// A load under way.
pub struct Load {
    phase: watch::Sender<Phase>,
    connections: JoinSet<Tally>,
}

/// What came of it.
#[derive(Default)]
pub struct Tally {
    /// Events answered 200, measured or not.
    pub answered: u64,
    /// Latencies of those answered 200 while it was measured.
    pub measured: Latencies,
    /// Events that had any other answer, or none.
    pub failed: u64,
    /// The first of those, in words.
    pub first_failure: Option<String>,
}

impl Load {
    /// Connects, and begins to send.
    pub async fn start(address: SocketAddr, connections: u32) -> Result<Load> {
        let phase = watch::Sender::new(Phase::WarmUp);
        let request = Request::new(address, fastrand::u64(..))?;
        let count = Arc::new(AtomicU64::new(0));
        let mut streams = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let connections = streams.into_iter().map(|stream| Connection {
            stream,
            request: request.clone(),
            count: Arc::clone(&count),
            phase: phase.subscribe(),
            tally: Tally::default(),
        });
        Ok(Load { connections: connections.map(Connection::run).collect(), phase })
    }

    /// From here on it counts.
    pub fn measure(&self) {
        self.phase.send_replace(Phase::Measured);
    }

    /// From here on it doesn't, and no more is sent.
    pub fn stop(&self) {
        self.phase.send_replace(Phase::Over);
    }

    /// Waits for the last answers.
    pub async fn finish(self) -> Result<Tally> {
        let connections = tokio::time::timeout(LAST_ANSWERS, self.connections.join_all());
        let tallies = connections.await.with_context(|| format!("answers are missing after {LAST_ANSWERS:?}"))?;
        let mut all = Tally::default();
        for tally in tallies {
            all.merge(tally);
        }
        Ok(all)
    }
}

impl Tally {
    fn fail(&mut self, how: impl FnOnce() -> String) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(how);
    }

    fn merge(&mut self, other: Tally) {
        self.answered += other.answered;
        self.measured.merge(other.measured);
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }
}

struct Connection {
    stream: TcpStream,
    request: Request,
    /// Events so far on all connections.
    count: Arc<AtomicU64>,
    phase: watch::Receiver<Phase>,
    tally: Tally,
}

impl Connection {
    async fn run(mut self) -> Tally {
        let mut reader = Reader::default();
        while *self.phase.borrow() != Phase::Over {
            // A connection that breaks stays broken: the run has failed, and the rest tells how far.
            if let Err(error) = self.send(&mut reader).await {
                self.tally.fail(|| format!("no answer: {error}"));
                break;
            }
        }
        self.tally
    }

    /// Sends one event and takes its answer down.
    async fn send(&mut self, reader: &mut Reader) -> std::io::Result<()> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let request = self.request.event(count, Timestamp::now())?;
        let sent = Instant::now();
        self.stream.write_all(request).await?;
        let response = reader.read(&mut self.stream).await?;
        let latency = sent.elapsed();
        if response.status == 200 {
            self.tally.answered += 1;
            if *self.phase.borrow() == Phase::Measured {
                self.tally.measured.record(latency);
            }
        } else {
            let body = String::from_utf8_lossy(response.body);
            self.tally.fail(|| format!("{}: {body}", response.status));
        }
        Ok(())
    }
}
