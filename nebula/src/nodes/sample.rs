//! Takes a sample of this machine, process and runtime.
//!
//! Promise: taking one never fails. What cannot be read is 0, and `memory_total` is 0 only if the
//! machine could not be measured at all.
//!
//! Limits: it reads three small files of `/proc` on Linux, or asks the system as often elsewhere,
//! so it is quick enough for an async task; the list of processes is never read. The machine's
//! processors are measured over 200 ms at least: asked sooner, it repeats the figure.

use std::num::NonZero;
use std::time::{Duration, Instant};

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};
use tokio::runtime::Handle;

use super::runtime::Runtime;

/// Keeps what a sample must be compared with to tell how busy the time between them was.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// `None` where the system gives no figures.
    system: Option<System>,
    parallelism: u16,
    started: Instant,
    /// When the last sample was taken, and how long the workers had been busy by then.
    last: Option<(Instant, Duration)>,
}

impl Sampler {
    /// Starts to measure: `uptime` counts from here.
    pub(crate) fn new() -> Self {
        let processors = CpuRefreshKind::nothing().with_usage();
        let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(processors));
        if let Err(error) = &system {
            tracing::warn!(%error, "the machine cannot be measured, its figures will be 0");
        }
        // It is read once: a limit of the process that changes later is not worth a file a second.
        let parallelism = std::thread::available_parallelism().map_or(0, NonZero::get);
        let parallelism = parallelism.try_into().unwrap_or(u16::MAX);
        Self { system: system.ok(), parallelism, started: Instant::now(), last: None }
    }

    /// Takes a sample, of the runtime it is called in. Outside of one, the figures of the runtime
    /// are 0. The first sample has no busy time yet.
    pub(crate) fn sample(&mut self, in_flight: u32, queued: u32) -> Runtime {
        let now = Instant::now();
        let mut sample = Runtime {
            process_memory: process_memory(),
            in_flight,
            queued,
            uptime: now - self.started,
            parallelism: self.parallelism,
            version: env!("CARGO_PKG_VERSION").into(),
            ..Runtime::default()
        };
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
            // A float that is too large, negative or no number becomes the nearest integer or 0.
            sample.cpu_permille = ((system.global_cpu_usage() * 10.0).round() as u16).min(1000);
            sample.memory_used = system.used_memory();
            sample.memory_total = system.total_memory();
        }
        if let Ok(handle) = Handle::try_current() {
            let metrics = handle.metrics();
            let workers = metrics.num_workers();
            let busy = (0..workers).map(|i| metrics.worker_total_busy_duration(i)).sum();
            if let Some((then, was_busy)) = self.last.replace((now, busy)) {
                let busy = busy.saturating_sub(was_busy);
                sample.busy_permille = share_permille(busy, now - then, workers);
            }
            sample.tasks = metrics.num_alive_tasks().try_into().unwrap_or(u32::MAX);
            sample.workers = workers.try_into().unwrap_or(u16::MAX);
        }
        sample
    }
}

/// How much of the workers' time was busy. They report when they go to sleep, so what falls into
/// one interval may have been spent in another: hence the cap.
fn share_permille(busy: Duration, elapsed: Duration, workers: usize) -> u16 {
    let whole = elapsed.as_nanos().saturating_mul(workers as u128);
    (busy.as_nanos() * 1000).checked_div(whole).unwrap_or(0).min(1000) as u16
}

/// The resident memory of this process, in bytes. `status` gives it in kB, while `statm` counts in
/// pages, whose size cannot be asked for without unsafe code.
#[cfg(target_os = "linux")]
fn process_memory() -> u64 {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|s| resident(&s)).unwrap_or(0)
}

/// Not known on this system.
#[cfg(not(target_os = "linux"))]
fn process_memory() -> u64 {
    0
}

#[cfg(any(target_os = "linux", test))]
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_sample_has_all_figures() {
        // NOD-01
        let mut sampler = Sampler::new();
        let first = sampler.sample(3, 4);
        assert!(first.memory_total > 0 && first.memory_used <= first.memory_total);
        assert!(first.cpu_permille <= 1000);
        assert_eq!((first.in_flight, first.queued, first.workers), (3, 4, 2));
        assert_eq!(first.process_memory > 0, cfg!(target_os = "linux"));
        assert_eq!(first.busy_permille, 0, "nothing to compare it with");
        assert!(first.parallelism > 0 && &*first.version == env!("CARGO_PKG_VERSION"));

        let idle: Vec<_> = (0..5).map(|_| tokio::spawn(std::future::pending::<()>())).collect();
        let second = sampler.sample(0, 0);
        assert!(second.tasks >= first.tasks + 5, "{} after {}", second.tasks, first.tasks);
        assert!(second.uptime >= first.uptime && second.busy_permille <= 1000);
        idle.into_iter().for_each(|task| task.abort());
        assert_eq!(Runtime::decode(&first.encode()).unwrap().memory_total, first.memory_total);
    }

    #[test]
    fn what_cannot_be_measured_is_zero() {
        let mut sampler = Sampler { system: None, ..Sampler::new() };
        let sample = sampler.sample(1, 2);
        assert_eq!((sample.cpu_permille, sample.memory_used, sample.memory_total), (0, 0, 0));
        assert_eq!((sample.tasks, sample.workers, sample.busy_permille), (0, 0, 0));
        assert_eq!((sample.in_flight, sample.queued), (1, 2));
    }

    #[test]
    fn busy_time_is_a_share_of_all_workers() {
        let ms = Duration::from_millis;
        assert_eq!(share_permille(ms(100), ms(200), 1), 500);
        assert_eq!(share_permille(ms(100), ms(200), 4), 125);
        assert_eq!(share_permille(ms(300), ms(200), 1), 1000);
        assert_eq!(share_permille(ms(300), ms(0), 1), 0);
        assert_eq!(share_permille(Duration::MAX, Duration::MAX, usize::MAX), 0);
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let status = "Name:\tnode\nVmHWM:\t  99 kB\nVmRSS:\t    1760 kB\nVmData:\t 1 kB\n";
        assert_eq!(resident(status), Some(1760 * 1024));
        for other in ["", "VmRSS:", "VmRSS: x kB", "VmRSS: 5", "VmRSS: 18446744073709551615 kB"] {
            assert_eq!(resident(other), None, "{other}");
        }
    }
}
