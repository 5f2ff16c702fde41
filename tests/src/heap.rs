use std::path::{Path, PathBuf};

use stats_alloc::Stats;

/// What of the heap of a process is in use, in KiB.
pub fn heap_kib(stats: &Stats) -> f64 {
    // Bytes that were added or taken away when something was resized are counted in both.
    (stats.bytes_allocated as f64 - stats.bytes_deallocated as f64) / 1024.0
}

/// Where a server of this name says what of its heap is in use, in KiB.
pub fn heap_file(dir: &Path, name: &str) -> PathBuf {
    dir.join("heap").join(name)
}
