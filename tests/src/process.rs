//! What the kernel says of a process.

/// The most memory that it has taken, in bytes.
///
/// # Panics
/// Where the kernel does not say.
pub fn peak_memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process of Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    peak.and_then(|peak| peak.parse::<usize>().ok()).expect("a number of KiB") << 10
}
