use super::super::peers::Candidate;

/// What all candidates do in turn.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Its name in results.
    pub id: &'static str,
    /// Its name in tables.
    pub title: &'static str,
    /// Callers, each of which waits for its answer.
    pub callers: usize,
    /// Bytes of each request and each reply.
    pub bytes: usize,
    /// Bodies of this size are moved beside it, two at a time.
    pub beside: Option<usize>,
    /// Server and client share one core.
    pub pinned: bool,
}

/// The largest body: what fits into 16 MiB with all that stands around it.
const LARGE: usize = (16 << 20) - 1024;
/// A body of the transfer beside small calls, below the limits of all candidates.
const BULK: usize = 512 << 10;

/// All of them.
pub const WORKLOADS: [Workload; 9] = [
    calls("seq", "64 B, one at a time", 1, 64),
    calls("c64", "64 B, 64 callers", 64, 64),
    calls("c256", "64 B, 256 callers", 256, 64),
    calls("c64-4k", "4 KiB, 64 callers", 64, 4 << 10),
    calls("bulk", "64 KiB, 8 callers", 8, 64 << 10),
    calls("large", "16 MiB, one at a time", 1, LARGE),
    Workload {
        beside: Some(BULK),
        ..calls("beside", "64 B, one at a time, beside a transfer", 1, 64)
    },
    Workload { pinned: true, ..calls("pinned-seq", "64 B, one at a time, one core", 1, 64) },
    Workload { pinned: true, ..calls("pinned-c64", "64 B, 64 callers, one core", 64, 64) },
];

const fn calls(id: &'static str, title: &'static str, callers: usize, bytes: usize) -> Workload {
    Workload { id, title, callers, bytes, beside: None, pinned: false }
}

impl Workload {
    /// Whether a candidate takes bodies of that size.
    pub fn suits(&self, candidate: &Candidate) -> bool {
        self.bytes.max(self.beside.unwrap_or(0)) <= candidate.largest
    }

    /// What a client is told to do for so long.
    pub fn order(&self, millis: u128) -> String {
        let (callers, bytes) = (self.callers, self.bytes);
        match self.beside {
            Some(bulk) => format!("beside {bulk} {callers} {bytes} {millis}"),
            None => format!("run {callers} {bytes} {millis}"),
        }
    }
}
