#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! What becomes of the datagrams between two addresses in one direction.
//!
//! A plain value decides: it is told what is wrong with the way, how long a datagram is and when it
//! is sent, and says when its copies arrive. Each direction has random numbers of its own, made
//! from the seed and the two addresses, and every datagram takes equally many of them. So under
//! equal faults the n-th datagram of a direction fares the same in every run of a seed, whatever
//! the other directions carry.

use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

/// The longest that a datagram waits for those before it on a way of limited bandwidth.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// After so many outages without a datagram they are not followed one by one any more.
const MEMORY: u32 = 10_000;
/// Longer than any test.
const NEVER: Duration = Duration::from_secs(1 << 32);

/// What is wrong with the way from one address to another; nothing, unless said.
///
/// Shares are of all datagrams, from 0 to 1; what lies outside counts as the nearer end.
///
/// ```
/// use std::time::Duration;
/// use macula::Faults;
///
/// let bad = Faults::none().burst_loss(0.08, 10.0).delay(Duration::from_millis(225));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    loss: f64,
    burst: Burst,
    outages: Outages,
    delay: Duration,
    jitter: Duration,
    duplicate: f64,
    reorder: (f64, Duration),
    /// Bytes a second; zero is without limit.
    bandwidth: u64,
}

/// The chances, before each datagram, that a burst of losses begins and that it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Burst {
    begins: f64,
    ends: f64,
}

/// How long outages and the times between them are, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Outages {
    bad: Duration,
    /// None when there is no time between them.
    good: Option<Duration>,
}

impl Faults {
    /// Nothing is wrong: each datagram arrives once, in order, at once.
    pub fn none() -> Self {
        Self::default()
    }

    /// This share is lost, each datagram independently of the others. Adds to
    /// [`burst_loss`](Self::burst_loss).
    pub fn loss(self, share: f64) -> Self {
        Self { loss: probability(share), ..self }
    }

    /// This share is lost, in bursts of `length` datagrams on average (at least 1): the model of
    /// Gilbert ("Capacity of a burst-noise channel", 1960), with nothing lost between the bursts
    /// and nothing saved within. Elliott's extension of it is to add [`loss`](Self::loss).
    ///
    /// Bursts are longer than said where they must be, since at least one datagram passes between
    /// two of them: to lose nine tenths takes bursts of 9.
    pub fn burst_loss(self, share: f64, length: f64) -> Self {
        let share = probability(share);
        let ends = if length > 1.0 { 1.0 / length } else { 1.0 };
        let begins = ends * share / (1.0 - share);
        let burst = if share >= 1.0 {
            Burst { begins: 1.0, ends: 0.0 }
        } else if begins > 1.0 {
            Burst { begins: 1.0, ends: (1.0 - share) / share }
        } else {
            Burst { begins, ends }
        };
        Self { burst, ..self }
    }

    /// Everything is lost for this share of the time, in outages of `length` on average: the model
    /// of Gilbert with time in place of datagrams. Outages begin and end at the same moments
    /// however little is sent, where a burst of losses lasts the longer the less is sent, and
    /// longest when the sender waits for it to end. Zero is no length; nothing is lost then, unless
    /// the share is 1.
    pub fn outages(self, share: f64, length: Duration) -> Self {
        let share = probability(share);
        let outages = if share >= 1.0 {
            Outages { bad: Duration::MAX, good: None }
        } else if share <= 0.0 || length.is_zero() {
            Outages::default()
        } else {
            let good = length.as_secs_f64() * (1.0 - share) / share;
            let good = Duration::try_from_secs_f64(good).unwrap_or(Duration::MAX);
            Outages { bad: length, good: Some(good) }
        };
        Self { outages, ..self }
    }

    /// Everything arrives this much later. A round trip takes twice that if both directions have
    /// it.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Each copy arrives later by a time of its own, drawn evenly from zero to `most`. Those that
    /// draw less overtake others.
    pub fn jitter(self, most: Duration) -> Self {
        Self { jitter: most, ..self }
    }

    /// This share arrives twice.
    pub fn duplicate(self, share: f64) -> Self {
        Self { duplicate: probability(share), ..self }
    }

    /// This share is held back, so that what is sent within `by` afterwards overtakes it.
    pub fn reorder(self, share: f64, by: Duration) -> Self {
        Self { reorder: (probability(share), by), ..self }
    }

    /// At most so many bytes a second pass; zero takes the limit away. Further ones wait for their
    /// turn, and those that would wait for more than 500 ms are lost.
    pub fn bandwidth(self, bytes_per_second: u64) -> Self {
        Self { bandwidth: bytes_per_second, ..self }
    }

    /// Whether nothing at all passes.
    pub fn is_total(&self) -> bool {
        let never_good = !self.outages.bad.is_zero() && self.outages.good.is_none();
        self.loss >= 1.0 || never_good || (self.burst.begins >= 1.0 && self.burst.ends <= 0.0)
    }
}

/// When the copies of a datagram arrive, counted from now: nobody is there for a lost one.
pub(super) type Fate = [Option<Duration>; 2];

/// One direction between two addresses.
#[derive(Debug)]
pub(super) struct Way {
    rng: StdRng,
    in_burst: bool,
    /// Whether there is an outage, and until when that stays so; with dice of its own, since they
    /// are thrown as time passes.
    outage: Option<(bool, Instant)>,
    outage_rng: StdRng,
    /// When the last byte of what was sent so far has passed.
    free: Option<Instant>,
}

impl Way {
    pub(super) fn new(seed: u64, from: SocketAddr, to: SocketAddr) -> Self {
        let rng = |what| {
            let name = format!("{seed} {from} {to} {what}");
            StdRng::from_seed(blake3::hash(name.as_bytes()).into())
        };
        let (rng, outage_rng) = (rng("datagrams"), rng("outages"));
        Self { rng, in_burst: false, outage: None, outage_rng, free: None }
    }

    /// What becomes of the next datagram, of so many bytes, that is sent `now`.
    pub(super) fn next(&mut self, faults: &Faults, bytes: usize, now: Instant) -> Fate {
        // All of them, every time, so that no fault moves the dice of another.
        let [burst, loss, twice, held, first, second] =
            std::array::from_fn(|_| self.rng.random_range(0.0..1.0));
        let Burst { begins, ends } = faults.burst;
        self.in_burst = if self.in_burst { burst >= ends } else { burst < begins };
        if begins <= 0.0 {
            self.in_burst = false;
        }
        if self.is_out(&faults.outages, now) || self.in_burst || loss < faults.loss {
            return [None, None];
        }
        let Some(queued) = self.queue(faults.bandwidth, bytes, now) else { return [None, None] };
        let mut delay = faults.delay.saturating_add(queued);
        if held < faults.reorder.0 {
            delay = delay.saturating_add(faults.reorder.1);
        }
        let arrives = |draw| delay.saturating_add(faults.jitter.mul_f64(draw));
        [Some(arrives(first)), (twice < faults.duplicate).then(|| arrives(second))]
    }

    /// Whether there is an outage now.
    fn is_out(&mut self, outages: &Outages, now: Instant) -> bool {
        let Outages { bad, good: Some(good) } = *outages else {
            self.outage = None;
            return !outages.bad.is_zero();
        };
        let rng = &mut self.outage_rng;
        let mut draw = |mean: Duration| {
            let times: f64 = -(1.0 - rng.random_range(0.0..1.0f64)).ln();
            let time = Duration::try_from_secs_f64(mean.as_secs_f64() * times);
            time.unwrap_or(Duration::MAX)
        };
        let never = now + NEVER;
        let after = |begin: Instant, time| begin.checked_add(time).unwrap_or(never);
        let (mut out, mut until) = self.outage.unwrap_or_else(|| (false, after(now, draw(good))));
        // After a long silence the way is in a state that no longer depends on the one before.
        let forgotten = bad.saturating_add(good).saturating_mul(MEMORY);
        if now.saturating_duration_since(until) > forgotten {
            (out, until) = (false, after(now, draw(good)));
        }
        while until <= now {
            out = !out;
            until = after(until, draw(if out { bad } else { good }));
        }
        self.outage = Some((out, until));
        out
    }

    /// How long the datagram takes to get through, after all those before it.
    fn queue(&mut self, bandwidth: u64, bytes: usize, now: Instant) -> Option<Duration> {
        if bandwidth == 0 {
            self.free = None;
            return Some(Duration::ZERO);
        }
        let begin = self.free.map_or(now, |free| free.max(now));
        if begin - now > LONGEST_WAIT {
            return None;
        }
        let passed = begin + Duration::from_secs_f64(bytes as f64 / bandwidth as f64);
        self.free = Some(passed);
        Some(passed - now)
    }
}

fn probability(share: f64) -> f64 {
    if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests;
