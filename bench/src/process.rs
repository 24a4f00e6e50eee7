//! Starts helper processes: this program again, with another command.
//!
//! Bench and helper communicate in lines, over the helper's standard input and output. The helper's first line is the
//! address it listens on; after that it answers each line with one. It ends when its input ends, so that none outlives
//! the bench.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A helper, from the bench's side.
pub struct Helper {
    /// Kills the process when dropped.
    _child: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    pub pid: u32,
    pub address: SocketAddr,
}

impl Helper {
    /// Starts this program with `args` and waits until it listens.
    pub async fn start(args: &[String]) -> Result<Helper> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {args:?}"))?;
        let requests = child.stdin.take().context("no pipe to the helper")?;
        let mut answers = BufReader::new(child.stdout.take().context("no pipe from the helper")?).lines();
        let address = answers.next_line().await?.with_context(|| format!("{args:?} exited before it listened"))?;
        Ok(Helper {
            pid: child.id().with_context(|| format!("{args:?} has exited"))?,
            address: address.parse().with_context(|| format!("{args:?} listens on {address:?}"))?,
            _child: child,
            requests,
            answers,
        })
    }

    /// Sends a line and returns the helper's answer.
    pub async fn request(&mut self, line: &str) -> Result<String> {
        self.requests.write_all(format!("{line}\n").as_bytes()).await?;
        self.answers.next_line().await?.context("the helper has exited")
    }
}

/// A helper's own side: prints its address, then answers each line until its input ends.
pub fn serve(address: SocketAddr, mut answer: impl FnMut(&str) -> Result<String>) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{address}")?;
    for request in std::io::stdin().lines() {
        writeln!(stdout, "{}", answer(&request?)?)?;
    }
    Ok(())
}
