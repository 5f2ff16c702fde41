//! How a node fares: one sample of its machine, its process and its runtime.
//!
//! It travels in gossip, so its encoding is small (64 bytes at most) and reading one never fails
//! in any way but `None`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::Duration;

/// The longest encoding of a sample, in bytes.
pub(crate) const MAX_BYTES: usize = 64;

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
}

/// The fields in order, the permille and the uptime in milliseconds. Each integer is a postcard
/// varint: at most 3 bytes for a `u16`, 5 for a `u32`, 10 for a `u64`, 64 in all.
type Wire = (u16, u64, u64, u64, u32, u16, u16, u32, u32, u64);

impl Runtime {
    /// Memory in use as thousandths of the machine's (0 to 1000), or `None` if the machine could
    /// not be measured.
    pub fn memory_permille(&self) -> Option<u32> {
        let share = (u128::from(self.memory_used) * 1000).checked_div(self.memory_total.into())?;
        Some(share.min(1000) as u32)
    }

    /// The compact form for gossip: at most 64 bytes.
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
        // Writing integers into a growing vector has no way to fail.
        postcard::to_extend(&wire, Vec::with_capacity(MAX_BYTES)).unwrap_or_default()
    }

    /// Reads the compact form, or gives `None` for anything that is not one. Bytes behind the
    /// known fields are skipped, up to 64 in all: a newer node may have more to say. Shares over
    /// 1000 permille are taken as 1000.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_BYTES {
            return None;
        }
        let (wire, _) = postcard::take_from_bytes::<Wire>(bytes).ok()?;
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
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runtimes() -> impl Strategy<Value = Runtime> {
        let shares = (0..=1000u16, 0..=1000u16);
        let sizes = any::<(u64, u64, u64, u32, u16, u32, u32, u64)>();
        (shares, sizes).prop_map(|((cpu_permille, busy_permille), s)| Runtime {
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
        })
    }

    proptest! {
        #[test]
        fn reads_back_what_it_wrote(runtime in runtimes()) {
            let bytes = runtime.encode();
            prop_assert!(bytes.len() <= MAX_BYTES);
            prop_assert_eq!(Runtime::decode(&bytes), Some(runtime.clone()));
            prop_assert_eq!(Runtime::decode(&bytes[..bytes.len() - 1]), None);
            let newer = [&bytes[..], &[7]].concat();
            let read = if newer.len() > MAX_BYTES { None } else { Some(runtime) };
            prop_assert_eq!(Runtime::decode(&newer), read);
        }

        #[test]
        fn any_bytes_give_a_sane_sample_or_none(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            if let Some(runtime) = Runtime::decode(&bytes) {
                prop_assert!(runtime.cpu_permille <= 1000 && runtime.busy_permille <= 1000);
                prop_assert!(runtime.memory_permille().is_none_or(|share| share <= 1000));
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
        };
        assert_eq!(largest.encode().len(), MAX_BYTES);
        let read = Runtime::decode(&largest.encode()).unwrap();
        assert_eq!((read.cpu_permille, read.busy_permille, read.tasks), (1000, 1000, u32::MAX));
        assert_eq!(read.memory_permille(), Some(1000));
    }

    #[test]
    fn an_unmeasured_machine_has_no_share() {
        assert_eq!(Runtime::default().memory_permille(), None);
        let half = Runtime { memory_used: 512, memory_total: 1024, ..Runtime::default() };
        assert_eq!(half.memory_permille(), Some(500));
    }
}
