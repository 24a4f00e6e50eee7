//! What the kernel says of a process.

/// The most memory that it has taken, in bytes.
///
/// # Panics
/// Where the kernel does not say.
pub fn peak_memory(pid: u32) -> usize {
    memory(pid, "VmHWM:")
}

/// The memory that a process takes now, in bytes.
///
/// # Panics
/// If the kernel does not say.
pub fn memory_now(pid: u32) -> usize {
    memory(pid, "VmRSS:")
}

fn memory(pid: u32, field: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process of Linux");
    let amount = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"));
    amount.and_then(|amount| amount.parse::<usize>().ok()).expect("a number of KiB") << 10
}
