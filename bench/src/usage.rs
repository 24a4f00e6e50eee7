//! Reads the CPU time and memory of a process, and the CPU time of the machine, from `/proc`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// Milliseconds per tick: Linux reports times to user space in hundredths of a second on every architecture used here.
const TICK_MILLIS: u64 = 10;

/// CPU time of a process so far: all its threads, user and system time.
///
/// Both of the kernel's counts are too low, each in its own way: `stat` truncates user and system time to whole ticks,
/// and `schedstat` has nanoseconds but lacks the threads that have ended. The greater one is closer.
pub fn cpu(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| path.clone())?;
    let process_total = cpu_of_stat(&stat).with_context(|| format!("{path} is {stat:?}"))?;
    Ok(process_total.max(cpu_of_threads(Path::new(&format!("/proc/{pid}/task")))))
}

/// CPU time of everything on the machine so far, including time stolen by a hypervisor.
pub fn machine() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    busy_of_stat(&stat).context("/proc/stat has no line for all CPUs")
}

/// Peak resident memory of a process, in MiB.
pub fn peak_mib(pid: u32) -> Result<f64> {
    status_mib(pid, "VmHWM:")
}

/// Current resident memory of a process, in MiB.
pub fn resident_mib(pid: u32) -> Result<f64> {
    status_mib(pid, "VmRSS:")
}

fn status_mib(pid: u32, field: &str) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let kib = status_kib(&status, field).with_context(|| format!("{path} has no {field}"))?;
    Ok(kib as f64 / 1024.0)
}

/// The sum of utime and stime, fields 14 and 15. Field 2 is the program's name in parentheses, which may contain
/// anything, so fields are counted from its end.
fn cpu_of_stat(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis(TICK_MILLIS * (user + system)))
}

/// The sum of user, nice, system and steal time. Interrupts are left out: most of them are the load's own traffic.
fn busy_of_stat(stat: &str) -> Option<Duration> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, _irq, _softirq, steal, ..] = fields[..] else {
        return None;
    };
    Some(Duration::from_millis(TICK_MILLIS * (user + nice + system + steal)))
}

/// The sum over the threads that exist; zero if the kernel keeps no such statistics.
fn cpu_of_threads(tasks: &Path) -> Duration {
    let threads = fs::read_dir(tasks).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|schedstat| cpu_of_schedstat(&schedstat))
        .sum()
}

/// The first field: nanoseconds on a CPU.
fn cpu_of_schedstat(schedstat: &str) -> Option<Duration> {
    schedstat.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn status_kib(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    value.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_parsed_after_the_programs_name() {
        let stat = "4242 (a (b) 1 2) S 1 4242 4242 0 -1 4194560 1523 0 0 0 150 50 7 9 20 0 5 0 1234 5678 910";
        assert_eq!(cpu_of_stat(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu_of_stat("4242 (short) S 1"), None);
        assert_eq!(cpu_of_stat(""), None);
    }

    #[test]
    fn schedstat_is_nanoseconds() {
        assert_eq!(cpu_of_schedstat("3348546 17 1\n"), Some(Duration::from_nanos(3_348_546)));
        assert_eq!(cpu_of_schedstat(""), None);
    }

    #[test]
    fn idle_and_interrupt_time_does_not_count_as_busy() {
        let stat = "cpu  100 20 30 9999 9999 9999 9999 50 7 7\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(busy_of_stat(stat), Some(Duration::from_secs(2)));
        assert_eq!(busy_of_stat("cpu  100 20 30\n"), None);
    }

    #[test]
    fn memory_is_in_kib() {
        let status = "VmPeak:\t  9000 kB\nVmHWM:\t   12288 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(status_kib(status, "VmHWM:"), Some(12288));
        assert_eq!(status_kib(status, "VmRSS:"), Some(1));
        assert_eq!(status_kib("Name:\tkthreadd\n", "VmRSS:"), None);
    }

    #[test]
    fn this_process_has_used_cpu_and_memory() {
        let pid = std::process::id();
        let before = cpu(pid).unwrap();
        let busy = std::time::Instant::now();
        while busy.elapsed() < Duration::from_millis(50) {}
        assert!(cpu(pid).unwrap() > before);
        assert!(peak_mib(pid).unwrap() > 0.5);
    }
}
