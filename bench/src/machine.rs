//! Describes the machine on which the figures were measured.

use std::fs;
use std::thread::available_parallelism;

use anyhow::{Context, Result};

/// The machine on one line: CPU, cores, kernel.
pub fn describe() -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").context("/proc/sys/kernel/osrelease")?;
    let cores = available_parallelism()?;
    Ok(format!("{}, {cores} cores, Linux {}", model(&cpus), kernel.trim()))
}

/// The first CPU's name; some architectures don't report one.
fn model(cpus: &str) -> &str {
    let line = cpus.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map_or("unnamed CPU", |(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_the_first_cpus() {
        let cpus = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n\nmodel name\t: other\n";
        assert_eq!(model(cpus), "AMD EPYC");
        assert_eq!(model("processor\t: 0\n"), "unnamed CPU");
    }
}
