//! Child processes of tests: their end, and their memory, as the kernel reports it.

use std::process::Child;

/// A child process that is killed when the test drops it.
#[derive(Debug)]
pub struct KillOnDrop(pub Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // It may have exited by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The peak resident memory (VmHWM) in bytes.
///
/// # Panics
/// If `/proc` does not report it.
pub fn peak_memory(pid: u32) -> usize {
    memory(pid, "VmHWM:")
}

/// The current resident memory (VmRSS) in bytes.
///
/// # Panics
/// If `/proc` does not report it.
pub fn memory_now(pid: u32) -> usize {
    memory(pid, "VmRSS:")
}

fn memory(pid: u32, field: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process's status in /proc");
    let amount = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"));
    amount.and_then(|amount| amount.parse::<usize>().ok()).expect("a number of KiB") << 10
}
