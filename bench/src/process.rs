//! Helpers: this program started again as something else, in a process of its own.
//!
//! The two talk in lines. The helper's first line is the address it listens on; after that it
//! answers each line it is sent with one. It ends when its input does, so that none outlives the
//! bench.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A helper, from the bench's side.
pub struct Helper {
    /// Ends the process when dropped.
    _child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    pub pid: u32,
    pub address: SocketAddr,
}

impl Helper {
    /// Starts this program with `args` and waits until it listens.
    pub async fn start(args: &[&str]) -> Result<Helper> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {args:?}"))?;
        let questions = child.stdin.take().context("no pipe to the helper")?;
        let mut answers = BufReader::new(child.stdout.take().context("no pipe from the helper")?).lines();
        let address = answers.next_line().await?.with_context(|| format!("{args:?} ended before it listened"))?;
        Ok(Helper {
            pid: child.id().with_context(|| format!("{args:?} has ended"))?,
            address: address.parse().with_context(|| format!("{args:?} listens on {address:?}"))?,
            _child: child,
            questions,
            answers,
        })
    }

    /// Asks for the one thing that a helper can tell.
    pub async fn ask(&mut self) -> Result<String> {
        self.questions.write_all(b"\n").await?;
        self.answers.next_line().await?.context("the helper has ended")
    }
}

/// A helper's own side: says where it listens, then answers until nobody asks any more.
pub fn answer(address: SocketAddr, mut answer: impl FnMut() -> Result<String>) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{address}")?;
    for question in std::io::stdin().lines() {
        question?;
        writeln!(stdout, "{}", answer()?)?;
    }
    Ok(())
}
