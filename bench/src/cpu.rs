use std::time::Duration;

use crate::Failure;

/// Ticks a second of the figures in `/proc`, the same on all Linux systems of today.
const TICKS: f64 = 100.0;

/// The CPU time that a process has used, in its own code and in the kernel.
pub fn time(process: u32) -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit_once(')').ok_or("an unreadable stat file")?.1;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let tick = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
    let (user, system) = (tick(11).ok_or("no user time")?, tick(12).ok_or("no system time")?);
    Ok(Duration::from_secs_f64((user + system) / TICKS))
}
