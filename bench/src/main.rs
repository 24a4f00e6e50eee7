//! What an event costs: loads each process under test in turn and prints them side by side.
//!
//! A round starts a process afresh (with a double of S3 and STS behind it, where it stores
//! anything), warms it up, loads it for some seconds and ends it. Rounds are interleaved, so that a
//! machine that slows down for a while slows all of them down.
//!
//! The figure to trust is CPU time an event of the process under test: throughput and latency also
//! depend on what the load generator and the double take of the same cores.

mod cli;
mod double;
mod event;
mod floors;
mod footprint;
mod latencies;
mod load;
mod machine;
mod process;
mod report;
mod response;
mod round;
mod sidecar;
mod table;
mod target;
mod usage;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use cli::{Cli, Options, Role};
use report::Report;
use round::Round;
use target::Target;

fn main() -> Result<ExitCode> {
    let Cli { role, options } = Cli::parse();
    match role {
        Some(Role::Take) => floors::take::run().map(|()| ExitCode::SUCCESS),
        Some(Role::Object { s3 }) => floors::object::run(s3).map(|()| ExitCode::SUCCESS),
        Some(Role::Double { latency_ms }) => double::run(latency_ms).map(|()| ExitCode::SUCCESS),
        // One thread: the load generator is to leave the other cores to the process under test.
        None => tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(bench(&options)),
    }
}

async fn bench(options: &Options) -> Result<ExitCode> {
    let targets = options.targets();
    let sidecar = if targets.contains(&Target::Sidecar) { Some(options.sidecar().await?) } else { None };
    println!("{}\n{options}\n", machine::describe()?);

    let mut report = Report::new(&targets);
    for number in 1..=options.rounds {
        for &target in &targets {
            let round = Round { target, options, sidecar: sidecar.as_deref() };
            let outcome = round.run().await?;
            eprintln!("round {number} of {}, {target}: {outcome}", options.rounds);
            report.add(target, outcome);
        }
    }
    println!("{report}");
    if let Some(binary) = &sidecar {
        println!("{}", footprint::measure(binary).await?);
    }
    Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
