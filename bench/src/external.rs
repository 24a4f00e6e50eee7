//! Starts and stops programs that this project does not build: peers, and the function on Node.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Time limit for a program to listen.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Interval at which it is polled until then.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Time limit for a program to store what it holds and exit.
const STOP_TIMEOUT: Duration = Duration::from_secs(90);
/// Lines of a log that an error shows.
const LOG_TAIL_LINES: usize = 5;

/// A running program.
pub struct External {
    /// Kills the process when dropped.
    child: Child,
    /// Its log and, if it has any, other files; removed when dropped.
    folder: TempDir,
    pub pid: u32,
    pub address: SocketAddr,
}

impl External {
    /// Runs `command`, which writes its log to standard output and standard error, and waits until it listens.
    pub async fn start(mut command: Command, folder: TempDir, address: SocketAddr) -> Result<External> {
        let log = File::create(log(folder.path()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {:?}", command.as_std().get_program()))?;
        let pid = child.id().context("the process has exited")?;
        let mut external = External { child, folder, pid, address };
        let started = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = external.child.try_wait()? {
                bail!("{:?} exited with {status}{}", command.as_std().get_program(), external.log_tail());
            }
            ensure!(started.elapsed() < START_TIMEOUT, "{address} does not listen{}", external.log_tail());
            sleep(POLL_INTERVAL).await;
        }
        Ok(external)
    }

    /// Stops the program, which first stores the events that it has answered but holds in memory.
    pub async fn stop(&mut self) -> Result<()> {
        let pid = Pid::from_raw(self.pid.try_into()?).context("the process has no ID")?;
        kill_process(pid, Signal::TERM)?;
        let exited = timeout(STOP_TIMEOUT, self.child.wait()).await;
        exited.with_context(|| format!("it does not stop{}", self.log_tail()))??;
        Ok(())
    }

    /// The last lines of its log, for an error.
    pub fn log_tail(&self) -> String {
        log_tail(&log(self.folder.path()))
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// The last lines of a log file, for an error.
pub fn log_tail(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    format!("; its log ends:\n{}", lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n"))
}

/// An address with a free port. If another process takes it first, the program fails to start with an error.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
