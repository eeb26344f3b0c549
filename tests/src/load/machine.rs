//! The machine: how much processor time a process used, and which processor it may use.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;

/// Processor time all threads of a process used so far, from the scheduler's own count in nanoseconds. The tick count
/// in `stat` is too coarse for what is measured here.
pub fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let mut total_ns = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid}"))? {
        // A thread may end while it is looked at.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let on_cpu = text.split_whitespace().next().context("schedstat is empty")?;
        total_ns += on_cpu.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total_ns))
}

/// Processors this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Binds every thread of a process, and those it will start, to one processor. False when that is not possible here.
pub fn pin(pid: u32, core: usize) -> bool {
    Command::new("taskset")
        .args(["-a", "-c", "-p", &core.to_string(), &pid.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_grows_with_work() {
        let pid = std::process::id();
        let before = cpu_time(pid).expect("our own process");
        let mut work = 0_u64;
        while cpu_time(pid).expect("our own process") < before + Duration::from_millis(5) {
            work = std::hint::black_box((0..1_000).fold(work, u64::wrapping_add));
        }
        assert!(cpu_time(u32::MAX).is_err());
    }
}
