//! Measures the cost per event: puts load on each process under test in turn, and prints the results side by side.
//!
//! A round starts a new process (and a double of S3 and STS, if the process stores events), warms it up, puts load on
//! it for a few seconds and ends it. Rounds are interleaved, so that a machine that slows down for a while slows down
//! all processes.
//!
//! The most reliable figure is CPU time per event of the process under test. Throughput and latency also depend on how
//! much CPU the load generator and the double use on the same cores.
//!
//! Most workloads are a closed loop: the load waits for answers, and therefore never sends more than the process can
//! handle. The workload `object-open` and [`stream`] are open loops.

mod chart;
mod cli;
mod connection;
mod content;
mod double;
mod event;
mod exactly_once;
mod external;
mod floors;
mod footprint;
mod latencies;
mod load;
mod machine;
mod node;
mod options;
mod peers;
mod process;
mod reading;
mod report;
mod response;
mod round;
mod schedule;
mod sidecar;
mod stored_events;
mod stream;
mod table;
mod target;
mod tls;
mod usage;
mod workload;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use cli::{Cli, Command};
use options::Options;
use report::Report;
use round::Round;
use target::Program;
use tls::Certificates;

fn main() -> Result<ExitCode> {
    let Cli { command, options } = Cli::parse();
    // One thread: the load generator must leave the other cores to the process under test.
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    match command {
        None => runtime()?.block_on(compare(&options)),
        Some(Command::Stream(options)) => runtime()?.block_on(stream::run(&options)),
        Some(Command::Floor(options)) => floors::run(&options).map(|()| ExitCode::SUCCESS),
        Some(Command::Double(options)) => double::run(&options).map(|()| ExitCode::SUCCESS),
    }
}

async fn compare(options: &Options) -> Result<ExitCode> {
    let targets = options.targets();
    let needs_sidecar = targets.iter().any(|target| matches!(target.program, Program::Sidecar { .. }));
    let sidecar = if needs_sidecar { Some(options.binary.path().await?) } else { None };
    let machine = machine::describe()?;
    println!("{machine}\n{options}\n");

    let certificates = Certificates::generate()?;
    let mut report = Report::new(&targets);
    for number in 1..=options.rounds {
        for &target in &targets {
            let rate = report.open_rate(target.workload);
            let round = Round { target, rate, options, certificates: &certificates, sidecar: sidecar.as_deref() };
            let result = round.run().await?;
            eprintln!("round {number} of {}, {target}: {result}", options.rounds);
            report.add(target, result);
        }
    }
    println!("{report}");
    if let Some(path) = &options.svg {
        let caption = format!("CPU time per event in µs; {machine}");
        fs::write(path, chart::svg(&report.groups(), &caption)).with_context(|| path.display().to_string())?;
    }
    if let Some(binary) = &sidecar {
        println!("{}", footprint::measure(binary).await?);
    }
    Ok(if report.has_no_faults() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
