//! Reads the CPU time used so far, by every process that takes part and by the machine, and computes costs from it.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::double::Double;
use crate::usage;

pub struct Reading {
    under_test: Duration,
    load: Duration,
    double: Option<Duration>,
    machine: Duration,
    at: Instant,
}

/// The CPU used between two readings.
#[derive(Clone, Copy)]
pub struct CpuCosts {
    pub seconds: f64,
    /// CPU of the process under test.
    pub cpu: Cost,
    /// CPU of the load generator.
    pub load: Cost,
    /// CPU of the double, if the process uses S3 and STS.
    pub double: Option<Cost>,
    /// Cores that everything else on the machine kept busy.
    pub other_cores: f64,
}

/// CPU time in two units.
#[derive(Clone, Copy)]
pub struct Cost {
    /// µs per event.
    pub micros: f64,
    /// Cores kept busy.
    pub cores: f64,
}

impl Reading {
    /// Reads the CPU times of the process `pid`, of this process, and of the double.
    pub fn read(pid: u32, double: Option<&Double>) -> Result<Reading> {
        Ok(Reading {
            under_test: usage::cpu(pid)?,
            load: usage::cpu(std::process::id())?,
            double: double.map(|double| usage::cpu(double.pid())).transpose()?,
            machine: usage::machine()?,
            at: Instant::now(),
        })
    }

    /// The CPU used between this reading and `after`, per event for `events`.
    pub fn costs_until(&self, after: &Reading, events: f64) -> CpuCosts {
        let seconds = (after.at - self.at).as_secs_f64();
        let cost = |before: Duration, after: Duration| {
            let busy = after.saturating_sub(before).as_secs_f64();
            Cost { micros: busy * 1e6 / events, cores: busy / seconds }
        };
        CpuCosts {
            seconds,
            cpu: cost(self.under_test, after.under_test),
            load: cost(self.load, after.load),
            double: self.double.zip(after.double).map(|(before, after)| cost(before, after)),
            other_cores: after.other_time().saturating_sub(self.other_time()).as_secs_f64() / seconds,
        }
    }

    /// CPU time of everything on the machine that takes no part in the measurement.
    fn other_time(&self) -> Duration {
        self.machine.saturating_sub(self.under_test + self.load + self.double.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_per_event_and_per_second() {
        let at = Instant::now();
        let reading = |under_test, load, double, seconds| Reading {
            under_test: Duration::from_millis(under_test),
            load: Duration::from_millis(load),
            double: Some(Duration::from_millis(double)),
            machine: Duration::from_millis(under_test + load + double) + Duration::from_secs(seconds / 2),
            at: at + Duration::from_secs(seconds),
        };
        let spent = reading(10, 0, 5, 0).costs_until(&reading(30, 1000, 9, 2), 1000.0);
        for (figure, expected) in [
            (spent.seconds, 2.0),
            (spent.cpu.micros, 20.0),
            (spent.load.cores, 0.5),
            (spent.double.unwrap().micros, 4.0),
            (spent.other_cores, 0.5),
        ] {
            assert!((figure - expected).abs() < 1e-6, "{figure} is not {expected}");
        }
    }
}
