//! How a node fares: one sample of its machine, its process and its runtime.
//!
//! It travels in gossip, so its encoding is small (128 bytes at most) and reading one never fails
//! in any way but `None`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::Duration;

/// The longest encoding of a sample, in bytes.
pub(crate) const MAX_BYTES: usize = 128;
/// The longest text of a version, in bytes.
const MAX_VERSION: usize = 32;

/// A sample of what a node's machine, process and runtime are doing.
///
/// Where a figure cannot be had it is 0. A `memory_total` of 0 says that the machine could not be
/// measured at all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Runtime {
    /// How busy the machine's processors were since the sample before, in thousandths of all of
    /// them (0 to 1000).
    pub cpu_permille: u16,
    /// Memory in use on the machine, in bytes.
    pub memory_used: u64,
    /// Memory of the machine, in bytes.
    pub memory_total: u64,
    /// Resident memory of the node's process, in bytes. Only known on Linux.
    pub process_memory: u64,
    /// Tasks alive in the node's tokio runtime.
    pub tasks: u32,
    /// Worker threads of the node's tokio runtime.
    pub workers: u16,
    /// How busy these workers were since the sample before, in thousandths of all of them (0 to
    /// 1000).
    pub busy_permille: u16,
    /// Calls of other nodes that run or wait there.
    pub in_flight: u32,
    /// Calls, of whichever node, that wait there for their turn.
    pub queued: u32,
    /// How long the node has been up, to the millisecond once it has travelled.
    pub uptime: Duration,
    /// How many threads the node's process can run at once, as its system says.
    pub parallelism: u16,
    /// The version of this crate that the node was built with, such as `0.1.0`; empty if it does
    /// not say. At most 32 bytes.
    pub version: Box<str>,
}

/// The fields in order, the permille and the uptime in milliseconds. Each integer is a postcard
/// varint: at most 3 bytes for a `u16`, 5 for a `u32`, 10 for a `u64`, 64 in all.
type Wire = (u16, u64, u64, u64, u32, u16, u16, u32, u32, u64);
/// What follows them in a sample that says so: at most 3 bytes and 33.
type Tail<'a> = (u16, &'a str);

impl Runtime {
    /// Memory in use as thousandths of the machine's (0 to 1000), or `None` if the machine could
    /// not be measured.
    pub fn memory_permille(&self) -> Option<u32> {
        let share = (u128::from(self.memory_used) * 1000).checked_div(self.memory_total.into())?;
        Some(share.min(1000) as u32)
    }

    /// The compact form for gossip: at most 128 bytes. A version that is too long is left out.
    pub fn encode(&self) -> Vec<u8> {
        let wire: Wire = (
            self.cpu_permille,
            self.memory_used,
            self.memory_total,
            self.process_memory,
            self.tasks,
            self.workers,
            self.busy_permille,
            self.in_flight,
            self.queued,
            self.uptime.as_millis().try_into().unwrap_or(u64::MAX),
        );
        let version = if self.version.len() > MAX_VERSION { "" } else { &self.version };
        let tail: Tail<'_> = (self.parallelism, version);
        // Writing integers and texts into a growing vector has no way to fail.
        postcard::to_extend(&(wire, tail), Vec::with_capacity(MAX_BYTES)).unwrap_or_default()
    }

    /// Reads the compact form, or gives `None` for anything that is not one. Bytes behind the
    /// known fields are skipped, up to 128 in all: a newer node may have more to say. Of one that
    /// says no more than `uptime`, or does so in a way that cannot be read, the rest is 0 and
    /// empty. Shares over 1000 permille are taken as 1000.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_BYTES {
            return None;
        }
        let (wire, rest) = postcard::take_from_bytes::<Wire>(bytes).ok()?;
        let tail = postcard::take_from_bytes::<Tail<'_>>(rest).map(|(tail, _)| tail);
        let (parallelism, version) = tail.unwrap_or_default();
        let sane = version.len() <= MAX_VERSION && version.bytes().all(|b| b.is_ascii_graphic());
        let version = if sane { version } else { "" };
        let (cpu, memory_used, memory_total, process_memory, tasks, ..) = wire;
        let (.., workers, busy, in_flight, queued, uptime) = wire;
        Some(Self {
            cpu_permille: cpu.min(1000),
            memory_used,
            memory_total,
            process_memory,
            tasks,
            workers,
            busy_permille: busy.min(1000),
            in_flight,
            queued,
            uptime: Duration::from_millis(uptime),
            parallelism,
            version: version.into(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runtimes() -> impl Strategy<Value = Runtime> {
        let shares = (0..=1000u16, 0..=1000u16);
        let sizes = any::<(u64, u64, u64, u32, u16, u32, u32, u64, u16)>();
        let versions = "[!-~]{0,32}";
        (shares, sizes, versions).prop_map(|((cpu_permille, busy_permille), s, version)| Runtime {
            cpu_permille,
            memory_used: s.0,
            memory_total: s.1,
            process_memory: s.2,
            tasks: s.3,
            workers: s.4,
            busy_permille,
            in_flight: s.5,
            queued: s.6,
            uptime: Duration::from_millis(s.7),
            parallelism: s.8,
            version: version.into(),
        })
    }

    proptest! {
        #[test]
        fn reads_back_what_it_wrote(runtime in runtimes()) {
            let bytes = runtime.encode();
            prop_assert!(bytes.len() <= MAX_BYTES);
            prop_assert_eq!(Runtime::decode(&bytes), Some(runtime.clone()));
            let newer = [&bytes[..], &[7]].concat();
            prop_assert_eq!(Runtime::decode(&newer), Some(runtime.clone()));
            // What an older node sends ends with its uptime.
            let tail = postcard::to_allocvec(&(runtime.parallelism, &runtime.version)).unwrap();
            let older = &bytes[..bytes.len() - tail.len()];
            let parts = (runtime.parallelism, runtime.version.clone());
            let read = Runtime { parallelism: 0, version: "".into(), ..runtime };
            prop_assert_eq!(Runtime::decode(older), Some(read), "without {:?}", parts);
            prop_assert_eq!(Runtime::decode(&older[..older.len() - 1]), None);
        }

        #[test]
        fn any_bytes_give_a_sane_sample_or_none(
            bytes in prop::collection::vec(any::<u8>(), 0..140),
        ) {
            if let Some(runtime) = Runtime::decode(&bytes) {
                prop_assert!(runtime.cpu_permille <= 1000 && runtime.busy_permille <= 1000);
                prop_assert!(runtime.memory_permille().is_none_or(|share| share <= 1000));
                prop_assert!(runtime.version.len() <= MAX_VERSION);
                prop_assert!(runtime.version.chars().all(|c| c.is_ascii_graphic()));
            }
        }
    }

    #[test]
    fn the_largest_sample_fits() {
        let largest = Runtime {
            cpu_permille: u16::MAX,
            memory_used: u64::MAX,
            memory_total: u64::MAX,
            process_memory: u64::MAX,
            tasks: u32::MAX,
            workers: u16::MAX,
            busy_permille: u16::MAX,
            in_flight: u32::MAX,
            queued: u32::MAX,
            uptime: Duration::MAX,
            parallelism: u16::MAX,
            version: "v".repeat(MAX_VERSION).into(),
        };
        assert_eq!(largest.encode().len(), 64 + 3 + 33);
        assert!(largest.encode().len() <= MAX_BYTES);
        let read = Runtime::decode(&largest.encode()).unwrap();
        assert_eq!((read.cpu_permille, read.busy_permille, read.tasks), (1000, 1000, u32::MAX));
        assert_eq!(read.memory_permille(), Some(1000));
        assert_eq!((read.parallelism, read.version), (u16::MAX, largest.version.clone()));
        let longer = Runtime { version: "v".repeat(MAX_VERSION + 1).into(), ..largest };
        assert_eq!(&*Runtime::decode(&longer.encode()).unwrap().version, "");
        let steering = Runtime { version: "1\u{1b}[2J".into(), ..longer };
        assert_eq!(&*Runtime::decode(&steering.encode()).unwrap().version, "");
    }

    #[test]
    fn an_unmeasured_machine_has_no_share() {
        assert_eq!(Runtime::default().memory_permille(), None);
        let half = Runtime { memory_used: 512, memory_total: 1024, ..Runtime::default() };
        assert_eq!(half.memory_permille(), Some(500));
    }
}
