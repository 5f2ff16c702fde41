//! How much may be on the way to a peer at once.
//!
//! Cubic sends more until packets are lost, and on a short path that means until the buffers of the
//! system overflow: megabytes then stand in line before whatever comes after them, on any stream, so
//! that a short request waits for most of a long body. Here no more is on the way than a fast network
//! carries in the time of a round trip; the rest waits where short messages can go before it.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn_proto::RttEstimator;

/// So much may always be on the way, in bytes: with less, acknowledgements that are put off for 25 ms
/// stop the flow.
const LEAST: u64 = 1 << 20;
/// What the fastest network carries that is reckoned with: ten gigabits a second.
const BYTES_A_MICRO: u64 = 1250;
/// For how long the shortest round trip holds, at least, and at most twice as long.
const HOLDS: Duration = Duration::from_secs(5);

/// Makes [`Bounded`] Cubic.
#[derive(Debug, Default)]
pub(super) struct BoundedConfig(Arc<CubicConfig>);

impl ControllerFactory for BoundedConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let inner = self.0.clone().build(now, current_mtu);
        Box::new(Bounded { inner, shortest: Shortest::default() })
    }
}

/// Cubic with a bound.
struct Bounded {
    inner: Box<dyn Controller>,
    shortest: Shortest,
}

impl Controller for Bounded {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.shortest.measured(now, now.saturating_duration_since(sent));
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.inner.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.inner.window().min(self.shortest.bytes())
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = self.inner.metrics();
        metrics.congestion_window = self.window();
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), shortest: self.shortest })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// The shortest round trip lately: a longer one may be the fault of what is on the way itself.
#[derive(Clone, Copy, Debug, Default)]
struct Shortest {
    /// Of the time before the present one.
    before: Option<Duration>,
    /// When the present time began, and the shortest in it.
    now: Option<(Instant, Duration)>,
}

impl Shortest {
    fn measured(&mut self, now: Instant, trip: Duration) {
        match &mut self.now {
            Some((began, shortest)) if now.saturating_duration_since(*began) < HOLDS => {
                *shortest = trip.min(*shortest);
            }
            _ => {
                self.before = self.now.map(|(_, shortest)| shortest);
                self.now = Some((now, trip));
            }
        }
    }

    /// How many bytes a fast network carries in it.
    fn bytes(&self) -> u64 {
        let now = self.now.map(|(_, shortest)| shortest);
        let Some(shortest) = self.before.into_iter().chain(now).min() else { return u64::MAX };
        let micros = u64::try_from(shortest.as_micros()).unwrap_or(u64::MAX);
        micros.saturating_mul(BYTES_A_MICRO).max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any point in time will do")]
    fn it_follows_the_shortest_round_trip_lately() {
        let (start, mut shortest) = (Instant::now(), Shortest::default());
        assert_eq!(shortest.bytes(), u64::MAX);
        shortest.measured(start, MS / 10);
        assert_eq!(shortest.bytes(), LEAST);
        shortest.measured(start + HOLDS - MS, 50 * MS);
        assert_eq!(shortest.bytes(), LEAST);
        // The path is another one.
        shortest.measured(start + HOLDS, 50 * MS);
        assert_eq!(shortest.bytes(), LEAST);
        shortest.measured(start + 2 * HOLDS, 50 * MS);
        assert_eq!(shortest.bytes(), 50_000 * BYTES_A_MICRO);
        shortest.measured(start + 2 * HOLDS, 2 * MS);
        assert_eq!(shortest.bytes(), 2000 * BYTES_A_MICRO);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any point in time will do")]
    fn the_window_is_that_of_cubic_or_less() {
        let now = Instant::now();
        let window = |shortest, cubic| {
            let mut config = CubicConfig::default();
            config.initial_window(cubic);
            let inner = Arc::new(config).build(now, 1452);
            Bounded { inner, shortest }.window()
        };
        let mut shortest = Shortest::default();
        assert_eq!(window(shortest, 1 << 30), 1 << 30);
        shortest.measured(now, MS);
        assert_eq!(window(shortest, 1 << 30), 1000 * BYTES_A_MICRO);
        assert_eq!(window(shortest, 20_000), 20_000);
    }
}
