//! What processes use of the machine, as the kernel counts it.

use std::time::{Duration, Instant};

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::Failure;

/// Ticks a second of the figures in `/proc`, the same on all Linux systems of today.
const TICKS: f64 = 100.0;
/// Bytes of a page where this runs.
const PAGE: u64 = 4096;

/// The CPU time of some processes, their own code and the kernel's, and of the rest of the machine.
#[derive(Clone, Debug)]
pub struct Meter {
    processes: Vec<u32>,
}

/// A point in time, to measure from.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    at: Instant,
    used: Duration,
    machine: Duration,
}

/// What was used since a [`Mark`].
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// How long ago the mark was set.
    pub lasted: Duration,
    /// CPU time of the processes.
    pub cpu: Duration,
    /// How many cores all other processes of the machine kept busy meanwhile.
    pub others: f64,
}

impl Meter {
    /// For this process and some others.
    pub fn with(others: &[u32]) -> Self {
        let mut processes = others.to_vec();
        processes.push(std::process::id());
        Self { processes }
    }

    /// Sets a mark.
    ///
    /// # Errors
    /// One of the processes has ended.
    pub fn mark(&self) -> Result<Mark, Failure> {
        Ok(Mark { at: Instant::now(), used: self.used()?, machine: machine()? })
    }

    /// What was used since then.
    ///
    /// # Errors
    /// One of the processes has ended.
    pub fn since(&self, mark: Mark) -> Result<Used, Failure> {
        let (lasted, cpu) = (mark.at.elapsed(), self.used()?.saturating_sub(mark.used));
        let machine = machine()?.saturating_sub(mark.machine);
        let others = machine.saturating_sub(cpu).as_secs_f64() / lasted.as_secs_f64();
        Ok(Used { lasted, cpu, others })
    }

    fn used(&self) -> Result<Duration, Failure> {
        self.processes.iter().map(|process| cpu_time(*process)).sum()
    }
}

/// The CPU time that a process has used so far.
///
/// # Errors
/// It has ended.
pub fn cpu_time(process: u32) -> Result<Duration, Failure> {
    let clock = clock_getcpuclockid(Pid::from_raw(process.cast_signed()))?;
    Ok(clock_gettime(clock)?.into())
}

/// The resident memory of a process, in bytes.
///
/// # Errors
/// It has ended.
pub fn resident(process: u32) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{process}/statm"))?;
    let pages: u64 = text.split_whitespace().nth(1).ok_or("an unreadable statm file")?.parse()?;
    Ok(pages * PAGE)
}

/// The time that all cores have been busy since the machine was started, in ticks of 10 ms.
fn machine() -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().ok_or("an empty stat file")?;
    // User, nice, system, idle, waiting for disks, interrupts, the same deferred; what follows is
    // time of other machines on this hardware.
    let fields = first.split_whitespace().skip(1).take(7).enumerate();
    let busy = fields.filter(|(at, _)| !matches!(at, 3 | 4));
    let ticks = busy.map(|(_, text)| text.parse::<f64>()).sum::<Result<f64, _>>()?;
    Ok(Duration::from_secs_f64(ticks / TICKS))
}
